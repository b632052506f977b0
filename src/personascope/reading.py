"""From activations and a design to the whole separation table of a trait.

Goes one layer at a time, so that no more than one Gram matrix is held. Knows no model and no file.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float64

from personascope.baselines import random_direction, text_scores
from personascope.crossed import crossed_folds
from personascope.directions import gram
from personascope.errors import ActivationError, ContrastError
from personascope.layer_reading import Plan, ReadLayer, read_layer, tabulate
from personascope.readers import logistic_regression, reader_scores, shrinkage_lda
from personascope.relabelling import balanced, relabellings
from personascope.separation import Design, Estimate, LayerReading, Separation
from personascope.uncertainty import advantage_estimate, auc_estimate, draw_again

CANDIDATE_DEPTHS = (0.35, 0.80)
FIXED_DEPTH = 0.6
_ROWS_NAMED = 8


def separate(
    activations: Float[np.ndarray, "sample layer width"],
    design: Design,
    *,
    layers: Sequence[int],
    n_model_layers: int,
    texts: Sequence[str] | None,
    seed: int,
) -> Separation:
    """How well each layer's direction separates the poles on held-out texts, with nulls, intervals and controls.

    `layers` names the second axis of the activations; `texts` are the replies, for the baselines that read words
    (None leaves these out). Raises ContrastError for a design that makes no contrast or does not fit the activations,
    ActivationError for values that are not finite and for poles that coincide.
    """
    check_design(design, n_samples=len(activations), n_texts=len(activations) if texts is None else len(texts))
    _check_activations(activations, layers)
    plan = make_plan(design, seed=seed)
    candidates = candidate_positions(layers, n_model_layers)
    fixed = fixed_position(layers, n_model_layers)
    read = [read_layer(activations[:, [at]], layer, plan) for at, layer in enumerate(layers)]
    readings = tabulate(read, candidates, exhaustive=plan.others.exhaustive)
    chosen = max(candidates, key=lambda at: _rank(readings[at]))
    nested_scores, nested_positions = nested(read, candidates, fixed, plan)
    by_text = {} if texts is None else text_scores(texts, design.high, plan.folds)
    return Separation(
        readings=readings,
        chosen_layer=layers[chosen],
        nested_auc=auc_estimate(nested_scores, design.high, plan.draws),
        nested_layers=tuple((layers[at], count) for at, count in nested_positions),
        fixed_layer=layers[fixed],
        fixed_auc=readings[fixed].auc,
        p=readings[chosen].p_max,
        n_relabellings=len(plan.others.high),
        exhaustive=plan.others.exhaustive,
        baselines=_baselines(activations[:, chosen], by_text, plan),
        advantages={
            name: advantage_estimate(nested_scores, scores, design.high, plan.draws) for name, scores in by_text.items()
        },
        readers=_readers(activations[:, [chosen]], readings[chosen].auc, plan),
        held_out_scores=read[chosen].scores,
        n_high=int(design.high.sum()),
        n_low=int((~design.high).sum()),
        n_pairs=len(np.unique(design.pair)),
        n_questions=len(np.unique(design.question)),
    )


def make_plan(design: Design, *, seed: int) -> Plan:
    """Folds, relabellings and bootstrap draws of a design."""
    folds = crossed_folds(design, seed=seed)
    others = relabellings(design, folds, seed=seed + 1)
    return Plan(design, folds, others, balanced(others, design.high), draw_again(design, seed=seed + 2), seed)


def candidate_positions(layers: Sequence[int], n_model_layers: int) -> list[int]:
    """Positions in `layers` at depth 0.35-0.80 of the model, layer k being at (k + 1) / n; all, if none are."""
    low, high = CANDIDATE_DEPTHS
    within = [at for at, layer in enumerate(layers) if low <= (layer + 1) / n_model_layers <= high]
    return within or list(range(len(layers)))


def fixed_position(layers: Sequence[int], n_model_layers: int) -> int:
    """Position in `layers` of the one nearest to depth 0.6 of the model, the shallower of two."""
    miss = [round(abs((layer + 1) / n_model_layers - FIXED_DEPTH), 9) for layer in layers]
    return min(range(len(layers)), key=lambda at: (miss[at], layers[at]))


def nested(
    read: Sequence[ReadLayer], candidates: Sequence[int], fixed: int, plan: Plan
) -> tuple[Float64[np.ndarray, " sample"], list[tuple[int, int]]]:
    """Held-out scores at the layer that each outer fold's training rows choose, and how often each position was chosen.

    Chosen by inner held-out AUC, then Cohen's d, then depth; `fixed` where the training rows cannot be divided again.
    Layers differ in scale (norms grow with depth), so a fold's scores are in spreads of its inner held-out scores.
    """
    scores = np.zeros(len(plan.design.high))
    picked: Counter[int] = Counter()
    for c in range(len(plan.folds.trains)):
        usable = [at for at in candidates if not np.isnan(read[at].inner.auc[c])]
        at = max(
            usable,
            key=lambda at: (read[at].inner.auc[c], read[at].inner.cohens_d[c], -read[at].reading.layer),
            default=fixed,
        )
        rows, scale = plan.folds.cell == c, read[at].inner.scale[c]
        scores[rows] = read[at].scores[rows] / (scale if scale > 0 else 1.0)
        picked[at] += 1
    return scores, sorted(picked.items())


def _rank(reading: LayerReading) -> tuple[float, float, int]:
    return reading.auc.value, reading.cohens_d.value, -reading.layer


def _baselines(
    activations: Float[np.ndarray, "sample width"], by_text: Mapping[str, Float64[np.ndarray, " sample"]], plan: Plan
) -> dict[str, Estimate]:
    high = plan.design.high
    known = {name: auc_estimate(scores, high, plan.draws) for name, scores in by_text.items()}
    return known | {"random direction": random_direction(activations, high, folds=plan.folds, seed=plan.seed + 4)}


def _readers(activations: Float[np.ndarray, "sample 1 width"], plain: Estimate, plan: Plan) -> dict[str, Estimate]:
    high, products = plan.design.high, gram(activations)[0]
    others = {"shrinkage LDA": shrinkage_lda(activations.shape[2]), "logistic regression": logistic_regression}
    return {"difference of means": plain} | {
        name: auc_estimate(reader_scores(products, high, plan.folds, read), high, plan.draws)
        for name, read in others.items()
    }


def check_design(design: Design, *, n_samples: int, n_texts: int) -> None:
    """Raise ContrastError unless the design fits the samples and has two texts a pole and two questions."""
    lengths = {len(design.high), len(design.pair), len(design.question), n_texts, n_samples}
    if len(lengths) > 1:
        raise ContrastError(
            f"{n_samples} activations, {len(design.high)} poles, {len(design.pair)} pairs, "
            f"{len(design.question)} questions and {n_texts} texts do not match",
            hint="give one of each for every sample",
        )
    n_high = int(design.high.sum())
    if min(n_high, n_samples - n_high) < 2:
        raise ContrastError(
            f"{n_high} high and {n_samples - n_high} low texts make no contrast", hint="give at least two texts a pole"
        )
    n_questions = len(np.unique(design.question))
    if n_questions < 2:
        raise ContrastError(
            f"{n_questions} question leaves none to hold out", hint="ask at least two questions, better twenty"
        )


def _check_activations(activations: Float[np.ndarray, "sample layer width"], layers: Sequence[int]) -> None:
    if len(layers) != activations.shape[1] or len(set(layers)) != len(layers) or not layers:
        raise ActivationError(
            f"the activations hold {activations.shape[1]} layers, but {list(layers)} were named",
            hint="name each layer of the activations once, in their order",
        )
    broken = np.flatnonzero(~np.isfinite(activations).all(axis=(1, 2)))
    if len(broken):
        named = ", ".join(map(str, broken[:_ROWS_NAMED])) + (", ..." if len(broken) > _ROWS_NAMED else "")
        raise ActivationError(
            f"{len(broken)} of {len(activations)} rows are not finite: {named}",
            hint="leave out empty replies with their partners; a model that overflows in float16 needs bfloat16",
        )
