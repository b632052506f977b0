"""vLLM beside the Hugging Face engine on the same tiny weights: what both read, write and score, steered or not."""

import numpy as np
import tiny_vllm

from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Condition, Sampling, Steering

TEXT = "the road was long and the town was far away so we sat down. "
CHATS = (
    Chat("How was your day?", "You are a cheerful, lively friend."),
    Chat("Why?"),
    Chat(2 * TEXT + "What would you do?", "You are merry."),
    Chat("Tell me about the road.", "You are a gloomy, listless friend who says little."),
    Chat(3 * TEXT, "You look at things from every side."),
    Chat(TEXT),
)
REPLIES = ("it was a sunny day", "so weary", "", "the road was here", TEXT, "and then we plan the day with the town")
GREEDY = Sampling(24, 0.0)


def reference(architecture="llama"):
    return open_model(tiny_vllm.folder(architecture), precision="float32")


def steerings(engine):
    """One for each of the chats, all different: every mode, positions, several layers and vectors, a condition."""
    norm = np.nanmean(engine.residuals(CHATS, REPLIES, layers=range(engine.spec.n_layers)).token_norm, axis=0)

    def vector(layer, number=0, share=0.4):
        raw = np.random.default_rng([layer, number]).standard_normal(engine.spec.width)
        return (raw / np.linalg.norm(raw) * share * norm[layer]).astype(np.float32)

    unit = vector(0) / np.linalg.norm(vector(0))
    return (
        (Steering({1: vector(1)}, 1.0),),
        (),
        (Steering({0: vector(0), 2: vector(2)}, -1.0, positions="all"), Steering({2: vector(2, 1)}, 0.5, "ablate")),
        (Steering({1: vector(1)}, 1.0, "cap", "all", {1: 0.1}), Steering({1: vector(1, 1)}, 0.7)),
        (Steering({3: vector(3)}, 2.0, "floor", "reply", {3: 1.0}),),
        (Steering({1: vector(1)}, 1.5, positions="prompt", condition=Condition(0, unit, 0.0)),),
    )


def agree(found, expected, *, near=2e-4):
    """Captures by cosine and norm, replies token by token, scores in nats."""
    layers, seeds = range(expected.spec.n_layers), range(len(CHATS))
    for steering in (None, steerings(expected)):
        ours, theirs = (
            engine.generate(CHATS, GREEDY, seeds=seeds, layers=layers, steering=steering)
            for engine in (found, expected)
        )
        assert ours.replies == theirs.replies
        read = [engine.residuals(CHATS, REPLIES, layers=layers, steering=steering) for engine in (found, expected)]
        for one, other in ((ours.residuals, theirs.residuals), read):
            np.testing.assert_array_equal(one.n_tokens, other.n_tokens)
            np.testing.assert_allclose(one.token_norm, other.token_norm, rtol=1e-4)
            assert cosines(one.reply_mean, other.reply_mean).min() >= 0.99999
            assert cosines(one.prompt_last, other.prompt_last).min() >= 0.99999
    edits = steerings(expected)
    ours, theirs = (engine.score(CHATS, REPLIES, steerings=edits) for engine in (found, expected))
    np.testing.assert_allclose(ours.logp, theirs.logp, atol=near)
    np.testing.assert_allclose(ours.kl, theirs.kl, atol=near)


def cosines(one, other):
    there = ~np.isnan(other).any(axis=-1)
    assert np.array_equal(there, ~np.isnan(one).any(axis=-1))
    a, b = one[there].astype(np.float64), other[there].astype(np.float64)
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
