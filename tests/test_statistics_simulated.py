"""The promises of docs/statistics.md on simulated data whose truth is known; the tables come from the same script."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from personascope.crossed import crossed_folds, held_out_scores
from personascope.directions import (
    difference_of_means,
    expected_cosine,
    gram,
    in_sample_null,
    pole_weights,
    reliability,
    split_half_cosine,
)
from personascope.layer_reading import Plan, null_line, read_layer, tabulate
from personascope.reading import nested
from personascope.relabelling import (
    Relabellings,
    balanced,
    balanced_null_auc,
    in_sample_null_auc,
    relabellings,
    swapped,
)
from personascope.separation import auc
from personascope.uncertainty import advantage_estimate, auc_estimate, draw_again, draw_questions

pytestmark = pytest.mark.slow


def load_script(name):
    """A module of scripts/, which stand beside each other and not in the package."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


simulated = load_script("simulated_worlds")
intervals = load_script("simulated_intervals")
World = simulated.World
SETS = 200


@pytest.mark.parametrize("quirk", [0.0, 0.2, 0.4])
def test_false_positives_and_mean_of_the_crossed_reading(quirk):
    design = simulated.crossed_design(8, 4)
    world = World(quirk=quirk, n_layers=2, width=64)
    found, p = [], []
    for k in range(SETS):
        grams, folds = gram(simulated.draw(world, design, k)), crossed_folds(design, seed=k)
        found.append(float(auc(held_out_scores(grams[0], design.high[None], folds)[0], design.high)))
        p.append(simulated.rate_p(grams, relabellings(design, folds, seed=k), design, folds))
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)
    assert np.mean(np.array(p) <= 0.05) <= 0.07


def test_free_swaps_would_take_quirks_for_a_trait():
    design = simulated.crossed_design(8, 20)
    p = []
    for k in range(100):
        grams, folds = gram(simulated.draw(World(quirk=0.4), design, k)), crossed_folds(design, seed=k)
        free = swapped(design.high, design.pair * 20 + design.question, seed=k).high[:49]
        p.append(simulated.rate_p(grams, Relabellings(free, exhaustive=False), design, folds))
    assert np.mean(np.array(p) <= 0.05) > 0.1


@pytest.mark.parametrize(
    "design",
    [simulated.replies_design(8, 3), simulated.crossed_design(1, 10), simulated.loose_design(8, 8)],
    ids=["replies", "one pair", "texts without partners"],
)
def test_false_positives_and_mean_of_other_designs(design):
    found, p = [], []
    for k in range(2 * SETS):
        grams, folds = gram(simulated.draw(World(width=64), design, k)), crossed_folds(design, seed=k)
        found.append(float(auc(held_out_scores(grams[0], design.high[None], folds)[0], design.high)))
        others = relabellings(design, folds, seed=k)
        kept = others.high if others.exhaustive else others.high[:59]
        p.append(simulated.rate_p(grams, Relabellings(kept, others.exhaustive), design, folds))
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)
    assert np.mean(np.array(p) <= 0.05) <= 0.07


@pytest.mark.parametrize("n", [5, 10, 20, 50, 100])
def test_in_sample_null_formula_on_isotropic_noise(n):
    high = np.arange(2 * n) < n
    seen = []
    for k in range(60):
        products = gram(np.random.default_rng([n, k]).normal(size=(2 * n, 1, 576)))[0]
        seen.append(float(auc(products @ pole_weights(high, np.ones(2 * n, dtype=bool)), high)))
    assert np.mean(seen) == pytest.approx(in_sample_null(576.0, n_high=n, n_low=n), abs=0.005)


@pytest.mark.parametrize("quirk", [0.0, 0.4])
def test_in_sample_null_by_relabelling_knows_quirks(quirk):
    design = simulated.crossed_design(8, 10)
    seen, null = [], []
    for k in range(SETS):
        products = gram(simulated.draw(World(quirk=quirk, width=64), design, k))[0]
        others = relabellings(design, crossed_folds(design, seed=k), seed=k)
        seen.append(float(auc(products @ pole_weights(design.high, np.ones(160, dtype=bool)), design.high)))
        null.append(in_sample_null_auc(products, balanced(others, design.high), design.high))
    assert np.mean(null) == pytest.approx(np.mean(seen), abs=0.01)


@pytest.mark.parametrize("trait", [1.0, 2.0, 4.0])
def test_a_planted_direction_is_found_as_well_as_reliability_says(trait):
    design = simulated.crossed_design(8, 20)
    cosines, estimated = [], []
    for k in range(30):
        x = simulated.draw(World(trait=trait), design, k)
        v = difference_of_means(x, design.high)[0]
        cosines.append(v[0] / np.linalg.norm(v))
        estimated.append(reliability(split_half_cosine(gram(x)[0], design.high, design.question, seed=k)))
    assert np.mean(cosines) == pytest.approx(expected_cosine(576.0, trait, n_high=160, n_low=160), abs=0.02)
    assert np.mean(estimated) == pytest.approx(np.mean(cosines), abs=0.04)


