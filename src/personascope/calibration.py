"""The dose of a vector: where it acts best, what it costs, and how far it may go.

Cost is measured on neutral texts shipped with the package: KL(steered || unsteered) on the model's own unsteered
replies to neutral prompts, and the rise of the negative log-likelihood of plain factual passages, both per token in
nats. Safe is the largest dose either way at which the 95th percentile of KL is at most 1 nat and the passages lose at
most 0.25.
A dose is rho, the length of what is added as a fraction of a token's mean residual norm at the layer, block k from 0.

Knows the engine protocols and the vectors; knows no engine and no trait.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64

from personascope.directions import slopes_along
from personascope.dose_response import kl_growth, per_root_nat, token_means
from personascope.errors import ContrastError
from personascope.gathering import Progress
from personascope.models.protocols import Chat, Generates, Sampling, ScoresReplies, Steered, Steering, Tick
from personascope.neutral import neutral
from personascope.reading import candidate_positions
from personascope.rollouts import Rollout
from personascope.steering import direction, gaps, residual_norm, steering
from personascope.vectors import Vectors

DOSES = (-0.4, -0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3, 0.4)
"""rho. Beyond 0.4 models of any size we know of wrote nonsense (science: inverted U)."""
MOST_KL = 1.0
MOST_NLL_RISE = 0.25
TOKENS = 50
"""Of each neutral text that are scored."""
PROBE_RHO = 0.1
_PROMPTS, _PASSAGES, _PROBED_TEXTS, _PROBED_TOKENS = 16, 8, 8, 24
MOST_QUESTIONS = 20
"""That a reply of each pole is taken of, where not all are scored."""


@runtime_checkable
class Engine(Generates, ScoresReplies, Protocol):
    """An engine that can write replies and score them, plain and steered."""


@dataclass(frozen=True)
class DoseCost:
    """What one dose costs on neutral texts, nats per token."""

    rho: float
    strength: float
    """The same dose in persona gaps."""
    kl_mean: float
    kl_p95: float
    """Over tokens."""
    nll_rise: float


@dataclass(frozen=True)
class LayerEffect:
    """What a push at one layer does to replies of the extraction, at dose 0, and what it costs."""

    layer: int
    slope: float
    """Of the propensity S by rho, nats per token."""
    kl_growth: float
    """c of KL = c rho^2, nats per token, from one small dose."""
    per_root_nat: float
    """Slope at equal cost: slope / sqrt(kl_growth)."""


@dataclass(frozen=True)
class Calibration:
    """The layer to steer at, and the doses that leave neutral text alone."""

    layer: int
    safe: tuple[float, float]
    """Lowest and highest safe rho; interpolated between measured doses, at most the largest of them."""
    costs: tuple[DoseCost, ...]
    layers: tuple[LayerEffect, ...]
    n_prompts: int
    n_passages: int
    neutral_texts: str
    """Which edition of them: a short hash."""


@dataclass(frozen=True)
class NeutralReplies:
    """The model's own unsteered replies to neutral prompts."""

    chats: tuple[Chat, ...]
    replies: tuple[str, ...]


def calibrate(
    engine: Engine, vectors: Vectors, rollouts: Sequence[Rollout], *, seed: int, progress: Progress
) -> Calibration:
    """Choose the layer to steer at on the replies behind the vectors, then measure what each dose costs there.

    Without replies of both poles (bare prompts, say) the layer is the one that reads best.
    """
    tick = progress("neutral replies", _PROMPTS)
    texts = neutral_replies(engine, seed=seed, tick=tick)
    try:
        effects = layer_effects(engine, vectors, rollouts, texts)
    except ContrastError:
        effects = ()
    layer = best_layer(effects) if effects else int(vectors.metadata["chosen_layer"])
    n_texts = len(texts.chats) + _PASSAGES
    costs = dose_costs(engine, vectors, layer, texts, tick=progress("cost by dose", n_texts * (len(DOSES) + 1)))
    return Calibration(layer, safe_range(costs), costs, effects, len(texts.chats), _PASSAGES, neutral().digest)


def neutral_replies(engine: Engine, *, seed: int, tick: Tick | None = None) -> NeutralReplies:
    """What the model says to neutral prompts, unsteered, at temperature 1. Raises ContrastError if it says nothing."""
    chats = tuple(Chat(prompt) for prompt in neutral().prompts[:_PROMPTS])
    made = engine.generate(chats, Sampling(TOKENS), seeds=[seed + at for at in range(len(chats))], tick=tick)
    there = [(chat, reply.text) for chat, reply in zip(chats, made.replies, strict=True) if reply.n_tokens]
    if not there:
        raise ContrastError("the model answers no neutral prompt", hint="its replies are empty; try another model")
    return NeutralReplies(tuple(chat for chat, _ in there), tuple(text for _, text in there))


def layer_effects(
    engine: Engine, vectors: Vectors, rollouts: Sequence[Rollout], texts: NeutralReplies
) -> tuple[LayerEffect, ...]:
    """Slope and cost of a small push at each candidate layer of the file, on replies that the vectors were made from.

    For choosing a layer only: the texts are not held out, and every layer has the same advantage. Raises ContrastError
    where no question has replies of both poles.
    """
    within = candidate_positions(vectors.layers, int(vectors.metadata["model"]["n_layers"]))
    layers = [vectors.layers[at] for at in within]
    rows = balanced(rollouts, MOST_QUESTIONS)
    gradient = engine.sensitivity(
        asked_plainly(rows),
        [row.reply for row in rows],
        weights=weights_of(rows),
        layers=layers,
        most_tokens=_PROBED_TOKENS,
    )
    slopes = np.array([slope_along(vectors, layer, gradient[at].astype(np.float64)) for at, layer in enumerate(layers)])
    pushes = [(at_rho(vectors, layer, PROBE_RHO),) for layer in layers]
    costs = engine.score(
        texts.chats[:_PROBED_TEXTS], texts.replies[:_PROBED_TEXTS], steerings=pushes, most_tokens=_PROBED_TOKENS
    )
    probe = np.array([PROBE_RHO])
    growth = np.array([kl_growth(probe, np.array([np.nanmean(kl)], dtype=np.float64)) for kl in costs.kl])
    at_cost = per_root_nat(slopes, growth)
    return tuple(
        LayerEffect(layer, float(slopes[at]), float(growth[at]), float(at_cost[at])) for at, layer in enumerate(layers)
    )


