"""Transfer: whose texts a trait's direction tells apart, besides its own.

A direction that reads every trait's high pole is no direction of its trait: it may be of a register that all high
poles share, or of what is good and bad. All numbers are held out: a direction scores other traits' texts, which it was
not made from, and its own by the crossed folds.

Knows arrays at one layer only; which layer, and what the traits are, is the caller's to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from personascope.crossed import crossed_folds, held_out_scores
from personascope.directions import difference_of_means, gram
from personascope.separation import Design, Estimate, auc
from personascope.uncertainty import auc_estimate, draw_again


@dataclass(frozen=True, eq=False)
class TraitTexts:
    """One trait's texts at one layer."""

    activations: Float[np.ndarray, "sample width"]
    design: Design


@dataclass(frozen=True, eq=False)
class Transfer:
    """Every trait's direction against every trait's texts, in the order of `names`."""

    names: tuple[str, ...]
    auc: Float64[np.ndarray, "direction texts"]
    """Of the row's direction on the column's texts: 0.5 tells nothing, below it the column's low pole scores higher.

    On the diagonal the held-out AUC.
    """
    cosine: Float64[np.ndarray, "direction other"]
    """Between the directions made from all texts."""


@dataclass(frozen=True)
class ValenceControl:
    """What is left of a trait's direction when the good and the bad that it shares with other traits are taken out."""

    cosine: float
    """Of the trait's direction with the valence of the other traits."""
    valence: Estimate
    """AUC of that valence direction on the trait's texts."""
    whole: Estimate
    """Held-out AUC of the trait's own direction."""
    without: Estimate
    """The same after valence has been taken out of the texts."""


def transfer(texts: Mapping[str, TraitTexts], *, seed: int) -> Transfer:
    """Whose texts each trait's direction tells apart."""
    directions = unit_directions(texts)
    rates = np.array([[float(auc(t.activations @ d, t.design.high)) for t in texts.values()] for d in directions])
    for at, own in enumerate(texts.values()):
        rates[at, at] = float(auc(own_scores(own.activations, own.design, seed=seed), own.design.high))
    return Transfer(tuple(texts), rates, directions @ directions.T)


def unit_directions(texts: Mapping[str, TraitTexts]) -> Float64[np.ndarray, "trait width"]:
    """Each trait's difference of means from all its texts, FROM low TO high, at length 1."""
    raw = np.stack([difference_of_means(t.activations[:, None], t.design.high)[0] for t in texts.values()])
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), dtype=np.float64)


def own_scores(
    activations: Float[np.ndarray, "sample width"], design: Design, *, seed: int
) -> Float64[np.ndarray, " sample"]:
    """A trait's texts scored by directions that saw neither their instructions nor their questions."""
    scores = held_out_scores(gram(activations[:, None])[0], design.high[None], crossed_folds(design, seed=seed))
    return np.asarray(scores[0], dtype=np.float64)


def valence_control(
    texts: Mapping[str, TraitTexts], name: str, *, signs: Mapping[str, int], seed: int
) -> ValenceControl:
    """How much of one trait's direction is the valence of the traits in `signs`, the trait itself left out.

    Valence points from bad to good: the mean of the other traits' unit directions, each times its sign (1 where the
    high pole is the good one, -1 where it is the bad one). None of the trait's texts are in it: to them it is held out.
    It is taken out of the texts, x - (x . u) u, before the trait's direction is made anew and held out as ever.
    """
    own = texts[name]
    others = {other: sign for other, sign in signs.items() if other != name}
    directions = unit_directions({other: texts[other] for other in others})
    valence = np.array(list(others.values()), dtype=np.float64) @ directions
    valence /= np.linalg.norm(valence)
    along = own.activations @ valence
    rest = own.activations - np.outer(along, valence)
    draws = draw_again(own.design, seed=seed + 2)
    return ValenceControl(
        cosine=float(unit_directions({name: own})[0] @ valence),
        valence=auc_estimate(np.asarray(along, dtype=np.float64), own.design.high, draws),
        whole=auc_estimate(own_scores(own.activations, own.design, seed=seed), own.design.high, draws),
        without=auc_estimate(own_scores(rest, own.design, seed=seed), own.design.high, draws),
    )
