"""What a separation means, in words for a psychologist: a short line, a paragraph, the cautions.

Says first whether there is evidence (`evidence`), and grades only what is shown. Goes by the nested held-out AUC, never
by an in-sample number. Knows no file and no page.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from personascope.evidence import (
    FEWEST_QUESTIONS,
    SIGNIFICANT,
    Evidence,
    Standing,
    chosen_reading,
    evidence,
    shortages,
    smallest_p,
    standing,
    why_no_interval,
)
from personascope.separation import Grade, Separation, grade
from personascope.uncertainty import FEWEST_GROUPS
from personascope.wording import decimals, gain_text, joined, p_text, with_interval

MUST_BEAT = {"bag of words": "word counts", "reply length": "reply length alone"}
STABLE, NOISY = 0.8, 0.6
LITTLE_AGREEMENT = 0.1
"""Of two instruction pairs, as the cosine of their directions."""


@dataclass(frozen=True)
class Verdict:
    """The judgement on one trait's vectors.

    `grade` is None unless the evidence is `shown`. `line` fits a terminal; `paragraph` explains it; each of `cautions`
    is a whole sentence or two that must be read before the vector is used.
    """

    grade: Grade | None
    evidence: Evidence
    line: str
    paragraph: str
    cautions: tuple[str, ...]

    @property
    def heading(self) -> str:
        """Evidence and grade in a few words: the line up to its colon."""
        return self.line.partition(":")[0]


def verdict(separation: Separation) -> Verdict:
    """The plain-words verdict on a separation: what is shown, and how strong by the interval's lower end."""
    found = evidence(separation)
    word = grade(separation.nested_auc.low) if found == "shown" else None
    sentences = (_ranking, _deciding, _chance, _rivals, _stable)
    cautions = tuple(text for check in _CHECKS if (text := check(separation)) is not None)
    return Verdict(word, found, _line(separation, word), " ".join(tell(separation) for tell in sentences), cautions)


def _line(separation: Separation, word: Grade | None) -> str:
    """The verdict in one line."""
    found = evidence(separation)
    if found == "undecided":
        auc, floor = decimals(separation.nested_auc.value), smallest_p(separation)
        short = joined([shortage.what for shortage in shortages(separation)]) or "texts"
        reach = f" (p cannot fall below {p_text(floor)})" if floor > SIGNIFICANT else ""
        return f"undecided: nested held-out AUC {auc}, too few {short} to tell{reach}"
    heading: str = found
    if found == "shown":
        heading += " within one pair" if separation.n_pairs == 1 else ""
        heading += f", {word or 'not graded'}"
    auc = with_interval(separation.nested_auc, lacking=why_no_interval(separation))
    return f"{heading}: nested held-out AUC {auc}, p = {p_text(separation.p)}, layer {separation.chosen_layer}"


def _ranking(separation: Separation) -> str:
    """What the headline AUC says about two replies."""
    auc, why = separation.nested_auc, why_no_interval(separation)
    ends = f"interval not available ({why})" if why else f"95 % interval {decimals(auc.low)} to {decimals(auc.high)}"
    return (
        "Take one reply from the high pole and one from the low pole, neither of them used to make the vector: "
        f"the vector ranks the high one above the low one {round(100 * auc.value)} times out of 100, where a coin toss "
        f"gives 50. This is the nested held-out AUC: {decimals(auc.value)}, {ends}."
    )


def _deciding(separation: Separation) -> str:
    """What is shown and why, and the grade with what it goes by."""
    found, low = evidence(separation), separation.nested_auc.low
    if found == "undecided":
        return "The experiment is too small to say whether that is more than chance, so nothing is graded."
    if found == "shown":
        if (word := grade(low)) is None:
            return "The separation is shown; without an interval it is not graded."
        return f"The separation is shown. Graded by the lower end of the interval, {decimals(low)}, it is {word}."
    reasons = [f"p is above {SIGNIFICANT}"] if separation.p > SIGNIFICANT else []
    if separation.nested_auc.high < 0.5:
        reasons.append("the whole interval lies below a coin toss")
    elif low <= 0.5:
        reasons.append(f"the interval reaches down to {decimals(low)}, so a coin toss is not excluded")
    return f"The separation is not shown: {joined(reasons)}."


def _chance(separation: Separation) -> str:
    """The p-value and the smallest one that the test could have given."""
    ways = f"all {separation.n_relabellings:,}" if separation.exhaustive else f"{separation.n_relabellings:,} random"
    return (
        f"When the labels high and low are swapped, a best layer as good as this one comes up with p = "
        f"{p_text(separation.p)} ({ways} ways of swapping; the smallest p they can give is "
        f"{p_text(smallest_p(separation))})."
    )


def _rivals(separation: Separation) -> str:
    """Which of the baselines that need no model the vector beats, and by how much."""
    by_standing: dict[Standing, list[str]] = {"clearly above": [], "above": [], "level": []}
    for name, called in MUST_BEAT.items():
        if name in separation.advantages:
            gain = separation.advantages[name]
            rival = decimals(separation.baselines[name].value)
            by_standing[standing(gain)].append(f"{called} (AUC {rival}, difference {gain_text(gain)})")
    phrases = {
        "clearly above": "It clearly beats {}.",
        "above": "It is ahead, but not clearly, of {}.",
        "level": "It is not shown to beat {}.",
    }
    said = [phrases[key].format(joined(names)) for key, names in by_standing.items() if names]
    return " ".join(said) or "It was not compared with word counts or reply length."


