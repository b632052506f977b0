"""What a trait is: its poles, and the texts that bring them out in a model.

Knows no files and no models.
"""

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Pole:
    """One end of a trait: a word for it, and what a reply at that end looks like."""

    adjective: str
    looks_like: str


@dataclass(frozen=True)
class Poles:
    """Both ends of a trait."""

    high: Pole
    low: Pole


@dataclass(frozen=True)
class InstructionPair:
    """Two system prompts that differ in the trait alone."""

    high: str
    low: str


@dataclass(frozen=True)
class Instructions:
    """Pairs that vectors are made from, and pairs that they are tried on."""

    extract: tuple[InstructionPair, ...]
    evaluate: tuple[InstructionPair, ...]


@dataclass(frozen=True)
class Questions:
    """Questions that vectors are made from, and questions that they are tried on."""

    extract: tuple[str, ...]
    evaluate: tuple[str, ...]


@dataclass(frozen=True)
class MatchedReplies:
    """A high and a low reply to one question, alike in length and form; `domain` groups questions."""

    domain: str
    question: str
    high: str
    low: str


@dataclass(frozen=True)
class Trait:
    """A trait of the catalogue, or of a user's own file.

    `trait_words` are beginnings of words that name the trait; no question or opener may use them.
    """

    name: str
    label: str
    family: str
    definition: str
    source: str
    poles: Poles
    instructions: Instructions
    questions: Questions
    trait_words: tuple[str, ...] = ()
    replies: tuple[MatchedReplies, ...] = ()
    openers: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A short hash of everything in the trait."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
