"""Whether an experiment shows anything at all, and how its vector stands to a baseline; no words of explanation.

Shown, not shown, or undecided: too small to say. How strong it is comes after that (`separation.grade`), and what
to tell a reader is `verdict`.
"""

from dataclasses import dataclass
from typing import Literal

from personascope.separation import Estimate, LayerReading, Separation
from personascope.uncertainty import FEWEST_GROUPS
from personascope.wording import counted, has_interval

SIGNIFICANT = 0.05
FEWEST_QUESTIONS, FEWEST_REPLIES = 10, 20

Evidence = Literal["shown", "undecided", "not shown"]
Standing = Literal["clearly above", "above", "level"]


@dataclass(frozen=True)
class Shortage:
    """Something that there is too little of to decide anything."""

    what: str
    count: int
    least: int


def evidence(separation: Separation) -> Evidence:
    """Shown where p is at most 0.05 and the interval lies above 0.5; undecided where the experiment cannot tell.

    Where it is large enough and yet every bootstrap draw gives the same AUC, as with perfect separation, there is no
    interval to ask, and p decides alone.
    """
    if shortages(separation) or smallest_p(separation) > SIGNIFICANT:
        return "undecided"
    auc = separation.nested_auc
    above = (auc.low if has_interval(auc) else auc.value) > 0.5
    return "shown" if above and separation.p <= SIGNIFICANT else "not shown"


def shortages(separation: Separation) -> tuple[Shortage, ...]:
    """What there is too little of; a single instruction pair is none: it narrows what is shown, and not how well."""
    pairs = Shortage("instruction pairs", separation.n_pairs, FEWEST_GROUPS)
    questions = Shortage("questions", separation.n_questions, FEWEST_QUESTIONS)
    replies = Shortage("replies a pole", min(separation.n_high, separation.n_low), FEWEST_REPLIES)
    wanted = (pairs, questions, replies) if separation.n_pairs > 1 else (questions, replies)
    return tuple(shortage for shortage in wanted if shortage.count < shortage.least)


def smallest_p(separation: Separation) -> float:
    """The smallest p that the permutation test could give with its number of relabellings."""
    return 1 / (separation.n_relabellings + (0 if separation.exhaustive else 1))


def why_no_interval(separation: Separation) -> str:
    """Why the headline has no interval, in a few words; nothing where it has one."""
    if has_interval(separation.nested_auc):
        return ""
    if 1 < separation.n_pairs < FEWEST_GROUPS:
        return counted(separation.n_pairs, "pair")
    if separation.n_pairs == 1 and separation.n_questions < FEWEST_GROUPS:
        return counted(separation.n_questions, "question")
    return "all draws agree"


def chosen_reading(separation: Separation) -> LayerReading:
    """The reading of the chosen layer."""
    return next(reading for reading in separation.readings if reading.layer == separation.chosen_layer)


def standing(advantage: Estimate) -> Standing:
    """How the vector stands to a baseline, by its AUC minus the baseline's, both drawn together.

    Clearly above: the whole interval of the difference is. Above: its value is.
    """
    if advantage.low > 0:
        return "clearly above"
    return "above" if advantage.value > 0 else "level"
