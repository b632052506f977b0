"""An interrupted run goes on from its last whole part; what is on disk is not run again."""

from dataclasses import replace

import pytest

from personascope import gathering
from personascope.contrasts import from_replies, from_rollouts
from personascope.errors import ArtifactError, ContrastError
from personascope.gathering import gather, row_seed, without_empty
from personascope.models.opening import toy_for
from personascope.prompts import PROTOCOLS
from personascope.traits import load_trait

TRAIT = load_trait("openness")
CONTRAST = from_rollouts(TRAIT, PROTOCOLS["quick"])


def quiet(_what, _total):
    return lambda _done: None


def run(engine, stem, contrast=CONTRAST, seed=0, layers=(3, 7)):
    return gather(engine, contrast, layers=list(layers), seed=seed, stem=stem, progress=quiet)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(gathering, "PART_ROWS", 10)


class Interrupted(type(toy_for(TRAIT))):
    """Stops like Ctrl-C after some rows."""

    left = 35

    def generate(self, chats, *args, **kwargs):
        Interrupted.left -= len(chats)
        if Interrupted.left < 0:
            raise KeyboardInterrupt
        return super().generate(chats, *args, **kwargs)


def test_an_interrupted_run_goes_on_and_ends_like_an_undisturbed_one(tmp_path, small_parts):
    whole = run(toy_for(TRAIT), tmp_path / "whole")
    stopped = toy_for(TRAIT)
    stopped.__class__ = Interrupted
    Interrupted.left = 35
    with pytest.raises(KeyboardInterrupt):
        run(stopped, tmp_path / "again")
    assert not (tmp_path / "again_manifest.json").exists()
    fresh = toy_for(TRAIT)
    resumed = run(fresh, tmp_path / "again")
    assert fresh.n_forwards == len(CONTRAST.rows) - 30
    assert resumed.rollouts == whole.rollouts
    assert resumed.activations_path.read_bytes() == whole.activations_path.read_bytes()
    assert sorted(path.name for path in tmp_path.glob("again*")) == [
        "again_activations.safetensors",
        "again_manifest.json",
        "again_rollouts.jsonl",
    ]


def test_the_same_again_runs_nothing_and_another_seed_or_layer_runs_all(tmp_path):
    run(toy_for(TRAIT), tmp_path / "a")
    for asked, expected in (({}, 0), ({"seed": 1}, 80), ({"seed": 1, "layers": (3,)}, 80)):
        engine = toy_for(TRAIT)
        again = run(engine, tmp_path / "a", **asked)
        assert (engine.n_forwards, again.reused) == (expected, expected == 0)


def test_a_damaged_file_is_not_trusted(tmp_path):
    first = run(toy_for(TRAIT), tmp_path / "a")
    first.activations_path.write_bytes(first.activations_path.read_bytes()[:-8])
    engine = toy_for(TRAIT)
    assert not run(engine, tmp_path / "a").reused
    assert engine.n_forwards == len(CONTRAST.rows)


def test_rows_keep_their_order_and_seeds(tmp_path, small_parts):
    found = run(toy_for(TRAIT), tmp_path / "a").rollouts
    assert [(r.pole, r.pair, r.question, r.chat) for r in found] == [
        (r.pole, r.pair, r.question, r.chat) for r in CONTRAST.rows
    ]
    assert [r.seed for r in found] == [row_seed(0, at) for at in range(len(found))]
    assert len({r.seed for r in found}) == len(found)


def test_given_replies_are_read_not_written(tmp_path):
    contrast = from_replies(TRAIT, PROTOCOLS["quick"])
    found = run(toy_for(TRAIT), tmp_path / "a", contrast)
    assert [r.reply for r in found.rollouts] == [r.reply for r in contrast.rows]
    assert all(r.seed is None for r in found.rollouts)


def test_empty_replies_are_left_out_and_counted(tmp_path):
    found = run(toy_for(TRAIT), tmp_path / "a")
    residuals = found.activations.residuals
    assert without_empty(found, "reply_mean") == (found, "")
    residuals.n_tokens[:3] = 0
    kept, note = without_empty(found, "reply_mean")
    assert len(kept.rollouts) == len(kept.activations.residuals.n_tokens) == 76
    assert sum(row.pole == "high" for row in kept.rollouts) == 38
    assert "(2 high, 1 low)" in note
    residuals.n_tokens[:] = 0
    with pytest.raises(ContrastError, match="no question has a reply at both poles"):
        without_empty(found, "reply_mean")
    assert without_empty(found, "prompt_last") == (found, "")


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("personascope.activations.save_file", full)
    with pytest.raises(ArtifactError, match="No space left") as caught:
        run(toy_for(TRAIT), tmp_path / "a")
    assert "disk" in caught.value.hint
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.glob("*.safetensors"))


def test_a_damaged_manifest_is_made_again(tmp_path):
    run(toy_for(TRAIT), tmp_path / "a")
    (tmp_path / "a_manifest.json").write_text("{")
    assert not run(toy_for(TRAIT), tmp_path / "a").reused


def test_other_weights_under_the_same_name_are_read_anew(tmp_path):
    """A model that was trained further must not be given its old activations."""
    run(toy_for(TRAIT), tmp_path / "a")
    engine = toy_for(TRAIT)
    engine._spec = replace(engine.spec, weights="others")
    assert not run(engine, tmp_path / "a").reused


def test_a_part_without_its_rollouts_is_run_again(tmp_path, small_parts):
    stopped = toy_for(TRAIT)
    stopped.__class__ = Interrupted
    Interrupted.left = 35
    with pytest.raises(KeyboardInterrupt):
        run(stopped, tmp_path / "a")
    next(tmp_path.rglob("00001.jsonl")).unlink()
    fresh = toy_for(TRAIT)
    run(fresh, tmp_path / "a")
    assert fresh.n_forwards == len(CONTRAST.rows) - 20
