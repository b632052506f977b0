"""The main job on the toy engine: files, their content, and that they say what was planted."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from personascope.contrasts import from_prompts, from_replies, from_rollouts
from personascope.directions import expected_cosine
from personascope.errors import ActivationError, ContrastError, LayerError
from personascope.extraction import extract
from personascope.models.protocols import Sampling
from personascope.models.toy import Planted, ToyModel
from personascope.models.toys import toy_for
from personascope.prompts import PROTOCOLS, Protocol
from personascope.traits import load_trait
from personascope.verdict import verdict

TRAIT = load_trait("extraversion")
STANDARD = from_rollouts(TRAIT, PROTOCOLS["standard"])


def quiet(_what, _total):
    return lambda _done: None


def run(engine, stem, contrast=STANDARD, seed=0, layers=None):
    layers = layers or range(engine.spec.n_layers)
    return extract(engine, TRAIT, contrast, layers=list(layers), seed=seed, stem=stem, progress=quiet)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    return run(toy_for(TRAIT), tmp_path_factory.mktemp("toy") / "toy_extraversion")


def test_the_planted_layer_is_found(extracted):
    assert extracted.separation.chosen_layer == toy_for(TRAIT).planted.layer
    assert extracted.separation.p <= 0.05


@pytest.mark.parametrize("layer", [5, 8])
def test_another_planted_layer_is_found_as_well(tmp_path, layer):
    pairs = [*TRAIT.instructions.extract]
    engine = ToyModel.for_instructions([p.high for p in pairs], [p.low for p in pairs], planted=Planted(layer=layer))
    assert run(engine, tmp_path / "toy").separation.chosen_layer == layer


def test_the_vector_points_where_it_was_planted_as_well_as_the_formula_says(extracted):
    """1 / sqrt(1 + 2 tr S / (n gap^2)), where questions cancel and quirks count once an instruction."""
    engine = toy_for(TRAIT)
    layer = engine.planted.layer
    spread = engine.spread(Sampling(PROTOCOLS["standard"].max_new_tokens))
    n, n_pairs = 160, 8
    expected = expected_cosine(spread.reply + spread.instruction * n / n_pairs, engine.gap(layer), n_high=n, n_low=n)
    raw = extracted.vectors.raw[extracted.vectors.layers.index(layer)]
    cosine = raw @ engine.planted_direction(layer) / np.linalg.norm(raw)
    assert cosine == pytest.approx(expected, abs=0.05)


def test_the_files_hold_the_originals_keys_and_ours(extracted):
    told = json.loads(extracted.analysis_path.read_text())
    layer = told["layer_7"]
    original = {
        "auc", "separation", "vector_magnitude", "proj_high_mean", "proj_low_mean", "proj_high_std", "proj_low_std",
    }  # fmt: skip
    assert original <= set(layer)
    assert layer["auc_interval"][0] <= layer["auc"] <= layer["auc_interval"][1]
    assert told["summary"]["chosen_layer"] == 7
    assert told["model"]["name"] == "toy" and "counted from 0" in told["convention"]
    assert set(told["made_from"]) == {"rollouts", "activations", "trait", "vectors"}


def test_the_analysis_carries_the_verdict_and_where_the_layer_was_sought(extracted):
    told = json.loads(extracted.analysis_path.read_text())
    assert told["verdict"] == json.loads(json.dumps(asdict(verdict(extracted.separation))))
    assert told["verdict"]["evidence"] == "shown"
    assert told["smallest_p"] == 1 / 128
    assert told["candidate_window"] == {"depths": [0.35, 0.8], "layers": [4, 8], "chosen_at_edge": False}
    assert set(told["summary"]["advantages"]["bag of words"]) == {"value", "low", "high"}


def test_what_is_not_available_is_null_in_the_analysis(tmp_path):
    found = run(toy_for(TRAIT), tmp_path / "toy", from_rollouts(TRAIT, PROTOCOLS["quick"]))
    told = json.loads(found.analysis_path.read_text())
    assert told["verdict"]["evidence"] == "undecided" and told["verdict"]["grade"] is None
    assert told["summary"]["nested_auc"]["low"] is None and told["layer_7"]["auc_interval"] == [None, None]


def test_the_same_seed_gives_the_same_bytes(extracted, tmp_path):
    again = run(toy_for(TRAIT), tmp_path / "toy_extraversion")
    assert again.vectors_path.read_bytes() == extracted.vectors_path.read_bytes()
    other = run(toy_for(TRAIT), tmp_path / "other", seed=1)
    assert other.vectors_path.read_bytes() != extracted.vectors_path.read_bytes()


def test_a_refit_of_what_is_on_disk_costs_no_forward_pass(extracted):
    engine = toy_for(TRAIT)
    again = run(engine, extracted.vectors_path.with_name("toy_extraversion"))
    assert engine.n_forwards == 0 and again.gathered.reused


def test_the_dose_is_told_as_a_share_of_the_tokens_norm(extracted):
    at = extracted.vectors.layers.index(7)
    norm = extracted.vectors.metadata["layers"]["7"]["residual_norm"]
    assert norm == pytest.approx(float(extracted.gathered.activations.residuals.token_norm[:, at].mean()), rel=1e-5)
    reading = extracted.separation.readings[at]
    assert reading.relative_norm == pytest.approx(reading.vector_magnitude / norm, rel=1e-5)


@pytest.mark.parametrize("make", [from_replies, from_prompts])
def test_given_texts_make_vectors_too(tmp_path, make):
    found = run(toy_for(TRAIT), tmp_path / "toy", make(TRAIT, PROTOCOLS["standard"]))
    assert found.vectors.raw.shape == (12, 64) and np.isfinite(found.vectors.raw).all()


@pytest.mark.parametrize("layers", [[12], [-1, 3], [0, 99], [3, 3]])
def test_a_layer_that_does_not_exist_is_an_error_before_anything_runs(tmp_path, layers):
    engine = toy_for(TRAIT)
    with pytest.raises(LayerError, match=r"does not exist|named twice"):
        run(engine, tmp_path / "toy", layers=layers)
    assert engine.n_forwards == 0 and not list(tmp_path.iterdir())


def test_a_design_that_leaves_nothing_to_hold_out_is_refused_before_anything_runs(tmp_path):
    engine = toy_for(TRAIT)
    one_question = replace(STANDARD, rows=tuple(row for row in STANDARD.rows if row.question == 0 and row.pair == 0))
    with pytest.raises(ContrastError):
        run(engine, tmp_path / "toy", one_question)
    assert engine.n_forwards == 0 and not list(tmp_path.iterdir())


def test_pairs_of_one_pole_are_refused_before_anything_runs(tmp_path):
    """Swapping the poles of such pairs would leave relabellings with one pole: no null at all."""
    engine = toy_for(TRAIT)
    rows = tuple(row for row in STANDARD.rows if (row.pole == "high") == (row.pair < 4))
    with pytest.raises(ContrastError, match="8 instruction pairs"):
        run(engine, tmp_path / "toy", replace(STANDARD, rows=rows))
    assert engine.n_forwards == 0


def test_a_paper_protocol_repeats_its_cells(tmp_path):
    protocol = Protocol("repeats", pairs=3, questions=4, repeats=3, max_new_tokens=8)
    found = run(toy_for(TRAIT), tmp_path / "toy", from_rollouts(TRAIT, protocol))
    assert found.separation.n_high == 3 * 4 * 3 and found.separation.n_questions == 4


class Broken(ToyModel):
    """Gives activations that are not finite."""

    def residuals(self, *args, **kwargs):
        found = super().residuals(*args, **kwargs)
        found.reply_mean[3] = np.inf
        return found


def test_activations_that_are_not_finite_are_an_error(tmp_path):
    engine = toy_for(TRAIT)
    engine.__class__ = Broken
    with pytest.raises(ActivationError):
        run(engine, tmp_path / "toy")
    assert not list(tmp_path.glob("*.npz"))


class Flat(ToyModel):
    """Gives every text the same activations."""

    def residuals(self, *args, **kwargs):
        found = super().residuals(*args, **kwargs)
        found.reply_mean[:] = 1.0
        return found


def test_a_zero_vector_is_an_error(tmp_path):
    engine = toy_for(TRAIT)
    engine.__class__ = Flat
    with pytest.raises(ActivationError):
        run(engine, tmp_path / "toy")
    assert not list(tmp_path.glob("*.npz"))