def why_there(effects: Sequence[object], *, original: bool = False) -> str:
    """Why a layer is steered at: by the effects of all, if these were measured, else as the vectors themselves name it.

    Files of the original scripts name the layer nearest to depth 0.6, ours the one that reads best.
    """
    if effects:
        return "where it moves replies most at equal cost"
    return "nearest to depth 0.6" if original else "where it reads best"


def best_layer(effects: Sequence[LayerEffect]) -> int:
    """The layer that moves replies most at equal cost; the shallower of two."""
    return max(effects, key=lambda effect: (np.nan_to_num(effect.per_root_nat, nan=-np.inf), -effect.layer)).layer


def dose_costs(
    engine: Engine, vectors: Vectors, layer: int, texts: NeutralReplies, *, tick: Tick | None = None
) -> tuple[DoseCost, ...]:
    """What each dose of the grid costs at a layer, by rising dose."""
    passages = neutral().passages[:_PASSAGES]
    chats = [*texts.chats, *(Chat(passage.question) for passage in passages)]
    replies = [*texts.replies, *(passage.text for passage in passages)]
    pushes: list[Steered] = [(at_rho(vectors, layer, rho),) for rho in DOSES]
    scores = engine.score(chats, replies, steerings=[(), *pushes], most_tokens=TOKENS, tick=tick)
    own = len(texts.chats)
    nll = -token_means(scores.logp[:, own:]).mean(axis=1)
    return tuple(
        DoseCost(
            rho,
            gaps(vectors, layer, rho, "norm"),
            float(np.nanmean(scores.kl[at, :own])),
            float(np.nanquantile(scores.kl[at, :own], 0.95)),
            float(nll[at] - nll[0]),
        )
        for at, rho in enumerate(DOSES, 1)
    )


def safe_range(costs: Sequence[DoseCost]) -> tuple[float, float]:
    """The largest safe dose below and above 0, as rho; interpolated where a limit is crossed between two doses."""
    return -_reach([c for c in costs if c.rho < 0]), _reach([c for c in costs if c.rho > 0])


def _reach(costs: Sequence[DoseCost]) -> float:
    """How far one may go from 0 on one side; KL goes with the square of a small dose, so its root is interpolated."""
    before, inside = 0.0, (0.0, 0.0)
    for cost in sorted(costs, key=lambda cost: abs(cost.rho)):
        here = float(np.sqrt(cost.kl_p95 / MOST_KL)), cost.nll_rise / MOST_NLL_RISE
        if not np.isfinite(here).all():
            return before
        if max(here) > 1:
            shares = [(1 - a) / (b - a) for a, b in zip(inside, here, strict=True) if b > 1]
            return before + (abs(cost.rho) - before) * max(0.0, min(shares))
        before, inside = abs(cost.rho), here
    return before


def at_rho(vectors: Vectors, layer: int, rho: float) -> Steering:
    """The trait's direction at one layer, at a dose in rho."""
    return steering(vectors, [layer], gaps(vectors, layer, rho, "norm"))


def slope_along(vectors: Vectors, layer: int, gradient: Float64[np.ndarray, " width"]) -> float:
    """The slope of S by rho along the trait's direction at a layer, from the gradient there."""
    own = direction(vectors, layer).astype(np.float64)
    return float(slopes_along(gradient, own[None], length=residual_norm(vectors, layer))[0])


def balanced(rollouts: Sequence[Rollout], most_questions: int) -> list[Rollout]:
    """One reply of each pole to each question, the instruction pairs taking turns; replies without text left out.

    Raises ContrastError where no question has both.
    """
    cells: dict[int, dict[int, dict[str, Rollout]]] = {}
    for row in rollouts:
        if row.reply.strip():
            cells.setdefault(row.question, {}).setdefault(row.pair, {}).setdefault(row.pole, row)
    rows: list[Rollout] = []
    for turn, question in enumerate(sorted(cells)):
        whole = [poles for _, poles in sorted(cells[question].items()) if len(poles) == 2]
        if whole and len(rows) < 2 * most_questions:
            poles = whole[turn % len(whole)]
            rows += [poles["high"], poles["low"]]
    if not rows:
        raise ContrastError(
            "no question has replies of both poles to be scored",
            hint="steering is measured on replies; use --contrast rollouts",
        )
    return rows


def asked_plainly(rows: Sequence[Rollout]) -> list[Chat]:
    """The same questions without any instruction."""
    return [Chat(row.chat.question, raw=row.chat.raw) for row in rows]


def weights_of(rows: Sequence[Rollout]) -> Float32[np.ndarray, " sample"]:
    """What makes a weighted sum of scores S: means over each question's poles, then over questions."""
    counts = Counter((row.question, row.pole) for row in rows)
    n_questions, signs = len({row.question for row in rows}), {"high": 1.0, "low": -1.0}
    return np.array([signs[row.pole] / counts[row.question, row.pole] / n_questions for row in rows], dtype=np.float32)
