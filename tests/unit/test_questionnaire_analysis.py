"""Steered scores on the toy engine: what was planted, a slow oracle, and controls."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
from planted_analysis import CHOICES, TRAIT, analysed, asked_plainly, on_trial, quiet
from planted_items import FALLS, RISES, STAYS, items_of, planted_items

from personascope.artifacts import write_json
from personascope.calibration import at_rho
from personascope.control_directions import control_families, traitless_directions
from personascope.models.protocols import Steering
from personascope.models.toy import ToyModel
from personascope.questionnaire.analysis import analysis_as_json
from personascope.questionnaire.analysis_words import why_not_shown
from personascope.questionnaire.asking import Likelihoods, answers_of, ask, keys_of, likelihoods, present
from personascope.questionnaire.items import situational
from personascope.questionnaire.scoring import p_high
from personascope.questionnaire.steered_scores import (
    DOSES,
    Asked,
    ControlDirections,
    responses,
    slope_at_zero,
    statement_gradients,
)
from personascope.questionnaire.trait_analysis import Plan, analyse_trait
from personascope.steering import direction, residual_norm, rho
from personascope.steering_files import gathered_behind


def test_the_planted_direction_raises_its_trait_lowers_the_opposite_and_leaves_the_third_alone(found):
    one = found.vectors[RISES]
    assert (one.effect(RISES), one.effect(FALLS), one.effect(STAYS)) == ("raised", "lowered", "not shown")
    values = [point.value for point in one.scores[RISES].response.curve]
    assert values == sorted(values) and one.scores[RISES].response.spearman == pytest.approx(1)
    assert one.scores[FALLS].response.slope.high < 0
    assert one.scores[STAYS].response.slope.value == pytest.approx(0, abs=1e-9)


def test_controls_do_not_reach_the_planted_direction(found):
    zero = found.vectors[RISES].scores[RISES].at_zero
    assert zero.n_random == 1000 and zero.n_shuffled > 19
    assert zero.p_random == pytest.approx(1 / 1001)
    assert zero.p_shuffled == pytest.approx(1 / (zero.n_shuffled + 1))
    assert zero.band_shuffled[0] < 0 < zero.band_shuffled[1] < zero.slope.value


def test_the_slope_at_zero_is_that_of_scores_asked_a_little_to_either_side(made, found):
    """The slow way: ask at rho -0.001 and +0.001."""
    items, engine, small = [i for i in found.questionnaire.items if i.trait == RISES], ToyModel(), 1e-3
    steerings = [(at_rho(made.vectors, 7, dose),) for dose in (-small, small)]
    low, high = p_high(ask(engine, items, "text", steerings=steerings), keys_of(items)).mean(axis=1)
    slope = found.vectors[RISES].scores[RISES].at_zero.slope.value
    assert slope == pytest.approx((high - low) / (2 * small), rel=1e-2)
    assert slope > 0.3


@pytest.mark.parametrize("way", ["text", "letters", "published-1"])
def test_gradients_are_those_of_scores_asked_under_a_small_push(way):
    """A tiny model, by text and by labels: the gradient along any direction is the finite difference."""
    engine, layer, small = tiny_models.engine("llama"), 1, 2e-3
    items = [
        situational("t", "one", "Is it so? Yes.", ["high a", "up"], ["low bcd", "down"]),
        situational("t", "one", "And then what?", ["rise", "grow tall"], ["fall", "shrink"]),
        situational("t", "two", "Where to go?", ["on", "over it"], ["off", "under"]),
    ]
    asked = asked_plainly(engine, items, way)
    gradient = statement_gradients(engine, asked, "t", [layer])[:, 0]
    push = np.random.default_rng(3).standard_normal(tiny_models.WIDTH).astype(np.float32)
    steerings = [(Steering({layer: push}, sign * small, "add", "reply"),) for sign in (-1.0, 1.0)]
    found = likelihoods(engine, asked.presented, steerings=steerings)
    low, high = p_high(answers_of(asked.presented, found), keys_of(items))
    by_item = (high - low) / (2 * small)
    oracle = [by_item[:2].mean(), by_item[2]]
    np.testing.assert_allclose(gradient @ push.astype(np.float64), oracle, rtol=0.02, atol=2e-4)
    assert np.abs(oracle).max() > 1e-3


def test_doses_are_told_in_both_units(made, found):
    one = found.vectors[RISES]
    assert one.doses == DOSES
    assert [rho(made.vectors, 7, strength) for strength in one.strengths] == pytest.approx(list(DOSES))


def test_without_the_texts_behind_there_are_random_controls_alone(made, tmp_path):
    found = analysed([on_trial(made, behind=False)])
    zero = found.vectors[RISES].scores[RISES].at_zero
    assert np.isnan(zero.p_shuffled) and zero.n_shuffled == 0 and np.isnan(zero.band_shuffled).all()
    assert zero.p_random < 0.05 and found.vectors[RISES].effect(RISES) == "raised"
    write_json(tmp_path / "found.json", analysis_as_json(found, {}, seed=0))
    text = (tmp_path / "found.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["vectors"][RISES]["scores"][RISES]["at_zero"]["p_shuffled"] is None


def test_an_effect_needs_an_interval_and_both_controls(found):
    one = found.vectors[RISES]
    score = one.scores[RISES]

    def effect(*, turned=False, **changes):
        zero = {k: v for k, v in changes.items() if k.startswith("p_")}
        if turned:
            zero["slope"] = replace(score.at_zero.slope, value=-score.at_zero.slope.value)
        response = {k: v for k, v in changes.items() if k == "slope"}
        changed = replace(score, at_zero=replace(score.at_zero, **zero), response=replace(score.response, **response))
        return replace(one, scores={RISES: changed}).effect(RISES)

    nan = float("nan")
    slope = score.response.slope
    assert effect(p_random=0.2) == effect(p_shuffled=0.05) == effect(p_random=nan, p_shuffled=nan) == "not shown"
    assert effect(slope=replace(slope, low=nan, high=nan)) == effect(slope=replace(slope, low=-0.1)) == "not shown"
    assert effect(p_shuffled=nan) == "raised"
    down = replace(slope, value=-1.0, low=-2.0, high=-0.5)
    assert effect(slope=down, turned=True) == "lowered"
    assert effect(slope=down) == effect(turned=True) == "not shown"  # one way at dose 0, the other over the doses


def test_several_vectors_have_the_same_numbers_as_each_alone(made, found):
    other = on_trial(made, name="other", layer=8)
    both = analysed([on_trial(made), other])
    alone = analysed([other])
    assert both.matrix.shape == (2, 3) and list(both.vectors) == [RISES, "other"]
    for name, single in ((RISES, found), ("other", alone)):
        assert both.matrix[list(both.vectors).index(name)] == pytest.approx(single.matrix[0])
        ours, theirs = both.vectors[name].scores[RISES], single.vectors[name].scores[RISES]
        assert [point.value for point in ours.response.curve] == [point.value for point in theirs.response.curve]
        assert ours.at_zero.p_shuffled == theirs.at_zero.p_shuffled
        assert ours.at_zero.slope.value == pytest.approx(theirs.at_zero.slope.value)


def test_a_labelled_way_that_the_model_cannot_answer_is_doubted(tmp_path):
    plan = Plan(TRAIT, planted_items(8), CHOICES, {}, "letters", 7, [7], 0)
    found = analyse_trait(ToyModel(), plan, tmp_path / "toy", progress=quiet)
    assert any("Scores by letters are not reliable" in note for note in found.notes)


def test_a_control_and_its_opposite_are_one_in_a_two_sided_comparison(made):
    behind = gathered_behind(made.vectors, made.vectors_path)
    one_each = traitless_directions(behind, 7, "reply_mean", seed=0)
    both = control_families(behind, 7, "reply_mean", seed=0).shuffled
    assert 2 * len(one_each) == len(both)
    cosines = one_each @ one_each.T / np.linalg.norm(one_each, axis=1) / np.linalg.norm(one_each, axis=1)[:, None]
    assert cosines.min() > -0.999
    own = direction(made.vectors, 7).astype(np.float64)
    zero = slope_at_zero(np.stack([own] * 3), made.vectors, 7, ControlDirections(one_each, one_each))
    assert zero.p_shuffled == pytest.approx(1 / (1 + len(one_each)))
    assert zero.band_shuffled[0] == -zero.band_shuffled[1]


def test_letters_that_are_not_reliable_at_some_dose_show_no_effect(found):
    items = items_of(RISES, 7)
    presented = present(items, "letters", raw=False)
    sure = np.where(presented.option % 2 == 0, np.log(0.45), np.log(0.05))
    stuck = np.where(presented.place == 1, np.log(0.97), np.log(0.01))
    likely = Likelihoods(np.stack([sure, stuck]), np.ones(len(sure), dtype=np.int64))
    told = responses(Asked(tuple(items), presented, likely, (0.0, 0.2)), seed=0)[RISES]
    assert told.doubts and all(doubt.startswith("at rho +0.20 ") for doubt in told.doubts)
    one = found.vectors[RISES]
    doubted = replace(one, scores={RISES: replace(one.scores[RISES], doubts=told.doubts)})
    assert one.effect(RISES) == "raised" and doubted.effect(RISES) == "not shown"
    assert "not reliable: at rho +0.20" in why_not_shown(doubted.scores[RISES])


def test_scores_by_dose_leave_out_no_item_and_count_statements():
    engine = ToyModel()
    asked = asked_plainly(engine, items_of(RISES, 7), "text", doses=(0.0, 0.1))
    found = responses(asked, seed=0)[RISES]
    response, shares = found.response, found.chose_high
    assert (response.n_items, response.n_statements) == (7, 7) and len(shares) == 2
    assert response.slope.value == 0


def test_the_slope_along_a_vector_is_at_the_length_of_one_residual_norm(made):
    gradients = np.zeros((3, 64))
    own = direction(made.vectors, 7).astype(np.float64)
    gradients[:] = own / np.linalg.norm(own)
    zero = slope_at_zero(gradients, made.vectors, 7, None)
    assert zero.slope.value == pytest.approx(residual_norm(made.vectors, 7))
    assert np.isnan(zero.p_random) and zero.n_random == 0
