"""What a steering trial means, in words: a line, what was found point by point, and what to bear in mind.

Judges by the gates of `steering_proof`. Knows the values of a trial; knows no file and no page.
"""

from dataclasses import dataclass

import numpy as np

from personascope.calibration import DOSES, MOST_KL, MOST_NLL_RISE, Calibration
from personascope.proving import Arms, Trial
from personascope.steered_samples import MOST_TIMES, SampledDose, SteeredSamples, is_broken, sound_range
from personascope.steering import gaps_per_rho
from personascope.steering_proof import SteeringWord
from personascope.trying import Tried
from personascope.wording import decimals, gain_text, joined, p_text, rho_range, signed, with_interval

_MEANING: dict[SteeringWord, str] = {
    "strong": "The vector reads the trait and causes it, against every control.",
    "usable": "The vector reads the trait and steers it; not every gate of the word strong was passed.",
    "read-only": "The vector reads the trait, but adding it is not shown to bring the trait about. Read with it only.",
    "unsupported": "The vector is not shown to read the trait well enough to trust what steering with it means.",
}


@dataclass(frozen=True)
class Point:
    """One part of an account: what it is about, in a word or two, and whole sentences."""

    lead: str
    text: str


@dataclass(frozen=True)
class SteeringTold:
    """`line` fits a terminal; `meaning` says what the word means, `points` why; `cautions` are whole sentences."""

    line: str
    meaning: str
    points: tuple[Point, ...]
    cautions: tuple[str, ...]


def steering_told(tried: Tried) -> SteeringTold:
    """The plain-words account of a trial."""
    slope, layer = tried.trial.proof.slope, tried.trial.layer
    line = (
        f"{tried.word}: steering at layer {layer}, S {gain_text(slope)} nats per token and unit of rho, "
        f"safe strength {safe_text(tried.calibration)}"
    )
    points = [
        Point("What was tried", _trial(tried)),
        Point("Effect", _effect(tried.trial)),
        Point("Controls", _controls(tried.trial)),
    ]
    if tried.trial.arms is not None:
        points.append(Point("Compared with an instruction", _arms(tried.trial.arms)))
    return SteeringTold(line, _MEANING[tried.word], tuple(points), tuple(_cautions(tried)))


def safe_text(calibration: Calibration) -> str:
    """The safe range in gaps and rho, as in `−2.93 to +2.23 (rho −0.24 to +0.18)`."""
    return rho_range(calibration.safe, gaps_at_rho_1(calibration))


def gaps_at_rho_1(calibration: Calibration) -> float:
    """How many persona gaps a dose of rho 1 is at the steering layer."""
    return gaps_per_rho([cost.rho for cost in calibration.costs], [cost.strength for cost in calibration.costs])


def _trial(tried: Tried) -> str:
    found = tried.evaluation
    texts = f"{len(found.pair_aucs_from_0)} instruction pairs and {found.n_questions} questions"
    return (
        f"The reading, on {texts} that nothing was chosen on: AUC {with_interval(found.auc)} at layer {found.layer}. "
        "The steering, on the same questions without any instruction: the vector added from the last prompt token on."
    )


def _effect(trial: Trial) -> str:
    proof = trial.proof
    top = int(np.argmax(proof.doses))
    dose, point = proof.doses[top], proof.curve[top]
    turned = "turns round with its sign" if proof.both_signs else "is not shown to turn round with its sign"
    return (
        f"At rho {signed(dose)} the high replies gain {with_interval(point)} nats per token on the low ones; "
        f"the effect {'rises' if proof.monotone else 'does not rise'} with every dose and {turned}. "
        f"It went the wrong way on {round(100 * proof.anti_steerable)} % of the questions."
    )


def _controls(trial: Trial) -> str:
    proof = trial.proof
    return (
        f"Vectors without the trait reach this slope at equal length with p = {p_text(proof.p_shuffled)} "
        f"({proof.n_shuffled:,} from relabelled texts) and {p_text(proof.p_random)} ({proof.n_random:,} random ones), "
        f"at equal KL with p = {p_text(proof.p_shuffled_kl)} ({proof.n_shuffled_kl}) and {p_text(proof.p_random_kl)} "
        f"({proof.n_random_kl}). With the poles of whole instruction pairs swapped, at equal strength: "
        f"p = {p_text(proof.p_swapped)}."
    )


def _arms(arms: Arms) -> str:
    return (
        f"An unseen instruction moves the same replies by {gain_text(arms.instruction)} nats per token, the vector at "
        f"rho {signed(arms.rho)} by {gain_text(arms.vector)}, both together by {gain_text(arms.both)}."
    )


def _cautions(tried: Tried) -> list[str]:
    told = [f"Not strong: {joined(list(tried.failed))}."] if tried.failed else []
    return told + _nothing_safe(*tried.calibration.safe) + _broken(tried.samples)


def _nothing_safe(low: float, high: float) -> list[str]:
    """A warning where not even the smallest measured dose is safe, with the side on which that is so."""
    smallest = min(abs(dose) for dose in DOSES)
    costs = (
        f"the smallest dose measured (rho {smallest:g}) costs more than {MOST_KL:g} nat of KL (95th percentile) "
        f"or {MOST_NLL_RISE:g} nats of likelihood on neutral text"
    )
    sides = [side for side, reach in (("Below", -low), ("Above", high)) if reach < smallest]
    if len(sides) == 2:
        return [f"Even {costs}: steering here breaks the model before it moves it."]
    return [f"{side} 0 even {costs}: steer the other way, or not at all." for side in sides]


def _broken(samples: SteeredSamples) -> list[str]:
    """A warning where sample texts are broken at doses that are safe on neutral text; with the numbers."""
    unsteered = samples.unsteered
    if unsteered is None:
        return ["Without a dose the model writes nothing to the sample questions: no dose can be compared with none."]
    broken = [dose for dose in samples.doses if is_broken(dose, unsteered)]
    if not broken:
        return []
    low, high = sound_range(samples, unsteered)
    what = joined([_what_broke(dose, unsteered) for dose in broken])
    return [
        "The safe range is measured on neutral text and does not hold for all text: of the samples, "
        f"{what}, against perplexity {decimals(unsteered.perplexity, 1)} without a dose "
        f"(broken: more than {MOST_TIMES:g} times that, or empty). Read the sample texts, and keep to "
        f"strengths {signed(low.strength)} to {signed(high.strength)} (rho {signed(low.rho)} to {signed(high.rho)}), "
        f"the largest sampled before texts break{_neither(samples, low, high)}."
    ]


def _what_broke(dose: SampledDose, unsteered: SampledDose) -> str:
    where = f"at strength {signed(dose.strength)} (rho {signed(dose.rho)})"
    if dose.n_empty > unsteered.n_empty:
        return f"{dose.n_empty} of {len(dose.replies)} {where} {'is' if dose.n_empty == 1 else 'are'} empty"
    return f"those {where} have perplexity {decimals(dose.perplexity, 1)}"


def _neither(samples: SteeredSamples, low: SampledDose, high: SampledDose) -> str:
    """On which side of 0 doses were sampled but none is fine."""
    none = [
        side
        for side, end, sign in (("below 0", low, -1), ("above 0", high, 1))
        if not end.strength and any(dose.rho * sign > 0 for dose in samples.doses)
    ]
    return f"; {joined(none)} none of them is fine" if none else ""
