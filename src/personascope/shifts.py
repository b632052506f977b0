"""How far one model lies from another along persona vectors, in persona gaps, with null, interval and controls.

    shift of a question = <tuned - base, v> / |v|^2

where tuned and base are what the two models' residual streams were at the same question: 1 is as far as the vector's
high instructions lie from its low ones, a positive shift is towards the high pole. Paired by question, so that what a
question brings cancels. Layer k is the stream after decoder block k, from 0. Knows numbers only.

Any training moves every direction a little, and many questions make a little significant. So a shift is only called
raised or lowered where it also exceeds what vectors without a trait, made in the same way, and random ones shift.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64
from scipy.stats import pearsonr, spearmanr

from personascope.errors import ContrastError
from personascope.separation import Estimate
from personascope.uncertainty import Draws, draw_questions, estimate
from personascope.wording import has_interval

Moved = Literal["raised", "lowered", "not shown"]

ALPHA = 0.05
N_FLIPS = 9999
FEWEST_CONTROLS = 19
"""Relabelled vectors: with fewer, 95 % of them cannot be exceeded, and nothing is called shown."""
_FEWEST_CORRELATED = 4


@dataclass(frozen=True, eq=False)
class Ruler:
    """A trait's vector, and vectors without it that were made in the same way."""

    layer: int
    """Where the headline is read: the layer that reads best in the base model."""
    raw: Float64[np.ndarray, "layer width"]
    """One persona gap at every layer, residual-stream units, from low to high."""
    traitless: Float64[np.ndarray, "control width"]
    """At `layer`: of relabelled texts, one of each two opposites. Their lengths do not matter."""
    random: Float64[np.ndarray, "random width"]

    def __post_init__(self) -> None:
        check_length(self.raw)


def check_length(raw: Float64[np.ndarray, "layer width"]) -> None:
    """Raise ContrastError where a vector has no length at some layer: nothing can be told in gaps of 0."""
    none = np.flatnonzero(~((raw**2).sum(axis=1) > 0))
    if len(none):
        raise ContrastError(
            f"the vector has no length at layer {none[0]}: high and low replies are the same there",
            hint="make it from more replies (--protocol standard), or leave the trait out",
        )


@dataclass(frozen=True)
class Shift:
    """How far a model moved along one trait's vector, in persona gaps; tuned minus base."""

    layer: int
    shift: Estimate
    """Mean over questions at `layer`; the interval is over questions."""
    p: float
    """Two-sided, from the signs of the questions' differences flipped at random."""
    p_holm: float
    """The same after Holm's correction over the traits compared."""
    p_shuffled: float
    """Against vectors without the trait, at the same length: (1 + those that shift as much) / (1 + all)."""
    p_random: float
    """The same of random vectors."""
    band: float
    """What 95 % of the vectors without the trait stay below, either way, in the same gaps."""
    n_shuffled: int
    by_layer: tuple[Estimate, ...]
    n_questions: int

    @property
    def moved(self) -> Moved:
        """Raised or lowered where interval, corrected p and both kinds of control say so; else not shown."""
        low, high = self.shift.low, self.shift.high
        clear = has_interval(self.shift) and (low > 0 or high < 0) and self.p_holm <= ALPHA
        if not clear or max(self.p_shuffled, self.p_random) > ALPHA or self.n_shuffled < FEWEST_CONTROLS:
            return "not shown"
        return "raised" if self.shift.value > 0 else "lowered"


def shifts(
    difference: Float64[np.ndarray, "question layer width"],
    layers: Sequence[int],
    rulers: Mapping[str, Ruler],
    *,
    seed: int,
) -> dict[str, Shift]:
    """The shift along every trait's vector, p corrected over them. A question without a reply (NaN) is left out.

    Vectors without a trait are taken of all traits together: each stands for what texts and instructions bring.
    Raises ContrastError where no question has a reply of both.
    """
    there = difference[~np.isnan(difference).any(axis=(1, 2))]
    if not len(there):
        raise ContrastError(
            "one of the models has an empty reply to every question",
            hint="look at what it writes: personascope steer MODEL --vectors F --strengths 0",
        )
    draws = draw_questions(np.arange(len(there)), seed=seed)
    found = {name: _shift(there, layers, ruler, draws, seed) for name, ruler in rulers.items()}
    corrected = holm({name: one.p for name, one in found.items()})
    return {name: _corrected(one, corrected[name]) for name, one in found.items()}


