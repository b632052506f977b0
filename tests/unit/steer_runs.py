"""The verb steer run in this process, on vectors files of planted directions."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from personascope.artifacts import header, sha256, write_json
from personascope.cli.app import app
from personascope.cli.app import run as run_command
from personascope.models.toys import toy_for
from personascope.traits import load_trait
from personascope.vectors import Vectors, write_vectors

ROOT = Path(__file__).resolve().parents[2]


def write_planted(folder, name, *, steering=None, spec=None):
    """The toy's planted directions as a trait's vectors file, with its analysis."""
    toy = toy_for(load_trait(name))
    layers = (5, 6, 7, 8)
    raw = np.stack([toy.gap(layer) * toy.planted_direction(layer) for layer in layers]).astype(np.float32)
    told = header("persona vectors", model=spec or toy.spec, made_from={}, settings={"seed": 0})
    told |= {"trait": {"name": name, "high": "bright", "low": "dull"}, "chosen_layer": 7}
    percentiles = {"25": -1.0, "75": 1.0}
    told |= {"layers": {str(k): {"residual_norm": 5.0, "projection_percentiles": percentiles} for k in layers}}
    path = folder / f"toy_{name}_vectors.npz"
    write_vectors(path, Vectors(layers, raw, told))
    analysis = {"kind": "separation", "made_from": {"vectors": sha256(path)}, "steering": steering}
    write_json(folder / f"toy_{name}_analysis.json", analysis)
    return path


@pytest.fixture
def vectors(tmp_path):
    return write_planted(tmp_path, "evil", steering={"layer": 7, "safe": [-0.3, 0.5], "layers": [{"layer": 7}]})


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command in this process: exit code, what it printed, and its errors."""

    def run(*arguments, stdin="", width=200):
        monkeypatch.setattr(sys, "argv", ["personascope", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as stop:
            run_command(app)
            sys.exit(0)
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return run


def steer_json(run, vectors, *arguments):
    code, out, err = run("steer", "toy", "--vectors", vectors, "--json", *arguments)
    assert code == 0, err
    return json.loads(out)
