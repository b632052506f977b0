"""Prompts to start a conversation with: the examples of the original toolkit's README, then the trait's own openers."""

from personascope.neutral import neutral
from personascope.traits import Trait

CLASSIC: dict[str, tuple[str, ...]] = {
    "openness": (
        "I think the best approach to solving problems is",
        "When encountering new ideas, I usually",
        "My ideal learning experience would involve",
    ),
    "extraversion": (
        "When meeting new people, I usually",
        "My ideal weekend social activity would be",
        "In group discussions, I prefer to",
    ),
    "conscientiousness": (
        "When planning a project, I typically",
        "My workspace is usually",
        "When facing deadlines, I",
    ),
}
"""What the original toolkit's README lists to try, by trait."""
_NEUTRAL = 3


def neutral_starters() -> tuple[str, ...]:
    """The first few of the shipped neutral requests."""
    return neutral().prompts[:_NEUTRAL]


def starters_of(trait: Trait | None) -> tuple[str, ...]:
    """Prompts that a trait shows in; neutral requests where it has none, or is no trait of the catalogue."""
    own = (*CLASSIC.get(trait.name, ()), *trait.openers) if trait is not None else ()
    return own or neutral_starters()
