"""The proof that a vector steers, without a judge: given replies of both poles to held-out questions, asked plainly.

    S(dose) = mean over high replies of (logp_dose - logp_0) - mean over low replies of (logp_dose - logp_0)

The replies were written by the model itself under instructions and to questions that the vector was not made from; here
the same questions are asked without any instruction, and the vector alone must make the high replies likelier.
Controls: vectors from relabelled texts in which the trait cancels, and random directions, at equal norm (their slopes
at dose 0 from one backward pass) and at equal KL (some are run at a dose). Beside it: what an unseen instruction does.

Doses are rho. Knows the engine protocols and the numbers; knows no engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from personascope.calibration import MOST_QUESTIONS, Engine, asked_plainly, at_rho, balanced, weights_of
from personascope.control_directions import ControlFamilies, control_families
from personascope.directions import slopes_along
from personascope.dose_response import over_questions, propensity, token_means
from personascope.gathering import Gathered, Progress
from personascope.models.protocols import Steered, Steering, Tick
from personascope.rollouts import Rollout
from personascope.separation import Estimate
from personascope.steering import direction, gaps, residual_norm
from personascope.steering_proof import Controls, DoseResponse, Slopes, SteeringProof, prove
from personascope.traits import InstructionPair
from personascope.vectors import Vectors

DOSES = (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2)
CONTROL_DOSE = 0.1
TOKENS = 24
"""Of each reply that are scored."""
N_RUN = 20
"""Controls of each family that are run at a dose; the slopes of all are known."""


@dataclass(frozen=True)
class Arms:
    """S of an unseen instruction, of the vector, and of both together; and at which dose."""

    rho: float
    instruction: Estimate
    vector: Estimate
    both: Estimate


@dataclass(frozen=True)
class Trial:
    """What came of the trial: the proof, the cost of each dose on the very replies, and the arms."""

    layer: int
    proof: SteeringProof
    kl: tuple[float, ...]
    """Mean KL per token at each dose of the proof, nats."""
    bands: tuple[tuple[float, float], tuple[float, float]]
    """2.5th and 97.5th percentile of the slopes of shuffled-label and of random vectors at equal norm."""
    arms: Arms | None
    """None where there is no unseen instruction."""

    def with_arms(self, arms: Arms | None) -> "Trial":
        """The same with the instruction beside it."""
        return replace(self, arms=arms)


def run_trial(
    engine: Engine, vectors: Vectors, layer: int, *, gathered: Gathered, evaluation: Gathered, progress: Progress
) -> Trial:
    """The dose-response of the vector at a layer on all evaluation replies, with its controls.

    `gathered` are the texts behind the vector. Controls are run on one reply of each pole to each question.
    """
    settings = vectors.metadata["settings"]
    seed = int(settings["seed"])
    families = control_families(gathered, layer, settings["position"], seed=seed)
    rows, some = _scorable(evaluation.rollouts), balanced(evaluation.rollouts, MOST_QUESTIONS)
    slopes = _slopes(engine, vectors, layer, rows, families)
    own = [(at_rho(vectors, layer, rho),) for rho in DOSES]
    picked = (families.shuffled[:N_RUN], families.random[:N_RUN])
    runs = [(at_rho(vectors, layer, CONTROL_DOSE),)]
    runs += [(_control(vectors, layer, vector),) for family in picked for vector in family]
    tick = progress("steering trial", len(rows) * (1 + len(own)) + len(some) * (1 + len(runs)))
    vector = _joined(_run(engine, rows, own, DOSES, tick))
    first, *others = _run(engine, some, runs, [CONTROL_DOSE] * len(runs), tick)
    controls = Controls(first, tuple(others[: len(picked[0])]), tuple(others[len(picked[0]) :]))
    return Trial(
        layer=layer,
        proof=prove(vector, slopes, controls),
        kl=tuple(float(kl) for kl in vector.kl),
        bands=(_band(slopes.shuffled), _band(slopes.random)),
        arms=None,
    )


def run_arms(
    engine: Engine, vectors: Vectors, layer: int, rho: float, *, evaluation: Gathered, pairs: Sequence[InstructionPair]
) -> Arms | None:
    """S of a high instruction, of the vector at a dose, and of both, on the same replies; None with a single pair.

    Each question is asked under an instruction of another pair than wrote its replies, so that none reads its own.
    """
    if len(pairs) < 2:
        return None
    rows = balanced(evaluation.rollouts, MOST_QUESTIONS)
    asked = [replace(row.chat, instruction=pairs[(row.pair + 1) % len(pairs)].high) for row in rows]
    replies, push = [row.reply for row in rows], (at_rho(vectors, layer, rho),)
    plain = token_means(engine.score(asked_plainly(rows), replies, steerings=[(), push], most_tokens=TOKENS).logp)
    told = token_means(engine.score(asked, replies, steerings=[(), push], most_tokens=TOKENS).logp)
    changes = np.stack([told[0], plain[1], told[1]]) - plain[0]
    instruction, vector, both = (over_questions(by_question) for by_question in _propensity(changes, rows))
    return Arms(rho, instruction, vector, both)


def _slopes(engine: Engine, vectors: Vectors, layer: int, rows: Sequence[Rollout], families: ControlFamilies) -> Slopes:
    """Slopes of S at dose 0 by rho, of the vector and of every control; and the exact permutation p of its own.

    The latter compares raw vectors at equal strength: a relabelling's slope is then a signed mean of the pairs' slopes.
    """
    gradient = engine.sensitivity(
        asked_plainly(rows), [row.reply for row in rows], weights=weights_of(rows), layers=[layer], most_tokens=TOKENS
    )[0].astype(np.float64)
    raw = direction(vectors, layer).astype(np.float64)
    own_slope, shuffled, random = (
        slopes_along(gradient, family, length=residual_norm(vectors, layer))
        for family in (raw[None], families.shuffled, families.random)
    )
    swapped, own = families.swapped @ gradient, float(raw @ gradient)
    reached = int((swapped >= own - 1e-6 * abs(own)).sum())
    p = reached / len(swapped) if families.exhaustive else (1 + reached) / (1 + len(swapped))
    return Slopes(float(own_slope[0]), shuffled, random, p)


def _scorable(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """Replies with text, of questions that have some of either pole."""
    filled = [row for row in rollouts if row.reply.strip()]
    poles = {(row.question, row.pole) for row in filled}
    return [row for row in filled if {(row.question, "high"), (row.question, "low")} <= poles]


def _run(
    engine: Engine, rows: Sequence[Rollout], steerings: Sequence[Steered], doses: Sequence[float], tick: Tick
) -> list[DoseResponse]:
    """What each steering does to the replies, each a response at one dose."""
    replies = [row.reply for row in rows]
    scores = engine.score(asked_plainly(rows), replies, steerings=[(), *steerings], most_tokens=TOKENS, tick=tick)
    logp = token_means(scores.logp)
    by_question = _propensity(logp[1:] - logp[0], rows)
    kl = np.asarray(np.nanmean(scores.kl[1:], axis=(1, 2)), dtype=np.float64)
    return [DoseResponse(np.array([dose]), by_question[[at]], kl[[at]]) for at, dose in enumerate(doses)]


def _joined(responses: Sequence[DoseResponse]) -> DoseResponse:
    return DoseResponse(
        np.concatenate([response.doses for response in responses]),
        np.concatenate([response.by_question for response in responses]),
        np.concatenate([response.kl for response in responses]),
    )


def _control(vectors: Vectors, layer: int, vector: Float64[np.ndarray, " width"]) -> Steering:
    """A control at the length of the vector at the control dose."""
    strength = gaps(vectors, layer, CONTROL_DOSE, "norm")
    length = np.linalg.norm(direction(vectors, layer))
    return Steering({layer: (vector * length / np.linalg.norm(vector)).astype(np.float32)}, strength)


def _propensity(
    changes: Float64[np.ndarray, "dose sample"], rows: Sequence[Rollout]
) -> Float64[np.ndarray, "dose question"]:
    high = np.array([row.pole == "high" for row in rows], dtype=bool)
    return propensity(changes, high, np.array([row.question for row in rows], dtype=np.int64))


def _band(slopes: Float64[np.ndarray, " vector"]) -> tuple[float, float]:
    low, high = np.quantile(slopes, [0.025, 0.975])
    return float(low), float(high)
