"""Data sets whose truth is known: designs, what activations are made of, and how a table is printed."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from personascope.crossed import Folds, held_out_scores
from personascope.relabelling import Relabellings, null_auc, permutation_p
from personascope.separation import Design, auc

WIDTH = 576


@dataclass(frozen=True)
class World:
    """What activations are made of: sd per coordinate of instruction quirks and questions; noise has sd 1.

    `trait` is the distance between the poles along the first coordinate, `uneven` the sd of its relative size over
    pairs and over questions; `shared` is the correlation between layers.
    """

    quirk: float = 0.0
    question: float = 0.5
    trait: float = 0.0
    uneven: float = 0.0
    n_layers: int = 1
    shared: float = 0.9
    width: int = WIDTH


def crossed_design(n_pairs: int, n_questions: int) -> Design:
    """Every question under every instruction pair, one text a pole."""
    axes = np.meshgrid(np.arange(n_pairs), np.arange(n_questions), [1, 0], indexing="ij")
    pair, question, high = (axis.ravel() for axis in axes)
    return Design(high.astype(bool), pair.astype(np.int64), question.astype(np.int64))


def replies_design(n_domains: int, per_domain: int) -> Design:
    """Written replies: each question in one domain, one reply a pole."""
    crossed = crossed_design(n_domains, per_domain)
    return Design(crossed.high, crossed.pair, crossed.pair * per_domain + crossed.question)


def loose_design(n_high: int, n_low: int) -> Design:
    """Texts without partners."""
    n = n_high + n_low
    return Design(np.arange(n) < n_high, np.zeros(n, dtype=np.int64), np.arange(n, dtype=np.int64))


def draw(world: World, design: Design, seed: int) -> np.ndarray:
    """Activations [sample layer width] of a world."""
    random = np.random.default_rng(seed)

    def effect(group: np.ndarray, size: float) -> np.ndarray:
        shape = (int(group.max()) + 1, world.n_layers, world.width)
        shared = random.normal(size=(shape[0], 1, shape[2])) * np.sqrt(world.shared)
        own = random.normal(size=shape) * np.sqrt(1 - world.shared) if world.n_layers > 1 else 0
        scale = 1.0 if world.n_layers > 1 else 1 / np.sqrt(world.shared)
        return ((shared + own) * scale * size)[group]

    x = effect(np.arange(len(design.high)), 1.0)
    x += effect(2 * design.pair + design.high, world.quirk) + effect(design.question, world.question)
    by_pair, by_question = (random.normal(size=int(group.max()) + 1)[group] for group in (design.pair, design.question))
    gap = world.trait * (1 + world.uneven * (by_pair + by_question))
    x[:, :, 0] += np.where(design.high, gap / 2, -gap / 2)[:, None]
    return x


def rate_p(grams: Iterable[np.ndarray], others: Relabellings, design: Design, folds: Folds) -> float:
    """Max-corrected permutation p of the best layer."""
    null, observed = [], []
    for products in grams:
        null.append(null_auc(products, others, folds))
        observed.append(auc(held_out_scores(products, design.high[None], folds)[0], design.high))
    best = np.stack(null, axis=1).max(axis=1, keepdims=True)
    return float(permutation_p(np.array([max(observed)]), best, exhaustive=others.exhaustive)[0])


def mean_sd(values: Iterable[float], digits: int = 3) -> str:
    """Mean ± standard deviation over the simulated data sets."""
    kept = np.array(list(values))
    return f"{kept.mean():.{digits}f} ± {kept.std():.{digits}f}"


def table(title: str, head: str, rows: Iterable[Iterable[object]]) -> None:
    """Print one markdown table."""
    columns = head.split("|")
    print(f"\n### {title}\n\n| {' | '.join(c.strip() for c in columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
