"""Prints, as markdown, the tables of docs/statistics.md: what the numbers come to when the truth is known.

    python scripts/simulate_statistics.py [--sets 200]

Seeded: the same tables each time. About half an hour on one thread.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from personascope.crossed import Folds, crossed_folds, held_out_scores
from personascope.directions import (
    difference_of_means,
    effective_dimension,
    expected_cosine,
    gram,
    in_sample_null,
    pole_weights,
    reliability,
    split_half_cosine,
    spread,
    spread_of_related,
)
from personascope.layer_reading import Plan, null_line, read_layer, tabulate
from personascope.reading import nested
from personascope.relabelling import (
    Relabellings,
    balanced,
    balanced_null_auc,
    in_sample_null_auc,
    null_auc,
    permutation_p,
    relabellings,
    swapped,
)
from personascope.separation import Design, auc
from personascope.uncertainty import (
    FEWEST_GROUPS,
    advantage_estimate,
    auc_estimate,
    draw_again,
    draw_questions,
    interval,
    weighted_auc,
)

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


def final_direction_auc(x: np.ndarray, design: Design, world: World) -> float:
    """The AUC that the direction made from all of these texts has on new instructions and new questions."""
    v = difference_of_means(x, design.high)[0]
    gap = world.trait * v[0] / np.linalg.norm(v)
    variance = 2 * (1 + world.quirk**2 + world.question**2) + (gap * world.uneven) ** 2
    return float(norm.cdf(gap / np.sqrt(variance)))


def drawn_ends(scores: np.ndarray, design: Design, seed: int) -> tuple[tuple[float, float], tuple[float, float], int]:
    """Our interval, also where there are too few groups for us to give it; the plain one; and the number of groups.

    The plain one is without our two corrections: as many questions as there are, and plain percentiles.
    """
    draws = draw_again(design, seed=seed)
    value, drawn = float(auc(scores, design.high)), weighted_auc(scores, design.high, draws.weights)
    ours = interval(value, drawn, tail=draws.tail)
    if len(np.unique(design.pair)) == 1:
        ids, row = np.unique(design.question, return_inverse=True)
        whole = np.random.default_rng(seed).multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=2000)
        drawn = weighted_auc(scores, design.high, whole[:, row].astype(np.float64))
    plain = interval(value, drawn, tail=0.025)
    return (ours.low, ours.high), (plain.low, plain.high), draws.n_groups


Setting = tuple[str, Design, World]


def coverage_settings() -> list[Setting]:
    """Design, its name, and what is planted."""
    crossed = {f"{n} x {m}": crossed_design(n, m) for n, m in ((8, 20), (8, 4), (6, 20), (5, 20), (4, 10), (2, 20))}
    planted = [(0.0, 0.0, 0.0), (0.0, 1.6, 0.0), (0.2, 2.6, 0.0), (0.4, 0.0, 0.0), (0.4, 2.6, 0.0), (0.2, 2.6, 0.5)]
    settings = [("8 x 20", crossed["8 x 20"], World(quirk=q, trait=t, uneven=u)) for q, t, u in planted]
    settings += [(name, design, World(quirk=0.2, trait=2.6)) for name, design in crossed.items() if name != "8 x 20"]
    settings += [("1 x 20", crossed_design(1, 20), World(trait=t)) for t in (0.0, 3.0, 6.0)]
    settings += [(f"1 x {n}", crossed_design(1, n), World(trait=3.0)) for n in (10, 6, 4)]
    settings += [("replies, 8 domains x 3", replies_design(8, 3), World(trait=t)) for t in (0.0, 3.0, 8.0)]
    settings += [("replies, 4 domains x 6", replies_design(4, 6), World(trait=3.0))]
    return settings + [("no partners, 20 + 20", loose_design(20, 20), World(trait=t)) for t in (0.0, 3.0)]


def coverage(sets: int) -> None:
    """How often the 95 % interval holds the truth, when a trait is planted."""

    def rows() -> Iterable[list[object]]:
        for name, design, world in coverage_settings():
            found, ends, own = [], [], []
            for k in range(sets):
                x = draw(world, design, k)
                scores = held_out_scores(gram(x)[0], design.high[None], crossed_folds(design, seed=k))[0]
                found.append(float(auc(scores, design.high)))
                ours, plain, n_groups = drawn_ends(scores, design, k)
                ends.append((ours, plain))
                own.append(final_direction_auc(x, design, world))
            there = ~np.isnan(np.array(ends)[:, 0, 0])
            (low, plain_low), (high, plain_high) = np.array(ends)[there].T
            truths = np.mean(found), np.array(own)[there]
            inside = [f"{np.mean((low <= truth) & (truth <= high)):.3f}" for truth in truths]
            inside.append(f"{np.mean((plain_low <= truths[1]) & (truths[1] <= plain_high)):.3f}")
            given = f"{there.mean():.3f}" if n_groups >= FEWEST_GROUPS else "never"
            planted = (world.quirk, world.trait, world.uneven)
            told = (mean_sd(found), f"{np.mean(own):.3f}", f"{np.mean(high - low):.2f}")
            yield [name, *planted, given, *told, *inside, f"{np.mean(low > truths[1]):.3f}"]

    head = "design|quirk sd|planted gap|unevenness|interval given|held-out AUC|final direction's AUC|mean width"
    head += "|holds mean held-out AUC|holds final direction's AUC|plain percentiles hold it|lower end above it"
    table("Coverage of the 95 % interval", head, rows())


def advantage(sets: int) -> None:
    """How often the interval of a difference between two readers of the same texts holds it, and wrongly excludes 0."""

    def rows() -> Iterable[list[object]]:
        for name, design in (("8 x 20", crossed_design(8, 20)), ("replies, 8 domains x 3", replies_design(8, 3))):
            for quirk, blur in ((0.2, 0.0), (0.2, 1.0), (0.4, 0.0), (0.4, 1.0)):
                world = World(quirk=quirk, trait=2.6, n_layers=2)
                found = []
                for k in range(sets):
                    x, folds = draw(world, design, k), crossed_folds(design, seed=k)
                    x[:, 1] += blur * np.random.default_rng([2, k]).normal(size=x[:, 1].shape)
                    one, other = (held_out_scores(g, design.high[None], folds)[0] for g in gram(x))
                    found.append(advantage_estimate(one, other, design.high, draw_again(design, seed=k)))
                value, low, high = np.array([(e.value, e.low, e.high) for e in found]).T
                truth = value.mean()
                holds, above = np.mean((low <= truth) & (truth <= high)), np.mean(low > 0)
                yield [name, quirk, blur, mean_sd(value), f"{np.mean(high - low):.2f}", f"{holds:.3f}", f"{above:.3f}"]

    head = (
        "design|quirk sd|noise added to the rival|difference of AUCs|mean width|holds mean difference|lower end above 0"
    )
    table("Advantage over another reader of the same texts", head, rows())


def frozen(sets: int) -> None:
    """Projections on a direction that was made elsewhere: whether the interval over questions holds the AUC.

    The truth is the AUC under the very same instructions with endless questions.
    """

    def rows() -> Iterable[list[object]]:
        for n_questions in (20, 10, 6):
            design = crossed_design(3, n_questions)
            for quirk, trait in ((0.0, 0.0), (0.5, 0.0), (0.5, 1.5), (0.5, 3.0)):
                found, own = [], []
                for k in range(sets):
                    random = np.random.default_rng([3, k])
                    level = quirk * random.normal(size=(3, 2)) + [-trait / 2, trait / 2]
                    asked = 0.5 * random.normal(size=n_questions)
                    scores = level[design.pair, design.high.astype(int)] + asked[design.question]
                    scores += random.normal(size=len(scores))
                    found.append(auc_estimate(scores, design.high, draw_questions(design.question, seed=k)))
                    own.append(norm.cdf((level[:, 1][:, None] - level[:, 0]) / np.sqrt(2 * 1.25)).mean())
                value, low, high = np.array([(e.value, e.low, e.high) for e in found]).T
                there = ~np.isnan(low)
                holds = np.mean(((low <= own) & (own <= high))[there])
                told = (
                    mean_sd(value),
                    f"{np.mean(own):.3f}",
                    f"{there.mean():.3f}",
                    f"{np.mean((high - low)[there]):.2f}",
                )
                yield [f"3 x {n_questions}", quirk, trait, *told, f"{holds:.3f}"]

    head = "design|quirk sd|gap|AUC|true AUC under these instructions|interval given|mean width|holds it"
    table("A frozen direction on unseen texts, interval over questions", head, rows())


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


def recovery(sets: int) -> None:
    """Cosine of the measured with the planted direction, and what is said of it."""
    design = crossed_design(8, 20)

    def rows() -> Iterable[list[object]]:
        for quirk in (0.0, 0.2):
            for trait in (1.0, 2.0, 4.0):
                cosines, predicted, estimated = [], [], []
                for k in range(sets):
                    x = draw(World(quirk=quirk, trait=trait, question=0.5), design, k)
                    v = difference_of_means(x, design.high)[0]
                    products = gram(x)[0]
                    cosines.append(v[0] / np.linalg.norm(v))
                    half = split_half_cosine(products, design.high, design.question, seed=k)
                    estimated.append(reliability(half))
                    variance = WIDTH * (1 + 20 * quirk**2)
                    predicted.append(expected_cosine(variance, trait, n_high=160, n_low=160))
                yield [quirk, trait, mean_sd(cosines), f"{np.mean(predicted):.3f}", mean_sd(estimated)]

    head = "quirk sd|planted gap|cosine with the planted direction|expected|reliability (from halves of the questions)"
    table("Finding a planted direction", head, rows())


TABLES: tuple[Callable[[int], None], ...] = (
    in_sample,
    leakage,
    dimension,
    false_positives,
    other_designs,
    null_95,
    coverage,
    advantage,
    frozen,
    layer_choice,
    recovery,
)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sets", type=int, default=200, help="data sets per condition")
    parser.add_argument("--only", help="name of one table's function")
    arguments = parser.parse_args()
    for make in TABLES:
        if arguments.only in (None, make.__name__):
            make(arguments.sets)


if __name__ == "__main__":
    main()
