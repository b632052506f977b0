"""What a dose-response proves: the slope beside those of control vectors, and the word that a vector earns.

A control carries no trait and is run like the vector on trial. Random directions of the same length show what pushing
at all does; vectors from shuffled labels show what the procedure makes of the same texts without the trait.
Equal length is not equal force: a difference of means changes the model's predictions more than a random vector of its
length (1.6 to 3.5 times the KL where we measured), so controls are compared at equal KL too.
Knows numbers only; S and its slope: `dose_response`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from personascope.dose_response import (
    anti_steerable,
    beats,
    is_monotone,
    kl_growth,
    listed,
    no_dose,
    per_root_nat,
    propensity_curve,
    reverses_sign,
    slope,
    slope_estimate,
)
from personascope.errors import SteeringError
from personascope.evidence import chosen_reading
from personascope.separation import Estimate, Separation
from personascope.steering_gates import ALPHA, STABLE_HALVES, STRONG_AUC, USABLE_AUC, Gate, failure

LINEAR_RHO = 0.2
"""Doses up to here make the slope: S is near to linear and KL to quadratic there."""
SteeringWord = Literal["strong", "usable", "read-only", "unsupported"]
_SAME_DOSE = 1e-9


@dataclass(frozen=True, eq=False)
class DoseResponse:
    """What one vector does at each dose: the propensity question by question, and what it costs."""

    doses: Float64[np.ndarray, " dose"]
    """rho, negative ones included; dose 0 may be left out, where S and KL are 0."""
    by_question: Float64[np.ndarray, "dose question"]
    """S as `propensity` gives it, nats per token."""
    kl: Float64[np.ndarray, " dose"]
    """Mean KL(steered || unsteered) per token, nats; a vector and its controls on the same texts."""


@dataclass(frozen=True, eq=False)
class Controls:
    """Vectors that carry no trait, run like the one on trial, over the same replies and at some of the same doses.

    A shuffled vector is made as the vector was, from labels under which the trait cancels: where several texts share an
    instruction, the poles of half of the instruction pairs are swapped (see `relabelling`).
    """

    vector: DoseResponse
    """The vector on trial, run on the same replies as its controls."""
    shuffled: tuple[DoseResponse, ...]
    random: tuple[DoseResponse, ...]


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes of S by rho at dose 0, exact and cheap for any number of vectors: see the engines' `sensitivity`.

    A slope by rho compares vectors at equal norm. The first of each family are those that were run (`Controls`).
    """

    vector: float
    shuffled: Float64[np.ndarray, " shuffled"]
    random: Float64[np.ndarray, " random"]
    p_swapped: float
    """Exact permutation p of the vector's slope at equal strength: the poles of whole instruction pairs swapped."""


@dataclass(frozen=True)
class SteeringProof:
    """The dose-response of one vector and what it must be compared with."""

    doses: tuple[float, ...]
    """rho, rising."""
    curve: tuple[Estimate, ...]
    """S at each dose, nats per token."""
    slope: Estimate
    """S per unit of rho, over the doses up to `LINEAR_RHO` on either side."""
    slope_at_zero: float
    """The same at dose 0, from the gradient: what the controls' slopes are compared with."""
    p_shuffled: float
    """Share of shuffled-label vectors with at least this slope at equal norm, the vector counted as one of them."""
    p_random: float
    p_swapped: float
    """Exact permutation p at equal strength, the poles of whole instruction pairs swapped."""
    p_shuffled_kl: float
    """The same at equal KL (`per_root_nat`), among the controls that were run at a dose."""
    p_random_kl: float
    monotone: bool
    """S rises from each dose to the next, 0 at dose 0 included."""
    both_signs: bool
    """S is below 0 at every negative dose and above 0 at every positive one, by the intervals."""
    anti_steerable: float
    """Share of questions whose own slope is negative."""
    n_questions: int
    n_shuffled: int
    """Controls whose slopes are known; `n_shuffled_kl` of them were run at a dose."""
    n_random: int
    n_shuffled_kl: int
    n_random_kl: int


def prove(vector: DoseResponse, slopes: Slopes, controls: Controls) -> SteeringProof:
    """The curve of a vector with its slope, compared with all controls at equal norm, with those run at equal KL.

    Raises SteeringError if no dose is small enough for a slope, or a family was run at doses that the vector was not.
    """
    order = np.argsort(vector.doses)
    vector = DoseResponse(vector.doses[order], vector.by_question[order], vector.kl[order])
    doses = tuple(float(dose) for dose in vector.doses)
    curve = propensity_curve(vector.by_question)
    small = _at(vector, vector.doses)
    at_zero = {0.0: 0.0} | {dose: point.value for dose, point in zip(doses, curve, strict=True)}
    return SteeringProof(
        doses=doses,
        curve=curve,
        slope=slope_estimate(small.doses, small.by_question),
        slope_at_zero=slopes.vector,
        p_shuffled=beats(slopes.vector, slopes.shuffled)[1],
        p_random=beats(slopes.vector, slopes.random)[1],
        p_swapped=slopes.p_swapped,
        p_shuffled_kl=_p_at_equal_kl(slopes.vector, slopes.shuffled, controls.vector, controls.shuffled),
        p_random_kl=_p_at_equal_kl(slopes.vector, slopes.random, controls.vector, controls.random),
        monotone=is_monotone(np.array([at_zero[dose] for dose in sorted(at_zero)])),
        both_signs=reverses_sign(doses, curve)[0],
        anti_steerable=anti_steerable(slope(small.doses, small.by_question)),
        n_questions=vector.by_question.shape[1],
        n_shuffled=len(slopes.shuffled),
        n_random=len(slopes.random),
        n_shuffled_kl=len(controls.shuffled),
        n_random_kl=len(controls.random),
    )


