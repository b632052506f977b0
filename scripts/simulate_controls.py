"""How often a vector without a trait beats its shuffled-label controls: `python scripts/simulate_controls.py`.

Every instruction pair pushes its own way (quirks), no trait is shared, and the slope is read along a fixed random
gradient, as in a steering trial. Prints the share of simulated vectors with p <= 0.05, at equal norm against relabelled
vectors in which the trait cancels, and at equal strength against all relabellings. Only the latter is exact.
"""

import numpy as np

from personascope.crossed import crossed_folds
from personascope.directions import pole_weights
from personascope.dose_response import beats
from personascope.relabelling import balanced, relabellings, traitless_weights
from personascope.separation import Design

SETS, WIDTH, QUESTIONS = 2000, 64, 4


def main() -> None:
    """Print a row for each number of instruction pairs and strength of a shared trait."""
    print("| instruction pairs | shared trait | controls | equal norm | all swaps |\n|---|---|---|---|---|")
    for n_pairs in (6, 8, 10):
        for trait in (0.0, 0.3):
            n_controls, at_norm, swapped = simulate(n_pairs, trait)
            print(f"| {n_pairs} | {trait:g} | {n_controls} | {at_norm:.3f} | {swapped:.3f} |")


def simulate(n_pairs: int, trait: float) -> tuple[int, float, float]:
    """How many controls there are, and the shares of sets with p <= 0.05."""
    pair, question, high = (
        axis.ravel() for axis in np.meshgrid(range(n_pairs), range(QUESTIONS), [True, False], indexing="ij")
    )
    design = Design(high.astype(bool), pair.astype(np.int64), question.astype(np.int64))
    others = relabellings(design, crossed_folds(design, seed=0), seed=1)
    everything = np.ones(len(pair), dtype=bool)
    cancelled = traitless_weights(balanced(others, design.high), design.high, everything)[0]
    families = np.concatenate([cancelled, -cancelled]), np.stack([pole_weights(h, everything) for h in others.high])
    random = np.random.default_rng(2)
    found = np.zeros((SETS, 2))
    for k in range(SETS):
        quirks, gradient = random.standard_normal((n_pairs, WIDTH)), random.standard_normal(WIDTH)
        quirks += trait * gradient / np.linalg.norm(gradient) * np.sqrt(WIDTH) / 2
        rows = np.where(design.high[:, None], 0.5, -0.5) * quirks[design.pair]
        rows = rows + 0.5 * random.standard_normal(rows.shape)
        vector = pole_weights(design.high, everything) @ rows
        controls, swaps = (weights @ rows for weights in families)
        at_norm = controls @ gradient / np.linalg.norm(controls, axis=1)
        found[k, 0] = beats(float(vector @ gradient / np.linalg.norm(vector)), at_norm)[1]
        found[k, 1] = (swaps @ gradient >= vector @ gradient - 1e-9).mean()
    return len(families[0]), *(found <= 0.05).mean(axis=0)


if __name__ == "__main__":
    main()
