"""What steering does to the scores of all traits: by dose, at dose 0, and beside controls.

    by dose     P(high) of every trait at each dose, paired by item with dose 0
    at dose 0   d P(high) / d rho along any direction, from the gradient of each statement's score: one backward pass
                serves every vector and every control at once

Controls at equal norm: directions from relabelled texts in which the trait cancels, and random ones. All p are
two-sided, for a trait that was not aimed at may go either way. Doses are rho, the length of what is added as a fraction
of the residual norm, at one layer (after block k, from 0), from the last prompt token on.

Knows the engine protocols and the numbers; knows no engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from personascope.directions import slopes_along
from personascope.dose_response import beats, over_questions
from personascope.models.protocols import Chat, ScoresReplies, Tick
from personascope.questionnaire.asking import Likelihoods, Presented, answers_of, keys_of
from personascope.questionnaire.comparison import ScoreResponse, respond
from personascope.questionnaire.items import Item
from personascope.questionnaire.profiling import part, rows_of, statement_ids
from personascope.questionnaire.scoring import Answers, chooses_high, p_high, quality
from personascope.separation import Estimate
from personascope.steering import direction, residual_norm
from personascope.vectors import Vectors
from personascope.wording import signed

DOSES = (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class SteeredScore:
    """How one trait's score answers one vector."""

    response: ScoreResponse
    """Doses are rho."""
    chose_high: tuple[float, ...]
    """Share of items whose likeliest option is a high one, at each dose."""
    at_zero: "SlopeAtZero"
    doubts: tuple[str, ...] = ()
    """Why the answers at some dose are not reliable; with any, no effect is called shown."""


@dataclass(frozen=True)
class SlopeAtZero:
    """d P(high) / d rho at dose 0, over statements, and how it stands among the controls."""

    slope: Estimate
    p_shuffled: float
    """Two-sided share of controls whose slope is at least as large, the vector counted as one; NaN without controls."""
    p_random: float
    band_shuffled: tuple[float, float]
    """Within which 95 % of the controls' slopes lie, a control and its opposite being one."""
    band_random: tuple[float, float]
    n_shuffled: int
    n_random: int


@dataclass(frozen=True, eq=False)
class ControlDirections:
    """Directions without the trait, at one layer, none with its opposite; lengths do not matter; none may be there."""

    shuffled: Float64[np.ndarray, "shuffled width"]
    random: Float64[np.ndarray, "random width"]


@dataclass(frozen=True, eq=False)
class Asked:
    """Items as they were put, and how likely each reply was at each dose, dose 0 among them."""

    items: tuple[Item, ...]
    presented: Presented
    found: Likelihoods
    doses: tuple[float, ...]


@dataclass(frozen=True)
class ByDose:
    """What one trait's answers are at each dose."""

    response: ScoreResponse
    chose_high: tuple[float, ...]
    doubts: tuple[str, ...]


def responses(asked: Asked, *, seed: int) -> dict[str, ByDose]:
    """Of each trait: how P(high) answers the dose, how often a high option is likeliest, and what the answers lack."""
    answers, keys = answers_of(asked.presented, asked.found), keys_of(asked.items)
    high, sides = p_high(answers, keys), chooses_high(answers, keys)
    doses = np.array(asked.doses, dtype=np.float64)
    told = {}
    for trait in dict.fromkeys(item.trait for item in asked.items):
        rows = rows_of(asked.items, trait)
        statements = statement_ids([asked.items[row] for row in rows])
        shares = tuple(float(np.nanmean(side)) if not np.isnan(side).all() else np.nan for side in sides[:, rows])
        doubts = _doubts(part(answers, rows), keys[rows], asked.doses)
        told[trait] = ByDose(respond(doses, high[:, rows], statements, seed=seed), shares, doubts)
    return told


