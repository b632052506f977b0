"""Two other readers of a layer, held out by the same folds: shrinkage LDA and logistic regression.

Both use the covariance or the errors of single texts, which the difference of means does not, and so may read better;
they are for comparison, not for steering. They are solved in the span of the samples, which is exact: no reader with an
isotropic penalty gives weight to a direction that no sample has.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float64
from scipy.linalg import solve
from sklearn.linear_model import LogisticRegression

from personascope.crossed import Folds
from personascope.directions import centred_within

_LEAST_SHRINKAGE = 1e-6
_SQUARED_LENGTH = 10.0

Reader = Callable[
    [Float64[np.ndarray, "train train"], Bool[np.ndarray, " train"]], tuple[Float64[np.ndarray, " train"], float]
]
"""From training rows' inner products and poles to a direction, as weights over these rows, and its threshold.

The threshold is the projection, on the direction as it comes, at which both poles are equally likely.
"""


def reader_scores(
    gram: Float64[np.ndarray, "sample sample"],
    high: Bool[np.ndarray, " sample"],
    folds: Folds,
    read: Reader,
) -> Float64[np.ndarray, " sample"]:
    """Held-out scores: distance from the reader's own boundary, positive on the high side, residual-stream units."""
    scores = np.zeros(len(high))
    for c, trains in enumerate(folds.trains):
        rows, train = folds.cell == c, trains[folds.cell]
        inside = gram[np.ix_(train, train)]
        direction, threshold = read(inside, high[train])
        length = np.sqrt(max(direction @ inside @ direction, 0.0))
        if length > 0:
            scores[rows] = (gram[np.ix_(rows, train)] @ direction - threshold) / length
    return scores


def shrinkage_lda(width: int) -> Reader:
    """Linear discriminant with Ledoit-Wolf shrinkage, pooled within poles, for activations of this width.

    The width enters twice: in the target, (tr S / width) I, and in how much to shrink; with the number of samples in
    its place the target would be far too large.
    """

    def read(
        gram: Float64[np.ndarray, "train train"], high: Bool[np.ndarray, " train"]
    ) -> tuple[Float64[np.ndarray, " train"], float]:
        above, below = high / high.sum(), ~high / (~high).sum()
        direction = gap = above - below
        within = centred_within(gram, high)
        shrinkage = ledoit_wolf_shrinkage(within, width=width)
        target = shrinkage * np.trace(within) / len(high) / width
        if target > 0:
            ridge = target * len(high) / max(1 - shrinkage, _LEAST_SHRINKAGE)
            across = gram @ gap
            for pole in (high, ~high):
                across[pole] -= across[pole].mean()
            pull = solve(within + ridge * np.eye(len(high)), across, assume_a="pos")
            for pole in (high, ~high):
                pull[pole] -= pull[pole].mean()
            direction = gap - pull
        return direction, float((above + below) @ gram @ direction / 2)

    return read


def ledoit_wolf_shrinkage(centred: Float64[np.ndarray, "one one"], *, width: int) -> float:
    """Ledoit and Wolf's (2004) shrinkage from 0 to 1, from the Gram matrix of centred rows and their true width."""
    n = len(centred)
    mean = np.trace(centred) / n / width
    squares = (centred**2).sum() / n**2 / width
    distance = squares - mean**2
    noise = ((np.diag(centred) ** 2).sum() / n**2 / width) - squares / n
    return float(np.clip(noise / distance, _LEAST_SHRINKAGE, 1.0)) if distance > 0 else 1.0


def logistic_regression(
    gram: Float64[np.ndarray, "train train"], high: Bool[np.ndarray, " train"]
) -> tuple[Float64[np.ndarray, " train"], float]:
    """L2 logistic regression, C = 1 on rows scaled to mean squared length 10: weights over rows and threshold.

    One scale for all coordinates, since only an isotropic penalty is exact in the span of the samples. At the
    optimum the direction is the sum of the rows, each times its error (label - probability): that sum is returned.
    """
    centre = gram.mean(axis=0)
    centred = gram - centre - centre[:, None] + centre.mean()
    mean_square = float(np.trace(centred)) / len(high)
    if mean_square <= 0:
        return np.zeros(len(high)), 0.0
    scale = _SQUARED_LENGTH / mean_square
    coordinates = np.linalg.cholesky(centred * scale + 1e-9 * _SQUARED_LENGTH * np.eye(len(high)))
    fitted = LogisticRegression(C=1.0, max_iter=2000, tol=1e-6).fit(coordinates, high)
    errors = high - fitted.predict_proba(coordinates)[:, 1]
    errors -= errors.mean()
    return errors, float(errors @ centre - fitted.intercept_[0] / scale)
