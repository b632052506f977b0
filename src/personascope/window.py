"""In which layers the best one was sought, and how deep the one lies that was fixed beforehand.

Depth is (k + 1) / n for layer k of n. Knows numbers only.
"""

from dataclasses import dataclass

from personascope.reading import CANDIDATE_DEPTHS, candidate_positions
from personascope.separation import Separation


@dataclass(frozen=True)
class Window:
    """The candidates for the best layer."""

    depths: tuple[float, float]
    """First and last depth that was wanted; where no layer given lies there, all given are candidates."""
    layers: tuple[int, int]
    """First and last candidate."""
    chosen_at_edge: bool
    """Whether the best candidate is the first or last one, with layers of the model beyond it that were not tried."""
    fixed_depth: float
    """Where the fixed layer really lies."""
    told: str
    """The same in words, as in `sought in layers 10-23; at the edge: later layers may read better`."""


def candidate_window(separation: Separation, n_model_layers: int) -> Window:
    """Where the best layer of a separation was sought, in a model of so many layers."""
    layers = [reading.layer for reading in separation.readings]
    candidates = [layers[at] for at in candidate_positions(layers, n_model_layers)]
    first, last, chosen = min(candidates), max(candidates), separation.chosen_layer
    beyond = []
    if len(candidates) > 1:
        beyond += ["earlier"] if chosen == first > 0 else []
        beyond += ["later"] if chosen == last < n_model_layers - 1 else []
    told = f"sought in layers {first}-{last}" if len(candidates) > 1 else "the only candidate"
    told += f"; at the edge: {beyond[0]} layers may read better" if beyond else ""
    fixed_depth = (separation.fixed_layer + 1) / n_model_layers
    return Window(CANDIDATE_DEPTHS, (first, last), bool(beyond), fixed_depth, told)
