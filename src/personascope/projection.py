"""How far texts go along persona vectors, in persona gaps.

    projection = <h, v> / <v, v>        h: mean of the residual stream over a text's tokens, v = mean(high) - mean(low)

both at the vector's layer (the output of block k, from 0). Two texts that are 1 apart lie one persona gap apart. 0 is
where the stream has nothing of the direction, which is no neutral text: compare texts with texts, or with the replies
that the vector was made from. Knows the engine protocols; knows no engine and no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, Int64

from personascope.errors import ContrastError
from personascope.models.protocols import Chat, ReadsResiduals, Residuals


@dataclass(frozen=True, eq=False)
class Axis:
    """A trait's raw direction at one layer, one persona gap long; `behind`: percentiles of its own replies, in gaps."""

    trait: str
    layer: int
    direction: Float32[np.ndarray, " width"]
    behind: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Text:
    """A chat with its reply, as it is read; `problem` says why it cannot be."""

    chat: Chat
    reply: str
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class Projected:
    """Texts on axes: projections in persona gaps, and the mean norm of a token at the axis's layer.

    NaN, with 0 tokens, where nothing was read: `problems` tell why.
    """

    gaps: Float64[np.ndarray, "sample axis"]
    norms: Float64[np.ndarray, "sample axis"]
    n_tokens: Int64[np.ndarray, " sample"]
    problems: tuple[str | None, ...]


def project(engine: ReadsResiduals, texts: Sequence[Text], axes: Sequence[Axis]) -> Projected:
    """Every text on every axis, read once. One that is empty or beyond the context is told, not raised."""
    layers = sorted({axis.layer for axis in axes})
    empty = Projected(
        np.full((len(texts), len(axes)), np.nan),
        np.full((len(texts), len(axes)), np.nan),
        np.zeros(len(texts), dtype=np.int64),
        (),
    )
    problems = [text.problem for text in texts]
    for rows, residuals in _read(engine, texts, [at for at, text in enumerate(texts) if not text.problem], layers):
        if isinstance(residuals, str):
            problems[rows[0]] = residuals
            continue
        empty.n_tokens[rows] = residuals.n_tokens
        for number, axis in enumerate(axes):
            place = layers.index(axis.layer)
            direction = axis.direction.astype(np.float64)
            means = residuals.reply_mean[:, place].astype(np.float64)
            empty.gaps[rows, number] = (means * direction).sum(axis=1) / (direction @ direction)
            empty.norms[rows, number] = residuals.token_norm[:, place]
    for row in np.flatnonzero(empty.n_tokens == 0):
        empty.gaps[row], empty.norms[row] = np.nan, np.nan
        problems[row] = problems[row] or "no tokens to read"
    return Projected(empty.gaps, empty.norms, empty.n_tokens, tuple(problems))


_Read = list[tuple[list[int], Residuals | str]]


def _read(engine: ReadsResiduals, texts: Sequence[Text], rows: list[int], layers: Sequence[int]) -> _Read:
    """The residuals of rows, in as few runs as there must be: a text that is refused is found by halving."""
    if not rows:
        return []
    try:
        chats, replies = [texts[row].chat for row in rows], [texts[row].reply for row in rows]
        return [(rows, engine.residuals(chats, replies, layers=layers))]
    except ContrastError as error:
        if len(rows) == 1:
            return [(rows, str(error))]
        half = len(rows) // 2
        return _read(engine, texts, rows[:half], layers) + _read(engine, texts, rows[half:], layers)
