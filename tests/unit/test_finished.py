"""Which trait is finished: only one whose every file is there, whole, and of just this run."""

import shutil
from dataclasses import replace

import pytest

from personascope.artifacts import read_json, write_json
from personascope.cli.job import Job, extracted
from personascope.contrasts import from_rollouts
from personascope.errors import ArtifactError
from personascope.evaluation import evaluation_contrast
from personascope.finished import Wanted, is_finished
from personascope.models.toys import toy_for
from personascope.prompts import PROTOCOLS
from personascope.traits import load_trait

QUICK, TRAIT = PROTOCOLS["quick"], load_trait("openness")
CONTRAST, LAYERS = from_rollouts(TRAIT, QUICK), (5, 6, 7)
SPEC = toy_for(TRAIT).spec
READ = Wanted(TRAIT, CONTRAST, None, LAYERS, 0)
TRIED = replace(READ, evaluation=evaluation_contrast(TRAIT, QUICK))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two finished runs: one with a steering trial and one without."""
    folders = {}
    for what, trial in (("tried", QUICK), ("read", None)):
        folders[what] = tmp_path_factory.mktemp(what)
        job = Job(TRAIT, CONTRAST, LAYERS, 0, folders[what], trial=trial)
        extracted(toy_for(TRAIT), job, folders[what] / "x", lambda _what, _total: lambda _done: None)
    return folders


@pytest.fixture
def tried(made, tmp_path):
    """A copy to spoil, with its times."""
    shutil.copytree(made["tried"], tmp_path / "copy")
    return tmp_path / "copy" / "x"


def test_a_whole_run_is_finished_and_a_trial_more_does_no_harm(made, tried):
    assert is_finished(TRIED, SPEC, tried) and is_finished(READ, SPEC, tried)
    read = made["read"] / "x"
    assert is_finished(READ, SPEC, read) and not is_finished(TRIED, SPEC, read)
    assert not is_finished(READ, SPEC, tried.with_name("nothing"))


@pytest.mark.parametrize("ending", ["vectors.npz", "rollouts.jsonl", "activations.safetensors", "analysis.json"])
def test_a_changed_file_is_not(tried, ending):
    path = tried.with_name(f"x_{ending}")
    path.write_bytes(b"{}" if ending == "analysis.json" else path.read_bytes() + b" ")
    assert not is_finished(TRIED, SPEC, tried)


@pytest.mark.parametrize(
    "ending",
    [
        "vectors.npz", "rollouts.jsonl", "activations.safetensors", "analysis.json", "analysis.png", "report.html",
        "manifest.json", "evaluation_manifest.json",
    ],
)  # fmt: skip
def test_a_missing_file_is_not(tried, ending):
    tried.with_name(f"x_{ending}").unlink()
    assert not is_finished(TRIED, SPEC, tried)


def test_a_report_of_earlier_numbers_is_not(tried):
    analysis = tried.with_name("x_analysis.json")
    write_json(analysis, read_json(analysis))
    assert not is_finished(TRIED, SPEC, tried)


@pytest.mark.parametrize("key", ["made_by", "steering", "layer_5"])
def test_numbers_of_another_version_or_less_than_asked_are_not(tried, key):
    told = read_json(tried.with_name("x_analysis.json"))
    del told[key]
    write_json(tried.with_name("x_analysis.json"), told)
    for ending in ("report.html", "analysis.png"):
        tried.with_name(f"x_{ending}").touch()
    assert not is_finished(TRIED, SPEC, tried)


def test_another_trait_or_other_layers_are_not_and_another_plan_is_refused(tried):
    assert not is_finished(replace(TRIED, trait=replace(TRAIT, definition="Another.")), SPEC, tried)
    assert not is_finished(replace(TRIED, layers=(6, 7)), SPEC, tried)
    with pytest.raises(ArtifactError, match="seed 0 there, 1 now"):
        is_finished(replace(TRIED, seed=1), SPEC, tried)
