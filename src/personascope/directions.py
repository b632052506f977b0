"""Difference-of-means directions, and what can be said of them without scoring a text.

A direction points FROM the low pole TO the high pole, raw: its length is one persona gap in residual-stream units.
Everything but the direction itself is computed from inner products between samples (the Gram matrix), so its cost is
free of the model's width. Knows nothing of held-out scores: see `crossed`.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.stats import norm


def difference_of_means(
    activations: Float[np.ndarray, "sample layer width"], high: Bool[np.ndarray, " sample"]
) -> Float64[np.ndarray, "layer width"]:
    """Mean activation at the high pole minus mean at the low pole, layer by layer; not normalised."""
    above = activations[high].mean(axis=0, dtype=np.float64)
    below = activations[~high].mean(axis=0, dtype=np.float64)
    return np.asarray(above - below, dtype=np.float64)


def gram(activations: Float[np.ndarray, "sample layer width"]) -> Float64[np.ndarray, "layer sample sample"]:
    """Inner products between the samples of each layer, after the layer's grand mean has been taken off."""
    n_samples, n_layers, _ = activations.shape
    products = np.empty((n_layers, n_samples, n_samples))
    for layer in range(n_layers):
        centred = activations[:, layer].astype(np.float64)
        centred -= centred.mean(axis=0)
        products[layer] = centred @ centred.T
    return products


def pole_weights(
    high: Bool[np.ndarray, " sample"], used: Bool[np.ndarray, " sample"]
) -> Float64[np.ndarray, " sample"]:
    """Weights that turn samples into the direction of the rows used: 1/n at the high pole, -1/n at the low."""
    above, below = used & high, used & ~high
    return np.asarray(above / max(above.sum(), 1) - below / max(below.sum(), 1), dtype=np.float64)


def spread(gram: Float64[np.ndarray, "sample sample"], high: Bool[np.ndarray, " sample"]) -> tuple[float, float]:
    """Unbiased tr(S) and tr(S^2) of the covariance S pooled within poles.

    Free of the distribution with four samples or more at each pole (Himeno & Yamada 2014, J. Multivariate Anal. 130);
    with fewer, unbiased for normal samples. Samples must be independent: see `spread_of_related`.
    """
    within = centred_within(gram, high)
    blocks = [within[np.ix_(pole, pole)] for pole in (high, ~high)]
    freedom = len(high) - 2
    trace = float(np.trace(within)) / freedom
    if min(map(len, blocks)) < 4:
        squares = float((within**2).sum()) / freedom**2
        trace_square = (squares - trace**2 / freedom) * freedom**2 / ((freedom - 1) * (freedom + 2))
        return trace, trace_square
    share = [(len(block) - 1) / freedom for block in blocks]
    own = sum(s**2 * _trace_square(block) for s, block in zip(share, blocks, strict=True))
    between = float((within[np.ix_(high, ~high)] ** 2).sum()) / ((len(blocks[0]) - 1) * (len(blocks[1]) - 1))
    return trace, own + 2 * share[0] * share[1] * between


def spread_of_related(
    gram: Float64[np.ndarray, "sample sample"],
    high: Bool[np.ndarray, " sample"],
    related: Bool[np.ndarray, "sample sample"],
) -> tuple[float, float]:
    """Nearly unbiased tr(S) and tr(S^2) where some samples share an instruction or a question.

    The variance of inner products between unrelated samples is tr(S^2). Taking related samples as independent can
    make it several times too large (measured in docs/statistics.md).
    """
    within = centred_within(gram, high)
    products = within[~related]
    return float(np.trace(within)) / len(high) - float(products.mean()), float(products.var())


def centred_within(
    gram: Float64[np.ndarray, "one one"], high: Bool[np.ndarray, " one"]
) -> Float64[np.ndarray, "one one"]:
    """The Gram matrix after each pole's mean has been taken off its samples."""
    centred = gram.copy()
    for pole in (high, ~high):
        centred[pole] -= centred[pole].mean(axis=0)
        centred[:, pole] -= centred[:, pole].mean(axis=1, keepdims=True)
    return centred


def _trace_square(centred: Float64[np.ndarray, "one one"]) -> float:
    """Unbiased tr(S^2) of one pole from its centred Gram matrix, free of the distribution."""
    n = len(centred)
    squares = float((centred**2).sum()) / (n - 1) ** 2
    trace = float(np.trace(centred)) / (n - 1)
    fourth = float((np.diag(centred) ** 2).sum()) / (n - 1)
    return (n - 1) / (n * (n - 2) * (n - 3)) * ((n - 1) * (n - 2) * squares + trace**2 - n * fourth)


def effective_dimension(trace: float, trace_square: float, *, width: int) -> float:
    """(tr S)^2 / tr(S^2): how many equally strong independent coordinates the noise is worth, from 1 to the width."""
    if trace <= 0:
        return 1.0
    return float(np.clip(trace**2 / max(trace_square, trace**2 / width), 1.0, width))


def in_sample_null(d_eff: float, *, n_high: int, n_low: int) -> float:
    """The in-sample AUC of pure noise in independent samples: Phi(sqrt(d_eff / n)), n the harmonic mean per pole.

    Too low where samples share instructions: `uncertainty.in_sample_null_auc` is not.
    """
    return float(norm.cdf(np.sqrt(d_eff * (1 / n_high + 1 / n_low) / 2)))


