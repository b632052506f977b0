"""Whole commands with --ray: the same numbers as without."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from personascope.cli.app import app, run

pytestmark = pytest.mark.filterwarnings("ignore")


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["personascope", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        run(app)
        sys.exit(0)
    assert not stop.value.code


def vectors_in(folder):
    found = {}
    for path in sorted(Path(folder).glob("*_vectors.npz")):
        with np.load(path) as arrays:
            found[path.name] = {name: arrays[name].tobytes() for name in arrays if name != "metadata"}
    return found


def test_vectors_of_many_traits_are_the_same_by_any_number_of_workers(monkeypatch, tmp_path):
    asked = ("extract", "toy", "--trait", "evil,openness", "--no-calibrate", "--protocol", "quick")
    command(monkeypatch, *asked, "-o", tmp_path / "here")
    for workers in (1, 2):
        folder = tmp_path / f"by_{workers}"
        command(monkeypatch, *asked, "-o", folder, "--ray", "--workers", workers)
        assert vectors_in(folder) == vectors_in(tmp_path / "here")
        assert not list(folder.glob("*_parts_*"))
        told = json.loads((folder / "toy_evil_manifest.json").read_text())
        assert told["made_from"] == json.loads((tmp_path / "here" / "toy_evil_manifest.json").read_text())["made_from"]


def test_profiles_of_many_models_are_the_same_as_here(monkeypatch, tmp_path):
    asked = ("profile", "toy", "toy-high", "--traits", "openness,extraversion", "--max-items", "3")
    command(monkeypatch, *asked, "-o", tmp_path / "here")
    command(monkeypatch, *asked, "-o", tmp_path / "spread", "--ray", "--workers", 2)
    here, spread = (json.loads((tmp_path / name / "profile.json").read_text()) for name in ("here", "spread"))
    assert spread == here
    assert not list((tmp_path / "spread").glob("profile_answers_*"))


@pytest.mark.slow
def test_the_default_model_is_projected_alike(monkeypatch, tmp_path, data):
    few = tmp_path / "few.jsonl"
    few.write_text("".join(data.read_text(encoding="utf-8").splitlines(keepends=True)[:24]), encoding="utf-8")
    model = ("smollm2-135m", "--dtype", "float32")
    quick = ("--trait", "evil", "--contrast", "replies", "--no-calibrate", "--protocol", "quick")
    command(monkeypatch, "extract", *model, *quick, "-o", tmp_path / "v")
    (vectors,) = (tmp_path / "v").glob("*_vectors.npz")
    asked = ("project", *model, few, "--vectors", vectors, "--block-rows", 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command(monkeypatch, *asked, "-o", tmp_path / "here")
    command(monkeypatch, *asked, "-o", tmp_path / "spread", "--ray", "--workers", 1)
    for path in sorted((tmp_path / "here" / "projections").iterdir()):
        assert (tmp_path / "spread" / "projections" / path.name).read_bytes() == path.read_bytes()
