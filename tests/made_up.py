"""Made-up separations whose reading is known, for the tests of the verdict and of the report."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from personascope.separation import Estimate, LayerReading, Separation

N = 160
HIGH = np.repeat([True, False], N)


def around(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value, value - half, min(1.0, value + half))


def alone(value: float) -> Estimate:
    """A number without an interval."""
    return Estimate(value, float("nan"), float("nan"))


def reading(layer: int, auc: float, *, half: float = 0.05) -> LayerReading:
    d = 3.2 * (auc - 0.5)
    return LayerReading(
        layer=layer,
        auc=around(auc, half),
        cohens_d=Estimate(d, d - 0.4, d + 0.4),
        separation=4 * d,
        null_auc_95=0.61,
        p=1 / 128,
        p_max=1 / 128,
        in_sample_auc=min(1.0, auc + 0.07),
        in_sample_null=0.74,
        vector_magnitude=5.0,
        relative_norm=0.15,
        split_half_cosine=0.78,
        reliability=0.94,
        pair_cosine_mean=0.41,
        pair_cosine_min=0.12,
        effective_dimension=33.0,
        top_dimension_energy=0.06,
        proj_high_mean=2 * d,
        proj_low_mean=-2 * d,
        proj_high_std=4.0,
        proj_low_std=4.0,
    )


def separation(
    peak: float = 0.88, *, layers: Sequence[int] = range(30), half: float = 0.05, words: float = 0.62
) -> Separation:
    middle = (min(layers) + max(layers)) / 2
    spread = len(layers) / 3
    aucs = {k: 0.5 + (peak - 0.5) * float(np.exp(-(((k - middle) / spread) ** 2))) for k in layers}
    readings = tuple(reading(k, auc, half=half) for k, auc in aucs.items())
    best = max(readings, key=lambda one: one.auc.value)
    noise = np.random.default_rng(0).normal(0, 4, 2 * N)
    return Separation(
        readings=readings,
        chosen_layer=best.layer,
        nested_auc=around(peak, half),
        nested_layers=((best.layer, 32),),
        fixed_layer=layers[-1],
        fixed_auc=readings[-1].auc,
        p=1 / 128,
        n_relabellings=128,
        exhaustive=True,
        baselines={"reply length": around(0.52), "bag of words": around(words), "random direction": around(0.5)},
        advantages={"reply length": around(peak - 0.52), "bag of words": around(peak - words)},
        readers={"difference of means": best.auc, "shrinkage LDA": around(peak), "logistic regression": around(peak)},
        held_out_scores=np.where(HIGH, best.proj_high_mean, best.proj_low_mean) + noise,
        n_high=N,
        n_low=N,
        n_pairs=8,
        n_questions=20,
    )


def with_chosen(whole: Separation, **changes: float) -> Separation:
    readings = [replace(r, **changes) if r.layer == whole.chosen_layer else r for r in whole.readings]
    return replace(whole, readings=tuple(readings))


def without_intervals(whole: Separation, **changes: object) -> Separation:
    """The same from too few groups: no interval anywhere."""
    fields = ("baselines", "advantages", "readers")
    bare = {name: {key: alone(e.value) for key, e in getattr(whole, name).items()} for name in fields}
    readings = tuple(replace(r, auc=alone(r.auc.value), cohens_d=alone(r.cohens_d.value)) for r in whole.readings)
    headline = {"nested_auc": alone(whole.nested_auc.value), "fixed_auc": alone(whole.fixed_auc.value)}
    return replace(whole, readings=readings, **bare, **headline, **changes)


def quick(peak: float = 0.71) -> Separation:
    """What the quick protocol gives: four pairs, ten questions."""
    few = {"n_high": 40, "n_low": 40, "n_pairs": 4, "n_questions": 10, "n_relabellings": 8, "p": 1 / 8}
    return without_intervals(separation(peak), **few)
