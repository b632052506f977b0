"""Prints, as markdown, the tables of "Does it steer?" in docs/statistics.md, for worlds whose truth is known.

    python scripts/simulate_dose_response.py [--sets 2000]

Seeded: the same tables each time. About two minutes on one thread.
"""

import argparse
from collections.abc import Callable, Iterable

import numpy as np
from scipy.stats import norm, t

from personascope.dose_response import beats, over_questions, per_root_nat
from personascope.relabelling import balanced, swapped, traitless_weights

Random = np.random.Generator
SHAPES: dict[str, Callable[[Random, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda random, size: random.normal(size=size),
    "heavy tails (t, 3 df)": lambda random, size: random.standard_t(3, size=size),
    "skewed (exponential)": lambda random, size: random.exponential(size=size) - 1,
    "one question in five moves": lambda random, size: (random.random(size) < 0.2) - 0.2 + random.normal(0, 0.1, size),
    "very skewed (lognormal)": lambda random, size: random.lognormal(size=size) - np.exp(0.5),
}
"""How question means scatter about the truth, which is 0."""


def expanded_percentiles(values: np.ndarray, *, seed: int, n_draws: int = 1000) -> tuple[float, float]:
    """Ends of the bootstrap over questions, its tails moved out as in `uncertainty`: the rival of the t interval."""
    n = len(values)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws) @ values / n
    tail = norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return float(low), float(high)


def coverage(sets: int) -> None:
    """How often either interval holds the true mean over questions."""

    def rows() -> Iterable[list[object]]:
        for shape, draw in SHAPES.items():
            for n in (6, 10, 20, 40):
                values = draw(np.random.default_rng(n), (sets, n))
                ours = np.array([(e.low, e.high) for e in map(over_questions, values)])
                boot = np.array([expanded_percentiles(v, seed=k) for k, v in enumerate(values)])
                holds = [((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean() for ends in (ours, boot)]
                widths = [(ends[:, 1] - ends[:, 0]).mean() for ends in (ours, boot)]
                yield [shape, n, *(f"{h:.3f}" for h in holds), f"{widths[1] / widths[0]:.2f}"]

    head = "question means|questions|t interval (ours)|expanded percentiles hold it|their width beside ours"
    table(head, rows())


def false_positives(sets: int) -> None:
    """How often p < 0.05 for a vector that carries no more than its controls."""

    def rows() -> Iterable[list[object]]:
        for n in (10, 19, 20, 40, 100):
            for force in (1.0, 2.0):
                random = np.random.default_rng(n)
                strength = np.r_[force, np.ones(n)]
                slopes = random.normal(size=(sets, n + 1)) * strength
                growth = random.uniform(0.7, 1.4, size=(sets, n + 1)) * strength**2
                at_norm = [beats(row[0], row[1:])[1] < 0.05 for row in slopes]
                matched = (per_root_nat(s, g) for s, g in zip(slopes, growth, strict=True))
                at_kl = [beats(row[0], row[1:])[1] < 0.05 for row in matched]
                yield [n, f"{force:g}", f"{1 / (n + 1):.3f}", f"{np.mean(at_norm):.3f}", f"{np.mean(at_kl):.3f}"]

    head = "controls|force of the vector, of a control 1|smallest p|p < 0.05 at equal norm|p < 0.05 at equal KL"
    table(head, rows())


def shuffled_labels(sets: int) -> None:
    """How often p < 0.05 without a trait, where each instruction pair moves S by a quirk of its own.

    The exact p swaps the poles of whole pairs in all ways; the controls are the relabellings in which the trait
    cancels, each with its opposite. Quirks are independent, and so long as their sum.
    """

    def rows() -> Iterable[list[object]]:
        for n in (5, 6, 7, 8, 9, 10):
            high, pair = np.tile([True, False], n), np.repeat(np.arange(n), 2)
            others = swapped(high, pair, seed=0)
            signs = np.where(others.high == high, 1.0, -1.0)[:, ::2]
            labels = balanced(others, high)
            of_rows, _ = traitless_weights(labels, high, np.ones(2 * n, dtype=bool))
            half = of_rows[:, ::2]
            controls = np.concatenate([half, -half])
            controls = controls / np.linalg.norm(controls, axis=1, keepdims=True) * np.sqrt(n)
            quirks = np.random.default_rng(n).normal(size=(sets, n))
            own = quirks.sum(axis=1)
            exact = ((quirks @ signs.T >= own[:, None] - 1e-9).mean(axis=1) < 0.05).mean()
            found = np.mean([beats(mine, row)[1] < 0.05 for mine, row in zip(own, quirks @ controls.T, strict=True)])
            yield [n, len(signs), f"{exact:.3f}", len(controls), f"{found:.3f}"]

    table("instruction pairs|all swaps|exact p < 0.05|vectors without the trait|p < 0.05 against them", rows())


def table(head: str, rows: Iterable[list[object]]) -> None:
    """Print one markdown table."""
    names = head.split("|")
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sets", type=int, default=2000, help="data sets per row")
    arguments = parser.parse_args()
    coverage(arguments.sets)
    false_positives(arguments.sets)
    shuffled_labels(10 * arguments.sets)


if __name__ == "__main__":
    main()
