"""Permutation p: how often labellings that mean nothing do as well as the true one.

The poles are swapped and everything is computed anew, directions included. Only such swaps are made as would not
matter if there were no trait. An instruction has quirks beside the trait, which all its texts share, so its
pair is swapped as a whole: swapping question by question tears quirks apart and then takes them for a trait.
"""

from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np
from jaxtyping import Bool, Float64, Int64

from personascope.crossed import Folds, held_out_scores, is_crossed
from personascope.directions import pole_weights, question_kind
from personascope.separation import Design, auc

MOST_EXHAUSTIVE = 1024
"""Up to this many distinct relabellings are all made; beyond, `RANDOM_RELABELLINGS` are drawn."""
RANDOM_RELABELLINGS = 1000
_MOST_TRAIT = 0.9


@dataclass(frozen=True)
class Relabellings:
    """Labellings that would be as likely as the observed one if there were no trait; exhaustive ones include it."""

    high: Bool[np.ndarray, "relabelling sample"]
    exhaustive: bool


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


def balanced(others: Relabellings, high: Bool[np.ndarray, " sample"]) -> Bool[np.ndarray, "relabelling sample"]:
    """The quarter of the relabellings that comes nearest to agreeing with the poles in half of the texts.

    With half of the units swapped a trait cancels out of the direction, and what is left is as much noise as there was,
    quirks of instructions included.
    """
    agreement = np.abs(2 * (others.high == high).mean(axis=1) - 1)
    return np.asarray(others.high[agreement <= np.quantile(agreement, 0.25) + 1e-9], dtype=bool)


def balanced_null_auc(
    gram: Float64[np.ndarray, "sample sample"],
    labels: Bool[np.ndarray, "relabelling sample"],
    high: Bool[np.ndarray, " sample"],
    folds: Folds,
) -> Float64[np.ndarray, " relabelling"]:
    """Held-out AUC of one layer under balanced relabellings, without what the trait does to it.

    Half agreement in all texts is not half in training: where one pair of eight is held out, one seventh of the trait
    is left in the direction, against the held-out pair, and a strong trait would push the null below 0.5. Hence
    `traitless_weights`. NaN where hardly anything would be left, as with fewer than four pairs.
    """
    scores = np.full(labels.shape, np.nan)
    for c, trains in enumerate(folds.trains):
        rows, train = folds.cell == c, trains[folds.cell]
        weights, middle = traitless_weights(labels, high, train)
        onto = weights @ gram
        length = np.sqrt(np.maximum((onto * weights).sum(axis=1, keepdims=True), 0.0))
        centred = onto[:, rows] - (onto * middle).sum(axis=1, keepdims=True)
        scores[:, rows] = np.divide(centred, length, out=np.full_like(centred, np.nan), where=length > 0)
    rates = auc(np.nan_to_num(scores), labels)
    return np.asarray(np.where(np.isnan(scores).any(axis=1), np.nan, rates), dtype=np.float64)


def in_sample_null_auc(
    gram: Float64[np.ndarray, "sample sample"],
    labels: Bool[np.ndarray, "relabelling sample"],
    high: Bool[np.ndarray, " sample"],
) -> float:
    """What the in-sample AUC comes to without a trait: its mean over balanced relabellings."""
    weights, _ = traitless_weights(labels, high, np.ones_like(high))
    return float(auc(weights @ gram, labels).mean())


def traitless_weights(
    labels: Bool[np.ndarray, "relabelling sample"], high: Bool[np.ndarray, " sample"], used: Bool[np.ndarray, " sample"]
) -> tuple[Float64[np.ndarray, "relabelling sample"], Float64[np.ndarray, "relabelling sample"]]:
    """Weights that turn the rows used into each relabelling's direction without the trait, and into its midpoint.

    A relabelling that agrees with the poles in a share of its rows has a part a of the trait in its direction d', from
    -1 to 1; the direction d of the true poles has all of it, so d' - a d has none. All 0 where a is beyond 0.9 either
    way: little but the trait was in d'.
    """
    above, below = (
        (pole & used) / np.maximum((pole & used).sum(axis=1, keepdims=True), 1) for pole in (labels, ~labels)
    )
    part = ((above - below) @ np.where(high, 0.5, -0.5))[:, None]
    weights = np.where(np.abs(part) < _MOST_TRAIT, above - below - part * pole_weights(high, used), 0.0)
    return np.asarray(weights, dtype=np.float64), np.asarray((above + below) / 2, dtype=np.float64)


def permutation_p(
    observed: Float64[np.ndarray, " layer"], null: Float64[np.ndarray, "relabelling layer"], *, exhaustive: bool
) -> Float64[np.ndarray, " layer"]:
    """Share of relabellings that do at least as well; random ones count the observed labelling as one more."""
    reached = (null >= observed - 1e-9).sum(axis=0)
    return np.asarray(reached / len(null) if exhaustive else (1 + reached) / (1 + len(null)), dtype=np.float64)
