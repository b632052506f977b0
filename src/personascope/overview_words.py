"""What several traits side by side come to, in words.

Knows the values of an overview; knows no file and no page.
"""

from collections.abc import Mapping, Sequence

from personascope.evidence import SIGNIFICANT
from personascope.trait_overview import Overview, SteeredRow, TraitRow, pairs_by_cosine
from personascope.wording import ABSENT, counted, decimals, gain_text, joined, signed, with_interval

COLUMNS = (
    "trait",
    "best layer",
    "nested held-out AUC [95\u00a0%]",
    "p",
    "does it read?",
    "does it steer?",
    "safe strength, gaps",
)
_EVIDENCE = {"shown": "shown to read their trait", "undecided": "undecided", "not shown": "not shown to read it"}
_WORDS = {
    "strong": "strong",
    "usable": "usable",
    "read-only": "to read with only",
    "unsupported": "unsupported",
}
_FAR = 3.0
"""Standard deviations of chance from which a cosine is told."""


def conclusions(found: Overview) -> list[str]:
    """Whole sentences: how many vectors read and steer, which directions are alike, and what did not come about."""
    by_evidence = {word: [row.name for row in found.rows if row.evidence == word] for word in _EVIDENCE}
    tried = {word: [row.name for row in found.rows if row.steering and row.steering.word == word] for word in _WORDS}
    told = (_counted("Vectors", by_evidence, _EVIDENCE), _counted("Steering", tried, _WORDS))
    return [text for text in (*told, _alike(found), _failed(found)) if text]


def _counted(what: str, groups: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> str:
    """How many traits are in each group, and which; nothing where all groups are empty."""
    n = sum(map(len, groups.values()))
    parts = [f"{len(names)} {words[word]} ({', '.join(names)})" for word, names in groups.items() if names]
    return f"{what} of {counted(n, 'trait')}: {'; '.join(parts)}." if parts else ""


def _alike(found: Overview) -> str:
    """Which two directions lie furthest from right angles."""
    pairs = pairs_by_cosine(found)
    if found.alike is None or not pairs:
        return ""
    top, chance = pairs[0], found.alike.chance
    far = sum(abs(pair.cosine) > _FAR * chance for pair in pairs)
    return (
        f"Furthest from right angles are {top.one} and {top.other}: cosine {signed(top.cosine)} at layer "
        f"{found.alike.layer}. Of {counted(len(pairs), 'pair')} {far} {'is' if far == 1 else 'are'} beyond "
        f"{decimals(_FAR, 0)} standard deviations of chance (±{decimals(_FAR * chance)})."
    )


def _failed(found: Overview) -> str:
    names = [one.trait for one in found.failures]
    return f"Without a result: {joined(names)}; the reason is told below." if names else ""


def several_told(found: Overview) -> str:
    """What asking about many traits does to p; nothing for one."""
    n = len(found.rows)
    if n < 2:
        return ""
    return (
        f"Each p is of its trait alone and not corrected for asking about {n}: of {n} vectors without a trait "
        f"about {decimals(SIGNIFICANT * n, 1)} would fall to {SIGNIFICANT} or below."
    )


def layer_told(found: Overview) -> str:
    """At which layer the directions are compared, and why there."""
    if found.alike is None:
        return ""
    return (
        f"All at layer {found.alike.layer}, one layer for every trait: the nearest to depth 0.6, fixed before any "
        "result. The best layers differ from trait to trait, and directions of unlike layers cannot be compared."
    )


def cells(row: TraitRow) -> tuple[str, ...]:
    """A row of the table, in the order of `COLUMNS`."""
    steering = row.steering
    return (
        row.name,
        str(row.layer),
        with_interval(row.auc),
        decimals(row.p, 3),
        row.verdict,
        steering.word if steering else "not tried",
        safe_gaps(steering) if steering else ABSENT,
    )


def safe_gaps(steering: SteeredRow) -> str:
    """The safe doses in persona gaps, as in `−2.93 to +2.23`."""
    return " to ".join(signed(gaps) for gaps in steering.safe_gaps)


def steering_words(row: TraitRow) -> str:
    """What came of the steering trial, in a sentence."""
    steering = row.steering
    if steering is None:
        return "Whether it steers was not tried."
    safe = " to ".join(signed(rho) for rho in steering.safe_rho)
    return (
        f"Steering at layer {steering.layer}: {steering.word}, S {gain_text(steering.slope)} nats per token and unit "
        f"of rho, safe strength {safe_gaps(steering)} (rho {safe})."
    )


def cautions(row: TraitRow) -> tuple[str, ...]:
    """What must be read before a vector is used, the gates that its steering did not pass among it."""
    failed = row.steering.failed if row.steering else ()
    return (*row.cautions, f"Steering is not strong: {joined(failed)}.") if failed else row.cautions
