"""Two traits of the real default model in one go and each alone: the same files, byte for byte."""

from dataclasses import replace

import pytest

from personascope.artifacts import read_json
from personascope.cli.batch_job import Batch, run_batch
from personascope.cli.job import Job, contrast_named, run_job
from personascope.prompts import Protocol
from personascope.traits import Trait, load_trait

pytestmark = pytest.mark.slow

TINY = Protocol("tiny", pairs=2, questions=4, repeats=1, max_new_tokens=6)
LAYERS = (15, 17, 19)


def cut(name: str) -> Trait:
    """A trait with few texts to be tried on."""
    trait = load_trait(name)
    instructions = replace(trait.instructions, evaluate=trait.instructions.evaluate[:2])
    return replace(
        trait, instructions=instructions, questions=replace(trait.questions, evaluate=trait.questions.evaluate[:3])
    )


def test_two_traits_in_one_go_are_what_each_is_alone(tmp_path):
    traits = [cut("openness"), cut("evil")]
    settings = {"source": "rollouts", "protocol": TINY, "layers": LAYERS, "seed": 0, "calibrate": True}
    run_batch("smollm2-135m", Batch(traits, {}, save_dir=tmp_path / "all", **settings), dtype="float32")
    trait = traits[1]
    job = Job(trait, contrast_named(trait, "rollouts", TINY), LAYERS, 0, tmp_path / "alone", trial=TINY)
    run_job("smollm2-135m", job, dtype="float32", quiet=True)
    for ending in ("vectors.npz", "analysis.json", "rollouts.jsonl", "evaluation_rollouts.jsonl"):
        ours, alone = (tmp_path / where / f"smollm2-135m_evil_{ending}" for where in ("all", "alone"))
        assert ours.read_bytes() == alone.read_bytes(), ending
    told = read_json(tmp_path / "all" / "smollm2-135m_traits.json")
    assert list(told["traits"]) == ["openness", "evil"] and told["likeness"]["layer"] == 17
