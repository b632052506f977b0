"""The command line as a user meets it: exit codes, messages with hints, files, the original's script."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
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


def test_extract_prints_the_originals_lines_and_the_verdict(extracted):
    _, told = extracted
    lines = [line for line in told.splitlines() if line.startswith("Layer ")]
    assert len(lines) == 12 and sum("← Best layer" in line for line in lines) == 1
    assert all("AUC = " in line and "Separation = " in line for line in lines)
    assert "interval not available (4 pairs)" in told and "\nundecided: " in told
    assert "BEST PERSONA VECTOR - OPENNESS" in told and "Vectors saved to:" in told


def test_extract_leaves_whole_files_only(extracted):
    folder, _ = extracted
    assert sorted(path.name.removeprefix("toy_openness_") for path in folder.iterdir()) == [
        "activations.safetensors", "analysis.json", "analysis.png", "evaluation_activations.safetensors",
        "evaluation_manifest.json", "evaluation_rollouts.jsonl", "manifest.json", "report.html", "rollouts.jsonl",
        "vectors.npz",
    ]  # fmt: skip


def test_json_prints_the_analysis_alone(extracted):
    folder, _ = extracted
    done = personascope("extract", "toy", "--trait", "openness", "--protocol", "quick", "-o", str(folder), "--json")
    assert json.loads(done.stdout)["summary"]["chosen_layer"] >= 0


def test_one_trait_that_fails_does_not_stop_the_others_and_the_command_exits_2(tmp_path):
    asked = ("extract", "toy", "--trait", "openness,charm", "--protocol", "quick", "-o", str(tmp_path))
    done = personascope(*asked, "--no-calibrate", "--json")
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert list(told["traits"]) == ["openness"] and list(told["failed"]) == ["charm"]
    assert "! charm failed: there is no trait 'charm'" in done.stderr and "1 of 2 traits failed: charm" in done.stderr
    assert (tmp_path / "toy_openness_report.html").exists() and (tmp_path / "toy_traits_index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["extract", "toy", "--trait", "charm"], "no trait 'charm'"),
        (["extract", "toy", "--trait", "evil", "--layers", "40"], "layer 40 does not exist"),
        (["extract", "toy", "--trait", "evil", "--layers", "x"], "names no layers"),
        (["extract", "toy", "--trait", "evil", "--layers", "3,9-4"], "9 is above 4"),
        (["extract", "toy", "--trait", "evil", "--layer-range", "5", "2"], "5 is above 2"),
        (["extract", "toy", "--trait", "evil", "--protocol", "huge"], "no protocol 'huge'"),
        (["extract", "toy", "--trait", "evil", "--contrast", "none.jsonl"], "cannot be read"),
        (["extract", "toy", "--trait", "evli"], "did you mean evil?"),
        (["extract", "toy", "--trait", "evil", "--protocol", "quik"], "did you mean quick?"),
        (["extract", "toy", "--trait", "evil", "--contrast", "reply"], "did you mean replies?"),
        (["extract", "./no/such/model", "--trait", "evil"], "could not be opened: no such folder"),
        (["extract", "smollm", "--trait", "evil"], "did you mean smollm2-135m?"),
        (["extract", "nosuch/model", "--trait", "evil"], "could not be opened: the Hub cannot be reached"),
        (["extract", "smollm2-135m", "--trait", "evil", "--dtype", "int3"], "no precision 'int3'"),
        (["traits", "show", "charm"], "no trait 'charm'"),
    ],
)
def test_a_users_error_is_one_line_and_a_hint_and_exit_2(arguments, found, tmp_path):
    save = ["-o", str(tmp_path)] if arguments[0] == "extract" else []
    done = personascope(*arguments, *save, env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.returncode == 2
    assert found in done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    assert not list(tmp_path.iterdir())


def test_traits_can_be_listed_shown_checked_and_started(tmp_path):
    assert "neuroticism" in personascope("traits", "list").stdout
    assert "Instruction pairs" in personascope("traits", "show", "evil").stdout
    mine = tmp_path / "mine.yaml"
    assert personascope("traits", "new", str(mine)).returncode == 0
    assert personascope("traits", "new", str(mine)).returncode == 2
    unchanged = personascope("traits", "check", str(mine))
    assert unchanged.returncode == 2 and "instruction pairs are still those of extraversion" in unchanged.stdout
    assert "nothing to mend" in personascope("traits", "check", "evil").stdout
    mine.write_text(mine.read_text().replace("openers:", "openers: []\nx:"))
    assert personascope("traits", "check", str(mine)).returncode == 2


def test_a_new_trait_gets_a_name_that_works_and_is_its_own(tmp_path):
    assert personascope("traits", "new", "evil.yaml", cwd=tmp_path).returncode == 2
    assert personascope("traits", "new", "My new trait.yaml", cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["My new trait.yaml"]
    assert "(big five)" in personascope("traits", "show", "My new trait.yaml", cwd=tmp_path).stdout


def extract_toy(folder, *more):
    asked = ("extract", "toy", "--trait", "openness", "--protocol", "quick", "-o", str(folder), "--no-calibrate")
    return personascope(*asked, *more)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_runs_of_unlike_contrasts_live_side_by_side(extracted, tmp_path):
    folder = tmp_path / "runs"
    shutil.copytree(extracted[0], folder)
    mine = tmp_path / "my_texts.jsonl"
    rows = [
        {"prompt": f"Say {n}.", "reply": f"{word} {n}", "pole": pole, "pair": n % 6}
        for n in range(12)
        for pole, word in (("high", "sunny"), ("low", "dull"))
    ]
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for contrast, end in (("replies", "replies"), (str(mine), "my_texts")):
        done = extract_toy(folder, "--contrast", contrast)
        assert done.returncode == 0, done.stderr
        assert {f"toy_openness_{end}_{what}" for what in ("vectors.npz", "report.html", "manifest.json")} <= names(
            folder
        )
    assert before == {path: path.read_bytes() for path in before}


def test_another_run_in_the_same_folder_is_refused_before_anything_runs(extracted):
    folder, _ = extracted
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for more, told in (
        (["--seed", "1"], "seed 0 there, 1 now"),
        (["--protocol", "standard"], "number of texts 80 there, 320 now"),
        (["--max-new-tokens", "9"], "longest reply 48 there, 9 now"),
    ):
        done = extract_toy(folder, *more)
        assert done.returncode == 2 and told in done.stderr
        assert "--save-dir" in done.stderr and "toy_openness_manifest.json" in done.stderr
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_fewer_layers_come_from_the_finished_run_and_that_is_said(tmp_path):
    assert "there already" not in extract_toy(tmp_path).stdout
    activations = (tmp_path / "toy_openness_activations.safetensors").read_bytes()
    told = extract_toy(tmp_path, "--layers", "6-8").stdout
    assert "there already" in told and "That run has layers 0-11" in told and "tell of 6-8 alone." in told
    assert (tmp_path / "toy_openness_activations.safetensors").read_bytes() == activations
    again = extract_toy(tmp_path).stdout
    assert "there already" in again and "That run has layers" not in again and "\nLayer 11: " in again


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
    command[-1] = str(other := tmp_path / "other")
    done = run(*command, "--layer_range", "4", "6", "--n_samples", "25")
    with np.load(other / "toy_extraversion_vectors.npz") as arrays:
        assert {f"layer_{k}_vector" for k in (4, 5, 6)} < set(arrays)
    assert len((other / "toy_extraversion_rollouts.jsonl").read_text().splitlines()) == 8 * 25 * 2
    assert run(*command, "--n_samples", "1").returncode == 2


def stopped_when(ready, folder):
    """The end of a long run, stopped by Ctrl-C as soon as `ready`."""
    command = [sys.executable, "-m", "personascope", "extract", "toy", "--trait", "evil", "--protocol", "paper"]
    # A test run in the background ignores SIGINT, and its children would inherit that.
    running = subprocess.Popen(
        [*command, "-o", str(folder)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert not list(folder.rglob("*.part")) and not list(folder.glob("*.npz"))
    return told


def test_ctrl_c_exits_130_and_says_what_is_kept(tmp_path):
    told = stopped_when(lambda: list(tmp_path.rglob("00000.safetensors")), tmp_path)
    kept = sum(len(path.read_text().splitlines()) for path in tmp_path.rglob("*.jsonl"))
    assert kept >= 128
    assert f"stopped; {kept} of 2000 replies are kept, the same command goes on from there" in told


def test_ctrl_c_before_anything_is_kept_says_so_and_leaves_nothing(tmp_path):
    told = stopped_when(lambda: list(tmp_path.rglob("plan.json")), tmp_path)
    assert "stopped; nothing was written" in told and not list(tmp_path.iterdir())


def test_a_terminal_sees_bars_with_the_time_left(tmp_path):
    main_end, other_end = pty.openpty()
    command = [sys.executable, "-m", "personascope", "extract", "toy", "--trait", "evil", "--protocol", "quick"]
    running = subprocess.Popen(
        [*command, "-o", str(tmp_path), "--no-calibrate"], stderr=other_end, stdout=subprocess.DEVNULL, cwd=ROOT
    )
    os.close(other_end)
    shown = b"".join(read_until_closed(main_end))
    assert running.wait(timeout=60) == 0
    assert b"writing replies" in shown and b"left" in shown and b"report" in shown


def read_until_closed(terminal):
    """What a program writes to a terminal, read while it runs: unread, it would fill the terminal and wait."""
    with suppress(OSError):  # how Linux tells that the other end is closed
        while got := os.read(terminal, 100_000):
            yield got
    os.close(terminal)


def test_layers_are_read_from_text():
    assert parse_layers("15,16, 20-22") == [15, 16, 20, 21, 22]
    for bad in ("", "a", "3-", "5-4"):
        with pytest.raises(LayerError):
            parse_layers(bad)
