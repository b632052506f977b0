"""Does a baked checkpoint say what the hook says? Both are asked the same, in float32, and every logit is compared.

Two questions are kept apart: whether the bias sits where the hook adds (the hook adds just what the file holds; they
must agree to rounding), and what rounding the bias to the file's precision changed (told, not judged).

Knows engines; knows no files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personascope.errors import ModelError
from personascope.models.baking import Biases
from personascope.models.huggingface import HuggingFaceModel
from personascope.models.protocols import Chat, Sampling, Steered, Steering

_TOLERANCE = 1e-4
"""Of the largest logit: float32 kernels differ by less. The vector itself must move the logits ten times as far."""
_TOKENS = 24


@dataclass(frozen=True)
class Expected:
    """What the hook says to some chats: greedy replies, and the logits of every token of prompts and replies."""

    chats: tuple[Chat, ...]
    replies: tuple[str, ...]
    logits: tuple[Tensor, ...]
    """One a chat, [token vocabulary], on the processor, float32."""
    effect: float
    """The most that any logit is moved by the vector."""
    rounding: float
    """The most that any logit is moved by the rounding of the bias."""


@dataclass(frozen=True)
class Agreement:
    """How a checkpoint agrees with the hook; logits are compared over all tokens and the whole vocabulary."""

    n_prompts: int
    n_same_replies: int
    n_tokens: int
    n_same_tokens: int
    """Tokens after which both find the same next token likeliest."""
    logit_gap: float
    effect: float
    rounding: float


def expected(engine: HuggingFaceModel, chats: Sequence[Chat], steered: Steered, stored: Biases) -> Expected:
    """What the unbaked model says with a hook that adds just the biases that the file will hold."""
    hook = as_hook(stored)
    asked = engine.generate(chats, Sampling(_TOKENS, 0.0), seeds=[0] * len(chats), steering=[hook] * len(chats))
    replies = tuple(reply.text for reply in asked.replies)
    kept, effect, rounding = [], 0.0, 0.0
    for chat, reply in zip(chats, replies, strict=True):
        logits = _logits(engine, chat, reply, hook)
        effect = max(effect, _gap(logits, _logits(engine, chat, reply, ())))
        rounding = max(rounding, _gap(logits, _logits(engine, chat, reply, steered)))
        kept.append(logits)
    return Expected(tuple(chats), replies, tuple(kept), effect, rounding)


def as_hook(stored: Biases) -> Steered:
    """The steering that adds these at every token."""
    return (Steering(stored, 1.0, "add", "all"),)


def compared(engine: HuggingFaceModel, told: Expected) -> Agreement:
    """How the reopened checkpoint agrees. Raises ModelError where it does not say what the hook says."""
    asked = engine.generate(told.chats, Sampling(_TOKENS, 0.0), seeds=[0] * len(told.chats))
    same = sum(reply.text == theirs for reply, theirs in zip(asked.replies, told.replies, strict=True))
    gap, tokens, alike, largest = 0.0, 0, 0, 0.0
    for chat, reply, theirs in zip(told.chats, told.replies, told.logits, strict=True):
        ours = _logits(engine, chat, reply, ())
        gap, largest = max(gap, _gap(ours, theirs)), max(largest, float(theirs.abs().max()))
        tokens += len(theirs)
        alike += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    found = Agreement(len(told.chats), same, tokens, alike, gap, told.effect, told.rounding)
    # Replies may part at a tie of two tokens, which the logits then show; parting without one is a fault.
    if not gap <= min(_TOLERANCE * largest, 0.1 * told.effect) or (same < len(told.chats) and alike == tokens):
        raise ModelError(
            f"the baked checkpoint is not the steered model: logits differ by up to {gap:.2g} where the vector moves "
            f"them by {told.effect:.2g}, and {same} of {len(told.chats)} greedy replies are the same",
            hint="nothing was written; please report the model's name, or give a larger --strength",
        )
    return found


@torch.inference_mode()
def _logits(engine: HuggingFaceModel, chat: Chat, reply: str, steered: Steered) -> Tensor:
    """Of every token of the chat and its reply, [token vocabulary], on the processor."""
    ids = engine.loaded.chat_format.tokens(chat, reply).ids
    with engine.steered(steered) as model:
        device = next(model.parameters()).device
        logits: Tensor = model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits
    return logits[0].float().cpu()


def _gap(one: Tensor, other: Tensor) -> float:
    """The largest difference; NaN where either has one."""
    return float((one - other).abs().max())
