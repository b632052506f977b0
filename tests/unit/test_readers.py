"""Readers in the span of the samples against sklearn on the activations themselves."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression

from personascope.crossed import Folds
from personascope.directions import gram
from personascope.readers import ledoit_wolf_shrinkage, logistic_regression, reader_scores, shrinkage_lda
from personascope.separation import auc


def draw(n=24, width=40, trait=2.0, seed=0):
    random = np.random.default_rng(seed)
    high = np.arange(n) % 2 == 0
    x = random.normal(size=(n, width)) * np.linspace(0.2, 2, width)
    x[:, 0] += trait * high
    return x + 1.0, high


def halves(n):
    cell = (np.arange(n) // 2) % 2
    return Folds(cell, ~np.eye(2, dtype=bool))


def held_out(x, high, folds, fit):
    """Distance from the boundary of a reader fitted on activations."""
    scores = np.zeros(len(x))
    for c in range(2):
        train = folds.cell != c
        direction, offset = fit(x[train], high[train])
        scores[~train] = (x[~train] @ direction + offset) / np.linalg.norm(direction)
    return scores


def slow_lda(x, high):
    within = np.concatenate([x[high] - x[high].mean(axis=0), x[~high] - x[~high].mean(axis=0)])
    covariance, _ = ledoit_wolf(within, assume_centered=True)
    direction = np.linalg.solve(covariance, x[high].mean(axis=0) - x[~high].mean(axis=0))
    return direction, -(x[high].mean(axis=0) + x[~high].mean(axis=0)) @ direction / 2


def slow_logistic(x, high):
    scale = np.sqrt(10 / ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean())
    fitted = LogisticRegression(C=1.0, max_iter=5000, tol=1e-8).fit((x - x.mean(axis=0)) * scale, high)
    direction = fitted.coef_[0] * scale
    return direction, fitted.intercept_[0] - x.mean(axis=0) @ direction


@pytest.mark.parametrize("width", [3, 40])
def test_lda_is_ledoit_wolfs_on_the_activations(width):
    x, high = draw(width=width)
    found = reader_scores(gram(x[:, None])[0], high, halves(24), shrinkage_lda(width))
    np.testing.assert_allclose(found, held_out(x, high, halves(24), slow_lda), atol=1e-8)


@pytest.mark.parametrize("width", [3, 40])
def test_logistic_regression_is_sklearns_on_the_activations(width):
    x, high = draw(width=width)
    found = reader_scores(gram(x[:, None])[0], high, halves(24), logistic_regression)
    np.testing.assert_allclose(found, held_out(x, high, halves(24), slow_logistic), atol=2e-3)


@pytest.mark.parametrize("width", [3, 200])
def test_shrinkage_is_ledoit_wolfs(width):
    x, _ = draw(n=15, width=width)
    x = x - x.mean(axis=0)
    _, expected = ledoit_wolf(x, assume_centered=True)
    assert ledoit_wolf_shrinkage(x @ x.T, width=width) == pytest.approx(expected)


def test_shrinkage_without_variance_is_whole():
    assert ledoit_wolf_shrinkage(np.zeros((3, 3)), width=5) == 1.0


def test_the_width_matters_for_lda():
    x, high = draw()
    true, wrong = (reader_scores(gram(x[:, None])[0], high, halves(24), shrinkage_lda(w)) for w in (40, 11))
    assert np.abs(true - wrong).max() > 1e-3


def test_lda_reads_better_where_noise_lies_along_the_gap():
    random = np.random.default_rng(0)
    high = np.arange(200) % 2 == 0
    x = random.normal(size=(200, 5))
    x[:, 1] += 6 * random.normal(size=200)
    x[:, 0] += np.where(high, 1, -1) + 0.5 * x[:, 1]
    products, folds = gram(x[:, None])[0], halves(200)
    lda, logistic = (reader_scores(products, high, folds, r) for r in (shrinkage_lda(5), logistic_regression))
    assert auc(lda, high) > 0.85
    assert auc(logistic, high) > 0.8


@pytest.mark.parametrize("read", [shrinkage_lda(4), logistic_regression])
def test_activations_all_equal_score_zero(read):
    high = np.arange(8) % 2 == 0
    assert (reader_scores(np.zeros((8, 8)), high, halves(8), read) == 0).all()


def test_lda_without_spread_is_the_difference_of_means():
    high = np.arange(8) % 2 == 0
    x = np.where(high, 2.0, -2.0)[:, None, None]
    np.testing.assert_allclose(
        reader_scores(gram(x)[0], high, halves(8), shrinkage_lda(1)), np.where(high, 2, -2), atol=1e-9
    )
