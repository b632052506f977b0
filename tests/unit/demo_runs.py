"""The demo run in this process, in an empty folder, with the command lines that it would run recorded."""

import io
import sys
from pathlib import Path

import pytest

from personascope.cli import demo, demo_choices
from personascope.cli.app import app
from personascope.cli.app import run as run_command
from personascope.errors import ContrastError

FIRST = ["1", "toy", "openness", "quick", "here"]
"""Answers to all that choice 1 asks."""


def demo_runner(monkeypatch, capsys, folder):
    """Runs `personascope demo` as if in a terminal: exit code, what it printed, and its errors."""
    monkeypatch.chdir(folder)

    def run(*arguments, typed=(), terminal=True):
        monkeypatch.setattr(sys, "argv", ["personascope", "demo", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
        monkeypatch.setattr(demo, "at_terminal", lambda: terminal)
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stop:
            run_command(app)
            sys.exit(0)
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return run


def recorded_lines(monkeypatch):
    """The command lines that were to be run, none of which is; `evil` fails, the others leave files."""
    told = []

    def run_line(*arguments):
        told.append(list(arguments))
        if arguments[0] != "extract":
            return
        traits = arguments[3].split(",")
        for trait in traits:
            for ending in ("vectors.npz", "report.html") if trait != "evil" else ():
                path = Path(arguments[-1]) / f"{arguments[1]}_{trait}_{ending}"
                path.parent.mkdir(exist_ok=True)
                path.touch()
        if "evil" in traits:
            raise ContrastError("nothing but silence", hint="say something")

    monkeypatch.setattr(demo_choices, "run_line", run_line)
    return told


def extract_line(trait, *, model="toy", protocol="quick", folder="here"):
    return ["extract", model, "--trait", trait, "--protocol", protocol, "--save-dir", folder]


def steer_line(trait, *, model="toy", folder="here"):
    return ["steer", model, "--vectors", f"{folder}/{model}_{trait}_vectors.npz", "--interactive"]
