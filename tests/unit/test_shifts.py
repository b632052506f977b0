"""Shifts along persona vectors: planted truth is found, nothing is not, and controls have their say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personascope.errors import ContrastError
from personascope.shifts import Ruler, agreement, holm, shifts, sign_flip_p

LAYERS = (3, 4)
WIDTH = 32


def ruler(seed: int = 0, *, n_controls: int = 40) -> Ruler:
    """A vector of length 2 at both layers, with random controls."""
    random = np.random.default_rng(seed)
    raw = random.standard_normal((len(LAYERS), WIDTH))
    raw *= 2 / np.linalg.norm(raw, axis=1, keepdims=True)
    traitless, others = random.standard_normal((n_controls, WIDTH)), random.standard_normal((200, WIDTH))
    return Ruler(4, raw, traitless, others)


def differences(one: Ruler, gaps: float, *, seed: int, noise: float = 0.5, n: int = 60) -> np.ndarray:
    """Questions whose two models differ by so many gaps along the vector, and by noise."""
    random = np.random.default_rng(seed)
    return gaps * one.raw + noise * random.standard_normal((n, len(LAYERS), WIDTH))


def test_a_planted_shift_comes_back_in_gaps_at_every_layer():
    one = ruler()
    found = shifts(differences(one, 0.6, seed=1, noise=0.05), LAYERS, {"warmth": one}, seed=0)["warmth"]
    assert [estimate.value for estimate in found.by_layer] == pytest.approx([0.6, 0.6], abs=0.02)
    assert found.shift == found.by_layer[1]
    assert found.moved == "raised"


def test_the_opposite_training_is_lowered():
    one = ruler()
    assert shifts(differences(one, -0.6, seed=1), LAYERS, {"warmth": one}, seed=0)["warmth"].moved == "lowered"


def test_a_push_that_lies_in_no_vector_in_particular_is_not_called_a_trait():
    """Every direction shares in it, and vectors without a trait say that this is nothing."""
    one = ruler(n_controls=60)
    push = one.traitless.mean(axis=0) * 4
    along = push / (push @ one.raw[1]) * 0.3 * (one.raw[1] @ one.raw[1])
    found = shifts(differences(one, 0.0, seed=1, noise=0.1) + along, LAYERS, {"warmth": one}, seed=0)["warmth"]
    assert found.shift.value == pytest.approx(0.3, abs=0.05)
    assert found.p_holm < 0.001
    assert found.p_shuffled > 0.05
    assert found.moved == "not shown"


def test_too_few_controls_show_nothing():
    one = ruler(n_controls=18)
    assert shifts(differences(one, 0.6, seed=1), LAYERS, {"warmth": one}, seed=0)["warmth"].moved == "not shown"


def test_nothing_moves_where_the_models_are_the_same():
    one = ruler()
    found = shifts(np.zeros((10, len(LAYERS), WIDTH)), LAYERS, {"warmth": one}, seed=0)["warmth"]
    assert (found.shift.value, found.p, found.p_shuffled, found.moved) == (0.0, 1.0, 1.0, "not shown")


def test_questions_without_a_reply_are_left_out():
    one = ruler()
    rows = differences(one, 0.6, seed=1)
    rows[7] = np.nan
    assert shifts(rows, LAYERS, {"warmth": one}, seed=0)["warmth"].n_questions == len(rows) - 1


def test_families_of_traits_are_found_as_rarely_as_they_should():
    """Nothing is planted: over 200 data sets of eight traits a family has a false finding in at most about 5 %."""
    rulers = {f"trait {at}": ruler(at) for at in range(8)}
    false, covered = 0, []
    for seed in range(200):
        found = shifts(differences(rulers["trait 0"], 0.0, seed=1000 + seed, n=40), LAYERS, rulers, seed=seed)
        false += any(one.p_holm <= 0.05 for one in found.values())
        covered += [one.shift.low <= 0 <= one.shift.high for one in found.values()]
    assert false / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_holm_never_lowers_a_p_keeps_the_order_and_stays_below_one(values):
    p = {str(at): value for at, value in enumerate(values)}
    corrected = holm(p)
    assert all(value <= corrected[name] <= 1 for name, value in p.items())
    ranked = sorted(p, key=p.__getitem__)
    assert [corrected[name] for name in ranked] == sorted(corrected.values())
    assert corrected[ranked[0]] == min(1.0, len(p) * p[ranked[0]])


def test_sign_flips_agree_with_all_of_them():
    values = np.array([0.4, -0.1, 0.3, 0.2, 0.5, -0.2, 0.1])
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(values))).reshape(len(values), -1).T
    exact = np.mean(np.abs(signs @ values) >= abs(values.sum()) - 1e-12)
    assert sign_flip_p(values, seed=0) == pytest.approx(exact, abs=0.02)


def test_agreement_over_traits():
    found = agreement(np.array([0.1, 0.4, -0.2, 0.3, 0.0]), np.array([0.2, 0.8, -0.4, 0.6, 0.1]))
    assert found.pearson == pytest.approx(1.0, abs=0.01)
    assert found.spearman == pytest.approx(1.0)
    assert np.isnan(agreement(np.ones(5), np.arange(5.0)).pearson)
    assert np.isnan(agreement(np.arange(3.0), np.arange(3.0)).pearson)


@pytest.mark.parametrize("length", [0.0, np.nan])
def test_a_vector_without_length_is_refused(length):
    one = ruler()
    raw = one.raw * np.array([[1.0], [length]])
    with pytest.raises(ContrastError, match="no length at layer 1"):
        Ruler(4, raw, one.traitless, one.random)
