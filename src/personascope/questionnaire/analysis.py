"""What steering does to a measured personality: the scores of all traits at each dose of one vector or several.

    items -> asked at all doses of all vectors in one call  -> P(high) by dose, paired by item
          -> one backward pass a statement                  -> slopes at dose 0 of every vector and control
    plain texts and choices at the same doses               -> damage

An effect is the vector's own only where its slope at dose 0 is beyond the controls. Knows the engine protocols, vectors
and numbers; knows no engine and no page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from personascope.artifacts import Json, header
from personascope.calibration import at_rho
from personascope.control_directions import random_directions, traitless_directions
from personascope.gathering import Gathered, Progress
from personascope.models.protocols import ModelSpec, ScoresReplies, Steered
from personascope.questionnaire.asking import Likelihoods, Presented, WayName, likelihoods, n_asked, present
from personascope.questionnaire.damage import Damage, TwoChoice, measure_damage, n_damage
from personascope.questionnaire.items import Item, Questionnaire
from personascope.questionnaire.profiling import Choice, asked_as_json, choose_way
from personascope.questionnaire.steered_scores import (
    DOSES,
    Asked,
    ControlDirections,
    SteeredScore,
    responses,
    slope_at_zero,
    statement_gradients,
)
from personascope.steering import gaps
from personascope.vectors import Vectors

Effect = Literal["raised", "lowered", "not shown"]
ALPHA = 0.05
LEAST_CHANGE = 0.01
"""Of P(high) from the lowest dose to the highest: what moves by less is not worth a word, however sure it is."""


@dataclass(frozen=True, eq=False)
class VectorOnTrial:
    """A vector to steer with: its name, its layer and why that one, and the texts behind it for the controls."""

    name: str
    vectors: Vectors
    layer: int
    why: str
    behind: Gathered | None
    safe: tuple[float, float] | None = None
    """Lowest and highest rho that leave neutral text alone, where they were measured."""


@dataclass(frozen=True, eq=False)
class VectorAnalysis:
    """What one vector does: the score of every trait by dose, and the damage."""

    name: str
    layer: int
    why: str
    safe: tuple[float, float] | None
    doses: tuple[float, ...]
    """rho, rising, 0 among them."""
    strengths: tuple[float, ...]
    """The same doses in persona gaps."""
    scores: Mapping[str, SteeredScore]
    damage: tuple[Damage, ...]

    def effect(self, trait: str) -> Effect:
        """Which way a trait's score went, if its slope is beyond the controls and its interval excludes 0.

        The slope over the doses and that at dose 0, which is compared with the controls, must have one sign, and the
        answers must be reliable at every dose; P(high) must go at least `LEAST_CHANGE` of the way.
        """
        curve = self.scores[trait].response.curve
        if self.scores[trait].doubts or abs(curve[-1].value - curve[0].value) < LEAST_CHANGE:
            return "not shown"
        zero, slope = self.scores[trait].at_zero, self.scores[trait].response.slope
        ps = [p for p in (zero.p_shuffled, zero.p_random) if not np.isnan(p)]
        excludes_zero = slope.low > 0 or slope.high < 0
        if not ps or max(ps) >= ALPHA or not excludes_zero or zero.slope.value * slope.value <= 0:
            return "not shown"
        return "raised" if slope.value > 0 else "lowered"


@dataclass(frozen=True, eq=False)
class Analysis:
    """The analysis of one model with one vector or several, by the vectors' traits."""

    model: ModelSpec
    questionnaire: Questionnaire
    choice: Choice
    vectors: Mapping[str, VectorAnalysis]

    @property
    def matrix(self) -> Float64[np.ndarray, "vector trait"]:
        """Slope of each trait's score by rho along each vector; traits in the questionnaire's order."""
        return np.array(
            [
                [one.scores[trait].response.slope.value for trait in self.questionnaire.traits]
                for one in self.vectors.values()
            ]
        )


