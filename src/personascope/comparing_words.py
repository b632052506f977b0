"""What a comparison says, in plain words: which traits moved, by how much, and what must be doubted.

    raised or lowered   the interval leaves 0 out, p holds after Holm's correction over traits, and neither vectors
                        without the trait nor random ones of the same length tell the models as far apart
    not shown           anything else

Judges finished comparisons; knows no engine and no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from personascope.comparing import Comparison, Reading
from personascope.questionnaire.profile_words import cautions as score_cautions
from personascope.questionnaire.profile_words import change_verdicts, excludes_zero, pole_words
from personascope.shifts import ALPHA, FEWEST_CONTROLS, Shift
from personascope.wording import counted, decimals, gain_text, joined, p_text, signed

READING_WORDS: dict[Reading, str] = {
    "replies": "own replies",
    "text": "their text, read by the base",
    "prompt": "last token of the prompt",
}
N_EXAMPLES = 3


@dataclass(frozen=True)
class Example:
    """One question, what both models said, and how far apart that is along a trait's vector, in gaps."""

    trait: str
    question: str
    base: str
    tuned: str
    shift: float


def headline(found: Comparison) -> dict[str, Shift]:
    """The shifts that the verdict goes by, the largest first."""
    shifts = found.shifts[found.headline]
    return dict(sorted(shifts.items(), key=lambda one: -abs(one[1].shift.value)))


def verdict(found: Comparison) -> tuple[str, ...]:
    """The comparison in a few sentences: traits that moved, those that did not, the scores, and how both agree."""
    if found.identical:
        return (
            f"Nothing differs between {found.base.spec.name} and {found.tuned.spec.name}: the same replies to all "
            f"{len(found.questions)} questions, the same residual stream, the same answers to every item.",
        )
    shifts = headline(found)
    moved = {name: one for name, one in shifts.items() if one.moved != "not shown"}
    drifted = {name: one for name, one in shifts.items() if name not in moved and _is_clear(one)}
    still = [name for name in shifts if name not in moved and name not in drifted]
    sentences = [*(_moved(name, one) for name, one in moved.items()), _drifted(drifted)]
    sentences.append(_still(still, alone=len(still) == len(shifts)))
    if _too_few_controls(shifts):
        sentences = ["Undecided: there are too few vectors without a trait to compare with.", _drifted(drifted)]
    sentences += [f"By the questionnaire: {told}" for told in change_verdicts(found.answers, 0)]
    return tuple(filter(None, (*sentences, together_told(found))))


def _too_few_controls(shifts: Mapping[str, Shift]) -> bool:
    """Whether nothing could have been called shown, however far it moved."""
    return min(one.n_shuffled for one in shifts.values()) < FEWEST_CONTROLS


def _moved(trait: str, one: Shift) -> str:
    pole = 0 if one.moved == "raised" else 1
    words = pole_words(trait)
    more = f"More {words[pole]} ({trait})" if words else f"{trait.capitalize()} is {one.moved}"
    return f"{more}: {gain_text(one.shift)} persona gaps."


def _is_clear(one: Shift) -> bool:
    """Whether a shift is more than the noise of questions, whatever the controls say."""
    return excludes_zero(one.shift) and one.p_holm <= ALPHA


def _drifted(shifts: Mapping[str, Shift]) -> str:
    """Traits that moved clearly, as vectors that stand for nothing do."""
    if not shifts:
        return ""
    few = _too_few_controls(shifts)
    told = [f"{name} {signed(one.shift.value)}" + ("" if few else f" ({_as_far(one)})") for name, one in shifts.items()]
    if few:
        return f"Changed, by more than the noise of questions: {joined(told)}."
    return f"Changed, but not shown to go further than vectors that stand for nothing: {joined(told)}."


def _as_far(one: Shift) -> str:
    n_as_far = round(one.p_shuffled * (one.n_shuffled + 1)) - 1
    return f"{n_as_far} of {one.n_shuffled} as far"


def _still(names: Sequence[str], *, alone: bool) -> str:
    if not names:
        return ""
    return "No trait moved beyond noise." if alone else f"No other trait moved beyond noise ({joined(names)})."


def together_told(found: Comparison) -> str:
    """How shifts and score changes go together; nothing where few traits were read and asked, or no score changed."""
    one = found.together
    (changes,) = found.answers.changes
    if not np.isfinite(one.pearson) or not any(excludes_zero(change) for change in changes.values()):
        return ""
    return (
        f"Over these {one.n_traits} traits, shifts and score changes correlate with r = {decimals(one.pearson)} "
        f"(rank correlation {decimals(one.spearman)}); traits are not independent, so there is no interval."
    )


def control_text(one: Shift) -> str:
    """The share of vectors without the trait that do as much, with what 95 % of them stay below."""
    return f"{p_text(one.p_shuffled)} (band {decimals(one.band)})" if one.n_shuffled else "none"


def cosine_text(found: Comparison, trait: str) -> str:
    """The cosine of a trait's vectors in both models at the headline's layer, with what noise alone leaves."""
    if trait not in found.cosines:
        return ""
    at = found.layers.index(found.shifts[found.headline][trait].layer)
    one = found.cosines[trait]
    return f"{decimals(float(one.cosine[at]))} ({decimals(float(one.ceiling[at]))})"


def cautions(found: Comparison) -> tuple[str, ...]:
    """What must be doubted, each a whole sentence."""
    shifts = found.shifts[found.headline]
    fewest = min(one.n_shuffled for one in shifts.values())
    told = []
    if fewest < FEWEST_CONTROLS:
        told.append(
            f"Only {counted(fewest, 'vector')} without a trait could be made, too few to call anything shown: "
            "compare more traits, or take --protocol standard."
        )
    empty = len(found.questions) - min(one.n_questions for one in shifts.values())
    if empty:
        told.append(f"{counted(empty, 'question')} without a reply of either model left out.")
    told.append(
        "Changes of scores are not corrected for their number: of twenty that are none, about one has an interval that "
        "leaves 0 out."
    )
    return (*told, *found.notes, *(line for line in score_cautions(found.answers) if line not in found.notes))


def examples(found: Comparison) -> tuple[Example, ...]:
    """The questions at which the traits that moved (else the one that moved most) differ most, in their direction."""
    shifts = headline(found)
    names = [name for name, one in shifts.items() if one.moved != "not shown"] or list(shifts)[:1]
    return tuple(example for name in names for example in _examples(found, name, shifts[name]))


def _examples(found: Comparison, trait: str, one: Shift) -> list[Example]:
    values = found.by_question[trait]
    towards = np.sign(one.shift.value) * np.nan_to_num(values, nan=-np.inf if one.shift.value > 0 else np.inf)
    best = [int(at) for at in np.argsort(-towards)[:N_EXAMPLES] if np.isfinite(values[at])]
    return [
        Example(
            trait,
            found.questions[at][1],
            found.base.spoken.replies[at].text,
            found.tuned.spoken.replies[at].text,
            float(values[at]),
        )
        for at in best
    ]
