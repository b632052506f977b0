"""`personascope check`: sound engines pass, an engine with one fault fails just the law that it breaks."""

from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import torch

from personascope.check_bench import CHATS, REPLIES, bench_for, distance
from personascope.errors import ContrastError, LayerError
from personascope.models import scoring
from personascope.models.opening import engine_for
from personascope.models.protocols import Scores
from personascope.models.running import Runner
from personascope.models.toy import Planted, ToyModel
from personascope.self_check import LAWS, engine_checks, prompt_once

SMALL = Planted(n_layers=4, width=8, layer=2)
NAMES = [name for name, _, _ in LAWS]


def failed(engine):
    return [one.name for one in engine_checks(bench_for(engine)) if not one.passed]


def moved(residuals, by):
    return replace(residuals, reply_mean=residuals.reply_mean + by, prompt_last=residuals.prompt_last + by)


def changed(steering, change):
    return steering and [tuple(change(edit) for edit in steered) for steered in steering]


class Faulty(ToyModel):
    """A sound toy, to be spoilt in one place."""

    def __init__(self):
        super().__init__(SMALL)


class ZeroIsSomething(Faulty):
    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        some = changed(steering, lambda edit: replace(edit, strength=edit.strength or 1e-4))
        return super().residuals(chats, replies, layers=layers, steering=some, tick=tick)


class ZeroIsAnotherDraw(Faulty):
    def generate(self, chats, sampling, *, seeds, layers=None, steering=None, tick=None, listen=None):
        return super().generate(chats, sampling, seeds=[seed + bool(steering) for seed in seeds], layers=layers)


class LandsElsewhere(Faulty):
    step = 1

    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        def shift(edit):
            n = self.spec.n_layers
            places = {k if k >= n else min(max(k + self.step, 0), n - 1): v for k, v in edit.directions.items()}
            return replace(edit, directions=places, thresholds=dict.fromkeys(places, 0.0))

        return super().residuals(chats, replies, layers=layers, steering=changed(steering, shift), tick=tick)


class LandsEarlier(LandsElsewhere):
    step = -1


class LandsHalf(Faulty):
    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        half = changed(steering, lambda edit: replace(edit, strength=0.999 * edit.strength))
        return super().residuals(chats, replies, layers=layers, steering=half, tick=tick)


class StaysAtItsLayer(Faulty):
    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        found = super().residuals(chats, replies, layers=layers, steering=steering, tick=tick)
        if not steering or not any(steering) or len(layers) == self.spec.n_layers:
            return found
        edited = [layer for steered in steering for edit in steered for layer in edit.directions]
        plain = super().residuals(chats, replies, layers=layers)
        for at, layer in enumerate(layers):
            if layer > max(edited):
                found.reply_mean[:, at], found.prompt_last[:, at] = plain.reply_mean[:, at], plain.prompt_last[:, at]
        return found


class KnowsItsBatch(Faulty):
    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        found = super().residuals(chats, replies, layers=layers, steering=steering, tick=tick)
        return moved(found, 1e-2 if len(chats) == 1 else 0.0)


class ReadsOtherwiseWhileWriting(Faulty):
    def generate(self, chats, sampling, *, seeds, layers=None, steering=None, tick=None, listen=None):
        made = super().generate(chats, sampling, seeds=seeds, layers=layers, steering=steering)
        return replace(made, residuals=made.residuals and moved(made.residuals, 1e-2))


class ReadsNothingWhileWriting(Faulty):
    def generate(self, chats, sampling, *, seeds, layers=None, steering=None, tick=None, listen=None):
        return super().generate(chats, sampling, seeds=seeds, steering=steering)


class WritesUnsteered(Faulty):
    """Only what is read while writing knows of the steering: the lesson of a call path that ran silently unsteered."""

    def generate(self, chats, sampling, *, seeds, layers=None, steering=None, tick=None, listen=None):
        made = super().generate(chats, sampling, seeds=seeds)
        texts = [reply.text for reply in made.replies]
        return replace(made, residuals=layers and self.residuals(chats, texts, layers=layers, steering=steering))


class OneStrengthForAll(Faulty):
    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        first = steering and [steering[0]] * len(steering) if len({id(chat) for chat in chats}) == 1 else steering
        return super().residuals(chats, replies, layers=layers, steering=first, tick=tick)


class ShuffledRows(Faulty):
    def generate(self, chats, sampling, *, seeds, layers=None, steering=None, tick=None, listen=None):
        of_one_chat = steering and len({id(chat) for chat in chats}) == 1
        turned = [seed + at for at, seed in enumerate(seeds)] if of_one_chat else seeds
        return super().generate(chats, sampling, seeds=turned, layers=layers, steering=steering)


class SharesTooMuch(Faulty):
    def score(self, chats, replies, *, steerings, most_tokens=None, tick=None):
        found = super().score(chats, replies, steerings=steerings, most_tokens=most_tokens, tick=tick)
        alone = all(any(edit.positions == "all" for edit in steered) for steered in steerings)
        return Scores(found.logp + np.float32(0 if alone else 0.01), found.kl)


class ScoresUnsteered(Faulty):
    def score(self, chats, replies, *, steerings, most_tokens=None, tick=None):
        return super().score(chats, replies, steerings=[()] * len(steerings), most_tokens=most_tokens)


class LosesTokens(Faulty):
    def score(self, chats, replies, *, steerings, most_tokens=None, tick=None):
        found = super().score(chats, replies, steerings=steerings, most_tokens=most_tokens, tick=tick)
        if len(steerings[0]) == 1:
            found.logp[0, 0, 0] = np.nan
        return found


