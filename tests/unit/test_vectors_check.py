"""`personascope check` of a vectors file, and the command: what passes, what fails, what is told."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tiny_models

from personascope.artifacts import header, sha256, write_json
from personascope.check_bench import bench_for
from personascope.cli.check import check
from personascope.errors import UserError
from personascope.models.toy import Planted, ToyModel
from personascope.self_check import LAWS
from personascope.vectors import KIND, Vectors, write_vectors
from personascope.vectors_check import file_checks

TOY = ToyModel(Planted(n_layers=4, width=8, layer=2))
LAW_NAMES = [name for name, _, _ in LAWS]


def vectors_for(spec=TOY.spec, layers=(0, 1, 2, 3), norms=True, **told):
    raw = np.random.default_rng(0).standard_normal((len(layers), spec.width)).astype(np.float32)
    told = {
        "trait": {"name": "openness", "high": "open", "low": "closed"},
        "chosen_layer": layers[-1],
        "layers": {
            str(layer): ({"residual_norm": 6.0} if norms else {}) | {"vector_norm": float(np.linalg.norm(row))}
            for layer, row in zip(layers, raw, strict=True)
        },
    } | told
    settings = {"contrast": "rollouts", "position": "reply_mean", "seed": 0, "sampling": None}
    return Vectors(layers, raw, header(KIND, model=spec, made_from={}, settings=settings) | told)


@pytest.fixture(scope="module")
def bench():
    return bench_for(TOY)


@pytest.fixture
def look(bench, tmp_path):
    """The checks of a vectors file by name, with an analysis beside it where one is given."""

    def checked(vectors, steering=None, bench=bench):
        path = tmp_path / "m_openness_vectors.npz"
        write_vectors(path, vectors)
        if steering is not None:
            told = {"kind": "separation", "made_from": {"vectors": sha256(path)}, "steering": steering}
            write_json(tmp_path / "m_openness_analysis.json", told)
        return {one.name: one for one in file_checks(path, bench)}

    return checked


FITS, FINITE, DOSE, SAFE = (
    "the file fits the model",
    "vectors are finite, not zero",
    "the dose can be told",
    "the safe range is known",
)


def test_a_file_of_this_model_passes_and_tells_its_doses(look):
    vectors = vectors_for()
    found = look(vectors)
    assert [one.passed for one in found.values()] == [True, True, True, None]
    assert "4 of 4 layers, width 8" in found[FITS].measured
    rho = np.linalg.norm(vectors.raw, axis=1) / 6.0
    assert f"{rho[1:3].min():.2f} to {rho[1:3].max():.2f} (layers 1-2)" in found[DOSE].measured
    assert "layer 3" in found[SAFE].measured and "calibrate" in found[SAFE].hint


def test_a_calibrated_file_tells_its_safe_range_in_strengths(look):
    vectors = vectors_for()
    found = look(vectors, {"layer": 2, "safe": [-0.1, 0.25]})[SAFE]
    gap = 6.0 / float(np.linalg.norm(vectors.raw[2]))
    assert found.passed and found.measured.startswith("layer 2: ")
    assert f"strength −{0.1 * gap:.1f} to +{0.25 * gap:.1f}, rho −0.10 to +0.25" in found.measured
    assert look(vectors, {"layer": 2, "safe": [0.0, 0.0]})[SAFE].passed is False


def test_an_analysis_that_cannot_be_read_fails_the_safe_range(look, tmp_path):
    (tmp_path / "m_openness_analysis.json").write_text("{")
    found = look(vectors_for())[SAFE]
    assert found.passed is False and "cannot be read" in found.measured


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_layers": 5}, "5 layers of width 8"),
        ({"width": 16}, "of width 16"),
        ({"name": "other"}, "made on other, not on toy"),
    ],
)
def test_a_file_of_another_model_fails(look, change, told):
    found = look(vectors_for(replace(TOY.spec, **change)))
    assert found[FITS].passed is False and told in found[FITS].measured and found[FITS].hint


def test_a_file_with_a_layer_that_the_model_lacks_fails(look):
    found = look(vectors_for(layers=(2, 7)))
    assert list(found) == [FITS] and found[FITS].passed is False and "layer 7" in found[FITS].measured


def test_a_file_with_vectors_of_another_width_than_it_says_fails(look):
    vectors = vectors_for()
    found = look(replace(vectors, raw=np.ones((4, 9), np.float32)))
    assert list(found) == [FITS] and not found[FITS].passed and "width 9" in found[FITS].measured


def test_weights_are_compared_at_the_same_precision_only(look):
    engine = tiny_models.engine("llama")
    bench, spec = bench_for(engine), engine.spec
    same = look(vectors_for(spec), bench=bench)[FITS]
    assert same.passed and spec.weights in same.measured
    assert not look(vectors_for(replace(spec, weights="f" * 12)), bench=bench)[FITS].passed
    assert look(vectors_for(replace(spec, name="my copy")), bench=bench)[FITS].passed
    assert look(vectors_for(replace(spec, weights="")), bench=bench)[FITS].passed
    coarse = look(vectors_for(replace(spec, weights="f" * 12, dtype="bfloat16")), bench=bench)[FITS]
    assert coarse.passed and "not compared" in coarse.measured


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_that_is_no_direction_fails(look, value):
    vectors = vectors_for()
    vectors.raw[1] = value
    with np.errstate(invalid="ignore"):
        found = look(vectors)[FINITE]
    assert found.passed is False and found.measured.endswith("layers 1")


def test_a_length_that_the_file_denies_fails(look):
    vectors = vectors_for()
    vectors.raw[2] *= 1.5
    assert look(vectors)[FINITE].passed is False


def test_residual_norms_that_a_file_does_not_tell_are_measured(look):
    found = look(vectors_for(norms=False))[DOSE]
    assert found.passed and "rho" in found.measured


def test_a_file_of_the_original_scripts_is_imported_and_checked(bench, tmp_path):
    path = tmp_path / "toy_openness_vectors.npz"
    raw = np.random.default_rng(1).standard_normal(8)
    np.savez(path, layer_2_vector=raw.astype(np.float16), layer_2_vector_norm=(raw / np.linalg.norm(raw)))
    found = {one.name: one for one in file_checks(path, bench)}
    assert found[FITS].passed and found[FINITE].passed and found[DOSE].passed
    assert "original scripts" in found[FITS].measured


def test_the_command_prints_a_line_for_each_check(capsys, tmp_path):
    path = tmp_path / "toy_openness_vectors.npz"
    write_vectors(path, vectors_for(ToyModel().spec))
    check("toy", vectors=path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(LAWS) + 4
    assert [line.split()[0] for line in lines] == ["pass"] * (len(lines) - 1) + ["-"]


def test_json_has_every_check_and_what_was_measured(capsys):
    check("toy", json_output=True)
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True and told["model"] == "toy"
    assert [one["name"] for one in told["checks"]] == LAW_NAMES
    assert all(one["passed"] and one["measured"] for one in told["checks"])


def test_json_is_whole_where_a_check_fails(capsys, tmp_path):
    path = tmp_path / "toy_openness_vectors.npz"
    write_vectors(path, vectors_for(replace(ToyModel().spec, name="other")))
    with pytest.raises(UserError) as error:
        check("toy", vectors=path, json_output=True)
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is False and FITS in str(error.value) and error.value.hint


def test_a_file_that_is_none_is_refused_before_a_model_is_opened(tmp_path):
    with pytest.raises(UserError, match="no file"):
        check("./no/such/model", vectors=tmp_path / "none.npz")


def test_a_failed_check_exits_2_with_what_failed_and_a_hint(tmp_path):
    path = tmp_path / "toy_openness_vectors.npz"
    write_vectors(path, vectors_for(replace(ToyModel().spec, width=32)))
    command = [sys.executable, "-m", "personascope", "check", "toy", "--vectors", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "FAIL" in done.stdout
    assert f"1 of {len(LAWS) + 1} checks failed on toy: {FITS}" in done.stderr and "hint: " in done.stderr
