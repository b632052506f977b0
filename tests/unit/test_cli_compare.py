"""The comparison as a user meets it: verdict, table, files, JSON, mistakes."""

import json
import re
import subprocess
import sys

import pytest
import typer

from personascope.cli import compare_job
from personascope.cli.app import run as run_command
from personascope.cli.compare import compare

app = typer.Typer(pretty_exceptions_enable=False)
app.command(name="compare")(compare)
app.callback()(lambda: None)

TRAITS = "extraversion,agreeableness,evil,narcissism,neuroticism,psychopathy,sycophancy"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs `compare` in this process: exit code, what it printed, and its errors."""

    def run(*arguments, width=200):
        shared = ["--max-items", "6", "-o", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", ["personascope", "compare", *map(str, arguments), *shared])
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as stop:
            run_command(app)
            sys.exit(0)
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return run


def test_two_trained_toys_are_compared_with_their_base(run, tmp_path):
    code, out, _ = run("toy", "toy-high", "toy-low", "--traits", TRAITS)
    assert code == 0
    assert "toy-high against toy\n\nMore " in out
    assert "toy-low against toy\n\nMore " in out
    assert re.search(r"More outgoing \(extraversion\): \+0\.\d\d \[0\.\d\d, 0\.\d\d\] persona gaps\.", out)
    assert re.search(r"More reserved \(extraversion\): −0\.\d\d \[−0\.\d\d, −0\.\d\d\] persona gaps\.", out)
    assert "Furthest apart in " in out
    stem = tmp_path / "out" / "toy_vs_toy-high_compare"
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    page = stem.with_suffix(".html").read_text(encoding="utf-8")
    assert "toy-high against toy" in page
    assert 'src="http' not in page
    assert json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))["kind"] == "comparison"


def test_the_table_fits_a_narrow_terminal(run, monkeypatch):
    monkeypatch.setattr(compare_job, "write_comparison", lambda _found, _folder: {})
    code, out, _ = run("toy", "toy-high", "--traits", f"{TRAITS},conscientiousness", width=80)
    assert code == 0
    table = out.split("Furthest apart")[0]
    assert "…" not in table and "conscientiousness" in table


def test_json_is_one_object_and_nothing_else(run):
    code, out, _ = run("toy", "toy", "--traits", "extraversion,evil", "--json")
    told = json.loads(out)
    assert (code, told["base"], len(told["comparisons"])) == (0, "toy", 1)
    assert told["comparisons"][0]["identical"] is True
    assert told["comparisons"][0]["verdict"][0].startswith("Nothing differs between toy and toy")


def test_json_of_several_models_is_one_object_too(run):
    code, out, _ = run("toy", "toy-high", "toy-low", "--traits", "extraversion,evil", "--json")
    told = json.loads(out)
    assert (code, [one["tuned"]["name"] for one in told["comparisons"]]) == (0, ["toy-high", "toy-low"])
    for one in told["comparisons"]:  # two traits give six controls
        assert one["verdict"][0] == "Undecided: there are too few vectors without a trait to compare with."


@pytest.mark.parametrize(
    ("arguments", "found", "hint"),
    [
        (["toy", "toy-high", "toy-high"], "toy-high is named twice", "name each trained model once"),
        (["toy", "toy-high", "--protocol", "quik"], "there is no protocol 'quik'", "did you mean quick"),
        (["toy", "toy-high", "--traits", "evli"], "there is no trait 'evli'", "did you mean evil"),
        (["toy", "toy-high", "--traits", ","], "no trait is named", "give some, as openness,evil, or all"),
        (["toy", "toy-high", "--items", "none.csv"], "none.csv", "hint"),
    ],
)
def test_mistakes_are_told_with_a_hint(run, arguments, found, hint):
    code, _, told = run(*arguments)
    assert code == 2
    assert found in told
    assert hint in told


def test_mistakes_show_before_torch_is_imported():
    script = (
        "import sys\nfrom personascope.cli import main\nsys.argv = ['personascope', 'compare', 'toy', 'toy', 'toy']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    sys.exit(10 * ('torch' in sys.modules) + stop.code)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 2
