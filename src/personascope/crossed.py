"""Held-out projections: every text is scored by a direction that saw neither its instructions nor its question.

score of row i = (x_i - midpoint) . v / ||v||, where v and the midpoint between the poles come from rows that share
neither i's instruction pair nor its question fold. Hence no instruction's own quirk and no question's topic can help.

Rows fall into cells (pair x question fold). Sums over cells of the Gram matrix give every fold's direction, length and
midpoint, for many labellings at once, without going back to the activations: the cost is free of the width.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from personascope.directions import question_kind
from personascope.errors import ContrastError
from personascope.separation import Design, auc

QUESTION_FOLDS = 4
MOST_PAIR_FOLDS = 10
"""More pairs (or domains) than this are held out several at a time."""
_MOST_NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Folds:
    """Which cell is held out with which: `trains[f, c]` says that rows of cell c make the direction for cell f."""

    cell: Int64[np.ndarray, " sample"]
    trains: Bool[np.ndarray, "cell cell"]


def is_crossed(design: Design) -> bool:
    """Whether some question was asked under more than one instruction pair."""
    both = np.unique(np.stack([design.question, design.pair]), axis=1)
    return bool(both.shape[1] > len(np.unique(design.question)))


def crossed_folds(design: Design, *, seed: int) -> Folds:
    """Folds by instruction pair and by question at once, as far as the design has both.

    One pair only: question folds. Pairs that share no question (domains): the pair's fold implies the question's.
    Texts without partners: folds over rows, both poles dealt out evenly. Raises ContrastError where a fold would be
    trained on one pole only.
    """
    random = np.random.default_rng(seed)
    pair = _pair_fold(design, random)
    n_pairs = int(pair.max()) + 1
    by_question = n_pairs == 1 or is_crossed(design)
    question = _question_fold(design, random) if by_question else np.zeros_like(pair)
    seen, cell = np.unique(np.stack([pair, question]), axis=1, return_inverse=True)
    cell_pair, cell_question = seen
    trains = np.ones((len(cell_pair), len(cell_pair)), dtype=bool)
    if n_pairs > 1:
        trains &= cell_pair[:, None] != cell_pair
    if by_question:
        trains &= cell_question[:, None] != cell_question
    folds = Folds(cell.reshape(-1).astype(np.int64), trains)
    _check_training(design, folds)
    return folds


def _pair_fold(design: Design, random: np.random.Generator) -> Int64[np.ndarray, " sample"]:
    ids, pair = np.unique(design.pair, return_inverse=True)
    if len(ids) <= MOST_PAIR_FOLDS:
        return np.asarray(pair, dtype=np.int64)
    return np.asarray((random.permutation(len(ids)) % MOST_PAIR_FOLDS)[pair], dtype=np.int64)


def _question_fold(design: Design, random: np.random.Generator) -> Int64[np.ndarray, " sample"]:
    """Questions dealt out evenly; without partners, both poles evenly, two of each to a fold if there are enough."""
    ids, question = np.unique(design.question, return_inverse=True)
    kind = question_kind(design.high, question)
    n_folds = min(QUESTION_FOLDS, len(ids))
    if not (kind == 3).any():
        fewer = min(int((kind == k).sum()) for k in (1, 2))
        n_folds = min(max(3, min(QUESTION_FOLDS, fewer // 2)), max(fewer, 1))
    fold = np.zeros(len(ids), dtype=np.int64)
    for k in (3, 2, 1):
        members = random.permutation(np.flatnonzero(kind == k))
        fold[members] = np.arange(len(members)) % n_folds
    return np.asarray(fold[question], dtype=np.int64)


def _check_training(design: Design, folds: Folds) -> None:
    for pole, rows in (("high", design.high), ("low", ~design.high)):
        present = np.zeros(len(folds.trains), dtype=bool)
        present[folds.cell[rows]] = True
        if not (folds.trains & present).any(axis=1).all():
            raise ContrastError(
                f"a text that is held out leaves no {pole} texts to make its direction from",
                hint="use more questions and more instruction pairs, each with texts at both poles",
            )


def held_out_scores(
    gram: Float64[np.ndarray, "sample sample"],
    high: Bool[np.ndarray, "labelling sample"],
    folds: Folds,
) -> Float64[np.ndarray, "labelling sample"]:
    """Each sample's projection on its own fold's unit direction, centred at that fold's midpoint.

    Positive is the high side; residual-stream units. A fold whose poles coincide scores 0.
    """
    n_cells, n_samples = len(folds.trains), len(folds.cell)
    at_once = max(1, _MOST_NUMBERS_AT_ONCE // (n_samples * n_cells))
    parts = [
        _scores_of(CellSums.of(gram, high[start : start + at_once], folds.cell), folds)
        for start in range(0, len(high), at_once)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class CellSums:
    """Sums of the Gram matrix over cells: from every sample, and between cells, high texts apart."""

    gram_high: Float64[np.ndarray, "cell sample labelling"]
    gram_all: Float64[np.ndarray, "cell sample"]
    high_high: Float64[np.ndarray, "cell cell labelling"]
    high_all: Float64[np.ndarray, "cell cell labelling"]
    all_all: Float64[np.ndarray, "cell cell"]
    n_high: Float64[np.ndarray, "cell labelling"]
    n_all: Float64[np.ndarray, " cell"]

    @classmethod
    def of(
        cls,
        gram: Float64[np.ndarray, "sample sample"],
        high: Bool[np.ndarray, "labelling sample"],
        cell: Int64[np.ndarray, " sample"],
    ) -> "CellSums":
        """Add up a Gram matrix under some labellings; the cost grows with samples^2 x labellings."""
        n_cells = int(cell.max()) + 1
        labels = np.ascontiguousarray(high.T, dtype=np.float64)
        rows = [np.flatnonzero(cell == c) for c in range(n_cells)]
        gram_high = np.empty((n_cells, *labels.shape))
        for c, r in enumerate(rows):
            np.matmul(gram[:, r], labels[r], out=gram_high[c])
        gram_all = np.stack([gram[:, r].sum(axis=1) for r in rows])
        return cls(
            gram_high=gram_high,
            gram_all=gram_all,
            high_high=np.stack([np.einsum("csl,sl->cl", gram_high[:, r], labels[r]) for r in rows]),
            high_all=np.stack([gram_all[:, r] @ labels[r] for r in rows]),
            all_all=np.stack([gram_all[:, r].sum(axis=1) for r in rows]),
            n_high=np.stack([labels[r].sum(axis=0) for r in rows]),
            n_all=np.array([float(len(r)) for r in rows]),
        )


@dataclass(frozen=True)
class Fits:
    """What training cells give: counts, the direction's length (0 where there is none) and midpoint . direction."""

    n_high: Float64[np.ndarray, "fit labelling"]
    n_low: Float64[np.ndarray, "fit labelling"]
    length: Float64[np.ndarray, "fit labelling"]
    midpoint: Float64[np.ndarray, "fit labelling"]


