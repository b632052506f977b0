"""From a vectors file to a steering: which layers, how strong, in which unit; and whether it can be placed.

    h <- h + strength * v        at the output of decoder block k, counted from 0; v = mean(high) - mean(low) there

Strength 1 is one persona gap. rho = |strength * v| / (mean norm of a token's residual at that layer) is the same dose
as a fraction of the stream, which compares over layers and models. Knows vectors files; knows no engine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32

from personascope.errors import ArtifactError, LayerError, SteeringError
from personascope.models.protocols import Condition, Mode, ModelSpec, Positions, Steered, Steering, check_layers
from personascope.vectors import Vectors

Unit = Literal["gap", "norm", "unit-vector"]
UNITS: tuple[Unit, ...] = get_args(Unit)
MODES: tuple[Mode, ...] = get_args(Mode)
POSITIONS: tuple[Positions, ...] = get_args(Positions)
PERCENTILE = 25
"""Of the trait's own replies, where a floor is, as in activation capping (arXiv 2601.10387); a cap mirrors it."""


def steering(
    vectors: Vectors, layers: Sequence[int], strength: float, *, mode: Mode = "add", positions: Positions = "reply"
) -> Steering:
    """The trait's directions at `layers`, each at the same strength in persona gaps.

    `cap` and `floor` hold the projection at the 75th and 25th percentile of the replies behind the vectors.
    Raises LayerError for a layer that the file lacks.
    """
    directions = {layer: direction(vectors, layer) for layer in layers}
    thresholds = {layer: threshold(vectors, layer, mode) for layer in layers} if mode in ("cap", "floor") else {}
    return Steering(directions, strength, mode, positions, thresholds)


def incremental(vectors: Vectors, strength: float, *, positions: Positions = "reply") -> Steering:
    """Every layer of the file at once, each adding only what the one before did not: v_k - v_(k-1).

    The all-layer variant of Chen et al. 2025 (arXiv 2507.21509, appendix J.3). Raises LayerError where layers are
    missing between the first and the last.
    """
    layers = sorted(vectors.layers)
    if layers != list(range(layers[0], layers[-1] + 1)):
        raise LayerError(
            f"the vectors have gaps between layers {layers[0]} and {layers[-1]}",
            hint="extract all layers: leave out --layers and --layer-range",
        )
    steps: dict[int, np.ndarray] = {}
    before = np.zeros_like(vectors.raw[0])
    for layer in layers:
        here = direction(vectors, layer)
        steps[layer], before = here - before, here
    return Steering(steps, strength, "add", positions)


def direction(vectors: Vectors, layer: int) -> Float32[np.ndarray, " width"]:
    """The raw direction of a layer, one persona gap long. Raises LayerError where the file lacks it."""
    if layer not in vectors.layers:
        held = ", ".join(map(str, vectors.layers))
        raise LayerError(
            f"the vectors file has no layer {layer}", hint=f"it holds {held}; layer k is the output of block k, from 0"
        )
    return np.asarray(vectors.raw[vectors.layers.index(layer)], dtype=np.float32)


def threshold(vectors: Vectors, layer: int, mode: Mode) -> float:
    """Where `cap` or `floor` hold the projection on the unit direction, in residual-stream units.

    Raises ArtifactError where the file does not tell how its own replies project.
    """
    told = vectors.metadata["layers"][str(layer)].get("projection_percentiles")
    if not told:
        raise ArtifactError(
            "the vectors file does not tell how its replies project, so there is no threshold to hold",
            hint="extract the vectors again with this version, or steer with --mode add",
        )
    return float(told[str(PERCENTILE if mode == "floor" else 100 - PERCENTILE)])


def gaps(vectors: Vectors, layer: int, amount: float, unit: Unit) -> float:
    """An amount in a unit as a strength in persona gaps.

    `norm`: fraction of a token's mean residual norm at the layer (rho); `unit-vector`: residual-stream units.
    """
    if unit == "gap":
        return amount
    length = float(np.linalg.norm(direction(vectors, layer)))
    return amount * (residual_norm(vectors, layer) if unit == "norm" else 1.0) / length


def rho(vectors: Vectors, layer: int, strength: float) -> float:
    """A strength in persona gaps as a signed fraction of a token's mean residual norm at the layer."""
    return strength * float(np.linalg.norm(direction(vectors, layer))) / residual_norm(vectors, layer)


def gaps_per_rho(rhos: Sequence[float], strengths: Sequence[float]) -> float:
    """How many persona gaps a dose of rho 1 is, told by the same doses in both units; the largest of them counts."""
    largest = max(range(len(rhos)), key=lambda at: abs(rhos[at]))
    return strengths[largest] / rhos[largest]


