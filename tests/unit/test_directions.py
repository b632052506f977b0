"""Directions against loop-written oracles and their laws."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from personascope.directions import (
    centred_within,
    difference_of_means,
    effective_dimension,
    expected_cosine,
    gram,
    in_sample_null,
    pair_cosines,
    pole_weights,
    question_kind,
    random_halves,
    reliability,
    slopes_along,
    split_half_cosine,
    spread,
    spread_of_related,
    top_dimension_energy,
)

seeds = st.integers(0, 10_000)


def crossed(n_pairs=3, n_questions=4, width=5, n_layers=2, seed=0):
    random = np.random.default_rng(seed)
    pair, question, high = (
        a.ravel() for a in np.meshgrid(np.arange(n_pairs), np.arange(n_questions), [True, False], indexing="ij")
    )
    order = random.permutation(len(pair))
    x = random.normal(size=(len(pair), n_layers, width)) + 0.5 * high[:, None, None]
    return x, high[order].astype(bool), pair[order].astype(np.int64), question[order].astype(np.int64)


def test_direction_is_the_loop_written_mean_difference():
    x, high, _, _ = crossed()
    for layer in range(x.shape[1]):
        above, below = np.zeros(5), np.zeros(5)
        for row, is_high in zip(x[:, layer], high, strict=True):
            if is_high:
                above += row / high.sum()
            else:
                below += row / (~high).sum()
        np.testing.assert_allclose(difference_of_means(x, high)[layer], above - below, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_swapping_the_poles_turns_the_direction_round(seed):
    x, high, _, _ = crossed(seed=seed)
    np.testing.assert_allclose(difference_of_means(x, ~high), -difference_of_means(x, high))


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(-100, 100))
def test_direction_ignores_a_shift_of_all_samples(seed, shift):
    x, high, _, _ = crossed(seed=seed)
    np.testing.assert_allclose(difference_of_means(x + shift, high), difference_of_means(x, high), atol=1e-10)


def test_means_of_float32_are_taken_in_float64():
    x = np.random.default_rng(0).normal(1e4, 1.0, size=(5000, 1, 2)).astype(np.float32)
    high = np.arange(5000) % 2 == 0
    exact = x[high].astype(np.float64).mean(axis=0) - x[~high].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(difference_of_means(x, high), exact, rtol=1e-9)
    assert difference_of_means(x, high).dtype == gram(x[:4]).dtype == np.float64


def test_gram_is_centred_and_free_of_shift_and_rotation():
    x, high, _, _ = crossed()
    products = gram(x)
    centred = x - x.mean(axis=0)
    for i in range(len(x)):
        for j in range(len(x)):
            assert products[1, i, j] == pytest.approx(float(centred[i, 1] @ centred[j, 1]))
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))
    np.testing.assert_allclose(gram((x + 7.0) @ rotation), products, atol=1e-10)
    weights = pole_weights(high, np.ones_like(high))
    direction = difference_of_means(x, high)[0]
    assert weights @ products[0] @ weights == pytest.approx(direction @ direction)


def test_centring_within_poles():
    x, high, _, _ = crossed()
    own = x[:, 0].copy()
    for pole in (high, ~high):
        own[pole] -= own[pole].mean(axis=0)
    np.testing.assert_allclose(centred_within(gram(x)[0], high), own @ own.T, atol=1e-10)


@pytest.mark.parametrize(("n_high", "n_low"), [(4, 4), (4, 6), (5, 4)])
def test_spread_is_the_mean_over_all_differences_of_different_samples(n_high, n_low):
    high = np.arange(n_high + n_low) < n_high
    x = np.random.default_rng(3).exponential(size=(len(high), 4)) + high[:, None]
    poles = x[high], x[~high]

    def mean_square(one, two, four_differ):
        squares = []
        for i, j in permutations(range(len(one)), 2):
            for k, m in permutations(range(len(two)), 2):
                if not four_differ or len({i, j, k, m}) == 4:
                    squares.append(((one[i] - one[j]) @ (two[k] - two[m])) ** 2 / 4)
        return np.mean(squares)

    share = [(len(pole) - 1) / (len(high) - 2) for pole in poles]
    expected = sum(s**2 * mean_square(pole, pole, True) for s, pole in zip(share, poles, strict=True))
    expected += 2 * share[0] * share[1] * mean_square(*poles, False)
    trace, trace_square = spread(x @ x.T, high)
    assert trace_square == pytest.approx(expected)
    assert trace == pytest.approx(sum(s * pole.var(axis=0, ddof=1).sum() for s, pole in zip(share, poles, strict=True)))


def test_spread_of_three_a_pole_is_unbiased_for_normal_samples():
    high, random = np.arange(6) < 3, np.random.default_rng(4)
    found = np.array([spread(x @ x.T, high) for x in random.normal(size=(600, 6, 200))])
    np.testing.assert_allclose(found.mean(axis=0), 200, rtol=0.05)


def test_spread_of_related_samples_without_relations_is_the_plain_trace():
    x, high, _, _ = crossed()
    products = gram(x)[0]
    trace, _ = spread_of_related(products, high, np.eye(len(high), dtype=bool))
    assert trace == pytest.approx(np.trace(centred_within(products, high)) / (len(high) - 1))


def test_spread_of_related_samples_is_nearly_unbiased_where_spread_is_not():
    random = np.random.default_rng(3)
    variance = np.linspace(0.5, 1.5, 30)
    found, naive = [], []
    _, high, pair, question = crossed(n_pairs=6, n_questions=10)
    related = (pair[:, None] == pair) | (question[:, None] == question)
    for _ in range(40):
        x = random.normal(size=(120, 30)) + random.normal(size=(10, 30))[question]
        x += 0.5 * random.normal(size=(12, 30))[2 * pair + high]
        products = gram((x * np.sqrt(variance))[:, None])[0]
        found.append(spread_of_related(products, high, related))
        naive.append(spread(products, high))
    true = 2.25 * variance.sum(), 2.25**2 * (variance**2).sum()
    np.testing.assert_allclose(np.mean(found, axis=0) / true, 1.0, atol=0.1)
    assert np.mean(naive, axis=0)[1] / true[1] > 1.2


def test_effective_dimension_stays_between_one_and_the_width():
    assert effective_dimension(10.0, 10.0, width=100) == 10.0
    assert effective_dimension(10.0, -1.0, width=100) == 100.0
    assert effective_dimension(10.0, 1e6, width=100) == 1.0
    assert effective_dimension(0.0, 0.0, width=100) == 1.0


def test_in_sample_null_is_the_formula():
    assert in_sample_null(576.0, n_high=100, n_low=100) == pytest.approx(0.9918, abs=1e-4)
    assert in_sample_null(30.0, n_high=20, n_low=60) == pytest.approx(norm.cdf(np.sqrt(30 / 30)))


def test_expected_cosine_is_the_formula():
    assert expected_cosine(100.0, 2.0, n_high=50, n_low=50) == pytest.approx(1 / np.sqrt(1 + 2 * 100 / (50 * 4)))
    assert expected_cosine(100.0, 0.0, n_high=50, n_low=50) == 0.0


def test_split_half_cosine_is_the_loop_written_one():
    x, high, _, question = crossed(n_questions=6)
    cosines = []
    for half in random_halves(high, question, seed=5, n_halves=20):
        one = difference_of_means(x[half], high[half])[0]
        two = difference_of_means(x[~half], high[~half])[0]
        cosines.append(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    found = split_half_cosine(gram(x)[0], high, question, seed=5, n_halves=20)
    assert found == pytest.approx(np.mean(cosines))
    assert found == split_half_cosine(gram(x)[0], high, question, seed=5, n_halves=20)
    assert found != split_half_cosine(gram(x)[0], high, question, seed=6, n_halves=20)


def test_halves_divide_questions_not_rows():
    _, high, _, question = crossed(n_questions=6)
    halves = random_halves(high, question, seed=0, n_halves=10)
    for half in halves:
        assert len(set(question[half])) == 3
        assert not set(question[half]) & set(question[~half])
    assert len({tuple(half) for half in halves}) > 1


def test_halves_of_texts_without_partners_have_both_poles():
    high = np.arange(10) < 4
    for half in random_halves(high, np.arange(10), seed=0, n_halves=20):
        assert (half & high).sum() == 2
        assert (half & ~high).sum() == 3


def test_halves_without_a_difference_have_cosine_zero():
    high, question = np.array([True, False] * 2), np.array([0, 0, 1, 1])
    assert split_half_cosine(np.zeros((4, 4)), high, question, seed=0) == 0.0


def test_question_kinds():
    kinds = question_kind(np.array([True, False, True, False]), np.array([0, 0, 1, 2]))
    assert list(kinds) == [3, 2, 1]


def test_reliability_is_spearman_browns_root():
    assert reliability(0.6) == pytest.approx(np.sqrt(1.2 / 1.6))
    assert reliability(-0.2) == 0.0
    assert reliability(1.0) == 1.0


def test_pair_cosines_are_the_loop_written_ones():
    x, high, pair, _ = crossed(n_pairs=3)
    own = [difference_of_means(x[pair == p], high[pair == p])[0] for p in range(3)]
    cosine = [own[a] @ own[b] / np.linalg.norm(own[a]) / np.linalg.norm(own[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(pair_cosines(gram(x)[0], high, pair), cosine)


def test_pair_cosines_need_two_pairs_with_both_poles():
    x, high, pair, _ = crossed(n_pairs=2)
    assert len(pair_cosines(gram(x)[0], high, np.zeros_like(pair))) == 0
    assert len(pair_cosines(gram(x)[0], high | (pair == 0), pair)) == 0


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(0.1, 10))
def test_top_dimension_energy_is_a_share(seed, scale):
    direction = np.random.default_rng(seed).normal(size=7)
    energy = top_dimension_energy(direction)
    assert 1 / 7 <= energy <= 1
    assert top_dimension_energy(-scale * direction) == pytest.approx(energy)


def test_top_dimension_energy_of_known_directions():
    assert top_dimension_energy(np.array([0.0, -3.0, 4.0])) == pytest.approx(16 / 25)
    assert top_dimension_energy(np.zeros(3)) == 0.0


@given(seeds)
def test_a_slope_is_that_of_a_step_of_the_length_along_the_vector_whatever_the_vectors_own_length(seed):
    random = np.random.default_rng(seed)
    gradients, family = random.normal(size=(4, 5)), random.normal(size=(3, 5))
    found = slopes_along(gradients, family, length=6.0)
    for statement, gradient in enumerate(gradients):
        np.testing.assert_allclose(slopes_along(gradient, family, length=6.0), found[statement], atol=1e-12)
        for number, vector in enumerate(family):
            step = 6.0 * vector / np.sqrt(sum(x * x for x in vector))
            assert found[statement, number] == pytest.approx(sum(a * b for a, b in zip(gradient, step, strict=True)))
    np.testing.assert_allclose(slopes_along(gradients, -3 * family, length=6.0), -found, atol=1e-12)
