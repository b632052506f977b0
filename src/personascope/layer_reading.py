"""One layer's row of the separation table, from its activations alone.

What layers share (folds, relabellings, bootstrap draws) comes in as a Plan; the layer is chosen in `reading`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64

from personascope.crossed import Folds, InnerReading, held_out_scores, inner_reading
from personascope.directions import (
    difference_of_means,
    effective_dimension,
    gram,
    pair_cosines,
    pole_weights,
    reliability,
    split_half_cosine,
    spread,
    spread_of_related,
    top_dimension_energy,
)
from personascope.errors import ActivationError
from personascope.relabelling import (
    Relabellings,
    balanced_null_auc,
    in_sample_null_auc,
    null_auc,
    permutation_p,
)
from personascope.separation import Design, LayerReading, auc
from personascope.uncertainty import Draws, auc_estimate, d_estimate

FEWEST_RELABELLINGS = 10
"""With n relabellings, noise is above all of them with a chance of 1 / (n + 1)."""


@dataclass(frozen=True)
class Plan:
    """What all layers share."""

    design: Design
    folds: Folds
    others: Relabellings
    balanced: Bool[np.ndarray, "relabelling sample"]
    """Those of the others in which a trait cancels."""
    draws: Draws
    seed: int


@dataclass(frozen=True)
class ReadLayer:
    """What one layer leaves behind once its Gram matrix is gone; p and p_max of the reading come later."""

    reading: LayerReading
    scores: Float64[np.ndarray, " sample"]
    null: Float64[np.ndarray, " relabelling"]
    inner: InnerReading


def read_layer(activations: Float[np.ndarray, "sample 1 width"], layer: int, plan: Plan) -> ReadLayer:
    """Everything that one layer tells by itself; raises ActivationError where the poles coincide."""
    high = plan.design.high
    direction = difference_of_means(activations, high)[0]
    mean_norm = float(np.linalg.norm(activations.astype(np.float64), axis=2).mean())
    if np.linalg.norm(direction) <= 1e-9 * mean_norm:
        raise ActivationError(
            f"layer {layer} has the same mean at both poles",
            hint="check that the texts of the two poles differ, and that the part being read is where they do",
        )
    products = gram(activations)[0]
    scores = held_out_scores(products, high[None], plan.folds)[0]
    null = null_auc(products, plan.others, plan.folds)
    without_trait = balanced_null_auc(products, plan.balanced, high, plan.folds)
    blank = _held_out(scores, plan, layer=layer, null_auc_95=null_line(without_trait))
    reading = replace(
        _with_shape(blank, products, plan, width=len(direction)),
        vector_magnitude=float(np.linalg.norm(direction)),
        relative_norm=float(np.linalg.norm(direction)) / mean_norm,
        top_dimension_energy=top_dimension_energy(direction),
    )
    return ReadLayer(reading, scores, null, inner_reading(products, high, plan.folds))


def null_line(null: Float64[np.ndarray, " relabelling"]) -> float:
    """The AUC that 95 % of the relabellings stay below, rounded up to one of theirs; NaN with fewer than ten."""
    there = null[~np.isnan(null)]
    return float(np.quantile(there, 0.95, method="higher")) if len(there) >= FEWEST_RELABELLINGS else math.nan


def _held_out(scores: Float64[np.ndarray, " sample"], plan: Plan, *, layer: int, null_auc_95: float) -> LayerReading:
    """A reading with the held-out numbers only; the others are NaN."""
    high = plan.design.high
    above, below = scores[high], scores[~high]
    return LayerReading(
        layer=layer,
        auc=auc_estimate(scores, high, plan.draws),
        cohens_d=d_estimate(scores, high, plan.draws),
        separation=float(above.mean() - below.mean()),
        null_auc_95=null_auc_95,
        p=math.nan,
        p_max=math.nan,
        in_sample_auc=math.nan,
        in_sample_null=math.nan,
        vector_magnitude=math.nan,
        relative_norm=math.nan,
        split_half_cosine=math.nan,
        reliability=math.nan,
        pair_cosine_mean=math.nan,
        pair_cosine_min=math.nan,
        effective_dimension=math.nan,
        top_dimension_energy=math.nan,
        proj_high_mean=float(above.mean()),
        proj_low_mean=float(below.mean()),
        proj_high_std=float(above.std(ddof=1)),
        proj_low_std=float(below.std(ddof=1)),
    )


def _with_shape(
    reading: LayerReading, products: Float64[np.ndarray, "sample sample"], plan: Plan, *, width: int
) -> LayerReading:
    """The reading with what the Gram matrix tells of the direction made from all texts."""
    high = plan.design.high
    d_eff = effective_dimension(*_spread(products, plan.design), width=width)
    half = split_half_cosine(products, high, plan.design.question, seed=plan.seed + 3)
    cosines = pair_cosines(products, high, plan.design.pair)
    return replace(
        reading,
        in_sample_auc=float(auc(products @ pole_weights(high, np.ones_like(high)), high)),
        in_sample_null=in_sample_null_auc(products, plan.balanced, high),
        split_half_cosine=half,
        reliability=reliability(half),
        pair_cosine_mean=float(cosines.mean()) if len(cosines) else math.nan,
        pair_cosine_min=float(cosines.min()) if len(cosines) else math.nan,
        effective_dimension=d_eff,
    )


def _spread(products: Float64[np.ndarray, "sample sample"], design: Design) -> tuple[float, float]:
    """tr(S) and tr(S^2) within poles, from samples that share neither pair nor question."""
    related = design.question[:, None] == design.question
    if len(np.unique(design.pair)) > 1:
        related |= design.pair[:, None] == design.pair
    if related.sum() == len(related):
        return spread(products, design.high)
    return spread_of_related(products, design.high, related)


def tabulate(read: Sequence[ReadLayer], candidates: Sequence[int], *, exhaustive: bool) -> tuple[LayerReading, ...]:
    """The readings with their p: alone, and against the best of the candidates (positions in `read`).

    A layer that is no candidate is compared with the best of all layers.
    """
    null = np.stack([layer.null for layer in read], axis=1)
    observed = np.array([layer.reading.auc.value for layer in read])
    best = np.repeat(null.max(axis=1, keepdims=True), len(read), axis=1)
    best[:, list(candidates)] = null[:, list(candidates)].max(axis=1, keepdims=True)
    p = permutation_p(observed, null, exhaustive=exhaustive)
    p_max = permutation_p(observed, best, exhaustive=exhaustive)
    return tuple(replace(layer.reading, p=float(p[at]), p_max=float(p_max[at])) for at, layer in enumerate(read))
