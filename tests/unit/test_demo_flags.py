"""The demo's choices by flags: batch, prompts, guide, and the lines that it runs."""

import builtins
import shlex

import pytest
from demo_runs import demo_runner, extract_line, recorded_lines, steer_line

from personascope.cli import demo_choices
from personascope.cli.demo_questions import DEFAULT_MODEL, several_traits
from personascope.cli.starters import CLASSIC
from personascope.cli.steering_options import read_prompts
from personascope.errors import TraitError
from personascope.traits import catalogue_names, load_trait, trait_file


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    return demo_runner(monkeypatch, capsys, tmp_path)


@pytest.fixture
def lines(monkeypatch):
    return recorded_lines(monkeypatch)


def test_a_batch_is_one_line_and_what_failed_is_told(run, lines):
    code, _, err = run("--choice", 2, "--model", "toy", "--traits", "openness,evil,neuroticism", "-o", "here")
    assert lines == [extract_line("openness,evil,neuroticism")]
    assert code == 2 and "error: nothing but silence\nhint: say something" in err


def test_flags_run_a_choice_and_ask_nothing(run, lines, monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda _lead: pytest.fail("something was asked"))
    asked = ("--model", "toy", "--save-dir", "here", "--protocol", "standard")
    assert run("--choice", 1, *asked, "--traits", "Openness", terminal=False)[0] == 0
    assert lines == [extract_line("openness", protocol="standard"), steer_line("openness")]
    lines.clear()
    assert run("--choice", 2, *asked, "--traits", "all", terminal=False)[0] == 2  # evil fails
    assert lines == [extract_line(",".join(catalogue_names()), protocol="standard")]
    assert run("--choice", 4, terminal=False)[0] == run("--choice", 5, terminal=False)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--choice", "1", "--traits", "openness,evil"], "takes a single trait, and 2 are named"),
        (["--choice", "2", "--traits", "openness,charm"], "no trait 'charm'"),
        (["--traits", "charm"], "no trait 'charm'"),
        (["--choice", "1", "--protocol", "huge"], "no protocol 'huge'"),
        (["--choice", "1", "--model", "smollm"], "did you mean smollm2-135m?"),
        (["--choice", "1", "--save-dir", "file.txt"], "no files can be put in file.txt"),
        (["--choice", "3", "--output", "file.txt"], "file.txt is there already"),
        (["--choice", "3", "--output", "file.txt/x"], "file.txt/x cannot be written"),
        (["--choice", "6"], "'--choice'"),
    ],
)
def test_a_mistaken_flag_exits_2_and_runs_nothing(run, lines, tmp_path, arguments, found):
    (tmp_path / "file.txt").write_text("mine")
    code, _, err = run(*arguments, terminal=False)
    assert code == 2 and found in err and lines == []
    assert (tmp_path / "file.txt").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_a_file_of_test_prompts_is_what_steer_reads(run, tmp_path):
    code, out, _ = run("--choice", 3, "--traits", "openness,evil", "--output", "deep/p.txt", terminal=False)
    expected = (*CLASSIC["openness"], *load_trait("openness").openers, *load_trait("evil").openers)
    assert code == 0 and read_prompts(tmp_path / "deep" / "p.txt") == expected
    assert all(f"  {prompt}\n" in out for prompt in expected)
    assert f"{len(expected)} prompts written to: deep/p.txt" in out
    assert "The same without questions: personascope demo --choice 3 --traits openness,evil --output deep/p.txt" in out
    assert "Once there are vectors" in out
    asked = f"personascope steer {DEFAULT_MODEL} --vectors persona_demo/{DEFAULT_MODEL}_openness_vectors.npz "
    assert f"{asked}--prompts deep/p.txt" in out


def test_the_guide_fits_a_screen_and_its_commands_are_those_of_the_tool(run):
    code, out, _ = run("--choice", 4, "--model", "toy", "--traits", "evil", terminal=False)
    told = out.splitlines()
    assert code == 0 and len(told) <= 24
    assert all(len(line) <= 80 for line in told if not line.startswith("    personascope"))
    verbs = [shlex.split(line)[1] for line in told if line.startswith("    personascope")]
    assert verbs == ["extract", "steer", "analyze", "profile"] and "persona_analysis/toy_evil_report.html" in out


def test_traits_are_read_with_commas_or_spaces_and_each_once(tmp_path):
    assert several_traits("evil, Openness,,evil") == ("evil", "openness")
    assert several_traits("evil openness  EVIL") == ("evil", "openness")
    mine = tmp_path / "my own.yaml"
    mine.write_text(trait_file("evil").replace("name: evil", "name: mine", 1))
    assert several_traits(str(mine)) == (str(mine),)
    assert several_traits(f"{mine},evil") == (str(mine), "evil")
    with pytest.raises(TraitError):
        several_traits(" , ")


def test_the_line_that_is_told_is_the_line_that_runs(monkeypatch, capsys, tmp_path):
    seen = []
    monkeypatch.setattr("personascope.cli.job.run_job", lambda model, job, **_: seen.append((model, job)))
    folder = tmp_path / "a folder"
    arguments = extract_line("evil", folder=str(folder), protocol="standard")
    demo_choices.run_line(*arguments)
    ((model, job),) = seen
    assert (model, job.trait.name, job.trial.name, job.save_dir) == ("toy", "evil", "standard", folder)
    told = capsys.readouterr().out.strip().removeprefix("$ ")
    assert shlex.split(told) == ["personascope", *arguments]


def test_a_batch_on_the_toy_leaves_files_and_verdicts(run, tmp_path):
    code, out, err = run("--choice", 2, "--model", "toy", "--traits", "evil,openness", terminal=False)
    assert code == 0, err
    assert "\n$ personascope extract toy --trait evil,openness --protocol quick --save-dir persona_demo\n" in out
    assert (tmp_path / "persona_demo" / "toy_traits_index.html").exists()
    assert (tmp_path / "persona_demo" / "toy_evil_report.html").exists()