def _shift(
    there: Float64[np.ndarray, "question layer width"], layers: Sequence[int], ruler: Ruler, draws: Draws, seed: int
) -> Shift:
    by_question = _in_gaps(there, ruler.raw)
    at = list(layers).index(ruler.layer)
    means = _means(by_question, draws)
    moved, gap = there[:, at].mean(axis=0), float(np.linalg.norm(ruler.raw[at]))
    shuffled, random = (_along(moved, family) / gap for family in (ruler.traitless, ruler.random))
    p = sign_flip_p(by_question[:, at], seed=seed)
    return Shift(
        layer=ruler.layer,
        shift=means[at],
        p=p,
        p_holm=p,
        p_shuffled=_share(means[at].value, shuffled),
        p_random=_share(means[at].value, random),
        band=float(np.quantile(np.abs(shuffled), 1 - ALPHA)) if len(shuffled) else float("nan"),
        n_shuffled=len(shuffled),
        by_layer=means,
        n_questions=len(there),
    )


def _in_gaps(
    difference: Float64[np.ndarray, "question layer width"], raw: Float64[np.ndarray, "layer width"]
) -> Float64[np.ndarray, "question layer"]:
    """Each question's difference along the vector of each layer, in its gaps."""
    squared = (raw**2).sum(axis=1)
    return np.asarray(np.einsum("qlw,lw->ql", difference, raw) / squared)


def _means(by_question: Float64[np.ndarray, "question layer"], draws: Draws) -> tuple[Estimate, ...]:
    """The mean over questions at each layer, with its interval over questions drawn again."""
    drawn = draws.weights @ by_question / draws.weights.sum(axis=1, keepdims=True)
    values = by_question.mean(axis=0)
    return tuple(estimate(float(value), drawn[:, at], draws) for at, value in enumerate(values))


def _along(
    moved: Float64[np.ndarray, " width"], family: Float64[np.ndarray, "control width"]
) -> Float64[np.ndarray, " control"]:
    """How far the mean difference goes along each direction, residual-stream units."""
    lengths = np.linalg.norm(family, axis=1)
    return np.asarray(family @ moved / np.where(lengths > 0, lengths, 1.0))


def _share(value: float, others: Float64[np.ndarray, " control"]) -> float:
    """Share of controls, the vector itself counted in, that reach as far either way."""
    return float((1 + (np.abs(others) >= abs(value)).sum()) / (1 + len(others)))


def sign_flip_p(values: Float64[np.ndarray, " question"], *, seed: int) -> float:
    """Two-sided p that the mean is 0: the share of random sign flips whose mean is as far from 0.

    Valid where each difference is as likely to be its opposite, as between two models that are one. 1 for nothing.
    """
    if not np.any(values):
        return 1.0
    signs = np.random.default_rng(seed + 5).choice([-1.0, 1.0], size=(N_FLIPS, len(values)))
    flipped = np.abs(signs @ values)
    return float((1 + (flipped >= abs(values.sum()) * (1 - 1e-12)).sum()) / (1 + N_FLIPS))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's corrected p of each name (Holm 1979, Scand. J. Stat. 6): all false findings together stay below alpha."""
    worst, corrected = 0.0, {}
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        worst = max(worst, min(1.0, (len(p) - rank) * p[name]))
        corrected[name] = worst
    return {name: corrected[name] for name in p}


def _corrected(one: Shift, p_holm: float) -> Shift:
    return replace(one, p_holm=p_holm)


@dataclass(frozen=True)
class Agreement:
    """How shifts and score changes go together over the traits that were compared; NaN where that cannot be told.

    Descriptive, without an interval: traits share their questions and what texts have in common, so they are no
    independent draws, and other traits would be others.
    """

    pearson: float
    spearman: float
    n_traits: int


def agreement(one: Float64[np.ndarray, " trait"], other: Float64[np.ndarray, " trait"]) -> Agreement:
    """Correlations over traits; none with fewer than four traits or a constant side."""
    n = len(one)
    if n < _FEWEST_CORRELATED or np.ptp(one) == 0 or np.ptp(other) == 0:
        return Agreement(float("nan"), float("nan"), n)
    return Agreement(float(pearsonr(one, other).statistic), float(spearmanr(one, other).statistic), n)
