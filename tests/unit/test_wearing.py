"""An adapter and its base over the same weights: each engine is what it would be alone, whatever ran before."""

from functools import partial

import numpy as np
import peft
import pytest
import tiny_adapters
import torch

from personascope.errors import ModelError
from personascope.models import running
from personascope.models.opening import engine_for, open_tuned
from personascope.models.opening import open_model as opened_model
from personascope.models.protocols import Chat, Sampling, Steering

CHATS = [
    Chat("who are you?", "be kind"),
    Chat("who are you?", "be rude"),
    Chat("2 + 2", None),
    Chat("a b c", "be kind"),
]
REPLIES = ["a friend", "none of it", "4", "d e f g"]
LAYERS = [0, 1, 2, 3]
SAMPLING = Sampling(6)

open_model = partial(opened_model, precision="float32")
"""Also on a processor that is quick at bfloat16: what is compared here agrees to the last digits."""


def asked(engine):
    """What each public way of asking an engine gives, as arrays."""
    read = engine.residuals(CHATS, REPLIES, layers=LAYERS)
    push = np.cos(np.arange(engine.spec.width)).astype(np.float32)
    steer = (Steering({1: push}, 1.0),)
    score = engine.score(CHATS, REPLIES, steerings=[(), steer])
    wrote = engine.generate(CHATS, SAMPLING, seeds=[1, 2, 3, 4], layers=LAYERS, steering=[(), steer, (), steer])
    weights = np.ones(len(CHATS), np.float32)
    slope = engine.sensitivity(CHATS, REPLIES, weights=weights, layers=LAYERS)
    words = np.array([ord(letter) for reply in wrote.replies for letter in reply.text])
    return [read.reply_mean, read.prompt_last, score.logp, score.kl, wrote.residuals.reply_mean, slope, words]


def same(one, other):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


