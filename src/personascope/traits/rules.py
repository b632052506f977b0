"""What makes a good trait file: the rules that the catalogue keeps and `traits check` tells.

Knows texts only. A user's file may break these rules; it then still loads, and is told which.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from personascope.traits.trait import InstructionPair, Trait

_COUNTS: dict[str, tuple[int, Callable[[Trait], Sequence[object]]]] = {
    "instruction pairs to extract": (8, lambda trait: trait.instructions.extract),
    "instruction pairs to evaluate": (3, lambda trait: trait.instructions.evaluate),
    "questions to extract": (20, lambda trait: trait.questions.extract),
    "questions to evaluate": (20, lambda trait: trait.questions.evaluate),
    "matched replies": (24, lambda trait: trait.replies),
    "openers": (6, lambda trait: trait.openers),
}
_LONGEST_PAIR_DIFFERENCE = 6
"""Words by which the two instructions of a pair may differ in length."""
_LONGEST_REPLY_RATIO = 1.25
_ABSTRACT = re.compile(r"^\s*(always|never|prioriti[sz]e|ensure|your responses should)\b", re.IGNORECASE)


def problems(trait: Trait) -> list[str]:
    """Every rule that a trait breaks, in plain words; empty for a trait of the catalogue."""
    return list(
        chain(
            _too_few(trait),
            _repeated(trait),
            _trait_words_used(trait),
            _unlike_instructions([*trait.instructions.extract, *trait.instructions.evaluate]),
            _unlike_replies(trait),
        )
    )


def _too_few(trait: Trait) -> Iterator[str]:
    for what, (wanted, texts) in _COUNTS.items():
        if len(texts(trait)) < wanted:
            yield f"{len(texts(trait))} {what}: {wanted} are wanted"


def _repeated(trait: Trait) -> Iterator[str]:
    questions = [*trait.questions.extract, *trait.questions.evaluate, *(reply.question for reply in trait.replies)]
    for text, n in Counter(map(_plain, questions)).items():
        if n > 1:
            yield f"a question stands {n} times: {text!r}"
    pairs = [*trait.instructions.extract, *trait.instructions.evaluate]
    instructions = [_plain(text) for pair in pairs for text in (pair.high, pair.low)]
    for text, n in Counter(instructions).items():
        if n > 1:
            yield f"an instruction stands {n} times: {text!r}"


def _trait_words_used(trait: Trait) -> Iterator[str]:
    for text in [*trait.questions.extract, *trait.questions.evaluate, *trait.openers]:
        for word in re.findall(r"[\w'-]+", text.lower()):
            stem = next((stem for stem in trait.trait_words if word.startswith(stem)), None)
            if stem:
                yield f"{word!r} names the trait and stands in {text!r}"


def _unlike_instructions(pairs: Sequence[InstructionPair]) -> Iterator[str]:
    for pair in pairs:
        if abs(len(pair.high.split()) - len(pair.low.split())) > _LONGEST_PAIR_DIFFERENCE:
            yield f"the instructions of a pair differ in length: {pair.high!r} / {pair.low!r}"
        for text in (pair.high, pair.low):
            if _ABSTRACT.match(text):
                yield f"an instruction is abstract (small models follow 'You are ...' better): {text!r}"


def _unlike_replies(trait: Trait) -> Iterator[str]:
    for reply in trait.replies:
        short, long = sorted((len(reply.high.split()), len(reply.low.split())))
        if short == 0 or long / short > _LONGEST_REPLY_RATIO:
            yield f"the replies to {reply.question!r} have {short} and {long} words"


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
