"""Propensity, its slope, its intervals and its comparisons against slow loops, planted truths and laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from personascope.dose_response import (
    anti_steerable,
    beats,
    is_monotone,
    kl_growth,
    over_questions,
    per_root_nat,
    propensity,
    propensity_curve,
    reverses_sign,
    slope,
    slope_estimate,
    token_means,
)
from personascope.errors import ContrastError, SteeringError
from personascope.separation import Estimate
from personascope.uncertainty import FEWEST_GROUPS

DOSES = np.array([-0.2, -0.1, 0.1, 0.2])
seeds = st.integers(0, 10_000)


def replies(seed, *, n=30, n_questions=5, missing=True):
    """Changes at three doses of replies to a few questions, some without a pole, and some replies without a score."""
    random = np.random.default_rng(seed)
    change = random.normal(size=(3, n))
    if missing:
        change[random.integers(0, 3, 4), random.integers(0, n, 4)] = np.nan
    question = random.integers(0, n_questions, n) * 7 - 3
    high = random.random(n) < 0.5
    high[:2], question[:2] = (True, False), question[0]
    change[:, :2] = random.normal(size=(3, 2))
    return change, high, question


def slow_propensity(change, high, question):
    """S of each question by loops over doses, questions and replies."""
    columns = []
    for asked in sorted(set(question.tolist())):
        column = []
        for dose in range(len(change)):
            poles = {True: [], False: []}
            for k in range(len(high)):
                if question[k] == asked and not any(np.isnan(change[d, k]) for d in range(len(change))):
                    poles[bool(high[k])].append(float(change[dose, k]))
            if poles[True] and poles[False]:
                column.append(sum(poles[True]) / len(poles[True]) - sum(poles[False]) / len(poles[False]))
        if column:
            columns.append(column)
    return np.array(columns).T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_token_means_leave_out_what_is_not_a_token(dtype):
    logp = np.array([[[-1.0, -3.0, np.nan], [-2.0, np.nan, np.nan]], [[np.nan] * 3, [-1.0, -1.0, -4.0]]], dtype=dtype)
    found = token_means(logp)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[-2.0, -2.0], [np.nan, -2.0]])
    assert token_means(logp[0, 0]) == -2.0
    assert np.isnan(token_means(logp[0, :, :0])).all()


def test_token_means_of_long_replies_keep_their_decimals():
    logp = np.full((1, 100_000), -0.1, dtype=np.float32)
    assert token_means(logp)[0] == pytest.approx(float(np.float32(-0.1)), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_propensity_equals_loops(seed):
    given_replies = replies(seed)
    np.testing.assert_allclose(propensity(*given_replies), slow_propensity(*given_replies), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-5, 5))
def test_laws_of_propensity(seed, constant):
    change, high, question = replies(seed)
    found = propensity(change, high, question)
    np.testing.assert_allclose(propensity(change, ~high, question), -found, atol=1e-12)
    np.testing.assert_allclose(propensity(change + constant, high, question), found, atol=1e-10)
    np.testing.assert_allclose(propensity(change * constant, high, question), found * constant, atol=1e-10)
    order = np.random.default_rng(seed).permutation(len(high))
    np.testing.assert_allclose(propensity(change[:, order], high[order], question[order]), found, atol=1e-12)
    by_one = np.concatenate(
        [propensity(row[None], high, question) for row in np.where(np.isnan(change).any(0), np.nan, change)]
    )
    np.testing.assert_allclose(by_one, found, atol=1e-12)


def test_each_question_counts_once_however_many_replies_it_has():
    change = np.array([[4.0, 4.0, 4.0, 0.0, 0.0, 2.0]])
    high = np.array([True, True, True, False, True, False])
    found = propensity(change, high, np.array([0, 0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found, [[4.0, -2.0]])
    assert propensity_curve(found)[0].value == pytest.approx(1.0)


def test_a_change_common_to_a_question_leaves_no_trace():
    change, high, question = replies(3, missing=False)
    shifted = change + 10.0 * question
    np.testing.assert_allclose(propensity(shifted, high, question), propensity(change, high, question), atol=1e-10)


@pytest.mark.parametrize(
    ("change", "high"), [([[1.0, 2.0]], [True, True]), ([[1.0, np.nan]], [True, False]), ([[1.0, 2.0]], [False, False])]
)
def test_nothing_to_compare_is_refused(change, high):
    with pytest.raises(ContrastError, match="none of 1 questions has a scored reply at both poles") as raised:
        propensity(np.array(change), np.array(high), np.array([4, 4]))
    assert raised.value.hint


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(FEWEST_GROUPS, 40))
def test_the_interval_is_that_of_the_t_test(seed, n):
    values = np.random.default_rng(seed).normal(0.3, 2.0, n)
    expected = ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = over_questions(values)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_an_interval_that_cannot_be_had_is_nan():
    assert np.isnan(vars(over_questions(np.array([]))).get("value"))
    for values in (np.arange(1.0, FEWEST_GROUPS), np.full(20, 0.1), np.array([0.7])):
        found = over_questions(values)
        assert found.value == pytest.approx(values.mean())
        assert np.isnan([found.low, found.high]).all()
    assert np.isnan(over_questions(np.array([1.0, np.nan, *range(10)])).value)


def test_dose_zero_is_exactly_zero():
    assert propensity_curve(np.zeros((1, 20))) == (Estimate(0.0, 0.0, 0.0),)


@pytest.mark.parametrize(
    ("shape", "least"),
    [
        (lambda random, size: random.normal(size=size), 0.935),
        (lambda random, size: random.standard_t(3, size=size), 0.935),
        (lambda random, size: random.exponential(size=size) - 1, 0.90),
    ],
    ids=["normal", "heavy tails", "skewed"],
)
def test_coverage_at_twenty_questions(shape, least):
    sets = shape(np.random.default_rng(20), (2000, 20))
    held = np.mean([point.low <= 0 <= point.high for point in propensity_curve(sets)])
    assert least <= held <= 0.975


def test_coverage_of_the_slope_where_doses_share_their_replies():
    random, held = np.random.default_rng(1), []
    for _ in range(1000):
        own = 0.9 + random.normal(0, 0.6, 20)
        by_question = DOSES[:, None] * own + random.normal(0, 0.02, (4, 20)) + 0.5 * DOSES[:, None] ** 2
        found = slope_estimate(DOSES, by_question)
        held.append(found.low <= 0.9 <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(0.1, 10))
def test_slope_is_least_squares_and_scales_inversely_with_the_doses(seed, scale):
    by_question = np.random.default_rng(seed).normal(size=(4, 7))
    found = slope(DOSES, by_question)
    for k in range(7):
        assert found[k] == pytest.approx(np.linalg.lstsq(DOSES[:, None], by_question[:, k])[0][0])
    np.testing.assert_allclose(slope(DOSES * scale, by_question), found / scale)
    np.testing.assert_allclose(slope(-DOSES, by_question), -found)
    with_zero = np.vstack([by_question, np.zeros(7)])
    np.testing.assert_allclose(slope(np.append(DOSES, 0.0), with_zero), found)


def test_slope_finds_what_was_planted_and_needs_a_dose():
    planted = np.array([0.5, -1.0, 2.0, 0.0, 1.0, 3.0])
    np.testing.assert_allclose(slope(DOSES, DOSES[:, None] * planted), planted)
    assert slope_estimate(DOSES, DOSES[:, None] * planted).value == pytest.approx(planted.mean())
    assert anti_steerable(planted) == pytest.approx(1 / 6)
    assert np.isnan(anti_steerable(planted[:0]))
    for measure in (lambda: slope(np.zeros(2), np.zeros((2, 3))), lambda: kl_growth(np.zeros(1), np.zeros(1))):
        with pytest.raises(SteeringError, match="no dose to make a slope of"):
            measure()


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(0, 30))
def test_beats_counts(seed, n):
    random = np.random.default_rng(seed)
    controls, value = random.integers(0, 5, n).astype(float), 2.0
    share, p = beats(value, controls)
    assert p == pytest.approx((1 + sum(c >= value for c in controls)) / (1 + n))
    assert 1 / (n + 1) <= p <= 1
    assert np.isnan(share) if n == 0 else share == pytest.approx(sum(c < value for c in controls) / n)


def test_what_is_not_a_number_never_helps():
    assert beats(1.0, np.array([np.nan, 0.0])) == (0.5, pytest.approx(2 / 3))
    assert np.isnan(beats(np.nan, np.zeros(20))).all()


def test_p_below_a_twentieth_comes_once_in_twenty_one_without_a_trait():
    slopes = np.random.default_rng(0).normal(size=(4000, 21))
    below = np.mean([beats(float(row[0]), row[1:])[1] < 0.05 for row in slopes])
    assert below == pytest.approx(1 / 21, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 20), st.floats(0.1, 5), st.floats(-3, 3))
def test_a_longer_vector_gains_nothing_at_equal_kl(stretch, growth, per_unit):
    kl = growth * DOSES**2
    assert kl_growth(DOSES, kl) == pytest.approx(growth)
    stretched = kl_growth(DOSES, growth * (stretch * DOSES) ** 2)
    found = per_root_nat(np.array([per_unit, per_unit * stretch]), np.array([growth, stretched]))
    assert found[0] == pytest.approx(found[1])
    budget = 1e-3
    assert found[0] * np.sqrt(budget) == pytest.approx(per_unit * np.sqrt(budget / growth))


def test_a_vector_that_costs_nothing_has_no_slope_at_equal_kl():
    found = per_root_nat(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.0, -1e-9, np.nan, 4.0]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 0.5])


def test_monotone_is_strict():
    assert is_monotone(np.array([-1.0, 0.0, 2.0]))
    for values in ([0.0, 0.0, 1.0], [0.0, 1.0, 0.5], [0.0, np.nan, 1.0]):
        assert not is_monotone(np.array(values))


def around(value, reach):
    return Estimate(float(value), float(value - reach), float(value + reach))


@pytest.mark.parametrize(
    ("doses", "curve", "expected"),
    [
        ((-0.1, 0.0, 0.1), (around(-1, 0.5), around(0, 0), around(1, 0.5)), (True, True)),
        ((-0.1, 0.1), (around(-1, 2), around(1, 0.5)), (False, True)),
        ((-0.1, 0.1), (around(-1, 0.5), around(1, 2)), (False, True)),
        ((-0.1, 0.1), (around(1, 0.5), around(1, 0.5)), (False, False)),
        ((-0.1, 0.1), (around(1, 0.5), around(-1, 0.5)), (False, False)),
        ((-0.1, 0.1), (Estimate(-1.0, np.nan, np.nan), around(1, 0.5)), (False, True)),
        ((-0.1, 0.1), (around(np.nan, 0.5), around(1, 0.5)), (False, False)),
        ((0.1, 0.2), (around(1, 0.5), around(2, 0.5)), (False, False)),
        ((), (), (False, False)),
    ],
)
def test_signs(doses, curve, expected):
    assert reverses_sign(doses, curve) == expected
