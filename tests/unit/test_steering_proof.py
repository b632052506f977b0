"""A proof assembled from planted responses, and every gate of the words, one at a time."""

from dataclasses import replace

import numpy as np
import pytest

from personascope.dose_response import slope
from personascope.errors import SteeringError
from personascope.separation import Estimate, LayerReading, Separation
from personascope.steering_proof import (
    Controls,
    DoseResponse,
    Slopes,
    SteeringProof,
    prove,
    steering_word,
)

DOSES = np.array([-0.2, -0.1, 0.1, 0.2])
AT_ZERO = Slopes(1.0, np.linspace(0.3, -0.3, 40), np.linspace(0.2, -0.2, 100), p_swapped=1 / 128)


def response(per_unit, *, growth=1.0, doses=DOSES, seed=0, n=20, noise=0.05):
    own = per_unit + noise * np.random.default_rng(seed).normal(size=n)
    return DoseResponse(doses, doses[:, None] * own, growth * doses**2)


def family(growths, **more):
    return tuple(response(0.0, growth=each, **more) for each in growths)


def controls(n=20, *, own=1.0, **more):
    spread = np.random.default_rng(7).uniform(0.5, 2.0, n)
    return Controls(response(1.0, growth=own), family(spread, **more), family(spread / 2, **more))


def test_a_planted_slope_is_proven():
    vector = response(1.0)
    proof = prove(vector, AT_ZERO, controls())
    assert proof.slope.value == pytest.approx(slope(vector.doses, vector.by_question).mean())
    assert proof.slope.low < 1.0 < proof.slope.high
    assert proof.slope_at_zero == 1.0
    assert (proof.p_shuffled, proof.p_random) == (1 / 41, 1 / 101)
    assert (proof.p_shuffled_kl, proof.p_random_kl) == (1 / 21, 1 / 21)
    assert (proof.monotone, proof.both_signs, proof.anti_steerable) == (True, True, 0.0)
    assert (proof.n_questions, proof.n_shuffled, proof.n_random) == (20, 40, 100)
    assert (proof.n_shuffled_kl, proof.n_random_kl) == (20, 20)
    assert [point.value for point in proof.curve] == pytest.approx([d * proof.slope.value for d in proof.doses])


def test_the_order_of_doses_does_not_matter():
    vector = DoseResponse(np.append(DOSES, 0.0), np.vstack([response(1.0).by_question, np.zeros(20)]), np.zeros(5))
    order = np.array([3, 0, 4, 2, 1])
    turned = DoseResponse(vector.doses[order], vector.by_question[order], vector.kl[order])
    assert repr(prove(turned, AT_ZERO, controls())) == repr(prove(vector, AT_ZERO, controls()))
    assert prove(turned, AT_ZERO, controls()).doses == (-0.2, -0.1, 0.0, 0.1, 0.2)


def test_the_opposite_vector_is_no_proof():
    proof = prove(response(-1.0), replace(AT_ZERO, vector=-1.0), controls())
    assert (proof.p_shuffled, proof.p_random, proof.anti_steerable) == (1.0, 1.0, 1.0)
    assert (proof.p_shuffled_kl, proof.p_random_kl) == (1.0, 1.0)
    assert not proof.both_signs and not proof.monotone


def test_a_curve_that_does_not_pass_through_zero_is_not_monotone():
    by_question = np.repeat([[0.1], [0.2], [0.3], [0.4]], 20, axis=1)
    assert not prove(DoseResponse(DOSES, by_question, DOSES**2), AT_ZERO, controls()).monotone


def test_signs_are_judged_by_the_intervals():
    wide = response(0.2, noise=1.0)
    proof = prove(wide, AT_ZERO, controls())
    assert all(dose * point.value > 0 for dose, point in zip(proof.doses, proof.curve, strict=True))
    assert proof.monotone and not proof.both_signs


def test_large_doses_are_in_the_curve_but_not_in_the_slope():
    doses = np.append(DOSES, 0.4)
    bent = np.vstack([response(1.0).by_question, np.full((1, 20), -5.0)])
    proof = prove(DoseResponse(doses, bent, doses**2), AT_ZERO, controls())
    assert proof.slope == prove(response(1.0), AT_ZERO, controls()).slope
    assert proof.curve[-1].value == -5.0 and not proof.monotone and not proof.both_signs


