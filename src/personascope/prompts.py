"""What a model is asked to bring out a trait: instructions x questions x poles, as chats.

Which questions extract and which evaluate is decided here and nowhere else. Knows no engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from personascope.errors import ContrastError
from personascope.models.protocols import POLES, Chat, Pole
from personascope.traits import InstructionPair, Trait

Purpose = Literal["extract", "evaluate"]


@dataclass(frozen=True)
class Protocol:
    """How many replies are drawn: instruction pairs x questions x repeats at each pole."""

    name: str
    pairs: int
    questions: int
    repeats: int
    max_new_tokens: int
    exploratory: bool = False
    """Whether its numbers are for a first look only."""
    most_per_pair: int | None = None
    """Of questions x repeats, how many chats each pair and pole gets; all, if None."""


PROTOCOLS: dict[str, Protocol] = {
    "quick": Protocol("quick", pairs=4, questions=10, repeats=1, max_new_tokens=48, exploratory=True),
    "standard": Protocol("standard", pairs=8, questions=20, repeats=1, max_new_tokens=128),
    # 5 x 20 x 10 replies of up to 1,000 tokens: Chen et al. 2025 (arXiv 2507.21509), section 2.
    "paper": Protocol("paper", pairs=5, questions=20, repeats=10, max_new_tokens=1000),
}


def with_samples(n_samples: int, trait: Trait) -> Protocol:
    """The protocol of the original's `--n_samples`: so many chats per instruction pair and pole, short replies.

    Above the trait's number of questions the first ones are asked again.
    Raises ContrastError below 2: with fewer questions nothing can be held out.
    """
    fewest, n_questions = 2, len(trait.questions.extract)
    if n_samples < fewest:
        raise ContrastError(
            f"--n_samples {n_samples} leaves nothing to hold out", hint=f"use at least {fewest} (the default is 5)"
        )
    return replace(
        PROTOCOLS["quick"],
        name=f"n_samples {n_samples}",
        pairs=8,
        questions=min(n_samples, n_questions),
        repeats=-(-n_samples // n_questions),
        most_per_pair=n_samples,
    )


@dataclass(frozen=True)
class Prompt:
    """A chat and where it stands in the design: its pole, instruction pair and question, by number."""

    chat: Chat
    pole: Pole
    pair: int
    question: int


def prompts(trait: Trait, protocol: Protocol, purpose: Purpose = "extract") -> list[Prompt]:
    """Every instruction pair with every question at both poles, `repeats` times over, high and low in turn."""
    pairs: Sequence[InstructionPair] = getattr(trait.instructions, purpose)[: protocol.pairs]
    questions: Sequence[str] = getattr(trait.questions, purpose)[: protocol.questions]
    most = protocol.most_per_pair or len(questions) * protocol.repeats
    rounds = [questions[: most - start] for start in range(0, most, len(questions))]
    return [prompt for asked in rounds for prompt in _crossed(pairs, asked)]


def _crossed(pairs: Sequence[InstructionPair], questions: Sequence[str]) -> Iterator[Prompt]:
    """A question that stands twice in a trait's file has one number, so that it is held out as one."""
    numbers = {question: number for number, question in reversed(list(enumerate(questions)))}
    for pair_number, pair in enumerate(pairs):
        for question in questions:
            for pole in POLES:
                yield Prompt(Chat(question, getattr(pair, pole)), pole, pair_number, numbers[question])
