"""Must hold on any architecture: padding, batch size, prefixes and generation change no pooled value.

The oracle is the obvious way: one unpadded text at a time, all hidden states kept, a mean written out.
"""

import numpy as np
import pytest
import tiny_models
import torch

from personascope.models.chat import chat_format
from personascope.models.opening import engine_for
from personascope.models.protocols import Chat
from personascope.models.residual import find_blocks, reading
from personascope.models.running import Limits

INSTRUCTIONS = ("You are merry and talk a lot.", "You are glum.", None)
QUESTIONS = ("How are you today?", "Why?", "What would you do with a whole free day in town?")
REPLIES = ("fine", "I would walk around and look at every single thing there is.", "no idea, really")
CHATS = [Chat(question, instruction) for instruction in INSTRUCTIONS for question in QUESTIONS]
TEXTS = [REPLIES[i % 3] for i in range(len(CHATS))]
LAYERS = [0, 2, 3]


def captured(model, ids, mask=None, positions=None):
    """Block outputs [row layer token width] of a plain forward pass."""
    seen = {}
    blocks = find_blocks(model, tiny_models.WIDTH, lambda: model(input_ids=ids[:1], use_cache=False))
    with reading(blocks, LAYERS, lambda layer, stream: seen.__setitem__(layer, stream.clone())), torch.inference_mode():
        model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    return torch.stack([seen[layer] for layer in LAYERS], dim=1)


@pytest.fixture(scope="module", params=["gpt2", "llama", "gemma3"])
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def oracle(architecture):
    model, form = tiny_models.model(architecture), chat_format(tiny_models.tokenizer())
    means, lasts, norms = [], [], []
    for chat, reply in zip(CHATS, TEXTS, strict=True):
        tokens = form.tokens(chat, reply)
        stream = captured(model, torch.tensor([tokens.ids]))[0]
        reply_part = stream[:, tokens.start :]
        means.append(reply_part.mean(1).numpy())
        lasts.append(stream[:, tokens.start - 1].numpy())
        norms.append(reply_part.norm(dim=-1).mean(-1).numpy())
    return np.stack(means), np.stack(lasts), np.stack(norms)


@pytest.mark.parametrize("tokens_at_once", [80, 1000, 100_000], ids=["batch of one", "some", "all at once"])
def test_pooled_values_equal_the_oracles(architecture, oracle, tokens_at_once):
    engine = engine_for(
        tiny_models.model(architecture), tiny_models.tokenizer(), name="tiny", limits=Limits(tokens=tokens_at_once)
    )
    found = engine.residuals(CHATS, TEXTS, layers=LAYERS)
    for ours, theirs in zip((found.reply_mean, found.prompt_last, found.token_norm), oracle, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_gives_the_same_streams(architecture, side):
    """Positions counted from each text's own start make left padding exact, also where they are learned (GPT-2)."""
    model = tiny_models.model(architecture)
    texts = [torch.arange(7, 7 + n) for n in (5, 9, 12)]
    width = max(map(len, texts))
    ids, mask = torch.zeros(3, width, dtype=torch.long), torch.zeros(3, width, dtype=torch.long)
    for row, text in enumerate(texts):
        part = slice(width - len(text), width) if side == "left" else slice(0, len(text))
        ids[row, part], mask[row, part] = text, 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    padded = captured(model, ids, mask, positions)
    for row, text in enumerate(texts):
        alone = captured(model, text[None])[0]
        kept = padded[row][:, mask[row].bool()]
        torch.testing.assert_close(kept, alone, rtol=1e-4, atol=1e-4)


def test_special_tokens_in_a_reply_do_not_count():
    engine = tiny_models.engine("llama")
    with_special = engine.residuals([CHATS[0]], ["ab<|user|>c"], layers=[0])
    assert with_special.n_tokens.tolist() == [3]


def test_position_zero_does_not_count_even_where_the_reply_starts_there():
    engine = tiny_models.engine("llama")
    found = engine.residuals([Chat("a", raw=True)], ["bc"], layers=[0])
    assert found.n_tokens.tolist() == [2]