def expected_cosine(trace: float, gap: float, *, n_high: int, n_low: int) -> float:
    """Cosine to be expected between the measured and the true direction, whose length is `gap`.

    1 / sqrt(1 + tr S (1/n_high + 1/n_low) / gap^2).
    """
    noise = trace * (1 / n_high + 1 / n_low)
    return float(gap / np.sqrt(gap**2 + noise)) if gap > 0 else 0.0


def cosines_by_layer(
    one: Float[np.ndarray, "layer width"], other: Float[np.ndarray, "layer width"]
) -> Float64[np.ndarray, " layer"]:
    """Cosine between two directions, layer by layer; 0 where one of them has no length."""
    first, second = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosines = np.divide((first * second).sum(axis=1), lengths, out=np.zeros(len(first)), where=lengths > 0)
    return np.asarray(cosines, dtype=np.float64)


def split_half_cosine(
    gram: Float64[np.ndarray, "sample sample"],
    high: Bool[np.ndarray, " sample"],
    question: Int64[np.ndarray, " sample"],
    *,
    seed: int,
    n_halves: int = 100,
) -> float:
    """Mean cosine between the directions of two random halves of the questions, over `n_halves` splits.

    Both halves have the same instructions: what these alone bring counts as agreement.
    Texts without a partner at the other pole are halved pole by pole.
    """
    first = random_halves(high, question, seed=seed, n_halves=n_halves)
    one = np.stack([pole_weights(high, half) for half in first])
    two = np.stack([pole_weights(high, ~half) for half in first])
    one_to_all = one @ gram
    across = (one_to_all * two).sum(axis=1)
    lengths = np.sqrt((one_to_all * one).sum(axis=1) * ((two @ gram) * two).sum(axis=1))
    return float(np.divide(across, lengths, out=np.zeros(n_halves), where=lengths > 0).mean())


def random_halves(
    high: Bool[np.ndarray, " sample"], question: Int64[np.ndarray, " sample"], *, seed: int, n_halves: int
) -> Bool[np.ndarray, "half sample"]:
    """Which samples are in the first half of the questions, split by split."""
    ids, row_question = np.unique(question, return_inverse=True)
    kind = question_kind(high, row_question)
    random = np.random.default_rng(seed)
    chosen = np.zeros((n_halves, len(ids)), dtype=bool)
    for members in (np.flatnonzero(kind == k) for k in np.unique(kind)):
        for half in chosen:
            half[random.permutation(members)[: (len(members) + 1) // 2]] = True
    return np.asarray(chosen[:, row_question], dtype=bool)


def question_kind(
    high: Bool[np.ndarray, " sample"], question: Int64[np.ndarray, " sample"]
) -> Int64[np.ndarray, " question"]:
    """For questions numbered from 0: 1 has low texts only, 2 high texts only, 3 both."""
    n_questions = int(question.max()) + 1
    n_high = np.bincount(question, weights=high, minlength=n_questions)
    n_low = np.bincount(question, weights=~high, minlength=n_questions)
    return np.asarray(2 * (n_high > 0) + (n_low > 0), dtype=np.int64)


def reliability(half_cosine: float) -> float:
    """Expected cosine of the whole direction with the true one, from the cosine of its halves: sqrt(2r / (1+r))."""
    r = max(half_cosine, 0.0)
    return float(np.sqrt(2 * r / (1 + r)))


def pair_cosines(
    gram: Float64[np.ndarray, "sample sample"], high: Bool[np.ndarray, " sample"], pair: Int64[np.ndarray, " sample"]
) -> Float64[np.ndarray, " comparison"]:
    """Cosines between the directions of every two instruction pairs; pairs with one pole only are left out."""
    groups = [pair == p for p in np.unique(pair)]
    groups = [g for g in groups if (g & high).any() and (g & ~high).any()]
    if len(groups) < 2:
        return np.empty(0)
    weights = np.stack([pole_weights(high, g) for g in groups])
    products = weights @ gram @ weights.T
    lengths = np.sqrt(np.maximum(np.diag(products), np.finfo(np.float64).tiny))
    cosines = products / np.outer(lengths, lengths)
    return np.array([cosines[a, b] for a, b in combinations(range(len(groups)), 2)])


def slopes_along(
    gradients: Float64[np.ndarray, "*of width"], family: Float64[np.ndarray, "vector width"], *, length: float
) -> Float64[np.ndarray, "*of vector"]:
    """Slope of each thing a gradient is of, along each vector of a family, all brought to one length.

    At the mean norm of a token's residual it is the slope by rho. A vector's own length does not matter.
    """
    return np.asarray(gradients @ (family / np.linalg.norm(family, axis=1, keepdims=True)).T * length)


def top_dimension_energy(direction: Float64[np.ndarray, " width"]) -> float:
    """Share of a direction's squared length that lies in its largest coordinate: near 1 is a massive activation."""
    squares = direction**2
    total = float(squares.sum())
    return float(squares.max()) / total if total > 0 else 0.0