def test_a_forceful_vector_wins_at_equal_norm_only():
    proof = prove(response(1.0), AT_ZERO, controls(own=100.0))
    assert (proof.p_shuffled, proof.p_random) == (1 / 41, 1 / 101)
    assert proof.p_shuffled_kl > 0.05 and proof.p_random_kl > 0.05
    assert "at equal KL" in steering_word(read(), proof)[1][0]


def test_a_control_that_costs_little_counts_for_more_at_equal_kl():
    cheap = replace(controls(), shuffled=family([0.01] + [1.0] * 39))
    proof = prove(response(1.0), AT_ZERO, cheap)
    assert (proof.p_shuffled, proof.p_shuffled_kl, proof.p_random_kl) == (1 / 41, 2 / 41, 1 / 21)


def test_kl_is_compared_at_the_doses_of_the_family():
    growth = np.array([100.0, 1.0, 1.0, 100.0])
    bent = DoseResponse(DOSES, response(1.0).by_question, growth * DOSES**2)
    large, small = (replace(controls(doses=doses), vector=bent) for doses in (DOSES[[0, 3]], DOSES[[1, 2]]))
    assert prove(response(1.0), AT_ZERO, large).p_random_kl > 0.05
    assert prove(response(1.0), AT_ZERO, small).p_random_kl == 1 / 21


def test_slopes_that_are_no_numbers_prove_nothing():
    unknown = prove(response(1.0), replace(AT_ZERO, vector=np.nan), controls())
    assert np.isnan([unknown.p_shuffled, unknown.p_random, unknown.p_shuffled_kl, unknown.p_random_kl]).all()
    lost = replace(AT_ZERO, shuffled=np.full(40, np.nan), random=np.full(100, np.nan))
    proof = prove(response(1.0), lost, controls())
    assert (proof.p_shuffled, proof.p_random, proof.p_shuffled_kl, proof.p_random_kl) == (1.0, 1.0, 1.0, 1.0)


def test_doses_that_do_not_fit_are_refused():
    with pytest.raises(SteeringError, match=r"a vector has doses -0.2, -0.1, 0.1, 0.2, its controls 0.05"):
        prove(response(1.0), AT_ZERO, replace(controls(), shuffled=family([1.0], doses=np.array([0.05]))))
    with pytest.raises(SteeringError, match=r"no dose to make a slope of among \[0.5\]"):
        prove(response(1.0, doses=np.array([0.5])), AT_ZERO, controls())


def test_without_controls_nothing_is_beaten():
    proof = prove(response(1.0), Slopes(1.0, np.empty(0), np.empty(0), np.nan), Controls(response(1.0), (), ()))
    assert (proof.p_shuffled, proof.p_random, proof.p_shuffled_kl, proof.p_random_kl) == (1.0, 1.0, 1.0, 1.0)
    word, failed = steering_word(read(), proof)
    assert word == "read-only"
    assert failed[0] == "slope not compared with any shuffled-label vectors at equal norm"


def read(low=0.85, halves=0.9, pairs=0.3):
    """A table of which only what the gates look at is there; another layer than the chosen one is useless."""
    readings = []
    for layer, (half, pair) in enumerate([(0.0, -1.0), (halves, pairs)]):
        reading = object.__new__(LayerReading)
        vars(reading).update(layer=layer + 4, split_half_cosine=half, pair_cosine_min=pair)
        readings.append(reading)
    table = object.__new__(Separation)
    vars(table).update(readings=tuple(readings), chosen_layer=5, nested_auc=Estimate(0.9, low, 0.95))
    return table


