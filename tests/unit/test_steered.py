"""Steering on torch: hooks come and go, gradients flow, a pass may start in the middle."""

from itertools import pairwise

import numpy as np
import pytest
import tiny_models
import torch

from personascope.errors import LayerError, SteeringError
from personascope.models.protocols import Chat, Sampling, Steering
from personascope.models.residual import bears_resuming, reading, resuming_after

IDS = torch.tensor([[11, 12, 13, 14, 15, 16]])


def vector(scale=1.0, seed=0):
    return (scale * np.random.default_rng(seed).standard_normal(tiny_models.WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def engine():
    return tiny_models.engine("llama")


def hooks(engine):
    return [len(block._forward_hooks) for block in engine._loaded.blocks]


def streams(engine):
    found = {}
    blocks = engine._loaded.blocks
    with torch.no_grad(), reading(blocks, range(len(blocks)), lambda k, s: found.__setitem__(k, s.clone())):
        logits = engine._loaded.model(input_ids=IDS).logits
    return found, logits


def test_the_module_is_steered_at_every_token_while_the_context_is_open(engine):
    plain, logits = streams(engine)
    before = hooks(engine)
    with engine.steered([Steering({1: vector()}, 2.0, positions="all")]):
        pushed, moved = streams(engine)
    assert torch.equal(pushed[0], plain[0])
    torch.testing.assert_close(pushed[1], plain[1] + 2 * torch.from_numpy(vector()))
    assert not torch.equal(moved, logits)
    assert hooks(engine) == before
    assert torch.equal(streams(engine)[1], logits)


def test_gradients_flow_through_steering(engine):
    model = engine._loaded.model
    weight = engine._loaded.blocks[0].mlp.down_proj.weight
    gradients = {}
    for mode in ("add", "ablate", "cap"):
        thresholds = {1: -100.0} if mode == "cap" else {}
        with engine.steered([Steering({1: vector()}, 1.0, mode, "all", thresholds)]) as module:
            assert module is model
            loss = module(input_ids=IDS).logits.square().mean()
            gradients[mode] = torch.autograd.grad(loss, weight)[0]
    plain = torch.autograd.grad(model(input_ids=IDS).logits.square().mean(), weight)[0]
    assert all(torch.isfinite(found).all() and not torch.allclose(found, plain) for found in gradients.values())


@pytest.mark.parametrize("positions", ["reply", "prompt"])
def test_a_bare_forward_pass_knows_no_reply(engine, positions):
    with (
        pytest.raises(SteeringError, match="where replies start"),
        engine.steered([Steering({1: vector()}, positions=positions)]),
    ):
        pass


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["context", "generate", "score"])
def test_an_exception_leaves_no_hook(engine, error, where):
    before = hooks(engine)

    def stop(*_args):
        raise error

    steering = (Steering({1: vector()}, positions="all"),)
    with pytest.raises(error):
        if where == "context":
            with engine.steered(steering):
                stop()
        elif where == "generate":
            engine.generate([Chat("one")], Sampling(8), seeds=[1], steering=[steering], listen=stop)
        else:
            engine.score([Chat("one")], ["two"], steerings=[steering], tick=stop)
    assert hooks(engine) == before


def test_a_bad_layer_leaves_no_hook(engine):
    before = hooks(engine)
    with pytest.raises(LayerError), engine.steered([Steering({0: vector(), 9: vector()}, positions="all")]):
        pass
    assert hooks(engine) == before


@pytest.mark.parametrize("architecture", tiny_models.CONFIGS)
def test_a_pass_may_start_behind_any_block(architecture):
    engine = tiny_models.engine(architecture)
    blocks = engine._loaded.blocks
    plain, logits = streams(engine)
    for layer in range(len(blocks)):
        ran = set()
        inner = [part.register_forward_hook(lambda part, *_, to=ran: to.add(part)) for part in blocks[layer].children()]
        with torch.no_grad(), resuming_after(blocks, layer, plain[layer]):
            again = engine._loaded.model(input_ids=IDS).logits
        for handle in inner:
            handle.remove()
        assert torch.equal(again, logits)
        assert not ran
    assert all("forward" not in block.__dict__ for block in blocks)


def test_a_model_whose_later_blocks_do_not_take_the_stream_cannot_be_resumed(engine):
    blocks = engine._loaded.blocks
    calls = []

    def logits():
        calls.append(1)
        with torch.no_grad():
            return engine._loaded.model(input_ids=IDS).logits + len(calls)

    assert not bears_resuming(blocks, logits)
    assert engine._loaded.resumes


def test_what_was_put_in_place_of_a_forward_comes_back(engine):
    block = engine._loaded.blocks[0]
    own = block.forward
    block.forward = own
    with resuming_after(engine._loaded.blocks, 0, torch.zeros(1, 6, tiny_models.WIDTH)):
        assert block.forward is not own
    assert block.__dict__["forward"] is own
    del block.forward


def test_a_reply_is_heard_as_it_is_written(engine):
    heard = []
    chats = [Chat("How are you?"), Chat("And you, what have you been doing all day?"), Chat("Why?")]
    made = engine.generate(chats, Sampling(9), seeds=[1, 2, 3], listen=lambda row, text: heard.append((row, text)))
    for row, reply in enumerate(made.replies):
        told = [text for at, text in heard if at == row]
        assert len(told) == reply.n_tokens
        assert all(later.startswith(sooner) for sooner, later in pairwise(told))
        assert (told or [""])[-1] == reply.text
