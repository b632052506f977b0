"""Intervals and permutation p against loops, and which relabellings are made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from personascope.crossed import crossed_folds, held_out_scores
from personascope.directions import gram, pole_weights
from personascope.separation import Design, auc, cohens_d
from personascope.uncertainty import (
    RANDOM_RELABELLINGS,
    auc_estimate,
    d_estimate,
    draw_again,
    in_sample_null_auc,
    interval,
    null_auc,
    permutation_p,
    relabellings,
    shuffled,
    swapped,
    weighted_auc,
    weighted_d,
)

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


@settings(max_examples=15, deadline=None)
@given(seeds, st.booleans())
def test_weighted_auc_and_d_equal_repeating_the_rows(seed, tied):
    random = np.random.default_rng(seed)
    high = np.arange(12) < 5
    scores = random.normal(size=12)
    scores = np.round(scores) if tied else scores
    weights = random.integers(0, 4, size=(6, 12)).astype(float)
    weights[:, [0, 1, 5, 6]] += 1
    found, d = weighted_auc(scores, high, weights), weighted_d(scores, high, weights)
    correction = (1 - 3 / (4 * 10 - 1)) / 1.0
    for draw, weight in enumerate(weights.astype(int)):
        again, labels = np.repeat(scores, weight), np.repeat(high, weight)
        assert found[draw] == pytest.approx(roc_auc_score(labels, again))
        own = 1 - 3 / (4 * (len(again) - 2) - 1)
        if again[labels].var() + again[~labels].var() > 0:
            assert d[draw] == pytest.approx(cohens_d(again, labels) / own * correction)


def test_draws_without_a_pole_are_nan():
    high = np.array([True, True, False, False])
    scores = np.array([3.0, 4.0, 1.0, 2.5])
    weights = np.array([[1.0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0]])
    assert list(np.isnan(weighted_auc(scores, high, weights))) == [False, True, True, False]
    assert list(np.isnan(weighted_d(scores, high, weights))) == [False, True, True, True]


def test_interval_leaves_out_what_could_not_be_drawn():
    drawn = np.concatenate([np.linspace(0, 1, 1001), [np.nan] * 50])
    assert vars(interval(0.5, drawn, tail=0.025)) == pytest.approx({"value": 0.5, "low": 0.025, "high": 0.975})
    assert vars(interval(0.5, np.array([np.nan]), tail=0.025)) == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_draws_are_of_whole_pairs_and_whole_questions():
    design = crossed_design(4, 5)
    weights = draw_again(design, seed=0, n_draws=300).weights
    for weight in weights:
        of_cell = weight.reshape(4, 5, 2)
        assert (of_cell[..., 0] == of_cell[..., 1]).all()
        assert weight.sum() == 4 * 5 * 2
        assert np.linalg.matrix_rank(of_cell[..., 0]) == 1
    assert weights.mean(axis=0) == pytest.approx(np.ones(40), abs=0.35)
    assert (weights.reshape(300, 4, 5, 2).std(axis=2) > 0).any()
    assert (weights.reshape(300, 4, 5, 2).std(axis=1) > 0).any()


def test_tails_allow_for_few_pairs():
    tails = {n: draw_again(crossed_design(n, 3), seed=0, n_draws=2).tail for n in (1, 2, 8, 200)}
    assert tails[1] == 0.025
    assert tails[2] < 1e-9
    assert tails[8] == pytest.approx(0.0057, abs=1e-4)
    assert tails[200] == pytest.approx(0.0242, abs=1e-3)


def test_one_pair_draws_half_as_many_questions():
    weights = draw_again(crossed_design(1, 6), seed=0, n_draws=50).weights
    assert (weights.sum(axis=1) == 6).all()
    assert (weights[:, ::2] == weights[:, 1::2]).all()


def test_intervals_are_the_quantiles_of_the_draws():
    design = crossed_design(5, 6)
    scores = np.random.default_rng(0).normal(size=60) + design.high
    draws = draw_again(design, seed=0, n_draws=500)
    for estimate, value, drawn in (
        (auc_estimate(scores, design.high, draws), auc(scores, design.high), weighted_auc),
        (d_estimate(scores, design.high, draws), cohens_d(scores, design.high), weighted_d),
    ):
        ends = np.nanquantile(drawn(scores, design.high, draws.weights), (draws.tail, 1 - draws.tail))
        assert (estimate.value, estimate.low, estimate.high) == (value, *ends)


def test_interval_widens_when_texts_of_a_pair_are_alike():
    design = crossed_design(6, 10)
    random = np.random.default_rng(0)
    noise = random.normal(size=120) + design.high
    alike = noise + 2 * random.normal(size=12)[2 * design.pair + design.high]
    draws = draw_again(design, seed=0)
    plain, clustered = (auc_estimate(s, design.high, draws) for s in (noise, alike))
    assert plain.low < plain.value < plain.high
    assert clustered.high - clustered.low > 2 * (plain.high - plain.low)


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
    others, everything = made(design), np.ones(64, dtype=bool)
    seen, without, planted = [], [], []
    for seed in range(40):
        random = np.random.default_rng(seed)
        x = random.normal(size=(64, 1, 50)) + 0.4 * random.normal(size=(16, 1, 50))[2 * design.pair + design.high]
        products = gram(x)[0]
        seen.append(float(auc(products @ pole_weights(design.high, everything), design.high)))
        without.append(in_sample_null_auc(products, others, design.high))
        x[:, 0, 0] += 3 * design.high
        planted.append(in_sample_null_auc(gram(x)[0], others, design.high))
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
    assert in_sample_null_auc(gram(x)[0], made(design), design.high) == pytest.approx(np.mean(rates))


@pytest.mark.parametrize("drawn", [[0.0, 0.0, 0.0], [1.0, 1.0], [0.1, 0.2, np.nan]])
def test_an_interval_reaches_its_own_value(drawn):
    found = interval(0.5, np.array(drawn), tail=0.025)
    assert found.low <= found.value <= found.high
