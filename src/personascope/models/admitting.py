"""What an engine over token ids makes of chats before it runs them: tokens that fit, steerings that can be placed.

Knows tokens and steerings; knows neither torch nor an engine.
"""

from collections.abc import Sequence

from personascope.errors import ContrastError, SteeringError
from personascope.models.chat import ChatFormat, Tokens
from personascope.models.protocols import Chat, ModelSpec, Steered
from personascope.steering import check_steered


def tokens_of(form: ChatFormat, chats: Sequence[Chat], replies: Sequence[str], most: int | None = None) -> list[Tokens]:
    """Prompts with their replies, cut to at most so many tokens of the reply."""
    whole = [form.tokens(chat, reply) for chat, reply in zip(chats, replies, strict=True)]
    return whole if most is None else [Tokens(tokens.ids[: tokens.start + most], tokens.start) for tokens in whole]


def check_rows(
    samples: Sequence[Tokens], steering: Sequence[Steered] | None, spec: ModelSpec, *, context: int, room: int = 0
) -> None:
    """Raise unless every text, with `room` new tokens, fits into the context and every row's steering can be placed."""
    longest = max((len(tokens.ids) for tokens in samples), default=0)
    if longest + room > context:
        raise ContrastError(
            f"a text of {longest} tokens (and {room} new ones) is longer than the context, {context}",
            hint="shorten the longest text or ask for fewer new tokens",
        )
    if any(tokens.start == 0 for tokens in samples):
        raise ContrastError("a prompt is empty", hint="give every chat a question")
    if steering is not None and len(steering) != len(samples):
        raise SteeringError(
            f"{len(steering)} steerings for {len(samples)} rows", hint="give each row its own, () for none"
        )
    for steered in {id(steered): steered for steered in steering or ()}.values():
        check_steered(steered, spec)