def fit(sums: CellSums, trains: Bool[np.ndarray, "fit cell"]) -> Fits:
    """Fit one direction to each given set of training cells; a set that lacks a pole has length 0."""
    use = trains.astype(np.float64)
    twice = (use[:, :, None] * use[:, None, :]).reshape(len(use), -1)
    n_cells = use.shape[1]
    n_high = use @ sums.n_high
    n_low = (use @ sums.n_all)[:, None] - n_high
    high_high = twice @ sums.high_high.reshape(n_cells**2, -1)
    high_all = twice @ sums.high_all.reshape(n_cells**2, -1)
    all_all = (twice @ sums.all_all.reshape(-1))[:, None]
    above, below = np.maximum(n_high, 1), np.maximum(n_low, 1)
    high_mean = high_high / above**2
    cross_mean = (high_all - high_high) / (above * below)
    low_mean = (all_all - 2 * high_all + high_high) / below**2
    square = high_mean - 2 * cross_mean + low_mean
    rounding = 1e-12 * (np.abs(high_mean) + np.abs(low_mean)) + np.finfo(np.float64).tiny
    exists = (n_high > 0) & (n_low > 0) & (square > rounding)
    return Fits(n_high, n_low, np.sqrt(np.where(exists, square, 0.0)), (high_mean - low_mean) / 2)