def test_the_best_layer_is_biased_and_the_nested_choice_is_not():
    design = simulated.crossed_design(8, 4)
    world = World(quirk=0.2, n_layers=5, shared=0.2, width=64)
    best, inside, raw, corrected = [], [], [], []
    for k in range(100):
        x, folds = simulated.draw(world, design, k), crossed_folds(design, seed=k)
        others = relabellings(design, folds, seed=k)
        plan = Plan(design, folds, others, balanced(others, design.high), draw_again(design, seed=k, n_draws=20), k)
        read = [read_layer(x[:, [at]], at, plan) for at in range(5)]
        top = max(tabulate(read, range(5), exhaustive=True), key=lambda r: r.auc.value)
        best.append(top.auc.value)
        raw.append(top.p <= 0.05)
        corrected.append(top.p_max <= 0.05)
        inside.append(float(auc(nested(read, range(5), 2, plan)[0], design.high)))
    assert np.mean(best) > 0.55
    assert np.mean(inside) == pytest.approx(0.5, abs=0.02)
    assert np.mean(raw) > 0.1
    assert np.mean(corrected) < np.mean(raw) - 0.05


@pytest.mark.parametrize(
    ("design", "quirk", "trait"),
    [
        (simulated.crossed_design(8, 8), 0.2, 2.6),
        (simulated.crossed_design(6, 8), 0.4, 0.0),
        (simulated.crossed_design(1, 20), 0.0, 3.0),
        (simulated.replies_design(8, 3), 0.0, 3.0),
    ],
    ids=["8 x 8", "6 x 8 without a trait", "one pair", "replies"],
)
def test_intervals_hold_both_truths(design, quirk, trait):
    world = World(quirk=quirk, trait=trait, width=64)
    found, own = [], []
    for k in range(SETS):
        x, draws = simulated.draw(world, design, k), draw_again(design, seed=k, n_draws=500)
        scores = held_out_scores(gram(x)[0], design.high[None], crossed_folds(design, seed=k))[0]
        found.append(auc_estimate(scores, design.high, draws))
        own.append(intervals.final_direction_auc(x, design, world))
    mean = np.mean([e.value for e in found])
    assert np.mean([e.low <= mean <= e.high for e in found]) >= 0.92
    assert np.mean([e.low <= truth <= e.high for e, truth in zip(found, own, strict=True)]) >= 0.92


@pytest.mark.parametrize("trait", [0.0, 6.0])
def test_noise_passes_the_null_line_once_in_twenty_whatever_the_trait(trait):
    """The line of a layer with a trait is held against noise of another draw."""
    design = simulated.crossed_design(8, 5)
    labels = balanced(relabellings(design, crossed_folds(design, seed=0), seed=0), design.high)
    lines, noise = [], []
    for k in range(SETS):
        folds = crossed_folds(design, seed=k)
        planted = gram(simulated.draw(World(quirk=0.2, trait=trait, width=64), design, k))[0]
        lines.append(null_line(balanced_null_auc(planted, labels, design.high, folds)))
        other = gram(simulated.draw(World(quirk=0.2, width=64), design, SETS + k))[0]
        noise.append(float(auc(held_out_scores(other, design.high[None], folds)[0], design.high)))
    assert np.mean(np.array(noise) > np.array(lines)) <= 0.1
    assert np.mean(np.array(noise) > np.mean(lines)) == pytest.approx(0.05, abs=0.04)


def test_an_advantage_that_is_none_is_seldom_clear():
    design = simulated.crossed_design(8, 8)
    world = World(quirk=0.4, trait=2.6, n_layers=2, width=64)
    found = []
    for k in range(SETS):
        grams, folds = gram(simulated.draw(world, design, k)), crossed_folds(design, seed=k)
        one, other = (held_out_scores(products, design.high[None], folds)[0] for products in grams)
        found.append(advantage_estimate(one, other, design.high, draw_again(design, seed=k, n_draws=500)))
    assert np.mean([e.value for e in found]) == pytest.approx(0, abs=0.01)
    assert np.mean([e.low > 0 for e in found]) <= 0.06
    assert np.mean([e.low <= 0 <= e.high for e in found]) >= 0.92


def test_the_interval_over_questions_holds_the_auc_under_these_instructions():
    design = simulated.crossed_design(3, 20)
    held = []
    for k in range(SETS):
        random = np.random.default_rng(k)
        level = 0.5 * random.normal(size=(3, 2)) + [-0.5, 0.5]
        scores = level[design.pair, design.high.astype(int)] + random.normal(size=120)
        scores += 0.5 * random.normal(size=20)[design.question]
        found = auc_estimate(scores, design.high, draw_questions(design.question, seed=k, n_draws=500))
        truth = norm.cdf((level[:, 1][:, None] - level[:, 0]) / np.sqrt(2 * 1.25)).mean()
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) >= 0.92
