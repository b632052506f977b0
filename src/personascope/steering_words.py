"""What a steering trial means, in words: a line, a paragraph, and what to bear in mind.

Judges by the gates of `steering_proof`. Knows the values of a trial; knows no file and no page.
"""

from dataclasses import dataclass

import numpy as np

from personascope.calibration import DOSES, MOST_KL, MOST_NLL_RISE, Calibration
from personascope.proving import Trial
from personascope.steering_proof import SteeringWord
from personascope.trying import Tried
from personascope.wording import gain_text, joined, p_text, signed, with_interval

_MEANING: dict[SteeringWord, str] = {
    "strong": "The vector reads the trait and causes it, against every control.",
    "usable": "The vector reads the trait and steers it; not every gate of the word strong was passed.",
    "read-only": "The vector reads the trait, but adding it is not shown to bring the trait about. Read with it only.",
    "unsupported": "The vector is not shown to read the trait well enough to trust what steering with it means.",
}


@dataclass(frozen=True)
class SteeringTold:
    """`line` fits a terminal; `paragraph` explains it; `cautions` are whole sentences."""

    line: str
    paragraph: str
    cautions: tuple[str, ...]


def steering_told(tried: Tried) -> SteeringTold:
    """The plain-words account of a trial."""
    slope, layer = tried.trial.proof.slope, tried.trial.layer
    line = (
        f"{tried.word}: steering at layer {layer}, S {gain_text(slope)} nats per token and unit of rho, "
        f"safe strength {safe_text(tried.calibration)}"
    )
    paragraph = " ".join(
        (_MEANING[tried.word], _unseen(tried), _effect(tried.trial), _controls(tried.trial), _arms(tried.trial))
    )
    return SteeringTold(line, paragraph.strip(), tuple(_cautions(tried)))


def safe_text(calibration: Calibration) -> str:
    """The safe range in gaps and rho, as in `−2.93 to +2.23 (rho −0.24 to +0.18)`."""
    low, high = calibration.safe
    strengths = [signed(rho * gaps_per_rho(calibration)) for rho in (low, high)]
    return f"{strengths[0]} to {strengths[1]} (rho {signed(low)} to {signed(high)})"


def gaps_per_rho(calibration: Calibration) -> float:
    """How many persona gaps a dose of rho 1 is at the steering layer."""
    return calibration.costs[-1].strength / calibration.costs[-1].rho


def _unseen(tried: Tried) -> str:
    found = tried.evaluation
    pairs = f"{len(found.pair_aucs)} instruction pairs and {found.n_questions} questions that nothing was chosen on"
    return f"As a reading it was tried on {pairs}: AUC {with_interval(found.auc)} at layer {found.layer}."


def _effect(trial: Trial) -> str:
    proof = trial.proof
    top = int(np.argmax(proof.doses))
    dose, point = proof.doses[top], proof.curve[top]
    turned = "turns round with its sign" if proof.both_signs else "is not shown to turn round with its sign"
    return (
        "As a steering: the same questions were asked without any instruction, and the vector was added from the last "
        f"prompt token on. At rho {signed(dose)} the high replies gain {with_interval(point)} nats per token on the "
        f"low ones; the effect {'rises' if proof.monotone else 'does not rise'} with every dose and "
        f"{turned}. It went the wrong way on {round(100 * proof.anti_steerable)} % of the questions."
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


def _arms(trial: Trial) -> str:
    if trial.arms is None:
        return ""
    arms = trial.arms
    return (
        f"For comparison, an unseen instruction moves the same replies by {gain_text(arms.instruction)}, the vector at "
        f"rho {signed(arms.rho)} by {gain_text(arms.vector)}, both together by {gain_text(arms.both)}."
    )


def _cautions(tried: Tried) -> list[str]:
    told = [f"Not strong: {joined(list(tried.failed))}."] if tried.failed else []
    low, high = tried.calibration.safe
    if min(-low, high) < min(abs(dose) for dose in DOSES):
        told.append(
            f"Even the smallest dose costs more than {MOST_KL:g} nat of KL (95th percentile) or {MOST_NLL_RISE:g} nats "
            "of likelihood on neutral text: steering here breaks the model before it moves it."
        )
    return told
