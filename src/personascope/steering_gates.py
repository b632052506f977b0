"""The gates of the word "strong", and what is said of one that is not passed.

What a gate is judged by: `steering_proof`, which has the numbers. Knows values only; a page shows gates in its own way.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from personascope.wording import decimals, p_text

STRONG_AUC = 0.80
USABLE_AUC = 0.65
"""What the lower end of the nested held-out AUC's interval must reach."""
STABLE_HALVES = 0.70
ALPHA = 0.05
GateName = Literal[
    "auc",
    "halves",
    "pairs",
    "slope",
    "shuffled",
    "random",
    "swapped",
    "shuffled at equal KL",
    "random at equal KL",
    "signs",
]


@dataclass(frozen=True)
class Gate:
    """One thing that the word "strong" asks for, what was found, and whether that is enough; NaN never is."""

    name: GateName
    value: float
    """Of `signs`: 1 for yes, 0 for no."""
    passed: bool
    part: Literal["reading", "steering", "strong steering"]
    """`usable` asks for all of steering, and of reading for an AUC of `USABLE_AUC`."""
    n: int = 0
    """How many vectors without the trait the value is a p among."""


_FOUND: dict[GateName, str] = {
    "auc": "lower end of the held-out AUC",
    "halves": "split-half cosine",
    "pairs": "lowest pair cosine",
    "slope": "slope of the dose-response",
}
_MISSING: dict[GateName, str] = {
    "auc": "interval of the held-out AUC not available",
    "pairs": "lowest pair cosine not available: it needs two instruction pairs",
}
_AGAINST: dict[GateName, str] = {
    "shuffled": "shuffled-label vectors at equal norm",
    "random": "random vectors at equal norm",
    "shuffled at equal KL": "shuffled-label vectors at equal KL",
    "random at equal KL": "random vectors at equal KL",
}


def failure(gate: Gate) -> str:
    """What was found at a gate that is not passed, in plain words."""
    if gate.name == "signs":
        return "the effect is not shown to turn round with the sign of the dose"
    if gate.name == "swapped":
        missing = np.isnan(gate.value)
        told = "not available" if missing else f"p = {p_text(gate.value)}, not below {ALPHA:.2f}"
        return f"slope with the poles of whole instruction pairs swapped: {told}"
    if gate.name in _AGAINST:
        return _p_failure(gate.value, _AGAINST[gate.name], gate.n)
    found = _FOUND[gate.name]
    if np.isnan(gate.value):
        return _MISSING.get(gate.name, f"{found} not available")
    if gate.name in ("slope", "pairs"):
        return f"{found} {_apart(gate.value, 0.0)}, not above 0"
    least = STABLE_HALVES if gate.name == "halves" else USABLE_AUC if gate.value < USABLE_AUC else STRONG_AUC
    return f"{found} {_apart(gate.value, least)}, below {least:.2f}"


def _p_failure(p: float, kind: str, n: int) -> str:
    if n == 0:
        return f"slope not compared with any {kind}"
    against = f"{n} {kind}"
    if np.isnan(p):
        return f"slope against {against} not available"
    few = f" ({n} are too few for that)" if 1 / (n + 1) >= ALPHA else ""
    return f"slope against {against}: p = {p_text(p)}, not below {ALPHA:.2f}{few}"


def _apart(value: float, gate: float) -> str:
    """The number with two decimals, or as many more (to six) as tell it from the gate."""
    places = next((n for n in range(2, 7) if round(value, n) != gate), 2)
    return decimals(value, places)
