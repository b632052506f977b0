"""Tables of what is planted: whether the intervals hold it, and how well its direction is found."""

from collections.abc import Iterable

import numpy as np
from scipy.stats import norm
from simulated_worlds import WIDTH, World, crossed_design, draw, loose_design, mean_sd, replies_design, table

from personascope.crossed import crossed_folds, held_out_scores
from personascope.directions import difference_of_means, expected_cosine, gram, reliability, split_half_cosine
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
