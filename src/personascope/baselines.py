"""What a direction must beat: reply length, the words alone, and directions that know nothing but their sign.

All are held out by the same folds as the directions themselves, through the same functions.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.sparse import csr_array

from personascope.crossed import Folds, held_out_scores
from personascope.directions import gram
from personascope.separation import Estimate, auc

RANDOM_DIRECTIONS = 20
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words(text: str) -> list[str]:
    """The lower-cased words of a text."""
    return _WORD.findall(text.lower())


def text_scores(
    texts: Sequence[str], high: Bool[np.ndarray, " sample"], folds: Folds
) -> dict[str, Float64[np.ndarray, " sample"]]:
    """Held-out scores of the texts by their number of words, and by the words alone."""
    length = np.array([float(len(words(text))) for text in texts])
    grams = {"reply length": gram(length[:, None, None])[0], "bag of words": bag_of_words_gram(texts)}
    return {name: held_out_scores(products, high[None], folds)[0] for name, products in grams.items()}


def bag_of_words_gram(texts: Sequence[str]) -> Float64[np.ndarray, "sample sample"]:
    """Inner products of the texts' bags of words: log(1 + count) x idf, scaled to length 1.

    idf = 1 + log((1 + n) / (1 + texts with the word)) comes from the texts without their labels, so it leaks nothing.
    """
    counts = [Counter(words(text)) for text in texts]
    column = {word: at for at, word in enumerate(sorted(set().union(*counts)))}
    in_texts = Counter(word for count in counts for word in count)
    rows, columns, values = [], [], []
    for row, count in enumerate(counts):
        bag = {w: np.log1p(k) * (1 + np.log((1 + len(texts)) / (1 + in_texts[w]))) for w, k in count.items()}
        scale = np.sqrt(sum(value**2 for value in bag.values()))
        rows += [row] * len(bag)
        columns += [column[word] for word in bag]
        values += [value / scale for value in bag.values()]
    bags = csr_array((values, (rows, columns)), shape=(len(texts), max(len(column), 1)))
    return np.asarray((bags @ bags.T).toarray(), dtype=np.float64)


def random_direction(
    activations: Float[np.ndarray, "sample width"],
    high: Bool[np.ndarray, " sample"],
    *,
    folds: Folds,
    seed: int,
) -> Estimate:
    """Held-out AUC of directions drawn at random, which learn only their sign from the training rows.

    The value is the mean of 20 directions drawn evenly from all orientations; low and high are the 2.5th and 97.5th
    percentile of the 20, NOT a sampling interval: how far a direction gets that was not made for the trait.
    The sign must come from training rows: the better of both signs would be at least 0.5 for pure noise.
    """
    directions = np.random.default_rng(seed).normal(size=(activations.shape[1], RANDOM_DIRECTIONS))
    projected = (activations - activations.mean(axis=0)).astype(np.float64) @ directions
    rates = [
        float(auc(held_out_scores(gram(column[:, None, None])[0], high[None], folds)[0], high))
        for column in projected.T
    ]
    low, top = np.quantile(rates, (0.025, 0.975))
    return Estimate(float(np.mean(rates)), float(low), float(top))