def _p_at_equal_kl(
    slope_of_vector: float,
    slopes: Float64[np.ndarray, " control"],
    vector: DoseResponse,
    family: tuple[DoseResponse, ...],
) -> float:
    """The p of the slope per root-nat among the controls that were run, at the KL of the doses they were run at."""
    wanted = family[0].doses if family else vector.doses
    growth = np.array([kl_growth(same.doses, same.kl) for same in (_at(each, wanted) for each in (vector, *family))])
    at_equal_kl = per_root_nat(np.array([slope_of_vector, *slopes[: len(family)]]), growth)
    return beats(float(at_equal_kl[0]), at_equal_kl[1:])[1]


def _at(response: DoseResponse, wanted: Float64[np.ndarray, " wanted"]) -> DoseResponse:
    """The response at those wanted doses that make the slope."""
    small = wanted[(wanted != 0) & (np.abs(wanted) <= LINEAR_RHO + _SAME_DOSE)]
    if not len(small):
        raise SteeringError(no_dose(wanted), hint=f"give doses within {LINEAR_RHO:g} on both sides of 0")
    same = np.abs(response.doses - small[:, None]) <= _SAME_DOSE
    if not same.any(axis=1).all():
        found = f"a vector has doses {listed(response.doses)}, its controls {listed(wanted)}"
        raise SteeringError(found, hint="run every vector and control of a family at the same doses")
    rows = same.argmax(axis=1)
    return DoseResponse(response.doses[rows], response.by_question[rows], response.kl[rows])


def steering_word(separation: Separation, proof: SteeringProof | None) -> tuple[SteeringWord, tuple[str, ...]]:
    """The word that a vector earns, and every gate of "strong" that it did not pass, in plain words.

        strong       usable, and reads well: lower end of the nested AUC from 0.80, and at the chosen layer split-half
                     cosine from 0.70 and every pair cosine above 0; steers with p < 0.05 against both families at
                     equal KL too, and the effect turns round with the sign of the dose
        usable       reads: lower end from 0.65; steers: slope above 0 with p < 0.05 against both families at equal norm
                     and by the exact test, the poles of whole instruction pairs swapped
        read-only    reads, but is not shown to steer, or was never steered
        unsupported  does not read, whatever it steers
    NaN passes no gate. p < 0.05 implies that more than 95 % of the controls are beaten, so strong includes usable.
    """
    judged = gates(separation, proof)
    unproven = ("no dose-response was measured",) if proof is None else ()
    failed = (*(failure(gate) for gate in judged if not gate.passed), *unproven)
    if not separation.nested_auc.low >= USABLE_AUC:
        return "unsupported", failed
    if unproven or not all(gate.passed for gate in judged if gate.part == "steering"):
        return "read-only", failed
    return ("usable" if failed else "strong"), failed


def gates(separation: Separation, proof: SteeringProof | None) -> tuple[Gate, ...]:
    """The gates of "strong": those of reading and, where a proof is there, those of steering."""
    chosen, low = chosen_reading(separation), separation.nested_auc.low
    halves, pairs = chosen.split_half_cosine, chosen.pair_cosine_min
    reading = (
        Gate("auc", low, low >= STRONG_AUC, "reading"),
        Gate("halves", halves, halves >= STABLE_HALVES, "reading"),
        Gate("pairs", pairs, pairs > 0, "reading"),
    )
    return reading if proof is None else (*reading, *_steering_gates(proof))


def _steering_gates(proof: SteeringProof) -> tuple[Gate, ...]:
    slope_found, p_swapped = proof.slope.value, proof.p_swapped
    p_kl, p_random_kl = proof.p_shuffled_kl, proof.p_random_kl
    return (
        Gate("slope", slope_found, slope_found > 0, "steering"),
        Gate("shuffled", proof.p_shuffled, proof.p_shuffled < ALPHA, "steering", proof.n_shuffled),
        Gate("random", proof.p_random, proof.p_random < ALPHA, "steering", proof.n_random),
        Gate("swapped", p_swapped, p_swapped < ALPHA, "steering"),
        Gate("shuffled at equal KL", p_kl, p_kl < ALPHA, "strong steering", proof.n_shuffled_kl),
        Gate("random at equal KL", p_random_kl, p_random_kl < ALPHA, "strong steering", proof.n_random_kl),
        Gate("signs", float(proof.both_signs), proof.both_signs, "strong steering"),
    )
