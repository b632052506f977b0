"""What a separation means, in words for a psychologist: a short line, a paragraph, the cautions.

Judges by the nested held-out AUC, never by an in-sample number. Knows no file and no page.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from personascope.report.words import decimals, joined, p_text, with_interval
from personascope.separation import Estimate, Grade, LayerReading, Separation, grade

MUST_BEAT = {"bag of words": "counting words (bag of words)", "reply length": "reply length alone"}
SIGNIFICANT = 0.05
STABLE, NOISY = 0.8, 0.6
FEW_PAIRS, FEW_QUESTIONS, FEW_REPLIES = 4, 10, 20

Standing = Literal["clearly above", "above", "level"]


@dataclass(frozen=True)
class Verdict:
    """The judgement on one trait's vectors.

    `line` fits a terminal; `paragraph` explains it; each of `cautions` is a whole sentence or two that must
    be read before the vector is used.
    """

    grade: Grade
    line: str
    paragraph: str
    cautions: tuple[str, ...]


def verdict(separation: Separation) -> Verdict:
    """The plain-words verdict on a separation, graded by the lower end of the nested held-out AUC."""
    word = grade(separation.nested_auc.low)
    paragraph = " ".join(
        (
            _ranking(separation),
            _grading(separation, word),
            _chance(separation),
            _rivals(separation),
            _stable(separation),
        )
    )
    cautions = tuple(text for check in _CHECKS if (text := check(separation)) is not None)
    return Verdict(word, _line(separation, word), paragraph, cautions)


def chosen_reading(separation: Separation) -> LayerReading:
    """The reading of the chosen layer."""
    return next(reading for reading in separation.readings if reading.layer == separation.chosen_layer)


def smallest_p(separation: Separation) -> float:
    """The smallest p that the permutation test could give with its number of relabellings."""
    return 1 / (separation.n_relabellings + (0 if separation.exhaustive else 1))


def standing(vector: Estimate, rival: Estimate) -> Standing:
    """How the vector's AUC stands to a rival's.

    Clearly above: the intervals are apart. Above: the rival's value lies under the vector's interval. Intervals
    that overlap may still hide a real difference, so this errs towards not claiming a win.
    """
    if vector.low > rival.high:
        return "clearly above"
    return "above" if vector.low > rival.value else "level"


def _line(separation: Separation, word: Grade) -> str:
    """The verdict in one line."""
    auc, p = with_interval(separation.nested_auc), p_text(separation.p)
    return f"{word}: nested held-out AUC {auc}, p = {p}, layer {separation.chosen_layer}"


def _ranking(separation: Separation) -> str:
    """What the headline AUC says about two replies."""
    auc = separation.nested_auc
    return (
        "Take one reply from the high pole and one from the low pole, neither of them used to make the vector: "
        f"the vector ranks the high one above the low one {round(100 * auc.value)} times out of 100 "
        f"(nested held-out AUC {decimals(auc.value)}, 95 % interval {decimals(auc.low)} to {decimals(auc.high)}; "
        "a coin toss gives 50)."
    )


def _grading(separation: Separation, word: Grade) -> str:
    """The grade, and what it goes by."""
    low = separation.nested_auc.low
    coin = " (so a coin toss is not excluded)" if low <= 0.5 else ""
    return f"Graded by the lower end of the interval, {decimals(low)}{coin}, the separation is {word}."


def _chance(separation: Separation) -> str:
    """The p-value and the smallest one that the test could have given."""
    ways = f"all {separation.n_relabellings:,}" if separation.exhaustive else f"{separation.n_relabellings:,} random"
    return (
        f"When the labels high and low are swapped, a best layer as good as this one comes up with p = "
        f"{p_text(separation.p)} ({ways} ways of swapping; the smallest p they can give is "
        f"{p_text(smallest_p(separation))})."
    )


def _rivals(separation: Separation) -> str:
    """Which of the baselines that need no model the vector beats."""
    by_standing: dict[Standing, list[str]] = {"clearly above": [], "above": [], "level": []}
    for name, called in MUST_BEAT.items():
        if name in separation.baselines:
            baseline = separation.baselines[name]
            text = f"{called}, {with_interval(baseline)}"
            by_standing[standing(separation.nested_auc, baseline)].append(text)
    phrases = {
        "clearly above": "It clearly beats {}.",
        "above": "It is ahead of {}, but the intervals overlap.",
        "level": "It is not shown to beat {}.",
    }
    said = [phrases[key].format(joined(names)) for key, names in by_standing.items() if names]
    return " ".join(said) or "It was not compared with word counts or reply length."


def _stable(separation: Separation) -> str:
    """Whether other questions would have given the same direction."""
    reading = chosen_reading(separation)
    if math.isnan(reading.reliability):
        return "How stable the direction is could not be measured."
    if reading.reliability >= STABLE:
        word = "stable"
    elif reading.reliability >= NOISY:
        word = "fairly stable"
    else:
        word = "noisy"
    halves = decimals(reading.split_half_cosine)
    return (
        f"The direction itself is {word}: its expected cosine with the one from endless questions under these "
        f"instructions is {decimals(reading.reliability)} (halves of the questions agree at {halves})."
    )


def _poor(separation: Separation) -> str | None:
    if grade(separation.nested_auc.low) != "poor":
        return None
    if separation.nested_auc.high < 0.5:
        return (
            "Do not use this vector: on new replies it points the wrong way. "
            "What the high replies share in one part of the texts is not what they share in another."
        )
    return "Do not use this vector for steering or monitoring: on new replies it is not shown to find the trait."


def _by_chance(separation: Separation) -> str | None:
    if separation.p <= SIGNIFICANT:
        return None
    if smallest_p(separation) > SIGNIFICANT:
        return (
            f"With {separation.n_relabellings} relabellings no result could reach p = {SIGNIFICANT}: "
            "there are too few instruction pairs or questions to exclude chance."
        )
    return f"Chance alone gives as good a best layer too often (p = {p_text(separation.p)}, above {SIGNIFICANT})."


def _as_good(separation: Separation, name: str) -> bool:
    """Whether a baseline tells the poles apart at all, and may well do so no worse than the vector."""
    baseline, vector = separation.baselines.get(name), separation.nested_auc
    return (
        baseline is not None and baseline.low > 0.5 and baseline.high >= vector.value and vector.low <= baseline.value
    )


def _wording(separation: Separation) -> str | None:
    if not _as_good(separation, "bag of words"):
        return None
    return (
        "Counting words tells the poles apart about as well as the vector does, so the vector may only have learned "
        "the wording of the instructions or replies. Try instructions whose words do not come back in the replies."
    )


def _length(separation: Separation) -> str | None:
    if not _as_good(separation, "reply length"):
        return None
    return (
        "The length of the reply tells the poles apart about as well as the vector does, so the vector may only have "
        "learned to be long-winded or short. Compare replies of equal length."
    )


def _exploratory(separation: Separation) -> str | None:
    counts = (
        (min(separation.n_high, separation.n_low), FEW_REPLIES, "replies a pole"),
        (separation.n_questions, FEW_QUESTIONS, "questions"),
        (separation.n_pairs, FEW_PAIRS, "instruction pairs"),
    )
    # A single pair has its own caution; fewer than two replies or questions are never read.
    few = [f"{count} {what} (fewer than {least})" for count, least, what in counts if 1 < count < least]
    if not few:
        return None
    return f"Exploratory: there are only {joined(few)}. Run the full protocol before relying on these numbers."


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
        f"At least two instruction pairs point opposite ways (cosine {decimals(lowest)}): they do not all ask for the "
        "same trait. Look for the odd pair."
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
    _poor,
    _by_chance,
    _wording,
    _length,
    _exploratory,
    _one_pair,
    _quarrelling_pairs,
    _noisy,
    _one_dimension,
)
