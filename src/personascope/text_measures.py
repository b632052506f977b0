"""What generated texts look like without a judge: how varied, how repetitive and how long they are.

A model that is steered too hard says the same again and again, or one thing whatever is asked; both show here. Whether
a text makes sense does not: fluent nonsense measures like good prose. Knows texts and counts, no models.

A token is here a word in lower case, a punctuation mark, or one Chinese or Japanese character, which stands without
spaces. Marks count because collapsed text is often nothing else ("!!!!!!").
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_LETTER = r"[^\W_\u3040-\u30ff\u3400-\u9fff]"
_TOKEN = re.compile(rf"{_LETTER}+(?:['’]{_LETTER}+)*|\S")


@dataclass(frozen=True)
class TextMeasures:
    """How varied texts are as a set, and how repetitive and long on average; NaN where there is nothing to measure."""

    distinct_1: float
    """Distinct tokens over all tokens, in [0, 1]."""
    distinct_2: float
    """Distinct pairs of neighboring tokens over all such pairs, in [0, 1]."""
    repetition: float
    """Mean share of runs of four tokens that the same text holds earlier, in [0, 1]."""
    words: float
    """Mean number of words."""


def measure(texts: Sequence[str]) -> TextMeasures:
    """The measures of a set of texts, whatever their order; all NaN for no texts."""
    return TextMeasures(
        distinct_1=distinct_n(texts, 1),
        distinct_2=distinct_n(texts, 2),
        repetition=_mean([repetition(text) for text in texts]),
        words=_mean([float(n_words(text)) for text in texts]),
    )


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Distinct n-grams over all n-grams of the texts together: 1 if none occurs twice; NaN if there are none.

    From Li et al. 2016 (arXiv 1510.03055), who divide by the number of tokens; dividing by the number of n-grams makes
    1 attainable for every n. It falls as texts grow in length or number, so compare equal amounts of text.
    """
    grams = [gram for text in texts for gram in _n_grams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repetition(text: str, n: int = 4) -> float:
    """The share of n-grams that occurred earlier in the same text: 1 - distinct / all; 0 if the text has none.

    This is seq-rep-n of Welleck et al. 2020 (arXiv 1908.04319). Some of it is ordinary in long texts, lists and tables:
    read it beside its value without steering.
    """
    grams = _n_grams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def n_words(text: str) -> int:
    """The number of words, punctuation not counted; each Chinese or Japanese character counts as one."""
    return sum(token[0].isalnum() for token in _TOKEN.findall(text))


def _n_grams(text: str, n: int) -> list[tuple[str, ...]]:
    tokens = _TOKEN.findall(text.lower())
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def _mean(values: Sequence[float]) -> float:
    """The mean, the same to the last bit in any order; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan
