"""The commands of the original toolkit's README, as printed there but for the model and its layers."""

import os
import runpy
import shlex
import sys

import pytest
from documented import ROOT
from pseudo_terminal import Terminal

COMMANDS = (
    "quick_persona_extract.py --model_name toy --trait openness --layers 5 6 7 8 9 10 --n_samples 5",
    "quick_persona_extract.py --model_name toy --trait extraversion --layers 2 4 6 8 10",
    "quick_persona_extract.py --model_name toy --trait conscientiousness --layer_range 2 11",
    "persona_vector_analysis.py --model_name toy --persona_trait openness --layer_start 2 --layer_end 9 "
    "--max_samples 50",
)
STEERING = "persona_steering.py --model_name toy --vector_file persona_analysis/toy_openness_vectors.npz --interactive"


def run(line, monkeypatch):
    """The exit code of one of the scripts at the root, run in this process as `python LINE`."""
    script, *words = shlex.split(line)
    monkeypatch.setattr(sys, "argv", [script, *words])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / script), run_name="__main__")
        sys.exit(0)
    return stop.value.code or 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_runs_as_it_was_printed(line, folder, monkeypatch, capsys):
    assert run(line, monkeypatch) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "Layer " in told and "BEST PERSONA VECTOR" in told
    assert list(folder.rglob("*.npz"))


def test_its_vectors_are_steered_in_a_conversation(folder, monkeypatch):
    assert run(COMMANDS[0], monkeypatch) == 0
    script, *words = shlex.split(STEERING)
    words[words.index("--vector_file") + 1] = str(folder / "persona_analysis" / "toy_openness_vectors.npz")
    screen = Terminal(ROOT / script, *words, folder=folder)
    try:
        screen.until("openness L")
        screen.type("I think the best approach to solving problems is\r")
        screen.until("openness L")
        screen.type("/quit\r")
        assert screen.code() == 0
    finally:
        screen.running.kill()
        screen.running.wait()
        os.close(screen.end)


def test_the_menu_has_batch_analysis_as_its_second_choice(folder, monkeypatch, capsys):
    assert run("demo_persona_analysis.py --choice 2 --model toy --traits openness,extraversion", monkeypatch) == 0
    assert "toy_traits_index.html" in capsys.readouterr().out
