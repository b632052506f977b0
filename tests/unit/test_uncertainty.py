"""Intervals against loops, and which texts are drawn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from personascope.separation import Design, auc, cohens_d
from personascope.uncertainty import (
    FEWEST_GROUPS,
    advantage_estimate,
    auc_estimate,
    d_estimate,
    draw_again,
    draw_questions,
    interval,
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


def test_tails_allow_for_few_groups():
    tails = {n: draw_again(crossed_design(n, 3), seed=0, n_draws=2).tail for n in (2, 8, 200)}
    assert tails[2] < 1e-9
    assert tails[8] == pytest.approx(0.0057, abs=1e-4)
    assert tails[200] == pytest.approx(0.0242, abs=1e-3)
    assert draw_again(crossed_design(1, 8), seed=0, n_draws=2).tail == tails[8]
    assert draw_again(loose_design(4, 4), seed=0, n_draws=2).tail == tails[8]


def test_one_pair_draws_half_as_many_questions():
    weights = draw_again(crossed_design(1, 6), seed=0, n_draws=50).weights
    assert (weights.sum(axis=1) == 6).all()
    assert (weights[:, ::2] == weights[:, 1::2]).all()


def test_intervals_are_the_quantiles_of_the_draws():
    design = crossed_design(6, 5)
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


@pytest.mark.parametrize("drawn", [[0.0, 0.0, 0.1], [1.0, 0.9], [0.1, 0.2, np.nan]])
def test_an_interval_reaches_its_own_value(drawn):
    found = interval(0.5, np.array(drawn), tail=0.025)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("drawn", [[np.nan, np.nan], [1.0, 1.0, np.nan], [0.4]])
def test_there_is_no_interval_where_nothing_varies(drawn):
    found = interval(0.4, np.array(drawn), tail=0.025)
    assert found.value == 0.4
    assert math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.parametrize(
    ("design", "given_"),
    [
        (crossed_design(5, 20), False),
        (crossed_design(6, 20), True),
        (crossed_design(1, 5), False),
        (crossed_design(1, 6), True),
        (replies_design(5, 8), False),
        (replies_design(6, 2), True),
        (loose_design(2, 3), False),
        (loose_design(3, 3), True),
    ],
)
def test_there_is_no_interval_with_fewer_than_six_groups(design, given_):
    draws = draw_again(design, seed=0, n_draws=200)
    assert (draws.n_groups >= FEWEST_GROUPS) == given_
    scores = np.random.default_rng(1).normal(size=len(design.high))
    for estimate in (
        auc_estimate(scores, design.high, draws),
        d_estimate(scores, design.high, draws),
        advantage_estimate(scores, scores[::-1].copy(), design.high, draws),
    ):
        assert math.isfinite(estimate.value)
        assert math.isfinite(estimate.low) == math.isfinite(estimate.high) == given_


def test_advantage_is_drawn_together():
    design = crossed_design(8, 10)
    random = np.random.default_rng(0)
    shared = 3 * random.normal(size=16)[2 * design.pair + design.high]
    one, other = (shared + gap * design.high + random.normal(size=160) for gap in (2.0, 1.0))
    draws = draw_again(design, seed=0, n_draws=500)
    found = advantage_estimate(one, other, design.high, draws)
    rates = [weighted_auc(scores, design.high, draws.weights) for scores in (one, other)]
    ends = np.nanquantile(rates[0] - rates[1], (draws.tail, 1 - draws.tail))
    assert found.value == pytest.approx(auc(one, design.high) - auc(other, design.high))
    assert (found.low, found.high) == pytest.approx(tuple(ends))
    each = [auc_estimate(scores, design.high, draws) for scores in (one, other)]
    assert found.high - found.low < 0.7 * max(e.high - e.low for e in each)


def test_advantage_turns_with_its_sides():
    design = crossed_design(6, 4)
    random = np.random.default_rng(1)
    one, other = (random.normal(size=48) + design.high for _ in range(2))
    draws = draw_again(design, seed=0, n_draws=200)
    ahead, behind = (
        advantage_estimate(one, other, design.high, draws),
        advantage_estimate(other, one, design.high, draws),
    )
    assert (ahead.value, ahead.low, ahead.high) == pytest.approx((-behind.value, -behind.high, -behind.low))
    nothing = advantage_estimate(one, one, design.high, draws)
    assert nothing.value == 0 and math.isnan(nothing.low)


def test_questions_alone_are_drawn_whole():
    design = crossed_design(3, 8)
    draws = draw_questions(design.question, seed=0, n_draws=100)
    for weight in draws.weights:
        of_cell = weight.reshape(3, 8, 2)
        assert (of_cell == of_cell[:1, :, :1]).all()
        assert of_cell[0, :, 0].sum() == 8
    assert draws.n_groups == 8
    assert draws.tail == draw_again(crossed_design(8, 2), seed=0, n_draws=2).tail
    assert draw_questions(np.zeros(4, dtype=np.int64), seed=0, n_draws=3).n_groups == 1
