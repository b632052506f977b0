"""Tables without a trait, or of the null beside one: what noise, quirks and choices come to in each way of reading."""

from collections.abc import Iterable

import numpy as np
from simulated_worlds import WIDTH, World, crossed_design, draw, loose_design, mean_sd, rate_p, replies_design, table

from personascope.crossed import Folds, crossed_folds, held_out_scores
from personascope.directions import effective_dimension, gram, in_sample_null, pole_weights, spread, spread_of_related
from personascope.layer_reading import Plan, null_line, read_layer, tabulate
from personascope.reading import nested
from personascope.relabelling import (
    Relabellings,
    balanced,
    balanced_null_auc,
    in_sample_null_auc,
    null_auc,
    relabellings,
    swapped,
)
from personascope.separation import Design, auc
from personascope.uncertainty import draw_again


def in_sample(sets: int) -> None:
    """Pure noise read in-sample and held out."""

    def rows() -> Iterable[list[object]]:
        spectra = {"isotropic": np.ones(WIDTH), "steep (1/k)": 1 / np.arange(1, WIDTH + 1)}
        for name, variance in spectra.items():
            true = variance.sum() ** 2 / (variance**2).sum()
            for n in (5, 10, 20, 50, 100):
                design = loose_design(n, n)
                seen, out, dims = [], [], []
                for k in range(sets):
                    x = np.random.default_rng([1, n, k]).normal(size=(2 * n, 1, WIDTH)) * np.sqrt(variance)
                    products = gram(x)[0]
                    folds = crossed_folds(design, seed=k)
                    seen.append(float(auc(products @ pole_weights(design.high, np.ones(2 * n, bool)), design.high)))
                    out.append(float(auc(held_out_scores(products, design.high[None], folds)[0], design.high)))
                    dims.append(effective_dimension(*spread(products, design.high), width=WIDTH))
                theory = in_sample_null(true, n_high=n, n_low=n)
                yield [
                    name,
                    n,
                    f"{np.mean(seen):.4f}",
                    f"{theory:.4f}",
                    f"{true:.0f}",
                    f"{np.median(dims):.0f}",
                    mean_sd(out),
                ]

    head = "noise|texts per pole|in-sample AUC|formula|true d_eff|median estimate of d_eff|held-out AUC"
    table("Pure noise, in-sample and held out", head, rows())


def split(design: Design, kind: str, seed: int) -> Folds:
    """Folds of a named kind, for comparison with the crossed ones."""
    random = np.random.default_rng(seed)
    if kind == "crossed":
        return crossed_folds(design, seed=seed)
    cell = {
        "random": random.permutation(len(design.high)) % 5,
        "by question": (random.permutation(int(design.question.max()) + 1) % 4)[design.question],
        "by pair": design.pair,
    }[kind]
    return Folds(cell.astype(np.int64), ~np.eye(int(cell.max()) + 1, dtype=bool))


def leakage(sets: int) -> None:
    """No trait, but each instruction has its own quirk: what each kind of fold says."""
    design = crossed_design(8, 20)
    kinds = ("random", "by question", "by pair", "crossed")

    def rows() -> Iterable[list[object]]:
        for quirk in (0.0, 0.1, 0.2, 0.4):
            found: dict[str, list[float]] = {kind: [] for kind in kinds}
            seen, formula, relabelled = [], [], []
            for k in range(sets):
                products = gram(draw(World(quirk=quirk), design, k))[0]
                d_eff = effective_dimension(*spread(products, design.high), width=WIDTH)
                formula.append(in_sample_null(d_eff, n_high=160, n_low=160))
                others = relabellings(design, crossed_folds(design, seed=k), seed=k)
                relabelled.append(in_sample_null_auc(products, balanced(others, design.high), design.high))
                seen.append(float(auc(products @ pole_weights(design.high, np.ones(320, bool)), design.high)))
                for kind in kinds:
                    scores = held_out_scores(products, design.high[None], split(design, kind, k))[0]
                    found[kind].append(float(auc(scores, design.high)))
            yield [
                quirk,
                f"{np.mean(seen):.3f}",
                f"{np.mean(formula):.3f}",
                f"{np.mean(relabelled):.3f}",
                *(mean_sd(found[kind]) for kind in kinds),
            ]

    head = (
        "quirk sd|in-sample|formula|in-sample null (ours)|random 5 folds|by question|by instruction pair|crossed (ours)"
    )
    table("No trait, quirky instructions (8 pairs x 20 questions)", head, rows())


