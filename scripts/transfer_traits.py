"""Whose texts each trait's vector reads, for docs/traits.md: `transfer_traits.py FOLDER [--layers 17 23]`.

FOLDER holds the rollouts and activations of all traits, as `personascope extract` leaves them. Prints, for each layer,
the AUC of every vector on every trait's texts, and what is left without valence; then the cosines between vectors.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from personascope.activations import design_of, read_activations
from personascope.gathering import Gathered, without_empty
from personascope.rollouts import read_rollouts
from personascope.traits import catalogue_names
from personascope.transfer import TraitTexts, transfer, valence_control

VALENCE = {
    "agreeableness": 1,
    "conscientiousness": 1,
    "extraversion": 1,
    "openness": 1,
    "evil": -1,
    "machiavellianism": -1,
    "narcissism": -1,
    "neuroticism": -1,
    "psychopathy": -1,
}
"""Which pole is the good one. Hallucination and sycophancy are left out: they please."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, nargs="+", default=[17, 23])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = catalogue_names()
    short = [name[:5] for name in names]
    cosines = []
    for layer in given.layers:
        texts = {name: texts_of(given.folder, name, layer) for name in names}
        found = transfer(texts, seed=given.seed)
        cosines.append(found.cosine)
        table(f"Layer {layer}: AUC of each vector (rows) on each trait's texts", short, names, found.auc)
        valence_table(texts, layer, given.seed)
    both = np.tril(cosines[0], -1) + np.triu(cosines[-1])
    table(f"Cosines: layer {given.layers[0]} below, {given.layers[-1]} above the diagonal", short, names, both)


def texts_of(folder: Path, name: str, layer: int) -> TraitTexts:
    """A trait's texts at one layer, without empty replies."""
    (rows,) = folder.glob(f"*_{name}_rollouts.jsonl")
    arrays = rows.with_name(rows.name.replace("_rollouts.jsonl", "_activations.safetensors"))
    gathered = Gathered(tuple(read_rollouts(rows)), read_activations(arrays), rows, arrays, reused=True)
    there, _ = without_empty(gathered, "reply_mean")
    pooled = there.activations.at("reply_mean")[:, there.activations.layers.index(layer)]
    return TraitTexts(pooled, design_of(there.rollouts))


def table(title: str, columns: Sequence[str], rows: Iterable[str], numbers: np.ndarray) -> None:
    """Print one markdown table."""
    print(f"\n{title}\n\n| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, row in zip(rows, numbers, strict=True):
        print(f"| {name} | {' | '.join(f'{number:.2f}' for number in row)} |")


def valence_table(texts: Mapping[str, TraitTexts], layer: int, seed: int) -> None:
    """Print what valence does, trait by trait."""
    print(f"\nLayer {layer}: valence\n")
    print("| trait | cosine with valence | AUC of valence | held-out AUC | without valence |\n|---|---|---|---|---|")
    for name in texts:
        told = valence_control(texts, name, signs=VALENCE, seed=seed)
        rates = " | ".join(
            f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]" for e in (told.valence, told.whole, told.without)
        )
        print(f"| {name} | {told.cosine:.2f} | {rates} |")


if __name__ == "__main__":
    main()