def project(
    sums: CellSums,
    rows: Int64[np.ndarray, " row"],
    trains: Bool[np.ndarray, "fit cell"],
    fits: Fits,
) -> Float64[np.ndarray, "fit row labelling"]:
    """The given samples' scores by each fit: projection on its unit direction, centred at its midpoint."""
    use = trains.astype(np.float64)
    n_fits = len(use)
    part = sums.gram_high[:, rows]
    to_high = (use @ part.reshape(len(part), -1)).reshape(n_fits, *part.shape[1:])
    to_low = (use @ sums.gram_all[:, rows])[:, :, None] - to_high
    above, below = np.maximum(fits.n_high, 1)[:, None], np.maximum(fits.n_low, 1)[:, None]
    raw = to_high / above - to_low / below - fits.midpoint[:, None]
    length = fits.length[:, None]
    return np.asarray(np.divide(raw, length, out=np.zeros_like(raw), where=length > 0), dtype=np.float64)


def _scores_of(sums: CellSums, folds: Folds) -> Float64[np.ndarray, "labelling sample"]:
    """Each sample projected by the fit of its own cell."""
    fits, own = fit(sums, folds.trains), folds.cell
    use = folds.trains[own].astype(np.float64)
    to_high = np.einsum("sc,csl->sl", use, sums.gram_high)
    to_low = np.einsum("sc,cs->s", use, sums.gram_all)[:, None] - to_high
    raw = to_high / np.maximum(fits.n_high, 1)[own] - to_low / np.maximum(fits.n_low, 1)[own] - fits.midpoint[own]
    length = fits.length[own]
    scores = np.divide(raw, length, out=np.zeros_like(raw), where=length > 0)
    return np.asarray(scores.T, dtype=np.float64)


@dataclass(frozen=True)
class InnerReading:
    """What the training rows of each outer fold alone say of a layer."""

    auc: Float64[np.ndarray, " cell"]
    """Inner held-out AUC; NaN where the training rows cannot be divided again."""
    cohens_d: Float64[np.ndarray, " cell"]
    scale: Float64[np.ndarray, " cell"]
    """Standard deviation within poles of the inner held-out scores: makes scores of different layers comparable."""


def inner_reading(
    gram: Float64[np.ndarray, "sample sample"], high: Bool[np.ndarray, " sample"], folds: Folds
) -> InnerReading:
    """The crossed reading again inside each outer fold's training rows, which is what a layer may be chosen by."""
    sums = CellSums.of(gram, high[None], folds.cell)
    n_cells = len(folds.trains)
    inner = np.full((n_cells, len(high)), np.nan)
    for c in range(n_cells):
        trains = _inner_training(sums, folds.trains, c)
        fits = fit(sums, trains)
        rows = np.flatnonzero(folds.cell == c)
        usable = folds.trains[:, c] & (fits.length[:, 0] > 0)
        inner[np.ix_(usable, rows)] = project(sums, rows, trains, fits)[usable, :, 0]
    rates = np.array([_inner_rates(row, high) for row in inner])
    return InnerReading(*(np.ascontiguousarray(column) for column in rates.T))


def _inner_training(sums: CellSums, trains: Bool[np.ndarray, "cell cell"], c: int) -> Bool[np.ndarray, "cell cell"]:
    """Cells that train for outer fold and for cell c alike; where none are left, all of the outer ones but c."""
    strict = trains & trains[c]
    n_high = strict @ sums.n_high[:, 0]
    lacking = (n_high == 0) | (n_high == strict @ sums.n_all)
    loose = trains & (np.arange(len(trains)) != c)
    return np.asarray(np.where(lacking[:, None], loose, strict), dtype=bool)


def _inner_rates(
    scores: Float64[np.ndarray, " sample"], high: Bool[np.ndarray, " sample"]
) -> tuple[float, float, float]:
    scored = ~np.isnan(scores)
    above, below = scores[scored & high], scores[scored & ~high]
    if min(len(above), len(below)) == 0:
        return np.nan, np.nan, np.nan
    scale = float(np.sqrt((above.var() * len(above) + below.var() * len(below)) / (len(above) + len(below))))
    gap = float(above.mean() - below.mean())
    return float(auc(scores[scored], high[scored])), gap / max(scale, 1e-300), scale