def dimension(sets: int) -> None:
    """The effective dimension when samples share questions and instructions."""
    design = crossed_design(8, 20)
    related = (design.pair[:, None] == design.pair) | (design.question[:, None] == design.question)

    def rows() -> Iterable[list[object]]:
        for name, variance in {"isotropic": np.ones(WIDTH), "steep (1/k)": 1 / np.arange(1, WIDTH + 1)}.items():
            true = variance.sum() ** 2 / (variance**2).sum()
            for quirk, question in ((0.0, 0.0), (0.2, 0.5), (0.4, 1.0)):
                naive, ours = [], []
                for k in range(sets // 4):
                    x = draw(World(quirk=quirk, question=question), design, k) * np.sqrt(variance)
                    products = gram(x)[0]
                    naive.append(effective_dimension(*spread(products, design.high), width=WIDTH))
                    ours.append(effective_dimension(*spread_of_related(products, design.high, related), width=WIDTH))
                yield [name, quirk, question, f"{true:.0f}", mean_sd(naive, 1), mean_sd(ours, 1)]

    head = "noise|quirk sd|question sd|true d_eff|samples taken as independent|unrelated samples only (ours)"
    table("Effective dimension (8 pairs x 20 questions)", head, rows())


def false_positives(sets: int) -> None:
    """How often p <= 0.05 although there is no trait: poles swapped by whole pair, or freely."""

    def rows() -> Iterable[list[object]]:
        for n_pairs, n_questions in ((8, 20), (5, 20), (4, 10)):
            design = crossed_design(n_pairs, n_questions)
            free = design.pair * n_questions + design.question
            for quirk in (0.0, 0.1, 0.2, 0.4):
                world = World(quirk=quirk, n_layers=4)
                tied_p, free_p = [], []
                for k in range(sets):
                    grams, folds = gram(draw(world, design, k)), crossed_folds(design, seed=k)
                    tied_p.append(rate_p(grams, relabellings(design, folds, seed=k), design, folds))
                    flips = Relabellings(swapped(design.high, free, seed=k).high[:199], exhaustive=False)
                    free_p.append(rate_p(grams, flips, design, folds))
                tied, loose = (f"{np.mean(np.array(p) <= 0.05):.3f}" for p in (tied_p, free_p))
                yield [f"{n_pairs} x {n_questions}", quirk, tied, loose, f"1/{2 ** (n_pairs - 1)}"]

    head = "pairs x questions|quirk sd|swapped by whole pair (ours)|swapped freely|smallest p (ours)"
    table("False positives at p <= 0.05, best of 4 layers", head, rows())


def other_designs(sets: int) -> None:
    """The designs without crossed pairs, without a trait."""
    designs = {
        "replies, 8 domains x 3": replies_design(8, 3),
        "one instruction pair x 20, no quirk": crossed_design(1, 20),
        "one instruction pair x 8, no quirk": crossed_design(1, 8),
        "texts without partners, 5 + 5": loose_design(5, 5),
        "texts without partners, 20 + 20": loose_design(20, 20),
        "texts without partners, 10 + 30": loose_design(10, 30),
    }

    def rows() -> Iterable[list[object]]:
        for name, design in designs.items():
            found, p = [], []
            for k in range(sets):
                grams, folds = gram(draw(World(n_layers=2), design, k)), crossed_folds(design, seed=k)
                found.append(float(auc(held_out_scores(grams[0], design.high[None], folds)[0], design.high)))
                others = relabellings(design, folds, seed=k)
                others = others if others.exhaustive else Relabellings(others.high[:199], exhaustive=False)
                p.append(rate_p(grams, others, design, folds))
            yield [name, mean_sd(found), f"{np.mean(np.array(p) <= 0.05):.3f}"]

    table("Other designs, no trait", "design|held-out AUC|p <= 0.05", rows())


def null_95(sets: int) -> None:
    """The 95th percentile of the null as a trait is planted: all relabellings, the balanced ones, and ours."""

    def rows() -> Iterable[list[object]]:
        designs = {f"{n} x 20": crossed_design(n, 20) for n in (8, 6, 5)}
        designs["replies, 8 domains x 3"] = replies_design(8, 3)
        for name, design in designs.items():
            for trait in (0.0, 2.6, 5.0, 10.0):
                ends, above = [], []
                for k in range(sets):
                    products = gram(draw(World(quirk=0.2, trait=trait), design, k))[0]
                    folds = crossed_folds(design, seed=k)
                    others = relabellings(design, folds, seed=k)
                    labels = balanced(others, design.high)
                    half = Relabellings(labels, others.exhaustive)
                    nulls = [null_auc(products, o, folds) for o in (others, half)]
                    nulls.append(balanced_null_auc(products, labels, design.high, folds))
                    ends.append([null_line(null) for null in nulls])
                    seen = float(auc(held_out_scores(products, design.high[None], folds)[0], design.high))
                    above.append(seen > ends[-1][-1])
                yield [name, trait, *(mean_sd(end) for end in np.array(ends).T), f"{np.mean(above):.3f}"]

    head = "design|planted gap|all relabellings|those that half agree|the same, trait taken out (ours)|AUC above ours"
    table("The 95th percentile of the null, quirk sd 0.2", head, rows())


def layer_choice(sets: int) -> None:
    """No trait: the best of ten layers, and what nesting and the max-corrected p make of it."""
    design = crossed_design(8, 12)

    def rows() -> Iterable[list[object]]:
        for shared in (0.5, 0.9):
            world = World(quirk=0.2, n_layers=10, shared=shared, width=128)
            best, inside, fixed, raw, corrected = [], [], [], [], []
            for k in range(sets):
                x, folds = draw(world, design, k), crossed_folds(design, seed=k)
                others = relabellings(design, folds, seed=k)
                draws = draw_again(design, seed=k, n_draws=20)
                plan = Plan(design, folds, others, balanced(others, design.high), draws, k)
                read = [read_layer(x[:, [at]], at, plan) for at in range(10)]
                readings = tabulate(read, range(10), exhaustive=others.exhaustive)
                top = max(readings, key=lambda r: r.auc.value)
                best.append(top.auc.value)
                inside.append(float(auc(nested(read, range(10), 6, plan)[0], design.high)))
                fixed.append(readings[6].auc.value)
                raw.append(top.p <= 0.05)
                corrected.append(top.p_max <= 0.05)
            cells = (mean_sd(fixed), mean_sd(best), mean_sd(inside), f"{np.mean(raw):.3f}", f"{np.mean(corrected):.3f}")
            yield [shared, *cells]

    head = "correlation of layers|AUC, fixed layer|AUC, best of 10|AUC, nested choice"
    head += "|best layer's own p <= 0.05|max-corrected p <= 0.05"
    table("Choosing the layer, no trait", head, rows())
