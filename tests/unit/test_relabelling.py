"""Relabellings and their p against loops, and the null that a trait does not move."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from personascope.crossed import crossed_folds, held_out_scores
from personascope.directions import gram, pole_weights
from personascope.relabelling import (
    RANDOM_RELABELLINGS,
    balanced,
    balanced_null_auc,
    in_sample_null_auc,
    null_auc,
    permutation_p,
    relabellings,
    shuffled,
    swapped,
    traitless_weights,
)
from personascope.separation import Design, auc

seeds = st.integers(0, 10_000)


def crossed_design(n_pairs, n_questions):
    axes = np.meshgrid(np.arange(n_pairs), np.arange(n_questions), [True, False], indexing="ij")
    pair, question, high = (a.ravel() for a in axes)
    return Design(high.astype(bool), pair.astype(np.int64), question.astype(np.int64))


def replies_design(n_domains, per_domain):
    crossed = crossed_design(n_domains, per_domain)
    return Design(crossed.high, crossed.pair, crossed.pair * per_domain + crossed.question)


def loose_design(n_high, n_low):
    n = n_high + n_low
    return Design(np.arange(n) < n_high, np.zeros(n, dtype=np.int64), np.arange(n, dtype=np.int64))


def made(design, seed=0):
    return relabellings(design, crossed_folds(design, seed=0), seed=seed)


def test_crossed_pairs_are_swapped_whole_and_in_every_way():
    design = crossed_design(8, 3)
    others = made(design)
    assert others.exhaustive
    assert others.high.shape == (128, 48)
    assert len(np.unique(others.high, axis=0)) == 128
    assert (others.high == design.high).all(axis=1).sum() == 1
    for labels in others.high:
        for p in range(8):
            changed = labels[design.pair == p] != design.high[design.pair == p]
            assert changed.all() or not changed.any()
        assert not (labels != design.high)[design.pair == 0].any()


def test_few_pairs_have_few_relabellings_and_many_are_drawn():
    assert len(made(crossed_design(4, 5)).high) == 8
    assert len(made(crossed_design(2, 5)).high) == 2
    many = made(crossed_design(12, 3))
    assert not many.exhaustive
    assert len(many.high) == RANDOM_RELABELLINGS
    assert len(np.unique(many.high, axis=0)) > 700
    assert (made(crossed_design(12, 3), seed=1).high != many.high).any()


@pytest.mark.parametrize(("design", "n"), [(replies_design(8, 3), RANDOM_RELABELLINGS), (crossed_design(1, 7), 64)])
def test_replies_and_single_pairs_are_swapped_by_question(design, n):
    others = made(design)
    assert len(others.high) == n
    changed = others.high != design.high
    for q in np.unique(design.question):
        assert (changed[:, design.question == q].std(axis=1) == 0).all()
    assert len(np.unique(changed, axis=0)) > 60


def test_questions_without_a_partner_keep_their_pole_beside_others():
    high = np.array([True, False, True, False, True, False, True])
    design = Design(high, np.zeros(7, dtype=np.int64), np.array([0, 0, 1, 1, 2, 3, 4]))
    others = made(design)
    assert len(others.high) == 2
    assert (others.high[:, 4:] == high[4:]).all()


def test_loose_texts_are_shuffled_within_folds():
    design = loose_design(20, 14)
    folds = crossed_folds(design, seed=0)
    others = relabellings(design, folds, seed=0)
    assert not others.exhaustive
    for c in range(len(folds.trains)):
        rows = folds.cell == c
        assert (others.high[:, rows].sum(axis=1) == design.high[rows].sum()).all()
    assert others.high.mean(axis=0) == pytest.approx(np.full(34, 20 / 34), abs=0.12)


def test_few_loose_texts_are_shuffled_in_every_way():
    others = shuffled(np.array([True, True, False, True, False]), np.array([0, 0, 0, 1, 1]), seed=0)
    assert others.exhaustive
    assert len(np.unique(others.high, axis=0)) == len(others.high) == 3 * 2
    assert (others.high.sum(axis=1) == 3).all()
    assert (others.high == [True, True, False, True, False]).all(axis=1).any()


def test_unit_minus_one_is_never_swapped():
    others = swapped(np.array([True, False, True]), np.array([4, -1, 9]), seed=0)
    assert (~others.high[:, 1]).all()
    assert len(others.high) == 2


def test_p_counts_what_reaches_the_observed():
    null = np.array([[0.5, 0.9], [0.7, 0.2], [0.7, 0.3], [0.8, 0.1]])
    observed = np.array([0.7, 0.9])
    assert list(permutation_p(observed, null, exhaustive=True)) == [0.75, 0.25]
    assert list(permutation_p(observed, null, exhaustive=False)) == [0.8, 0.4]


def test_null_is_the_whole_reading_anew():
    design = crossed_design(3, 4)
    x = np.random.default_rng(0).normal(size=(24, 1, 6))
    folds, others = crossed_folds(design, seed=0), made(design)
    found = null_auc(gram(x)[0], others, folds)
    for labels, rate in zip(others.high, found, strict=True):
        scores = held_out_scores(gram(x)[0], labels[None], folds)[0]
        assert rate == pytest.approx(float(auc(scores, labels)))


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_exhaustive_p_is_the_same_whichever_pole_is_called_high(seed):
    design = crossed_design(5, 3)
    x = np.random.default_rng(seed).normal(size=(30, 1, 6))
    turned = Design(~design.high, design.pair, design.question)
    nulls = [null_auc(gram(x)[0], made(d), crossed_folds(d, seed=0)) for d in (design, turned)]
    np.testing.assert_allclose(np.sort(nulls[0]), np.sort(nulls[1]))


def test_in_sample_null_is_what_noise_reaches_with_or_without_a_trait():
    design = crossed_design(8, 4)
    labels, everything = balanced(made(design), design.high), np.ones(64, dtype=bool)
    seen, without, planted = [], [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        x = random.normal(size=(64, 1, 50)) + 0.4 * random.normal(size=(16, 1, 50))[2 * design.pair + design.high]
        products = gram(x)[0]
        seen.append(float(auc(products @ pole_weights(design.high, everything), design.high)))
        without.append(in_sample_null_auc(products, labels, design.high))
        x[:, 0, 0] += 3 * design.high
        planted.append(in_sample_null_auc(gram(x)[0], labels, design.high))
    assert np.mean(without) == pytest.approx(np.mean(seen), abs=0.01)
    assert np.mean(planted) == pytest.approx(np.mean(seen), abs=0.02)


def test_in_sample_null_uses_half_swapped_labellings_only():
    design = crossed_design(4, 3)
    x = np.random.default_rng(0).normal(size=(24, 1, 6))
    rates = []
    for labels in made(design).high:
        swapped_pairs = sum((labels != design.high)[design.pair == p].all() for p in range(4))
        if swapped_pairs == 2:
            direction = x[labels, 0].mean(axis=0) - x[~labels, 0].mean(axis=0)
            rates.append(roc_auc_score(labels, x[:, 0] @ direction))
    assert len(rates) == 3
    assert in_sample_null_auc(gram(x)[0], balanced(made(design), design.high), design.high) == pytest.approx(
        np.mean(rates)
    )


def test_balanced_relabellings_agree_with_the_poles_in_half():
    design = crossed_design(8, 3)
    labels = balanced(made(design), design.high)
    assert len(labels) == 35
    assert ((labels == design.high).mean(axis=1) == 0.5).all()


def slow_balanced_null(x, labels, high, folds):
    """One labelling, row by row, straight on the activations."""
    scores = np.zeros(len(x))
    for i in range(len(x)):
        train = folds.trains[folds.cell[i]][folds.cell]
        true = x[train & high].mean(axis=0) - x[train & ~high].mean(axis=0)
        above, below = x[train & labels].mean(axis=0), x[train & ~labels].mean(axis=0)
        part = (np.where(high, 1, -1)[train & labels].mean() - np.where(high, 1, -1)[train & ~labels].mean()) / 2
        direction = above - below - part * true
        scores[i] = (x[i] - (above + below) / 2) @ direction / np.linalg.norm(direction)
    return roc_auc_score(labels, scores)


@pytest.mark.parametrize(
    "design", [crossed_design(4, 4), replies_design(5, 2), crossed_design(1, 8), loose_design(7, 9)]
)
def test_balanced_null_equals_the_slow_one(design):
    x = np.random.default_rng(0).normal(size=(len(design.high), 1, 6)) + design.high[:, None, None]
    folds, labels = crossed_folds(design, seed=0), balanced(made(design), design.high)[:5]
    found = balanced_null_auc(gram(x)[0], labels, design.high, folds)
    for rate, label in zip(found, labels, strict=True):
        assert rate == pytest.approx(slow_balanced_null(x[:, 0], label, design.high, folds))


@given(seeds, st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_directions_without_the_trait_do_not_change_with_it(seed, gap):
    design = crossed_design(5, 3)
    random = np.random.default_rng(seed)
    x, used = random.normal(size=(30, 6)), random.random(30) < 0.8
    weights, _ = traitless_weights(balanced(made(design), design.high), design.high, used)
    planted = x + np.where(design.high, gap / 2, -gap / 2)[:, None] * random.normal(size=6)
    np.testing.assert_allclose(weights @ planted, weights @ x, atol=1e-9)


def test_balanced_null_is_nan_where_only_the_trait_would_be_left():
    for n_pairs in (2, 3):
        design = crossed_design(n_pairs, 6)
        x = np.random.default_rng(0).normal(size=(len(design.high), 1, 6))
        labels = balanced(made(design), design.high)
        assert np.isnan(balanced_null_auc(gram(x)[0], labels, design.high, crossed_folds(design, seed=0))).all()


def test_balanced_null_stays_where_it_is_when_a_trait_is_planted():
    design = crossed_design(8, 4)
    folds, labels = crossed_folds(design, seed=0), balanced(made(design), design.high)
    ends = {0.0: [], 3.0: [], 9.0: []}
    for seed in range(30):
        random = np.random.default_rng(seed)
        x = random.normal(size=(64, 1, 50)) + 0.4 * random.normal(size=(16, 1, 50))[2 * design.pair + design.high]
        for gap, found in ends.items():
            planted = x.copy()
            planted[:, 0, 0] += gap * design.high
            found.append(np.quantile(balanced_null_auc(gram(planted)[0], labels, design.high, folds), 0.95))
    plain = np.mean(ends[0.0])
    assert 0.55 < plain < 0.75
    for found in ends.values():
        assert np.mean(found) == pytest.approx(plain, abs=0.03)
