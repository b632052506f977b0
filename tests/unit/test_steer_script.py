"""The original's script takes its flags and files, and talks."""

import io
import json
import sys

import numpy as np
import pytest
from steer_runs import ROOT

from personascope.models.toy import ToyModel


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """Runs persona_steering.py in this process, in an empty folder."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)

    def script(*arguments, stdin=""):
        import persona_steering

        monkeypatch.setattr(sys, "argv", ["persona_steering.py", "--model_name", "toy", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = 0
        try:
            persona_steering.main()
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return script


def test_the_originals_script_takes_its_flags(script, vectors, tmp_path):
    (tmp_path / "mine.txt").write_text("One\nTwo\n")
    flags = ["--vector_file", vectors, "--target_layer", "layer_8", "--batch_test", "--test_prompts", "mine.txt"]
    code, out, err = script(*flags, "--max_tokens", 5, "--steering_strengths", "-3", "0", "1.5")
    assert code == 0, err
    assert "Prompt: One" in out and "Prompt: Two" in out and "layer 8" in out and "−3.0" in out and "+1.5" in out


def test_the_originals_script_asks_one_prompt_where_nothing_else_is_said(script, vectors):
    code, out, _ = script("--vector_file", vectors, stdin="Where to?\n")
    assert code == 0 and "Prompt: Where to?" in out and "layer 7" in out
    assert script("--vector_file", vectors, stdin="")[0] == 2


def test_the_originals_script_has_prompts_of_its_own_and_talks(script, vectors):
    code, out, _ = script("--vector_file", vectors, "--batch_test")
    assert code == 0 and out.count("Prompt: ") == 5
    code, out, _ = script("--vector_file", vectors, "--interactive", stdin="1\n/quit\n")
    assert code == 0 and "evil L7" in out


def test_the_originals_script_reads_the_originals_files_and_never_steers_at_a_layer_that_is_not_there(script, tmp_path):
    toy = ToyModel()
    raw = {number: (toy.gap(number - 1) * toy.planted_direction(number - 1)).astype(np.float16) for number in (7, 8, 9)}
    arrays = {f"layer_{number}_vector": vector for number, vector in raw.items()}
    arrays |= {f"layer_{number}_vector_norm": vector / np.linalg.norm(vector) for number, vector in raw.items()}
    np.savez(tmp_path / "m_evil_vectors.npz", **arrays)
    (tmp_path / "best.json").write_text(json.dumps({"layer_7": {"auc": 0.7}, "layer_9": {"auc": 0.9}}))
    flags = ["--vector_file", "m_evil_vectors.npz", "--batch_test"]
    assert ", layer 8 (highest AUC in best.json" in script(*flags, "--analysis_file", "best.json")[1]
    code, out, _ = script(*flags, "--target_layer", "layer_8")
    assert code == 0 and ", layer 7" in out and "it is layer L-1 here" in out
    code, out, err = script(*flags, "--target_layer", "15")
    assert code == 2 and "no layer 14" in err and out == ""
    assert script(*flags, "--analysis_file", "none.json")[0] == 2
    assert script(*flags, "--max_tokens", "0")[0] == 2
