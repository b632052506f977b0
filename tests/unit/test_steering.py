"""From a vectors file to a steering: layers, units, thresholds, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personascope.errors import ArtifactError, LayerError, SteeringError
from personascope.models.protocols import Condition, ModelSpec, Steering
from personascope.steering import (
    MODES,
    POSITIONS,
    check_fits,
    check_steered,
    direction,
    gaps,
    gaps_per_rho,
    incremental,
    residual_norm,
    rho,
    same_weights,
    steering,
    threshold,
)
from personascope.vectors import Vectors, unit

WIDTH, N_LAYERS = 8, 6
SPEC = ModelSpec("tiny", N_LAYERS, WIDTH, "float32", weights="abc")
NORMS = {1: 10.0, 2: 20.0, 3: 40.0}


def made(layers=(1, 2, 3), **model):
    raw = np.random.default_rng(0).standard_normal((len(layers), WIDTH)).astype(np.float32)
    told = {
        str(layer): {"residual_norm": NORMS[layer], "projection_percentiles": {"25": -1.0 * layer, "75": 2.0 * layer}}
        for layer in layers
    }
    of = {"name": "tiny", "n_layers": N_LAYERS, "width": WIDTH, "dtype": "float32", "weights": "abc"} | model
    return Vectors(tuple(layers), raw, {"model": of, "layers": told})


def good(layer=2):
    return np.arange(1, WIDTH + 1, dtype=np.float32) * layer


def forced(**fields):
    """A steering with fields that its types forbid, as a caller who checks no types would give them."""
    made = Steering({1: good()})
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


LATE = Condition(2, unit(good()), 0.0)


def test_a_steering_has_the_raw_direction_of_each_layer_at_one_strength():
    vectors = made()
    found = steering(vectors, [3, 1], -1.5, positions="all")
    assert set(found.directions) == {1, 3}
    for row, layer in ((0, 1), (2, 3)):
        np.testing.assert_array_equal(found.directions[layer], vectors.raw[row])
        assert found.directions[layer].dtype == np.float32
    assert (found.strength, found.mode, found.positions, found.thresholds, found.condition) == (
        -1.5, "add", "all", {}, None,
    )  # fmt: skip


@pytest.mark.parametrize(("mode", "expected"), [("cap", {1: 2.0, 3: 6.0}), ("floor", {1: -1.0, 3: -3.0})])
def test_caps_and_floors_are_held_at_a_quartile_of_the_files_own_replies(mode, expected):
    assert steering(made(), [1, 3], 1.0, mode=mode).thresholds == expected
    assert threshold(made(), 1, mode) == expected[1]


@pytest.mark.parametrize("mode", ["add", "ablate"])
def test_adding_and_ablating_need_no_percentiles(mode):
    vectors = made()
    for told in vectors.metadata["layers"].values():
        del told["projection_percentiles"]
    assert steering(vectors, [2], 1.0, mode=mode).thresholds == {}
    with pytest.raises(ArtifactError, match="no threshold") as refused:
        steering(vectors, [2], 1.0, mode="cap")
    assert refused.value.hint


def test_a_layer_that_the_file_lacks_is_refused_with_those_it_has():
    for ask in (lambda: steering(made(), [2, 4], 1.0), lambda: direction(made(), 0)):
        with pytest.raises(LayerError) as refused:
            ask()
        assert "1, 2, 3" in refused.value.hint


def test_incremental_steps_sum_to_the_direction_of_each_layer():
    vectors = made()
    found = incremental(vectors, 2.0, positions="prompt")
    assert (found.strength, found.mode, found.positions) == (2.0, "add", "prompt")
    so_far = np.zeros(WIDTH, np.float32)
    for row, layer in enumerate((1, 2, 3)):
        so_far = so_far + found.directions[layer]
        np.testing.assert_allclose(so_far, vectors.raw[row], atol=1e-6)


def test_incremental_needs_every_layer_between_the_first_and_the_last():
    with pytest.raises(LayerError, match="gaps between layers 1 and 3") as refused:
        incremental(made((1, 3)), 1.0)
    assert refused.value.hint


def test_units_of_one_dose():
    vectors = made()
    length = float(np.linalg.norm(vectors.raw[1]))
    assert gaps(vectors, 2, 0.7, "gap") == 0.7
    assert gaps(vectors, 2, length, "unit-vector") == pytest.approx(1.0)
    assert gaps(vectors, 2, length / NORMS[2], "norm") == pytest.approx(1.0)
    assert rho(vectors, 2, 1.0) == pytest.approx(length / NORMS[2])
    assert residual_norm(vectors, 3) == 40.0


@given(st.floats(-4, 4), st.sampled_from([1, 2, 3]))
def test_rho_undoes_a_dose_in_norms(amount, layer):
    vectors = made()
    assert rho(vectors, layer, gaps(vectors, layer, amount, "norm")) == pytest.approx(amount, abs=1e-12)


@pytest.mark.parametrize("norm", [None, float("nan"), 0.0, -1.0])
def test_a_file_without_a_residual_norm_has_no_relative_dose(norm):
    vectors = made()
    vectors.metadata["layers"]["2"]["residual_norm"] = norm
    for ask in (lambda: rho(vectors, 2, 1.0), lambda: gaps(vectors, 2, 0.1, "norm")):
        with pytest.raises(ArtifactError, match="residual norm at layer 2"):
            ask()
    assert gaps(vectors, 2, 0.1, "gap") == 0.1
    with pytest.raises(ArtifactError) as refused:
        residual_norm(vectors, 2)
    assert "--unit" not in refused.value.hint and "extract the vectors again" in refused.value.hint


def test_vectors_of_the_very_model_fit_without_a_word():
    assert check_fits(made(), SPEC) is None
    assert check_fits(made(weights=""), SPEC) is None


@pytest.mark.parametrize("model", [{"n_layers": 5}, {"width": 9}, {"n_layers": None}])
def test_vectors_of_another_shape_are_refused(model):
    with pytest.raises(ArtifactError) as refused:
        check_fits(made(**model), SPEC)
    assert "6" in str(refused.value) and "8" in str(refused.value) and refused.value.hint


def test_vectors_of_another_model_or_of_other_weights_are_let_through_with_a_warning():
    assert "other" in check_fits(made(name="other"), SPEC)
    assert "weights" in check_fits(made(weights="xyz"), SPEC)


def test_weights_are_compared_at_the_same_precision_only():
    told = check_fits(made(weights="xyz", dtype="bfloat16"), SPEC)
    assert "bfloat16" in told and "float32" in told and "changed" not in told
    assert check_fits(made(weights="xyz", dtype=None), SPEC) is None
    ours = {"weights": "abc", "dtype": "float32"}
    assert same_weights(ours, ours) is True and same_weights(ours, {**ours, "weights": "xyz"}) is False
    for other in ({"dtype": "bfloat16"}, {"dtype": None}, {"weights": ""}, {"weights": None}):
        assert same_weights(ours, {**ours, **other}) is None and same_weights({**ours, **other}, ours) is None


def test_what_can_be_placed_passes():
    check_steered((), SPEC)
    when = Condition(1, good() / np.linalg.norm(good()), -np.inf)
    for mode in MODES:
        for positions in POSITIONS:
            thresholds = {0: 0.0, 5: 1.0}
            check_steered((Steering({5: good(), 0: good()}, -2.0, mode, positions, thresholds),), SPEC)
            check_steered((Steering({1: good()}, 0.0, mode, positions, {1: 0.0}, when),), SPEC)


@pytest.mark.parametrize(
    ("kind", "told", "bad"),
    [
        (LayerError, "layer 6 does not exist", Steering({6: good()})),
        (LayerError, "layer -1 does not exist", Steering({-1: good()})),
        (LayerError, "layer 9", Steering({1: good()}, condition=Condition(9, good(), 0.0))),
        (SteeringError, "no layer", Steering({})),
        (SteeringError, "nan", Steering({1: good()}, float("nan"))),
        (SteeringError, "inf", Steering({1: good()}, float("-inf"))),
        (SteeringError, "push", forced(mode="push")),
        (SteeringError, "answer", forced(positions="answer")),
        (SteeringError, r"\(7,\).*8", Steering({1: good()[1:]})),
        (SteeringError, "zero", Steering({1: 0 * good()})),
        (SteeringError, "not finite", Steering({1: np.inf * good()})),
        (SteeringError, "no threshold at layer 2", Steering({1: good(), 2: good()}, 1.0, "cap", thresholds={1: 0.0})),
        (SteeringError, "no threshold", Steering({1: good()}, 1.0, "floor", thresholds={1: float("nan")})),
        (SteeringError, "layer 2, after the edit at layer 1", Steering({3: good(), 1: good()}, condition=LATE)),
        (SteeringError, "length", Steering({1: good()}, condition=Condition(1, good(), 0.0))),
        (SteeringError, "nan", Steering({1: good()}, condition=Condition(1, unit(good()), float("nan")))),
        (SteeringError, "zero", Steering({1: good()}, condition=Condition(1, 0 * good(), 0.0))),
        (SteeringError, "shape", Steering({1: good()}, condition=Condition(1, good()[1:], 0.0))),
    ],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused_and_says_why(kind, told, bad):
    with pytest.raises(kind, match=told) as refused:
        check_steered((Steering({1: good()}), bad), SPEC)
    assert refused.value.hint


def test_the_gaps_of_rho_1_are_found_again_from_doses_in_both_units():
    rhos = (-0.4, -0.1, 0.0, 0.2)
    for layer in NORMS:
        strengths = [gaps(made(), layer, dose, "norm") for dose in rhos]
        assert gaps_per_rho(rhos, strengths) == pytest.approx(gaps(made(), layer, 1.0, "norm"))