PROVEN = SteeringProof(
    doses=(-0.1, 0.1),
    curve=(Estimate(-0.1, -0.2, -0.05), Estimate(0.1, 0.05, 0.2)),
    slope=Estimate(1.0, 0.5, 1.5),
    slope_at_zero=1.0,
    p_shuffled=1 / 21,
    p_random=1 / 21,
    p_swapped=1 / 128,
    p_shuffled_kl=1 / 21,
    p_random_kl=1 / 21,
    monotone=True,
    both_signs=True,
    anti_steerable=0.0,
    n_questions=20,
    n_shuffled=20,
    n_random=20,
    n_shuffled_kl=30,
    n_random_kl=25,
)


def test_strong_has_no_failed_gate():
    assert steering_word(read(), PROVEN) == ("strong", ())
    assert steering_word(read(low=0.8, halves=0.7, pairs=1e-9), PROVEN) == ("strong", ())


@pytest.mark.parametrize(
    ("table", "proof", "word", "said"),
    [
        ({"low": 0.7999}, {}, "usable", "lower end of the held-out AUC 0.7999, below 0.80"),
        ({"low": 0.65}, {}, "usable", "lower end of the held-out AUC 0.65, below 0.80"),
        ({"low": 0.6}, {}, "unsupported", "lower end of the held-out AUC 0.60, below 0.65"),
        ({"low": np.nan}, {}, "unsupported", "interval of the held-out AUC not available"),
        ({"halves": 0.5}, {}, "usable", "split-half cosine 0.50, below 0.70"),
        ({"halves": np.nan}, {}, "usable", "split-half cosine not available"),
        ({"pairs": -0.01}, {}, "usable", "lowest pair cosine −0.01, not above 0"),
        ({"pairs": -0.0004}, {}, "usable", "lowest pair cosine −0.0004, not above 0"),
        ({"pairs": 0.0}, {}, "usable", "lowest pair cosine 0.00, not above 0"),
        ({"pairs": np.nan}, {}, "usable", "lowest pair cosine not available: it needs two instruction pairs"),
        ({}, {"slope": Estimate(-0.2, -0.3, -0.1)}, "read-only", "slope of the dose-response −0.20, not above 0"),
        ({}, {"slope": Estimate(np.nan, np.nan, np.nan)}, "read-only", "slope of the dose-response not available"),
        (
            {},
            {"p_shuffled": 3 / 21},
            "read-only",
            "slope against 20 shuffled-label vectors at equal norm: p = 0.143, not below 0.05",
        ),
        (
            {},
            {"p_random": 1 / 20, "n_random": 19},
            "read-only",
            "slope against 19 random vectors at equal norm: p = 0.050, not below 0.05 (19 are too few for that)",
        ),
        (
            {},
            {"p_swapped": 9 / 128},
            "read-only",
            "slope with the poles of whole instruction pairs swapped: p = 0.070, not below 0.05",
        ),
        (
            {},
            {"p_shuffled_kl": 2 / 21},
            "usable",
            "slope against 30 shuffled-label vectors at equal KL: p = 0.095, not below 0.05",
        ),
        ({}, {"p_random_kl": np.nan}, "usable", "slope against 25 random vectors at equal KL not available"),
        ({}, {"both_signs": False}, "usable", "the effect is not shown to turn round with the sign of the dose"),
    ],
)
def test_each_gate_alone(table, proof, word, said):
    assert steering_word(read(**table), replace(PROVEN, **proof)) == (word, (said,))


def test_a_vector_that_was_never_steered_is_read_only_at_best():
    assert steering_word(read(), None) == ("read-only", ("no dose-response was measured",))
    assert steering_word(read(low=0.5), None)[0] == "unsupported"


def test_all_gates_fail_on_nan():
    nothing = replace(
        PROVEN, slope=Estimate(*[np.nan] * 3), both_signs=False,
        **dict.fromkeys(("p_shuffled", "p_random", "p_shuffled_kl", "p_random_kl"), np.nan),
    )  # fmt: skip
    word, failed = steering_word(read(np.nan, np.nan, np.nan), nothing)
    assert word == "unsupported"
    assert len(failed) == 9


def test_to_beat_controls_at_p_below_a_twentieth_is_to_beat_more_than_95_in_100():
    for n in range(1, 400):
        reached = max((k for k in range(n + 1) if (1 + k) / (1 + n) < 0.05), default=None)
        assert reached is None or reached / n < 0.05
