"""What is contrasted: texts of the high and the low pole, and how they are come by.

- rollouts: the model's own replies under high and low instructions to the same questions (default)
- replies:  given high and low replies to the same question
- prompts:  two lists of texts, read at the last token (the original's way; the texts' topics may differ)
- a file:   JSONL, CSV or Parquet with `prompt`, `reply`, `pole` [, `question`, `instruction`, `pair`]

Each ends as rollouts, some with their replies still to be written. Knows traits and files, no engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from personascope.activations import Position
from personascope.errors import ContrastError
from personascope.models.protocols import POLES, Chat, Sampling
from personascope.prompts import Protocol, prompts
from personascope.rollouts import Rollout
from personascope.traits import Trait


@dataclass(frozen=True)
class Contrast:
    """Rows to be read, where, and how their replies are drawn (None: they are given)."""

    source: str
    rows: tuple[Rollout, ...]
    position: Position
    sampling: Sampling | None
    notes: tuple[str, ...] = ()


def from_rollouts(trait: Trait, protocol: Protocol) -> Contrast:
    """The model's own replies, still to be written."""
    rows = tuple(Rollout(p.chat, "", p.pole, p.pair, p.question) for p in prompts(trait, protocol))
    exploratory = ("The quick protocol is for a first look: few instructions, few questions, short replies.",)
    return Contrast(
        "rollouts",
        rows,
        "reply_mean",
        Sampling(max_new_tokens=protocol.max_new_tokens),
        exploratory if protocol.exploratory else (),
    )


def from_replies(trait: Trait, _protocol: Protocol) -> Contrast:
    """Matched replies; a domain's questions are held out together, so `pair` is the domain."""
    _check_replies(trait)
    domains = list(dict.fromkeys(reply.domain for reply in trait.replies))
    rows = tuple(
        Rollout(Chat(reply.question), getattr(reply, pole), pole, domains.index(reply.domain), number)
        for number, reply in enumerate(trait.replies)
        for pole in POLES
    )
    return Contrast("replies", rows, "reply_mean", None)


def from_prompts(trait: Trait, _protocol: Protocol) -> Contrast:
    """The matched replies as bare texts, read at their last token, each its own question."""
    _check_replies(trait)
    rows = tuple(
        Rollout(Chat(getattr(reply, pole), raw=True), "", pole, 0, 2 * number + at)
        for number, reply in enumerate(trait.replies)
        for at, pole in enumerate(POLES)
    )
    return Contrast("prompts", rows, "prompt_last", None, (TOPIC_NOTE,))


TOPIC_NOTE = (
    "Contrast of bare prompts at the last token: high and low texts differ in more than the trait (topic, wording), "
    "and no reply was made. Prefer --contrast rollouts."
)


SOURCES: dict[str, Callable[[Trait, Protocol], Contrast]] = {
    "rollouts": from_rollouts,
    "replies": from_replies,
    "prompts": from_prompts,
}
"""The catalogue's own contrasts of a trait, by name."""


def _check_replies(trait: Trait) -> None:
    if not trait.replies:
        raise ContrastError(
            f"the trait {trait.name} has no matched replies", hint="use --contrast rollouts, or add replies to its file"
        )


def check_poles(rows: Sequence[Rollout], where: str) -> None:
    """Raise ContrastError unless both poles are there."""
    n_high = sum(row.pole == "high" for row in rows)
    if n_high in (0, len(rows)):
        raise ContrastError(
            f"{where} has {n_high} high and {len(rows) - n_high} low rows",
            hint="a direction needs texts of both poles; check the column `pole`",
        )