def close(one, other, most=1e-4):
    """Apart by no more than `most` of the largest, or of 1."""
    return all(
        np.allclose(a, b, rtol=most, atol=most * max(1, np.nanmax(np.abs(b))), equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )


def all_unlike(one, other):
    return all(
        a.shape != b.shape or not np.allclose(a, b, 1e-2, equal_nan=True)
        for a, b in zip(one[:6], other[:6], strict=True)
    )


@pytest.fixture(params=["llama", "gpt2"])
def base(request, tmp_path):
    return tiny_adapters.saved_base(tmp_path / "base", request.param), request.param


@pytest.fixture
def llama(tmp_path):
    return tiny_adapters.saved_base(tmp_path / "base")


def test_base_and_two_adapters_are_each_what_they_are_alone(base, tmp_path):
    folder, kind = base
    one, two = (
        tiny_adapters.saved_adapter(tmp_path / f"a{seed}", folder, architecture=kind, seed=seed) for seed in (0, 1)
    )
    engine = open_model(folder)
    before, spec = asked(engine), engine.spec
    tuned = [open_tuned(engine, name) for name in (one, two)]
    assert same(asked(engine), before)
    first, second = asked(tuned[0]), asked(tuned[1])
    assert same(asked(engine), before) and engine.spec == spec
    assert same(asked(tuned[0]), first) and same(asked(tuned[1]), second) and same(asked(engine), before)
    assert all_unlike(first, before) and all_unlike(second, before) and all_unlike(first, second)
    for name, together in ((one, first), (two, second)):
        assert same(asked(open_model(name)), together)


def test_a_base_may_itself_be_an_adapter_and_wears_its_own_alone(llama, tmp_path):
    one, two = (tiny_adapters.saved_adapter(tmp_path / f"a{seed}", llama, seed=seed) for seed in (0, 1))
    base = open_model(one)
    tuned = open_tuned(base, two)
    assert same(asked(tuned), asked(open_model(two)))
    assert same(asked(base), asked(open_model(one)))


def test_the_weights_are_in_memory_once(llama, tmp_path):
    engine = open_model(llama)
    n_base = sum(weight.numel() for weight in engine.loaded.model.parameters())
    tuned = open_tuned(engine, tiny_adapters.saved_adapter(tmp_path / "a", llama, r=1))
    assert tuned.loaded.model is engine.loaded.model
    held = {weight.untyped_storage().data_ptr(): weight.numel() for weight in tuned.loaded.model.parameters()}
    assert sum(held.values()) < 1.15 * n_base


def test_merged_and_worn_are_the_same(base, tmp_path):
    folder, kind = base
    name = tiny_adapters.saved_adapter(tmp_path / "a", folder, architecture=kind, lora_alpha=16, use_rslora=True)
    worn = open_model(name)
    merged = tiny_adapters.as_peft_has_it(folder, name).merge_and_unload()
    whole = engine_for(merged, worn.loaded.chat_format.tokenizer, name="merged")
    ours, theirs = asked(worn), asked(whole)
    assert close(ours, theirs)
    ids = torch.arange(10, 30)[None]
    with worn.steered(()) as module, torch.no_grad():
        assert torch.allclose(module(ids).logits, merged(ids).logits, atol=1e-4, rtol=1e-4)


KINDS = {
    "dora": peft.LoraConfig(task_type="CAUSAL_LM", r=4, use_dora=True, target_modules=["q_proj", "down_proj"]),
    "ia3": peft.IA3Config(
        task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]
    ),
    "loha": peft.LoHaConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"]),
    "lokr": peft.LoKrConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"]),
    "oft": peft.OFTConfig(task_type="CAUSAL_LM", oft_block_size=8, target_modules=["q_proj", "v_proj"]),
    "layer norms": peft.LNTuningConfig(task_type="CAUSAL_LM", target_modules=["input_layernorm"]),
    "whole head": peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "embedding": peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["embed_tokens", "q_proj"]),
    "tokens": peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"], trainable_token_indices=[3, 40]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_of_many_kinds_are_switched_whole(llama, tmp_path, kind):
    name = tiny_adapters.saved_tuned(tmp_path / "a", KINDS[kind], llama)
    engine = open_model(llama)
    before = asked(engine)
    tuned = open_tuned(engine, name)
    found = asked(tuned)
    assert same(asked(engine), before) and not same(found, before) and same(asked(tuned), found)
    module = tiny_adapters.as_peft_has_it(llama, name).get_base_model()
    theirs = engine_for(module, engine.loaded.chat_format.tokenizer, name="theirs")
    assert close(found, asked(theirs), 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_of_many_kinds_go_on_a_base_in_bfloat16(llama, tmp_path, kind):
    name = tiny_adapters.saved_tuned(tmp_path / "a", KINDS[kind], llama)
    whole = asked(open_model(name))
    engine = opened_model(llama, precision="bfloat16")
    before = asked(engine)
    found = asked(open_tuned(engine, name))
    assert same(asked(engine), before) and not same(found, before)
    for ours, theirs in zip(found[:2], whole[:2], strict=True):
        assert np.linalg.norm(ours - theirs) < 0.05 * np.linalg.norm(theirs)


def test_gradients_are_asked_of_the_weights_as_before(llama, tmp_path):
    engine = open_model(llama)
    flags = [weight.requires_grad for weight in engine.loaded.model.parameters()]
    own = list(engine.loaded.model.parameters())
    tuned = open_tuned(engine, tiny_adapters.saved_adapter(tmp_path / "a", llama))
    with tuned.steered(()) as module:
        assert [weight.requires_grad for weight in own] == flags
        assert {weight.requires_grad for name, weight in module.named_parameters() if "lora" in name} == {False}


class Stop(BaseException):
    """As Ctrl-C, which is no Exception."""


def test_an_interrupted_engine_leaves_nothing_on(llama, tmp_path, monkeypatch):
    engine = open_model(llama)
    tuned = open_tuned(engine, tiny_adapters.saved_adapter(tmp_path / "a", llama))
    ids = torch.arange(10, 20)[None]
    plain = engine.loaded.model(ids).logits

    def stop(*_args):
        assert not torch.equal(engine.loaded.model(ids).logits, plain), "the adapter is on while its engine runs"
        raise Stop

    monkeypatch.setattr(running.Runner, "run_prefixes", stop)
    for ask in (
        lambda: tuned.residuals(CHATS, REPLIES, layers=LAYERS),
        lambda: tuned.generate(CHATS, SAMPLING, seeds=[1, 2, 3, 4]),
        lambda: tuned.score(CHATS, REPLIES, steerings=[()]),
        lambda: tuned.sensitivity(CHATS, REPLIES, weights=np.ones(4, np.float32), layers=LAYERS),
    ):
        with pytest.raises(Stop):
            ask()
        assert torch.equal(engine.loaded.model(ids).logits, plain)
    with pytest.raises(Stop), tuned.steered(()) as module:
        stop(module)
    assert torch.equal(engine.loaded.model(ids).logits, plain)


def test_an_engine_asked_while_another_runs_is_itself_and_gives_back(llama, tmp_path):
    engine = open_model(llama)
    tuned = open_tuned(engine, tiny_adapters.saved_adapter(tmp_path / "a", llama))
    plain, changed = (one.residuals(CHATS, REPLIES, layers=LAYERS).reply_mean for one in (engine, tuned))
    ids = torch.arange(10, 20)[None]
    with tuned.steered(()) as module, torch.no_grad():
        on = module(ids).logits
        assert np.array_equal(engine.residuals(CHATS, REPLIES, layers=LAYERS).reply_mean, plain)
        assert torch.equal(module(ids).logits, on)
    heard = []

    def listen(_row, _text):
        heard.append(engine.residuals(CHATS, REPLIES, layers=LAYERS).reply_mean)

    alone = tuned.generate(CHATS[:1], SAMPLING, seeds=[5]).replies
    assert tuned.generate(CHATS[:1], SAMPLING, seeds=[5], listen=listen).replies == alone
    assert heard and all(np.array_equal(one, plain) for one in heard)
    assert np.array_equal(tuned.residuals(CHATS, REPLIES, layers=LAYERS).reply_mean, changed)


def test_engines_may_close_in_the_order_they_opened_in(llama, tmp_path):
    engine = open_model(llama)
    tuned = open_tuned(engine, tiny_adapters.saved_adapter(tmp_path / "a", llama))
    ids = torch.arange(10, 20)[None]
    plain = engine.loaded.model(ids).logits
    first, second = engine.steered(()), tuned.steered(())
    first.__enter__()
    module = second.__enter__()
    on = module(ids).logits
    first.__exit__(None, None, None)
    assert torch.equal(module(ids).logits, on) and not torch.equal(on, plain)
    second.__exit__(None, None, None)
    assert torch.equal(module(ids).logits, plain)


def test_an_adapter_of_another_kind_wants_a_base_of_its_own(llama, tmp_path):
    engine = open_model(llama)
    open_tuned(engine, tiny_adapters.saved_adapter(tmp_path / "a", llama))
    before = asked(engine)
    other = tiny_adapters.saved_tuned(tmp_path / "b", KINDS["ia3"], llama)
    with pytest.raises(ModelError, match="of kind IA3") as caught:
        open_tuned(engine, other)
    assert "open_model" in caught.value.hint and same(asked(engine), before)
    assert open_model(other).spec.adapter
