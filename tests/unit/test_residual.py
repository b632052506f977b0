"""Edits land on the block they name and leave nothing behind; blocks are found by watching, not by name."""

import pytest
import tiny_models
import torch
from torch import nn

from personascope.errors import LayerError, ModelError
from personascope.models.opening import engine_for
from personascope.models.residual import edited, find_blocks, prove_edits, reading, stopping_after, stopping_early

IDS = torch.tensor([[7, 20, 33, 41, 12]])


def forward(model):
    with torch.inference_mode():
        return model(input_ids=IDS, use_cache=False).logits


def blocks_of(model):
    return find_blocks(model, tiny_models.WIDTH, lambda: forward(model))


def hooks_of(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def streams(model, blocks):
    seen = {}
    with reading(blocks, range(len(blocks)), lambda layer, stream: seen.__setitem__(layer, stream.clone())):
        forward(model)
    return seen


@pytest.mark.parametrize("architecture", tiny_models.CONFIGS)
def test_an_edit_moves_its_layer_by_exactly_the_vector_and_no_layer_before_it(architecture):
    model = tiny_models.model(architecture)
    blocks = blocks_of(model)
    assert len(blocks) == tiny_models.LAYERS
    plain, push = streams(model, blocks), torch.randn(tiny_models.WIDTH)
    with edited(blocks, {2: lambda stream: stream + push}):
        moved = streams(model, blocks)
    for layer in (0, 1):
        assert torch.equal(moved[layer], plain[layer])
    assert torch.equal(moved[2], plain[2] + push)
    assert not torch.equal(moved[3], plain[3])
    assert hooks_of(model) == 0


def test_reading_finds_what_transformers_calls_hidden_states_but_for_the_last():
    """hidden_states[k + 1] is block k's output, save the last one, which comes after the final norm."""
    model = tiny_models.model("llama")
    blocks = blocks_of(model)
    ours = streams(model, blocks)
    with torch.inference_mode():
        theirs = model(input_ids=IDS, output_hidden_states=True, use_cache=False).hidden_states
    for layer in range(len(blocks) - 1):
        assert torch.equal(ours[layer], theirs[layer + 1])
    assert not torch.allclose(ours[len(blocks) - 1], theirs[-1])


@pytest.mark.parametrize("bad", [{9: lambda s: s}, {0: lambda s: s, -1: lambda s: s}])
def test_a_bad_layer_leaves_no_hook(bad):
    model = tiny_models.model("llama")
    with pytest.raises(LayerError, match="does not exist"), edited(blocks_of(model), bad):
        pass
    assert hooks_of(model) == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_inside_leaves_no_hook(error):
    model = tiny_models.model("llama")
    blocks = blocks_of(model)
    with pytest.raises(error), edited(blocks, {0: lambda s: s}), reading(blocks, [1], lambda *_: None):
        raise error
    assert hooks_of(model) == 0


def test_an_edit_that_never_ran_is_an_error():
    blocks = blocks_of(tiny_models.model("llama"))
    with pytest.raises(ModelError, match="never ran"), edited(blocks, {0: lambda s: s}):
        pass


def test_stopping_early_runs_no_later_block():
    model = tiny_models.model("llama")
    blocks, ran = blocks_of(model), []
    handles = [block.register_forward_hook(lambda *_, k=k: ran.append(k)) for k, block in enumerate(blocks)]
    with stopping_after(blocks[1]):
        stopping_early(lambda: forward(model))
    for handle in handles:
        handle.remove()
    assert ran == [0, 1] and hooks_of(model) == 0


def test_a_longer_list_that_does_not_run_is_not_taken_for_the_blocks():
    """A vision tower, say: more modules than the decoder has, and idle on text."""
    model = tiny_models.model("llama")
    model.tower = nn.ModuleList([nn.Linear(tiny_models.WIDTH, tiny_models.WIDTH) for _ in range(9)])
    assert blocks_of(model) == list(model.model.layers)


def test_a_model_without_blocks_is_refused():
    flat = nn.Sequential(nn.Embedding(50, tiny_models.WIDTH), nn.Linear(tiny_models.WIDTH, 50))
    with pytest.raises(ModelError, match="no decoder blocks"):
        find_blocks(flat, tiny_models.WIDTH, lambda: flat(IDS))


def test_an_edit_that_does_not_reach_the_logits_is_refused():
    model = tiny_models.model("llama")
    with pytest.raises(ModelError, match="does not reach the logits"):
        prove_edits(blocks_of(model), lambda: forward(model) * 0)


def test_opening_leaves_no_hook_and_says_what_the_model_is():
    model = tiny_models.model("gpt2")
    engine = engine_for(model, tiny_models.tokenizer(), name="tiny")
    assert hooks_of(model) == 0
    assert (engine.spec.n_layers, engine.spec.width, engine.spec.dtype) == (4, 32, "float32")
