"""Intervals and permutation p of held-out numbers.

Interval: texts under one instruction, or to one question, are alike, so whole instruction pairs and whole questions are
drawn again, not single texts, and the tails allow for how few pairs there are.
p: the poles are swapped and everything is computed anew, directions included. Only such swaps are made as would not
matter if there were no trait. An instruction has quirks beside the trait, which all its texts share, so its
pair is swapped as a whole: swapping question by question tears quirks apart and then takes them for a trait.
"""

from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.stats import norm, t

from personascope.crossed import Folds, held_out_scores, is_crossed
from personascope.directions import question_kind
from personascope.separation import Design, Estimate, auc, cohens_d, hedges

MOST_EXHAUSTIVE = 1024
"""Up to this many distinct relabellings are all made; beyond, `RANDOM_RELABELLINGS` are drawn."""
RANDOM_RELABELLINGS = 1000
DRAWS = 2000
_TAIL = 0.025


@dataclass(frozen=True)
class Relabellings:
    """Labellings that would be as likely as the observed one if there were no trait; exhaustive ones include it."""

    high: Bool[np.ndarray, "relabelling sample"]
    exhaustive: bool


@dataclass(frozen=True)
class Draws:
    """How often each row counts in each bootstrap draw, and the share of draws beyond either end of the interval."""

    weights: Float64[np.ndarray, "draw sample"]
    tail: float


def relabellings(design: Design, folds: Folds, *, seed: int) -> Relabellings:
    """The labellings to compare with, by what is exchangeable in the design if there is no trait.

    Questions asked under several instruction pairs: the poles of whole pairs are swapped. n pairs have 2^(n-1) distinct
    labellings, so p is at least 1/2^(n-1): 1/16 with five pairs; below 0.05 only from six on.
    One pair, or domains of written replies: the poles of each question are swapped, because each was written by itself.
    With one pair p is about these very instructions and says nothing of others.
    Texts without partners: the labels within each fold are shuffled.
    """
    _, question = np.unique(design.question, return_inverse=True)
    has_both = (question_kind(design.high, question) == 3)[question]
    if is_crossed(design):
        _, unit = np.unique(design.pair, return_inverse=True)
        return swapped(design.high, unit.astype(np.int64), seed=seed)
    if has_both.any():
        return swapped(design.high, np.where(has_both, question, -1).astype(np.int64), seed=seed)
    return shuffled(design.high, folds.cell, seed=seed)


def swapped(high: Bool[np.ndarray, " sample"], unit: Int64[np.ndarray, " sample"], *, seed: int) -> Relabellings:
    """Labellings with the poles of whole units swapped, all of them if these are few; unit -1 is never swapped.

    Swapping every unit changes nothing that is measured, so the first unit stays as it is when exhaustive.
    """
    movable = unit >= 0
    ids, row_unit = np.unique(unit[movable], return_inverse=True)
    exhaustive = 2 ** (len(ids) - 1) <= MOST_EXHAUSTIVE
    if exhaustive:
        swaps = np.array([(0, *later) for later in product((0, 1), repeat=len(ids) - 1)], dtype=bool)
    else:
        swaps = np.random.default_rng(seed).random((RANDOM_RELABELLINGS, len(ids))) < 0.5
    labels = np.repeat(high[None], len(swaps), axis=0)
    labels[:, movable] ^= swaps[:, row_unit]
    return Relabellings(labels, exhaustive)


def shuffled(high: Bool[np.ndarray, " sample"], group: Int64[np.ndarray, " sample"], *, seed: int) -> Relabellings:
    """Labellings with the labels shuffled within groups of rows, all of them if these are few."""
    groups = [np.flatnonzero(group == g) for g in np.unique(group)]
    sizes = [(len(rows), int(high[rows].sum())) for rows in groups]
    exhaustive = prod(comb(n, k) for n, k in sizes) <= MOST_EXHAUSTIVE
    if exhaustive:
        ways = product(*(combinations(rows, k) for rows, (_, k) in zip(groups, sizes, strict=True)))
        labels = np.array([np.isin(np.arange(len(high)), np.concatenate(way)) for way in ways])
        return Relabellings(labels, exhaustive=True)
    random = np.random.default_rng(seed)
    labels = np.repeat(high[None], RANDOM_RELABELLINGS, axis=0)
    for rows in groups:
        labels[:, rows] = random.permuted(labels[:, rows], axis=1)
    return Relabellings(labels, exhaustive=False)


def null_auc(
    gram: Float64[np.ndarray, "sample sample"], others: Relabellings, folds: Folds
) -> Float64[np.ndarray, " relabelling"]:
    """Held-out AUC of one layer under each relabelling, everything computed anew."""
    return auc(held_out_scores(gram, others.high, folds), others.high)


def in_sample_null_auc(
    gram: Float64[np.ndarray, "sample sample"], others: Relabellings, high: Bool[np.ndarray, " sample"]
) -> float:
    """What the in-sample AUC comes to without a trait: its mean over relabellings that half agree with the poles.

    With half of the units swapped a trait cancels out of the direction, and what is left is as much noise as there was,
    quirks of instructions included. The quarter of the relabellings that comes nearest to half is used.
    """
    agreement = np.abs(2 * (others.high == high).mean(axis=1) - 1)
    labels = others.high[agreement <= np.quantile(agreement, 0.25) + 1e-9]
    weights = labels / labels.sum(axis=1, keepdims=True) - ~labels / (~labels).sum(axis=1, keepdims=True)
    return float(auc(weights @ gram, labels).mean())


