"""What the separation of one trait's poles is made of, and the two effect sizes it is told in.

Knows the values only. Which rows train and which are held out: `crossed`; intervals: `uncertainty`; permutation p:
`relabelling`; the whole table from activations: `reading.separate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.stats import rankdata

Grade = Literal["excellent", "good", "moderate", "poor"]


@dataclass(frozen=True)
class Design:
    """Which sample is which: pole, instruction pair and question of each row."""

    high: Bool[np.ndarray, " sample"]
    pair: Int64[np.ndarray, " sample"]
    """Instruction pair (or domain) id: a group that is held out together."""
    question: Int64[np.ndarray, " sample"]
    """Question id, shared by both poles; texts without a partner have one id each."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; `low` and `high` are NaN where the interval is not available."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LayerReading:
    """How well one layer's direction tells the poles apart on texts it was not made from, and what it is like."""

    layer: int
    auc: Estimate
    """Held out by instruction pair and by question at once; two-way cluster bootstrap."""
    cohens_d: Estimate
    """Of the held-out projections, Hedges-corrected."""
    separation: float
    """Mean high minus mean low of the held-out projections on the unit direction, residual-stream units."""
    null_auc_95: float
    """Held-out AUC that 95 % of the relabellings stay below which half agree with the poles: no trait is left in them.

    NaN where fewer than ten do, as with four instruction pairs.
    """
    p: float
    """Permutation p at this layer alone."""
    p_max: float
    """The same against each relabelling's best candidate layer (best of all, for a layer that is no candidate)."""
    in_sample_auc: float
    """AUC on the very texts the direction was made from: never to be shown without `in_sample_null`."""
    in_sample_null: float
    """What `in_sample_auc` comes to without a trait: its mean over relabellings that half agree with the poles."""
    vector_magnitude: float
    """Length of the raw difference of means, residual-stream units."""
    relative_norm: float
    """rho at strength 1: `vector_magnitude` over the mean residual norm (of a token, where that is known)."""
    split_half_cosine: float
    """Mean over random halves of the questions."""
    reliability: float
    """Expected cosine with the direction that endless questions under these instructions would give."""
    pair_cosine_mean: float
    """Between the directions of single instruction pairs; NaN with one pair."""
    pair_cosine_min: float
    effective_dimension: float
    """(tr S)^2 / tr(S^2), pooled within poles."""
    top_dimension_energy: float
    """Share of the squared length that lies in one coordinate."""
    proj_high_mean: float
    """Held-out projections are on the unit direction, centred half-way between the training poles."""
    proj_low_mean: float
    proj_high_std: float
    proj_low_std: float


@dataclass(frozen=True)
class Separation:
    """The table of one trait: every layer, the layer chosen, and what it must be compared with."""

    readings: tuple[LayerReading, ...]
    chosen_layer: int
    """Best held-out AUC among the candidates (depth 0.35-0.80 of the model, or all given if none lie there)."""
    nested_auc: Estimate
    """Layer chosen inside each outer training part: the headline number."""
    nested_layers: tuple[tuple[int, int], ...]
    """(layer, how many outer folds chose it)."""
    fixed_layer: int
    """Nearest to depth 0.6, chosen without looking."""
    fixed_auc: Estimate
    p: float
    """Max-corrected permutation p of the best candidate layer."""
    n_relabellings: int
    """How many relabellings: p is never below 1/n when exhaustive, else 1/(n+1)."""
    exhaustive: bool
    baselines: Mapping[str, Estimate]
    """Held-out AUC by "reply length", "bag of words", "random direction"."""
    advantages: Mapping[str, Estimate]
    """`nested_auc` minus the AUC of "reply length" and "bag of words", each pair drawn together."""
    readers: Mapping[str, Estimate]
    """Held-out AUC by "difference of means", "shrinkage LDA", "logistic regression" at the chosen layer."""
    held_out_scores: Float64[np.ndarray, " sample"]
    """Projections at the chosen layer, in the order of the rows given."""
    n_high: int
    n_low: int
    n_pairs: int
    n_questions: int


def grade(low_end: float) -> Grade | None:
    """The word for the LOWER end of a held-out AUC's interval: above 0.8, above 0.7, above 0.6, or less.

    None where there is no interval: a NaN end is no low one.
    """
    if low_end != low_end:
        return None
    if low_end > 0.8:
        return "excellent"
    if low_end > 0.7:
        return "good"
    return "moderate" if low_end > 0.6 else "poor"


def auc(
    scores: Float64[np.ndarray, "*set sample"], high: Bool[np.ndarray, "*set sample"]
) -> Float64[np.ndarray, "*set"]:
    """The chance that a high text scores above a low one, a tie counting one half; NaN where a pole is missing."""
    n_high = high.sum(axis=-1)
    n_low = high.shape[-1] - n_high
    rank_sum = np.where(high, rankdata(scores, axis=-1), 0.0).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((rank_sum - n_high * (n_high + 1) / 2) / (n_high * n_low), dtype=np.float64)


def cohens_d(scores: Float64[np.ndarray, " sample"], high: Bool[np.ndarray, " sample"]) -> float:
    """Mean high minus mean low in pooled standard deviations, Hedges-corrected; needs two rows at each pole."""
    above, below = scores[high], scores[~high]
    gap = float(above.mean() - below.mean())
    freedom = len(scores) - 2
    variance = (above.var() * len(above) + below.var() * len(below)) / freedom
    return gap * hedges(freedom) / max(float(np.sqrt(variance)), abs(gap) * 1e-9, 1e-300)


def hedges(freedom: int) -> float:
    """Hedges' factor, which takes away the upward bias of Cohen's d at these degrees of freedom (1981)."""
    return 1.0 - 3.0 / (4.0 * freedom - 1.0)
