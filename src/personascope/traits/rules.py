"""What makes a good trait file: the rules that the catalogue keeps and `traits check` tells.

Knows texts only, the catalogue's among them. A user's file may break these rules; it then still loads, and is
told which.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from personascope.traits.catalogue import catalogue_names, load_trait
from personascope.traits.trait import InstructionPair, Trait

_TEXTS: dict[str, Callable[[Trait], Sequence[str]]] = {
    "label": lambda trait: [trait.label],
    "definition": lambda trait: [trait.definition],
    "source": lambda trait: [trait.source],
    "pole": lambda trait: [f"{pole.adjective}: {pole.looks_like}" for pole in (trait.poles.high, trait.poles.low)],
    "instruction pair": lambda trait: [
        f"{pair.high} / {pair.low}" for pair in (*trait.instructions.extract, *trait.instructions.evaluate)
    ],
    "question": lambda trait: [*trait.questions.extract, *trait.questions.evaluate],
    "matched reply": lambda trait: [f"{reply.high} / {reply.low}" for reply in trait.replies],
    "opener": lambda trait: trait.openers,
}
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
            _left_from_another(trait),
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


def _left_from_another(trait: Trait) -> Iterator[str]:
    """What a trait of the user's own still has of the catalogue's trait that it shares most texts with."""
    if trait.name.lower() in catalogue_names():
        return
    shared = {name: _shared(trait, load_trait(name)) for name in catalogue_names()}
    nearest = max(shared, key=lambda name: sum(shared[name].values()))
    for what, n in shared[nearest].items():
        plural = f"{what.removesuffix('y')}ies" if what.endswith("y") else f"{what}s"
        yield f"1 {what} is still that of {nearest}" if n == 1 else f"{n} {plural} are still those of {nearest}"


def _shared(trait: Trait, other: Trait) -> Counter[str]:
    """How many texts of each sort two traits have in common."""
    found = {
        what: len(set(map(_plain, texts(trait))) & set(map(_plain, texts(other)))) for what, texts in _TEXTS.items()
    }
    return Counter({what: n for what, n in found.items() if n})


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