def permutation_p(
    observed: Float64[np.ndarray, " layer"], null: Float64[np.ndarray, "relabelling layer"], *, exhaustive: bool
) -> Float64[np.ndarray, " layer"]:
    """Share of relabellings that do at least as well; random ones count the observed labelling as one more."""
    reached = (null >= observed - 1e-9).sum(axis=0)
    return np.asarray(reached / len(null) if exhaustive else (1 + reached) / (1 + len(null)), dtype=np.float64)


def draw_again(design: Design, *, seed: int, n_draws: int = DRAWS) -> Draws:
    """Draw pairs and questions again, with replacement; a row counts as often as its pair times its question.

    Several pairs: the pigeonhole bootstrap (Owen 2007, Ann. Appl. Stat. 1), whose tails are moved out to where they
    belong with this few pairs (expanded percentiles: Hesterberg 2015, Am. Stat. 69).
    One pair: half as many questions are drawn as there are. Each held-out text is in the training part of others, so
    that what two texts have in common counts twice in the variance; half a sample has twice the variance.
    """
    random = np.random.default_rng(seed)
    n_pairs, n_questions = (len(np.unique(group)) for group in (design.pair, design.question))
    if n_pairs == 1:
        return Draws(_counts(design.question, n_questions // 2, n_draws, random), _TAIL)
    both = _counts(design.pair, n_pairs, n_draws, random) * _counts(design.question, n_questions, n_draws, random)
    reach = np.sqrt(n_pairs / (n_pairs - 1)) * t.ppf(1 - _TAIL, n_pairs - 1)
    return Draws(both, float(norm.cdf(-reach)))


def _counts(
    group: Int64[np.ndarray, " sample"], size: int, n_draws: int, random: np.random.Generator
) -> Float64[np.ndarray, "draw sample"]:
    ids, row = np.unique(group, return_inverse=True)
    drawn = random.multinomial(size, np.full(len(ids), 1 / len(ids)), size=n_draws)
    return np.asarray(drawn[:, row], dtype=np.float64)


def weighted_auc(
    scores: Float64[np.ndarray, " sample"],
    high: Bool[np.ndarray, " sample"],
    weights: Float64[np.ndarray, "draw sample"],
) -> Float64[np.ndarray, " draw"]:
    """AUC of each draw, ties counting one half; NaN where a draw has nothing at one pole."""
    above, below = scores[high], scores[~high]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    high_weight, low_weight = weights[:, high], weights[:, ~high]
    won = ((high_weight @ wins) * low_weight).sum(axis=1)
    pairs = high_weight.sum(axis=1) * low_weight.sum(axis=1)
    chance = np.full(len(weights), np.nan)
    np.divide(won, pairs, out=chance, where=pairs > 0)
    return chance


def weighted_d(
    scores: Float64[np.ndarray, " sample"],
    high: Bool[np.ndarray, " sample"],
    weights: Float64[np.ndarray, "draw sample"],
) -> Float64[np.ndarray, " draw"]:
    """Cohen's d of each draw, Hedges-corrected for the rows there really are; NaN where it has no spread."""
    total, mean, squares = [], [], []
    for pole in (high, ~high):
        weight = weights[:, pole]
        total.append(weight.sum(axis=1))
        mean.append(weight @ scores[pole] / np.maximum(total[-1], 1))
        squares.append(weight @ scores[pole] ** 2 - total[-1] * mean[-1] ** 2)
    freedom = total[0] + total[1] - 2
    usable = (total[0] > 0) & (total[1] > 0) & (freedom > 0) & (squares[0] + squares[1] > 0)
    spread = np.sqrt(np.divide(squares[0] + squares[1], freedom, out=np.ones(len(weights)), where=usable))
    gap = (mean[0] - mean[1]) * hedges(len(high) - 2)
    d = np.full(len(weights), np.nan)
    np.divide(gap, spread, out=d, where=usable)
    return d


def interval(value: float, drawn: Float64[np.ndarray, " draw"], *, tail: float) -> Estimate:
    """The value with its draws from `tail` to 1 - `tail`, reaching at least to the value itself.

    With two or three groups to draw the draws can all lie on one side of it. Just the value where there is none.
    """
    kept = drawn[~np.isnan(drawn)]
    if len(kept) == 0:
        return Estimate(value, value, value)
    low, high = np.quantile(kept, (tail, 1 - tail))
    return Estimate(value, min(float(low), value), max(float(high), value))


def auc_estimate(scores: Float64[np.ndarray, " sample"], high: Bool[np.ndarray, " sample"], draws: Draws) -> Estimate:
    """AUC of held-out scores with its cluster bootstrap interval."""
    return interval(float(auc(scores, high)), weighted_auc(scores, high, draws.weights), tail=draws.tail)


def d_estimate(scores: Float64[np.ndarray, " sample"], high: Bool[np.ndarray, " sample"], draws: Draws) -> Estimate:
    """Cohen's d of held-out scores with its cluster bootstrap interval."""
    return interval(cohens_d(scores, high), weighted_d(scores, high, draws.weights), tail=draws.tail)