def _stable(separation: Separation) -> str:
    """Whether other questions would have given the same direction, and whether the instruction pairs agree on it."""
    reading = chosen_reading(separation)
    if math.isnan(reading.reliability):
        return "How stable the direction is could not be measured."
    steady = "stable" if reading.reliability >= STABLE else "fairly stable"
    word = steady if reading.reliability >= NOISY else "noisy"
    lowest, apart = reading.pair_cosine_min, ""
    if lowest < LITTLE_AGREEMENT:
        link = "and" if word == "noisy" else "though"
        apart = f", {link} some of its instruction pairs agree little (lowest cosine {decimals(lowest)})"
    return (
        f"The direction itself is {word} when other questions are asked{apart}: its expected cosine with the one from "
        f"endless questions under these instructions is {decimals(reading.reliability)} (halves of the questions agree "
        f"at {decimals(reading.split_half_cosine)})."
    )


def _unfit(separation: Separation) -> str | None:
    found, auc = evidence(separation), separation.nested_auc
    if found == "not shown" and auc.high < 0.5:
        return (
            "Do not use this vector: on new replies it points the wrong way. "
            "What the high replies share in one part of the texts is not what they share in another."
        )
    if found == "not shown":
        return "Do not use this vector for steering or monitoring: on new replies it is not shown to find the trait."
    if found == "shown" and grade(auc.low) == "poor":
        return (
            "Do not use this vector for steering or monitoring: on new replies it may be little better than a coin "
            f"toss (the interval begins at {decimals(auc.low)})."
        )
    return None


def _too_small(separation: Separation) -> str | None:
    if evidence(separation) != "undecided":
        return None
    short = joined([f"{s.count} {s.what} (at least {s.least} are needed)" for s in shortages(separation)])
    there = f"there are only {short}" if short else "the texts are too few to be relabelled in enough ways"
    floor = (
        f" With {separation.n_relabellings} relabellings no result could reach p = {SIGNIFICANT}."
        if smallest_p(separation) > SIGNIFICANT
        else ""
    )
    return (
        f"Too small to judge: {there}.{floor} Run the standard protocol next (8 instruction pairs, 20 questions); in a "
        f"file or trait of your own, bring at least {FEWEST_GROUPS} instruction pairs and {FEWEST_QUESTIONS} questions."
    )


def _by_chance(separation: Separation) -> str | None:
    if evidence(separation) != "not shown" or separation.p <= SIGNIFICANT:
        return None
    return f"Chance alone gives as good a best layer too often (p = {p_text(separation.p)}, above {SIGNIFICANT})."


def _not_beaten(separation: Separation, name: str) -> bool:
    """Whether a baseline tells the poles apart for certain, and the vector is not clearly ahead of it."""
    gain = separation.advantages.get(name)
    return gain is not None and separation.baselines[name].low > 0.5 and standing(gain) != "clearly above"


def _wording(separation: Separation) -> str | None:
    if not _not_beaten(separation, "bag of words"):
        return None
    return (
        "Counting words tells the poles apart too, and the vector does not do so clearly better: it may only have "
        "learned the wording of the instructions or replies. Try instructions whose words do not come back in the "
        "replies."
    )


def _length(separation: Separation) -> str | None:
    if not _not_beaten(separation, "reply length"):
        return None
    return (
        "The length of the reply tells the poles apart too, and the vector does not do so clearly better: it may only "
        "have learned to be long-winded or short. Compare replies of equal length."
    )


def _one_pair(separation: Separation) -> str | None:
    if separation.n_pairs > 1:
        return None
    return (
        "All replies share one instruction pair or topic, so nothing here tells the trait from the quirks of that "
        "one wording."
    )


def _quarrelling_pairs(separation: Separation) -> str | None:
    lowest = chosen_reading(separation).pair_cosine_min
    if not lowest < 0:
        return None
    return (
        f"At least two instruction pairs do not point the same way (cosine {decimals(lowest)}), as if they did not ask "
        "for the same trait. Look for the odd pair."
    )


def _noisy(separation: Separation) -> str | None:
    if not chosen_reading(separation).reliability < NOISY:
        return None
    return "The direction would change much with other questions; more questions or replies would steady it."


def _one_dimension(separation: Separation) -> str | None:
    energy = chosen_reading(separation).top_dimension_energy
    if not energy > 0.5:
        return None
    return (
        f"{round(100 * energy)} % of the vector's energy lies in one dimension of the model, which is typical of an "
        "outlier dimension rather than of a trait."
    )


_CHECKS: tuple[Callable[[Separation], str | None], ...] = (
    _unfit,
    _too_small,
    _by_chance,
    _wording,
    _length,
    _one_pair,
    _quarrelling_pairs,
    _noisy,
    _one_dimension,
)
