"""The command line as a user meets it: exit codes, messages with hints, files, the original's script."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from personascope.cli.extract import parse_layers
from personascope.errors import LayerError

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, **settings):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=settings.pop("cwd", ROOT),
        **settings,
    )


def personascope(*arguments, **settings):
    return run("-m", "personascope", *arguments, **settings)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    done = personascope("extract", "toy", "--trait", "openness", "--protocol", "quick", "-o", str(folder))
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_extract_prints_the_originals_lines_with_intervals_and_the_verdict(extracted):
    _, told = extracted
    lines = [line for line in told.splitlines() if line.startswith("Layer ")]
    assert len(lines) == 12 and sum("← Best layer" in line for line in lines) == 1
    assert all("AUC = " in line and "Separation = " in line and "[" in line for line in lines)
    assert "BEST PERSONA VECTOR - OPENNESS" in told and "Vectors saved to:" in told


def test_extract_leaves_whole_files_only(extracted):
    folder, _ = extracted
    assert sorted(path.name.removeprefix("toy_openness_") for path in folder.iterdir()) == [
        "activations.safetensors", "analysis.json", "analysis.png", "manifest.json", "report.html",
        "rollouts.jsonl", "vectors.npz",
    ]  # fmt: skip


def test_json_prints_the_analysis_alone(extracted):
    folder, _ = extracted
    done = personascope("extract", "toy", "--trait", "openness", "--protocol", "quick", "-o", str(folder), "--json")
    assert json.loads(done.stdout)["summary"]["chosen_layer"] >= 0


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["extract", "toy", "--trait", "charm"], "no trait 'charm'"),
        (["extract", "toy", "--trait", "evil", "--layers", "40"], "layer 40 does not exist"),
        (["extract", "toy", "--trait", "evil", "--layers", "x"], "names no layers"),
        (["extract", "toy", "--trait", "evil", "--layer-range", "9", "4"], "names no layers"),
        (["extract", "toy", "--trait", "evil", "--protocol", "huge"], "no protocol 'huge'"),
        (["extract", "toy", "--trait", "evil", "--contrast", "none.jsonl"], "cannot be read"),
        (["extract", "./no/such/model", "--trait", "evil"], "could not be opened"),
        (["extract", "smollm2-135m", "--trait", "evil", "--dtype", "int3"], "no precision 'int3'"),
        (["traits", "show", "charm"], "no trait 'charm'"),
    ],
)
def test_a_users_error_is_one_line_and_a_hint_and_exit_2(arguments, found, tmp_path):
    save = ["-o", str(tmp_path)] if arguments[0] == "extract" else []
    done = personascope(*arguments, *save, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 2
    assert found in done.stderr and "hint: " in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_traits_can_be_listed_shown_checked_and_started(tmp_path):
    assert "neuroticism" in personascope("traits", "list").stdout
    assert "Instruction pairs" in personascope("traits", "show", "evil").stdout
    mine = tmp_path / "mine.yaml"
    assert personascope("traits", "new", str(mine)).returncode == 0
    assert personascope("traits", "new", str(mine)).returncode == 2
    assert personascope("traits", "check", str(mine)).returncode == 0
    mine.write_text(mine.read_text().replace("openers:", "openers: []\nx:"))
    assert personascope("traits", "check", str(mine)).returncode == 2


def test_the_originals_script_takes_its_flags_and_does_what_they_say(tmp_path):
    command = [
        "quick_persona_extract.py",
        "--model_name",
        "toy",
        "--trait",
        "extraversion",
        "--save_dir",
        str(tmp_path),
    ]
    done = run(*command, "--layers", "3", "7", "--n_samples", "5")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "toy_extraversion_vectors.npz") as arrays:
        assert set(arrays) == {
            "layer_3_vector",
            "layer_3_vector_norm",
            "layer_7_vector",
            "layer_7_vector_norm",
            "metadata",
        }
    assert len((tmp_path / "toy_extraversion_rollouts.jsonl").read_text().splitlines()) == 8 * 5 * 2
    done = run(*command, "--layer_range", "4", "6", "--n_samples", "25")
    with np.load(tmp_path / "toy_extraversion_vectors.npz") as arrays:
        assert {f"layer_{k}_vector" for k in (4, 5, 6)} < set(arrays)
    assert len((tmp_path / "toy_extraversion_rollouts.jsonl").read_text().splitlines()) == 8 * 25 * 2
    assert run(*command, "--n_samples", "1").returncode == 2


def test_ctrl_c_exits_130_and_leaves_nothing_half_written(tmp_path):
    command = [sys.executable, "-m", "personascope", "extract", "toy", "--trait", "evil", "--protocol", "paper"]
    # A test run in the background ignores SIGINT, and its children would inherit that.
    running = subprocess.Popen(
        [*command, "-o", str(tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("plan.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130 and "stopped" in told
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.glob("*.npz"))


def test_a_terminal_sees_bars_with_the_time_left(tmp_path):
    main_end, other_end = pty.openpty()
    command = [sys.executable, "-m", "personascope", "extract", "toy", "--trait", "evil", "--protocol", "quick"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path)], stderr=other_end, stdout=subprocess.DEVNULL, check=False, cwd=ROOT
    )
    os.close(other_end)
    shown = b""
    while b"report" not in shown:
        shown += os.read(main_end, 100_000)
    os.close(main_end)
    assert done.returncode == 0
    assert b"writing replies" in shown and b"left" in shown


def test_layers_are_read_from_text():
    assert parse_layers("15,16, 20-22") == [15, 16, 20, 21, 22]
    for bad in ("", "a", "3-", "5-4"):
        with pytest.raises(LayerError):
            parse_layers(bad)