def residual_norm(vectors: Vectors, layer: int) -> float:
    """Mean norm of a token's residual at the layer, as told by the file. Raises ArtifactError where it is not."""
    norm = vectors.metadata["layers"].get(str(layer), {}).get("residual_norm")
    if norm is None or not math.isfinite(norm) or norm <= 0:
        raise ArtifactError(
            f"the vectors file does not tell the residual norm at layer {layer}",
            hint="extract the vectors again: every dose is told as a share of that norm, whatever its unit",
        )
    return float(norm)


def acting(steered: Steered) -> Steered:
    """The edits of a row without those of strength 0, which would change nothing."""
    return tuple(edit for edit in steered if edit.strength != 0)


def same_weights(one: Mapping[str, object], other: Mapping[str, object]) -> bool | None:
    """Whether two models have the same weights, by their `weights` and `dtype`; None where that cannot be told.

    The fingerprint is one of values, and these change with the precision.
    """
    told = bool(one.get("weights") and other.get("weights") and one.get("dtype") and other.get("dtype"))
    if not told or one["dtype"] != other["dtype"]:
        return None
    return one["weights"] == other["weights"]


def check_fits(vectors: Vectors, spec: ModelSpec) -> str | None:
    """What must be known where vectors were made on another model, or in another precision; None for the very model.

    Raises ArtifactError unless they fit the model's shape.
    """
    made_on: Mapping[str, object] = vectors.metadata["model"]
    shape = (made_on.get("n_layers"), made_on.get("width"))
    if shape != (spec.n_layers, spec.width):
        raise ArtifactError(
            f"the vectors are of {made_on.get('name')}: {shape[0]} layers of width {shape[1]}; "
            f"{spec.name} has {spec.n_layers} of width {spec.width}",
            hint="open the model named in the file, or extract new vectors from this one",
        )
    if made_on.get("name") != spec.name:
        return f"The vectors were made on {made_on.get('name')}, not on {spec.name}: same shape, maybe another meaning."
    if same_weights(made_on, asdict(spec)) is False:
        return f"The weights of {spec.name} have changed since the vectors were made: extract again to be sure."
    dtype = made_on.get("dtype")
    if dtype and dtype != spec.dtype:
        return f"The vectors were made in {dtype} and {spec.name} runs in {spec.dtype}: its weights were not compared."
    return None


def check_steered(steered: Steered, spec: ModelSpec) -> None:
    """Raise LayerError or SteeringError unless every edit can be placed on a model."""
    for edit in steered:
        _check_choices(edit)
        if not edit.directions:
            raise SteeringError("a steering names no layer", hint="give at least one layer with its direction")
        check_layers(sorted(edit.directions), spec.n_layers)
        for layer, vector in edit.directions.items():
            _check_direction(np.asarray(vector), layer, spec)
        if edit.condition is not None:
            _check_condition(edit.condition, min(edit.directions), spec)


def _check_condition(condition: Condition, first: int, spec: ModelSpec) -> None:
    """Raise unless a condition can be told at or before the first edited layer."""
    check_layers([condition.layer], spec.n_layers)
    vector = np.asarray(condition.direction)
    _check_direction(vector, condition.layer, spec)
    if abs(float(np.linalg.norm(vector)) - 1) > _UNIT:
        raise SteeringError(
            f"the condition's direction has length {np.linalg.norm(vector):.3g}, not 1",
            hint="divide it by its length; `above` is then in residual-stream units",
        )
    if math.isnan(condition.above):
        raise SteeringError(
            "the condition waits for a projection above nan", hint="give a number; -inf is met by every token"
        )
    if condition.layer > first:
        raise SteeringError(
            f"the condition is read at layer {condition.layer}, after the edit at layer {first}",
            hint="read the condition at the steered layer or before it",
        )


_UNIT = 1e-3


def _check_choices(edit: Steering) -> None:
    if edit.mode not in MODES:
        raise SteeringError(f"there is no mode {edit.mode!r}", hint=f"choose one of {', '.join(MODES)}")
    if edit.positions not in POSITIONS:
        raise SteeringError(f"there are no positions {edit.positions!r}", hint=f"choose one of {', '.join(POSITIONS)}")
    if not math.isfinite(edit.strength):
        raise SteeringError(f"strength {edit.strength} is no number to steer with", hint="give a finite strength")
    if edit.mode in ("cap", "floor"):
        missing = [layer for layer in edit.directions if not math.isfinite(edit.thresholds.get(layer, math.nan))]
        if missing:
            raise SteeringError(
                f"mode {edit.mode} has no threshold at layer {missing[0]}", hint="give a threshold for each layer"
            )


def _check_direction(vector: np.ndarray, layer: int, spec: ModelSpec) -> None:
    if vector.shape != (spec.width,):
        raise SteeringError(
            f"the direction at layer {layer} has shape {vector.shape}; the model's width is {spec.width}",
            hint="use vectors of this very model",
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise SteeringError(
            f"the direction at layer {layer} is {'zero' if not vector.any() else 'not finite'}",
            hint="extract the vectors again and look at the report",
        )