class TakesAnyLayer(Faulty):
    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        known = changed(steering, lambda edit: edit)
        known = known and [tuple(e for e in steered if max(e.directions) < SMALL.n_layers) for steered in known]
        return super().residuals(chats, replies, layers=layers, steering=known, tick=tick)


class StaysSteered(Faulty):
    left = 0.0

    def residuals(self, chats, replies, *, layers, steering=None, tick=None):
        try:
            return moved(super().residuals(chats, replies, layers=layers, steering=steering, tick=tick), self.left)
        except LayerError:
            self.left = 1e-4
            raise


class CannotScore(Faulty):
    def score(self, chats, replies, *, steerings, most_tokens=None, tick=None):
        raise ContrastError("no text fits", hint="shorten it")


@pytest.mark.parametrize("engine", [ToyModel, Faulty, lambda: tiny_models.engine("llama")], ids=["toy", "small", "hf"])
def test_a_sound_engine_passes_every_law(engine):
    checks = list(engine_checks(bench_for(engine())))
    assert [one.name for one in checks] == NAMES
    assert all(one.passed for one in checks), checks
    assert all(one.measured and one.hint for one in checks)


@pytest.mark.parametrize("architecture", ["gpt2", "gemma3", "qwen3"])
def test_a_model_in_half_precision_passes_by_its_own_rounding(architecture):
    model = tiny_models.model(architecture).to(torch.bfloat16)
    engine = engine_for(model, tiny_models.tokenizer(), name="tiny")
    assert failed(engine) == []


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        (ZeroIsSomething, "strength 0 is no steering"),
        (ZeroIsAnotherDraw, "strength 0 is no steering"),
        (LandsElsewhere, "an edit lands at its block"),
        (LandsEarlier, "an edit lands at its block"),
        (LandsHalf, "an edit lands at its block"),
        (StaysAtItsLayer, "an edit lands at its block"),
        (KnowsItsBatch, "batches change no reading"),
        (ReadsOtherwiseWhileWriting, "replies read twice are the same"),
        (ReadsNothingWhileWriting, "replies read twice are the same"),
        (OneStrengthForAll, "each row has its own strength"),
        (ShuffledRows, "each row has its own strength"),
        (SharesTooMuch, "one prompt serves all strengths"),
        (LosesTokens, "one prompt serves all strengths"),
        (WritesUnsteered, "steering reaches the replies"),
        (ScoresUnsteered, "steering reaches the replies"),
        (TakesAnyLayer, "nothing is left behind"),
        (StaysSteered, "nothing is left behind"),
    ],
)
def test_a_fault_fails_the_law_that_it_breaks(engine, name):
    assert name in failed(engine())


@pytest.mark.parametrize(
    "engine",
    [StaysAtItsLayer, WritesUnsteered, SharesTooMuch, ScoresUnsteered, LosesTokens, TakesAnyLayer, StaysSteered],
)
def test_a_fault_fails_no_other_law(engine):
    assert len(failed(engine())) == 1


def test_an_error_that_a_law_meets_is_told_with_its_hint():
    checks = {one.name: one for one in engine_checks(bench_for(CannotScore()))}
    found = checks["one prompt serves all strengths"]
    assert found.passed is False and found.measured == "no text fits" and found.hint == "shorten it"
    assert checks["nothing is left behind"].passed


def test_a_hook_left_on_the_model_is_counted():
    engine = tiny_models.engine("llama")
    bench = bench_for(engine)
    with engine.steered(()) as module:
        handle = module.register_forward_hook(lambda *_: None)
    (last,) = [one for one in engine_checks(bench) if one.passed is False]
    assert last.name == "nothing is left behind" and "1 hooks more" in last.measured
    handle.remove()


def test_whole_passes_share_no_prompt_and_start_at_the_first_block(monkeypatch):
    shared, resumed = [], []
    run_prefixes, resume = Runner.run_prefixes, scoring.resuming_after

    def counted(self, rows):
        shared.append(any(row.prefix for row in rows))
        return run_prefixes(self, rows)

    def noted(blocks, layer, stream):
        resumed.append(layer)
        return resume(blocks, layer, stream)

    bench = bench_for(tiny_models.engine("llama"))
    monkeypatch.setattr(Runner, "run_prefixes", counted)
    monkeypatch.setattr(scoring, "resuming_after", noted)
    passed, _ = prompt_once(bench)
    assert passed and shared == [True, False]
    assert resumed[:3] == [0, 2, 3] and set(resumed[3:]) == {0}


def test_the_texts_pad_share_a_beginning_and_have_a_lone_one():
    instructions = [chat.instruction for chat in CHATS]
    assert len(CHATS) == len(REPLIES) == 6 and len(set(CHATS)) == 6
    assert any(instructions.count(one) > 1 for one in instructions if one) and None in instructions
    assert (
        len({len(chat.question.split()) + len(reply.split()) for chat, reply in zip(CHATS, REPLIES, strict=True)}) > 3
    )


def test_a_residual_that_is_missing_on_one_side_is_far_away():
    plain = bench_for(Faulty()).plain
    gone = replace(plain, reply_mean=np.where(np.arange(6)[:, None, None] == 2, np.nan, plain.reply_mean))
    assert distance(gone, plain) == distance(plain, gone) == float("inf")
    assert distance(gone, gone) == distance(plain, plain) == 0.0
