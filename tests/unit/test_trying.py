"""The whole trial on the toy engine, where the truth is planted."""

import json
from dataclasses import replace

import numpy as np
import pytest

from personascope.artifacts import read_json
from personascope.calibration import DOSES
from personascope.contrasts import from_rollouts
from personascope.errors import ContrastError
from personascope.extraction import extract
from personascope.models.toy import PLANTED, ToyModel
from personascope.models.toys import toy_for
from personascope.prompts import PROTOCOLS
from personascope.report.steering_section import steering_specs
from personascope.steering import gaps, rho
from personascope.steering_words import safe_text, steering_told
from personascope.traits import load_trait
from personascope.trying import try_out

TRAIT = load_trait("extraversion")


def quiet(_what, _total):
    return lambda _done: None


def extracted(engine, folder, protocol="standard"):
    contrast = from_rollouts(TRAIT, PROTOCOLS[protocol])
    layers = list(range(engine.spec.n_layers))
    return extract(engine, TRAIT, contrast, layers=layers, seed=0, stem=folder / "toy_extraversion", progress=quiet)


@pytest.fixture(scope="module")
def engine():
    return toy_for(TRAIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trial")


@pytest.fixture(scope="module")
def extraction(engine, folder):
    return extracted(engine, folder)


@pytest.fixture(scope="module")
def tried(engine, extraction, folder):
    stem = folder / "toy_extraversion"
    return try_out(engine, TRAIT, extraction, PROTOCOLS["standard"], stem=stem, progress=quiet)


def test_a_planted_direction_steers(tried):
    proof = tried.trial.proof
    assert tried.word in ("usable", "strong"), tried.failed
    assert proof.monotone and proof.both_signs
    assert proof.p_random < 0.05 and proof.p_shuffled < 0.05
    assert proof.p_swapped == pytest.approx(1 / 128)
    assert proof.n_shuffled == 70 and proof.n_random == 1000


def test_s_has_the_planted_slope(engine, extraction, tried):
    layer, proof = tried.trial.layer, tried.trial.proof
    vector = extraction.vectors.raw[layer]
    along = float(vector @ engine.planted_direction(layer)) / engine.gap(layer)
    rows = [row for row in tried.evaluated.rollouts if row.reply.strip()]
    high, low = ([row.reply for row in rows if row.pole == pole] for pole in ("high", "low"))
    per_gap = engine.propensity_slope(high, low)
    per_rho = along / rho(extraction.vectors, layer, 1.0)
    assert proof.slope.value == pytest.approx(per_gap * per_rho, rel=0.1)
    assert proof.slope_at_zero == pytest.approx(proof.slope.value, rel=0.05)


def test_unseen_texts_are_read_as_well_as_the_layer_can(tried):
    assert tried.evaluation.auc.value > 0.7
    assert tried.evaluation.n_questions == 20


def test_costs_rise_with_the_dose_and_bound_the_safe_range(extraction, tried):
    calibration = tried.calibration
    assert [cost.rho for cost in calibration.costs] == list(DOSES)
    for side in (-1, 1):
        kl = [cost.kl_mean for cost in sorted(calibration.costs, key=lambda c: abs(c.rho)) if cost.rho * side > 0]
        assert np.all(np.diff(kl) > 0)
    low, high = calibration.safe
    assert -0.4 <= low < 0 < high <= 0.4
    for cost in calibration.costs:
        assert cost.strength == pytest.approx(gaps(extraction.vectors, calibration.layer, cost.rho, "norm"))


def test_the_layer_chosen_is_the_one_that_moves_most_at_equal_cost(tried):
    best = max(tried.calibration.layers, key=lambda effect: effect.per_root_nat)
    assert tried.calibration.layer == best.layer


def test_the_analysis_file_tells_it_all(extraction, tried):
    told = read_json(extraction.analysis_path)
    assert told["steering"]["word"] == tried.word
    assert told["steering"]["layer"] == tried.calibration.layer
    assert told["steering"]["safe"] == list(tried.calibration.safe)
    assert told["steering"]["trial"]["proof"]["slope"]["value"] == tried.trial.proof.slope.value
    assert told["evaluation"]["auc"]["value"] == tried.evaluation.auc.value
    assert told["evaluation"]["pair_aucs_from_0"] == {str(k): v for k, v in tried.evaluation.pair_aucs_from_0.items()}
    samples = told["steering"]["samples"]
    assert samples["prompts"] == list(tried.samples.prompts) and samples["layer"] == tried.calibration.layer
    assert [dose["rho"] for dose in samples["doses"]] == [dose.rho for dose in tried.samples.doses]
    assert samples["doses"][0]["replies"][0]["text"] == tried.samples.doses[0].replies[0].text
    assert samples["doses"][0]["perplexity"] == tried.samples.doses[0].perplexity
    assert told["summary"]["chosen_layer"] == extraction.separation.chosen_layer
    json.dumps(told, allow_nan=False)


def test_the_words_tell_the_dose_in_both_units(tried):
    told = steering_told(tried)
    assert told.line.startswith(f"{tried.word}: steering at layer {tried.trial.layer}")
    assert "rho" in safe_text(tried.calibration) and safe_text(tried.calibration) in told.line
    assert bool(tried.failed) == any(caution.startswith("Not strong") for caution in told.cautions)


def test_where_nothing_is_planted_nothing_is_strong(tmp_path):
    pairs = [*TRAIT.instructions.extract, *TRAIT.instructions.evaluate]
    texts = [[getattr(pair, pole) for pair in pairs] for pole in ("high", "low")]
    deaf = ToyModel.for_instructions(*texts, planted=replace(PLANTED, pull=0.0))
    found = extracted(deaf, tmp_path)
    tried = try_out(deaf, TRAIT, found, PROTOCOLS["standard"], stem=tmp_path / "toy_extraversion", progress=quiet)
    assert tried.word in ("read-only", "unsupported")
    assert tried.trial.proof.slope_at_zero == pytest.approx(0.0, abs=1e-6)


def test_a_trait_without_evaluation_texts_cannot_be_tried(engine, extraction, tmp_path):
    bare = replace(TRAIT, questions=replace(TRAIT.questions, evaluate=()))
    with pytest.raises(ContrastError, match="to evaluate"):
        try_out(engine, bare, extraction, PROTOCOLS["standard"], stem=tmp_path / "x", progress=quiet)


def test_with_a_single_pair_there_is_no_unseen_instruction_to_compare_with(engine, tmp_path):
    single = replace(TRAIT, instructions=replace(TRAIT.instructions, evaluate=TRAIT.instructions.evaluate[:1]))
    found = extracted(engine, tmp_path)
    alone = try_out(engine, single, found, PROTOCOLS["standard"], stem=tmp_path / "toy_extraversion", progress=quiet)
    assert alone.trial.arms is None
    assert read_json(found.analysis_path)["steering"]["trial"]["arms"] is None
    assert len(steering_told(alone).points) == 3
    assert "arms" not in steering_specs(alone, found.separation)


def test_trials_are_repeatable(engine, extraction, folder, tried):
    again = try_out(engine, TRAIT, extraction, PROTOCOLS["standard"], stem=folder / "toy_extraversion", progress=quiet)
    assert repr(again.trial) == repr(tried.trial)
    assert again.calibration == tried.calibration