def _doubts(answers: Answers, keys: Float64[np.ndarray, "item option"], doses: Sequence[float]) -> tuple[str, ...]:
    """Why the answers at some dose are not reliable, each with its dose."""
    each = [Answers(answers.logp[[at]], answers.places, answers.labelled) for at in range(len(doses))]
    return tuple(
        f"at rho {signed(dose)} {reason}"
        for dose, one in zip(doses, each, strict=True)
        for reason in quality(one, keys).reasons
    )


def statement_gradients(
    engine: ScoresReplies, asked: Asked, trait: str, layers: Sequence[int], *, tick: Tick | None = None
) -> Float64[np.ndarray, "statement layer width"]:
    """Gradient of mean P(high) of each statement's items by a vector added at each layer, where nothing is added.

    `tick` counts replies. A statement whose items have no answer is NaN.
    """
    samples = np.isin(asked.presented.item, rows_of(asked.items, trait))
    statement = statement_ids(asked.items)[asked.presented.item]
    weights = _weights(asked)
    gradients = []
    for one in np.unique(statement[samples]):
        own = np.flatnonzero(samples & (statement == one))
        chats: list[Chat] = [asked.presented.chats[at] for at in own]
        replies = [asked.presented.replies[at] for at in own]
        shares = (weights[own] / len(np.unique(asked.presented.item[own]))).astype(np.float32)
        gradients.append(engine.sensitivity(chats, replies, weights=shares, layers=layers))
        if tick:
            tick(len(own))
    return np.stack(gradients).astype(np.float64)


def slope_at_zero(
    gradients: Float64[np.ndarray, "statement width"], vectors: Vectors, layer: int, controls: ControlDirections | None
) -> SlopeAtZero:
    """Derivative of P(high) by rho along a vector at its layer, with its place among controls of equal norm."""
    norm = residual_norm(vectors, layer)
    own = direction(vectors, layer).astype(np.float64)
    slopes = slopes_along(gradients, own[None], length=norm)[:, 0]
    shuffled, random = (
        slopes_along(gradients, family, length=norm).mean(axis=0) if len(family) else np.zeros(0)
        for family in ((controls.shuffled, controls.random) if controls else (np.zeros((0, 1)), np.zeros((0, 1))))
    )
    size = float(abs(slopes.mean()))
    p_shuffled, p_random = (
        beats(size, np.abs(family))[1] if len(family) else float("nan") for family in (shuffled, random)
    )
    return SlopeAtZero(
        over_questions(slopes), p_shuffled, p_random, _band(shuffled), _band(random), len(shuffled), len(random)
    )


def _band(slopes: Float64[np.ndarray, " vector"]) -> tuple[float, float]:
    if not len(slopes):
        return float("nan"), float("nan")
    reach = float(np.quantile(np.abs(slopes), 0.95))
    return -reach, reach


def _weights(asked: Asked) -> Float64[np.ndarray, " sample"]:
    """Derivative of P(high) of its item by the mean log-probability per token of each sample, at dose 0.

    Within one order P(high) = sum of share * key, share the softmax over samples: the derivative by a sample's logp is
    share * (key - P(high)). A label's logp is the sum over its tokens, hence the factor.
    """
    presented = asked.presented
    logp = asked.found.logp[asked.doses.index(0.0)]
    keys = keys_of(asked.items)[presented.item, presented.option]
    cells, cell = np.unique(np.stack([presented.item, presented.order]), axis=1, return_inverse=True)
    top = np.full(int(cell.max()) + 1, -np.inf)
    np.maximum.at(top, cell, logp)
    weight = np.exp(logp - np.where(np.isfinite(top), top, 0.0)[cell])
    share = weight / np.bincount(cell, weight)[cell].clip(min=np.finfo(float).tiny)
    expected = np.bincount(cell, share * keys)[cell]
    n_orders = np.bincount(cells[0], minlength=len(asked.items))
    size = asked.found.n_tokens if presented.labelled else 1
    return np.asarray(share * (keys - expected) * size / n_orders[presented.item], dtype=np.float64)
