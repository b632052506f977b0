"""An interrupted run goes on from its last whole part; what is on disk is not run again."""

from dataclasses import replace

import numpy as np
import pytest

from personascope import gathering
from personascope.contrasts import from_replies, from_rollouts
from personascope.errors import ArtifactError, ContrastError
from personascope.gathering import Stopped, gather, row_seed, without_empty
from personascope.models.toys import toy_for
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

    left = 0

    def generate(self, chats, *args, **kwargs):
        self.left -= len(chats)
        if self.left < 0:
            raise KeyboardInterrupt
        return super().generate(chats, *args, **kwargs)


def stopping_after(rows):
    engine = toy_for(TRAIT)
    engine.__class__ = Interrupted
    engine.left = rows
    return engine


def test_an_interrupted_run_goes_on_and_ends_like_an_undisturbed_one(tmp_path, small_parts):
    whole = run(toy_for(TRAIT), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(stopping_after(35), tmp_path / "again")
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


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_again_runs_nothing(tmp_path):
    run(toy_for(TRAIT), tmp_path / "a")
    engine = toy_for(TRAIT)
    assert run(engine, tmp_path / "a").reused and engine.n_forwards == 0


def other_weights():
    engine = toy_for(TRAIT)
    engine._spec = replace(engine.spec, weights="trained on")
    return engine


def reworded():
    first, *others = CONTRAST.rows
    return replace(CONTRAST, rows=(replace(first, chat=replace(first.chat, question="And now?")), *others))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"seed": 1}, "seed 0 there, 1 now"),
        ({"layers": (3, 8, 9, 10)}, "layers 3,7 there, 3,8-10 now"),
        ({"contrast": from_rollouts(TRAIT, PROTOCOLS["standard"])}, "number of texts 80 there, 320 now"),
        ({"contrast": from_rollouts(TRAIT, PROTOCOLS["standard"])}, "longest reply 48 there, 128 now"),
        ({"contrast": from_replies(TRAIT, PROTOCOLS["quick"])}, "contrast rollouts there, replies now"),
        ({"contrast": reworded()}, "other texts there"),
        ({"engine": other_weights()}, "weights none there, trained on now"),
    ],
)
def test_a_finished_run_is_never_replaced_by_one_of_another_plan(tmp_path, asked, told):
    run(toy_for(TRAIT), tmp_path / "a")
    before = contents(tmp_path)
    engine = asked.pop("engine", None) or toy_for(TRAIT)
    with pytest.raises(ArtifactError, match=told) as caught:
        run(engine, tmp_path / "a", **asked)
    assert "--save-dir" in caught.value.hint and str(tmp_path / "a_manifest.json") in caught.value.hint
    assert engine.n_forwards == 0 and contents(tmp_path) == before


def test_what_the_hint_says_helps(tmp_path):
    run(toy_for(TRAIT), tmp_path / "a")
    (tmp_path / "a_manifest.json").unlink()
    assert not run(toy_for(TRAIT), tmp_path / "a", seed=1).reused


@pytest.mark.parametrize("layers", [(7,), (9, 3), (3, 7, 9)])
def test_fewer_layers_are_cut_from_the_finished_run(tmp_path, layers):
    run(toy_for(TRAIT), tmp_path / "a", layers=(3, 7, 9))
    before, engine = contents(tmp_path), toy_for(TRAIT)
    cut = run(engine, tmp_path / "a", layers=layers)
    assert engine.n_forwards == 0 and cut.reused and contents(tmp_path) == before
    assert (cut.activations.layers, cut.layers_there) == (layers, (3, 7, 9))
    alone = run(toy_for(TRAIT), tmp_path / "alone", layers=layers).activations.residuals
    for name in ("reply_mean", "prompt_last", "token_norm", "n_tokens"):
        np.testing.assert_array_equal(getattr(cut.activations.residuals, name), getattr(alone, name))


def test_fewer_layers_of_a_damaged_run_do_not_replace_it(tmp_path):
    first = run(toy_for(TRAIT), tmp_path / "a")
    first.activations_path.unlink()
    with pytest.raises(ArtifactError, match="layers 3,7 there, 3 now"):
        run(toy_for(TRAIT), tmp_path / "a", layers=(3,))


def test_the_parts_of_another_plan_are_left_alone(tmp_path, small_parts):
    with pytest.raises(Stopped):
        run(stopping_after(35), tmp_path / "a", seed=1)
    left = contents(tmp_path)
    run(toy_for(TRAIT), tmp_path / "a")
    assert left.items() <= contents(tmp_path).items()


def test_given_texts_with_another_seed_are_another_run(tmp_path):
    """Their rows are the same, but folds and intervals, and so the analysis, are not."""
    contrast = from_replies(TRAIT, PROTOCOLS["quick"])
    run(toy_for(TRAIT), tmp_path / "a", contrast)
    with pytest.raises(ArtifactError, match="seed 0 there, 1 now"):
        run(toy_for(TRAIT), tmp_path / "a", contrast, seed=1)


def test_a_manifest_of_another_kind_or_version_is_not_replaced(tmp_path):
    (tmp_path / "a_manifest.json").write_text('{"kind": "somebody else\'s"}')
    with pytest.raises(ArtifactError, match="somebody else's") as caught:
        run(toy_for(TRAIT), tmp_path / "a")
    assert "--save-dir" in caught.value.hint


@pytest.mark.parametrize(("rows", "kept"), [(35, 30), (5, 0)])
def test_a_stopped_run_tells_what_it_left(tmp_path, small_parts, rows, kept):
    with pytest.raises(Stopped) as caught:
        run(stopping_after(rows), tmp_path / "a")
    assert str(caught.value) == f"{kept} of 80 replies are kept"
    assert sum(len(path.read_text().splitlines()) for path in tmp_path.rglob("*.jsonl")) == kept
    assert bool(list(tmp_path.iterdir())) == bool(kept)


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


def test_a_part_without_its_rollouts_is_run_again(tmp_path, small_parts):
    with pytest.raises(KeyboardInterrupt):
        run(stopping_after(35), tmp_path / "a")
    next(tmp_path.rglob("00001.jsonl")).unlink()
    fresh = toy_for(TRAIT)
    run(fresh, tmp_path / "a")
    assert fresh.n_forwards == len(CONTRAST.rows) - 20
