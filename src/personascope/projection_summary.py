"""How the texts of a data set lie on each vector: mean with interval, quartiles, told from the files of the blocks.

Two passes over one column at a time, so that memory does not grow with the data set. Moments are joined in the order of
the blocks (Chan et al. 1983), whoever computed them: any number of workers gives the same numbers, bit for bit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from personascope.projection_files import problems_of, projections_of
from personascope.separation import Estimate

BINS = 20_000
"""Quartiles are exact to a 20,000th of the range."""
_NORMAL = 1.959964
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Lie:
    """How texts lie on one vector, in persona gaps; the interval takes texts as drawn independently."""

    trait: str
    n: int
    mean: Estimate
    deviation: float
    quartiles: tuple[float, float, float]
    lowest: float
    highest: float


@dataclass(frozen=True)
class _Moments:
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    lowest: float = float("inf")
    highest: float = float("-inf")

    def joined(self, values: Float64[np.ndarray, " sample"]) -> "_Moments":
        """With more values: means and sums of squared deviations, in float64."""
        if not len(values):
            return self
        n, mean = len(values), float(values.mean())
        squares, gap, total = float(((values - mean) ** 2).sum()), mean - self.mean, self.n + n
        return _Moments(
            total,
            self.mean + gap * n / total,
            self.squares + squares + gap**2 * self.n * n / total,
            min(self.lowest, float(values.min())),
            max(self.highest, float(values.max())),
        )


def lie(paths: Sequence[Path], trait: str) -> Lie:
    """How all texts of these blocks lie on a trait's vector; NaN where none was read."""
    moments = _Moments()
    for path in paths:
        moments = moments.joined(projections_of(path, trait))
    if not moments.n:
        return Lie(trait, 0, Estimate(nan, nan, nan), nan, (nan, nan, nan), nan, nan)
    deviation = sqrt(moments.squares / (moments.n - 1)) if moments.n > 1 else nan
    reach = _NORMAL * deviation / sqrt(moments.n)
    mean = Estimate(moments.mean, moments.mean - reach, moments.mean + reach)
    quartiles = _quartiles(paths, trait, moments)
    return Lie(trait, moments.n, mean, deviation, quartiles, moments.lowest, moments.highest)


def problems(paths: Sequence[Path]) -> dict[str, int]:
    """How many texts could not be read, by reason: the most frequent ones."""
    found: Counter[str] = Counter()
    for path in paths:
        found.update(problems_of(path))
        # Reasons that tell a length are many: memory must not grow with them.
        found = Counter(dict(found.most_common(10 * _MOST_PROBLEMS)))
    return dict(found.most_common(_MOST_PROBLEMS))


def _quartiles(paths: Sequence[Path], trait: str, moments: _Moments) -> tuple[float, float, float]:
    """By counting values in bins between the lowest and the highest; within a bin, evenly."""
    width = (moments.highest - moments.lowest) / BINS
    if width <= 0:
        return (moments.lowest,) * 3
    counts: Int64[np.ndarray, " bin"] = np.zeros(BINS, dtype=np.int64)
    for path in paths:
        places = ((projections_of(path, trait) - moments.lowest) / width).astype(np.int64)
        counts += np.bincount(np.minimum(places, BINS - 1), minlength=BINS)
    ends = np.cumsum(counts)
    low, middle, high = (_at(ends, counts, share * (moments.n - 1)) for share in (0.25, 0.5, 0.75))
    return tuple(moments.lowest + width * at for at in (low, middle, high))  # type: ignore[return-value]


def _at(ends: Int64[np.ndarray, " bin"], counts: Int64[np.ndarray, " bin"], rank: float) -> float:
    """Where the value of this rank, from 0, lies, in bins."""
    place = int(np.searchsorted(ends, rank, side="right"))
    place = min(place, len(ends) - 1)
    before = ends[place] - counts[place]
    return float(place + (rank - before + 0.5) / max(int(counts[place]), 1))