def analyse(
    engine: ScoresReplies,
    questionnaire: Questionnaire,
    *,
    trials: Sequence[VectorOnTrial],
    choices: Sequence[TwoChoice],
    asked: WayName | None,
    seed: int,
    progress: Progress,
) -> Analysis:
    """The scores of all traits at all doses of all vectors, with controls and damage. `asked` None chooses the way."""
    choice = choose_way(engine, questionnaire, asked)
    items = questionnaire.items
    presented = present(items, choice.way, raw=not engine.spec.template)
    pushes = [_pushes(trial) for trial in trials]
    steerings = [(), *(steered for own in pushes for steered in own)]
    tick = progress("asking at every dose", n_asked(items, choice.way, len(steerings)))
    everything = likelihoods(engine, presented, steerings=steerings, tick=tick)
    parts = [_of_vector(items, presented, everything, at) for at in range(len(trials))]
    gradients = _gradients(engine, parts[0], questionnaire.traits, trials, progress)
    tick = progress("damage", n_damage(choices, len(steerings) - 1))
    damage = measure_damage(
        engine, [dict(zip(_STEERED, own, strict=True)) for own in pushes], choices, seed=seed, tick=tick
    )
    told = {
        trial.name: _analysis(trial, part, gradients, costs, seed)
        for trial, part, costs in zip(trials, parts, damage, strict=True)
    }
    return Analysis(engine.spec, questionnaire, choice, told)


def analysis_as_json(found: Analysis, made_from: Mapping[str, str], *, seed: int) -> dict[str, Json]:
    """An analysis as an artifact: header, items, way, and for each vector its scores by trait and its damage."""
    settings = {"seed": seed, "way": found.choice.way, "why": found.choice.why, "doses": list(DOSES)}
    return {
        **header("steered scores", model=found.model, made_from=made_from, settings=settings),
        **asked_as_json(found.questionnaire, found.choice),
        "vectors": {
            name: {
                "layer": one.layer,
                "why": one.why,
                "safe": one.safe,
                "doses": one.doses,
                "strengths": one.strengths,
                "effects": {trait: one.effect(trait) for trait in one.scores},
                "scores": {trait: asdict(score) for trait, score in one.scores.items()},
                "damage": [asdict(cost) for cost in one.damage],
            }
            for name, one in found.vectors.items()
        },
    }


_STEERED = tuple(dose for dose in DOSES if dose)


def _pushes(trial: VectorOnTrial) -> list[Steered]:
    return [(at_rho(trial.vectors, trial.layer, dose),) for dose in _STEERED]


def _of_vector(items: Sequence[Item], presented: Presented, everything: Likelihoods, vector: int) -> Asked:
    """The part of the answers that belongs to one vector's doses and, from the first row, to dose 0."""
    first = 1 + vector * len(_STEERED)
    rows = [first + _STEERED.index(dose) if dose else 0 for dose in DOSES]
    return Asked(tuple(items), presented, Likelihoods(everything.logp[rows], everything.n_tokens), DOSES)


def _gradients(
    engine: ScoresReplies, asked: Asked, traits: Sequence[str], trials: Sequence[VectorOnTrial], progress: Progress
) -> Mapping[str, Mapping[int, Float64[np.ndarray, "statement width"]]]:
    """Of each trait, the statements' gradients at each layer that some vector steers at."""
    layers = sorted({trial.layer for trial in trials})
    tick = progress("controls", len(asked.presented.chats))
    told = {}
    for trait in traits:
        found = statement_gradients(engine, asked, trait, layers, tick=tick)
        told[trait] = {layer: found[:, at] for at, layer in enumerate(layers)}
    return told


def _analysis(
    trial: VectorOnTrial,
    asked: Asked,
    gradients: Mapping[str, Mapping[int, Float64[np.ndarray, "statement width"]]],
    damage: tuple[Damage, ...],
    seed: int,
) -> VectorAnalysis:
    controls = _controls(trial, seed)
    scores = {
        trait: SteeredScore(
            found.response,
            found.chose_high,
            slope_at_zero(gradients[trait][trial.layer], trial.vectors, trial.layer, controls),
            found.doubts,
        )
        for trait, found in responses(asked, seed=seed).items()
    }
    strengths = tuple(gaps(trial.vectors, trial.layer, dose, "norm") for dose in asked.doses)
    return VectorAnalysis(trial.name, trial.layer, trial.why, trial.safe, asked.doses, strengths, scores, damage)


def _controls(trial: VectorOnTrial, seed: int) -> ControlDirections:
    """Relabelled texts where those behind the vector are there; random directions anyway."""
    width = trial.vectors.raw.shape[1]
    if trial.behind is None:
        return ControlDirections(np.zeros((0, width)), random_directions(width, seed=seed))
    position = trial.vectors.metadata["settings"]["position"]
    shuffled = traitless_directions(trial.behind, trial.layer, position, seed=seed)
    return ControlDirections(shuffled, random_directions(width, seed=seed))
