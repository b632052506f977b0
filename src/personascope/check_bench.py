"""What `self_check` tries its laws on: a few short texts, an engine's first reading of them, and how two are compared.

Two ways to the same number may lie apart by the rounding of the model's precision, and no further.

Knows the engine protocols; knows no engine and no law.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from personascope.models.protocols import (
    Chat,
    Engine,
    Mode,
    Residuals,
    Steered,
    Steering,
)

_CLERK = "You keep the lost-property office of a railway station. Answer in one sentence."
CHATS = (
    Chat("Has anybody found a green umbrella?", _CLERK),
    Chat("I left a parcel on the slow train from the coast this morning; is it with you, and until when?", _CLERK),
    Chat("What is in that box?", "You are a guide in a museum of clocks."),
    Chat("Name three kinds of apples."),
    Chat("Why does bread rise?"),
    Chat("My bicycle squeaks when I turn to the left. Where should I look first?"),
)
REPLIES = (
    "Yes, two of them.",
    "It came in at noon, and we shall keep it on the shelf behind me until the end of the month.",
    "A pendulum.",
    "Russet, codling and pippin.",
    "Yeast makes gas, and the dough holds it.",
    "Look at the front wheel, then at the brake, and put a drop of oil on the chain.",
)
PUSH = 0.2
"""Length of the vectors that are added, as a share of a token's residual norm."""


@dataclass(frozen=True)
class Check:
    """What was looked at, what was measured, and what to do where it did not pass.

    `passed` is None where there was nothing to look at.
    """

    name: str
    passed: bool | None
    measured: str
    hint: str = ""


@runtime_checkable
class LendsModule(Protocol):
    """An engine that lends its torch module, so that hooks on it can be counted."""

    def steered(self, steered: Steered) -> AbstractContextManager[Any]:
        """The module, with these edits while the `with` is open."""
        ...


@dataclass(frozen=True)
class Rounding:
    """How far two ways to the same number may lie apart in one precision."""

    edit: float
    """One addition; as a share of a residual's length."""
    batch: float
    """The same sums in another order, through all blocks; as a share of a residual's length."""
    nats: float
    """The same, of a log-probability."""


COARSE = {
    "float16": Rounding(2e-3, 1e-2, 0.05),
    "bfloat16": Rounding(1e-2, 5e-2, 0.5),
    "8bit": Rounding(1e-2, 0.25, 2.0),
}
"""Precisions in which rounding alone may turn a word; in 8 bits it hangs on the outliers of the whole batch."""
FINE = Rounding(1e-5, 1e-4, 1e-3)
"""float32 and finer."""


@dataclass(frozen=True)
class Bench:
    """An engine, its first and unsteered reading of the texts, and how many hooks it had before."""

    engine: Engine
    plain: Residuals
    n_hooks: int | None

    @property
    def layers(self) -> range:
        """All layers of the model."""
        return range(self.engine.spec.n_layers)

    @property
    def middle(self) -> int:
        """The layer half-way."""
        return len(self.layers) // 2

    @property
    def spread(self) -> tuple[int, ...]:
        """The first, the middle and the last layer."""
        return tuple(sorted({0, self.middle, len(self.layers) - 1}))

    @property
    def rounding(self) -> Rounding:
        """What this model's precision allows."""
        return COARSE.get(self.kept_in, FINE)

    @property
    def kept_in(self) -> str:
        """What decides the rounding: 8 bits by themselves, else what is computed in (4bit-float32: float32)."""
        bits, _, computed = self.engine.spec.dtype.partition("-")
        return bits if bits in COARSE or not computed else computed

    def push(self, layer: int, strength: float = 1.0, *, mode: Mode = "add") -> Steering:
        """A steering along a direction of no meaning, the same at every call."""
        drawn = np.random.default_rng(layer).standard_normal(self.engine.spec.width)
        length = PUSH * float(np.nanmean(self.plain.token_norm[:, layer]))
        direction = (drawn / np.linalg.norm(drawn) * length).astype(np.float32)
        return Steering({layer: direction}, strength, mode, thresholds={layer: 0.0})

    def read(self, *, steering: Sequence[Steered] | None = None, layers: Sequence[int] | None = None) -> Residuals:
        """The residuals of all texts, at all layers if none are named."""
        wanted = self.layers if layers is None else layers
        return self.engine.residuals(CHATS, REPLIES, layers=wanted, steering=steering)


def bench_for(engine: Engine) -> Bench:
    """An engine, ready to be checked. Raises UserError where it cannot read the texts at all."""
    n_hooks = hooks_on(engine)
    return Bench(engine, engine.residuals(CHATS, REPLIES, layers=range(engine.spec.n_layers)), n_hooks)


def hooks_on(engine: Engine) -> int | None:
    """How many hooks and replaced methods the engine's module carries; None for an engine that lends no module."""
    if not isinstance(engine, LendsModule):
        return None
    with engine.steered(()) as module:
        parts = list(module.modules())
    replaced = sum("forward" in vars(part) for part in parts)
    return replaced + sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in parts)


def at_layers(residuals: Residuals, places: Sequence[int]) -> Residuals:
    """The same at some places of the layer axis."""
    picked = list(places)
    return replace(
        residuals,
        reply_mean=residuals.reply_mean[:, picked],
        prompt_last=residuals.prompt_last[:, picked],
        token_norm=residuals.token_norm[:, picked],
    )


def of_rows(residuals: Residuals, places: Sequence[int]) -> Residuals:
    """The same of some samples."""
    return Residuals(*(getattr(residuals, name)[list(places)] for name in Residuals.__dataclass_fields__))


def identical(found: Residuals, expected: Residuals) -> bool:
    """Whether every number is the same to the last bit."""
    return all(
        np.array_equal(getattr(found, name), getattr(expected, name), equal_nan=True)
        for name in Residuals.__dataclass_fields__
    )


def distance(found: Residuals, expected: Residuals) -> float:
    """The largest |found - expected| / |expected| of a pooled residual; inf where just one of the two is there."""
    farthest = 0.0
    for ours, theirs in ((found.reply_mean, expected.reply_mean), (found.prompt_last, expected.prompt_last)):
        if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
            return float("inf")
        length = np.linalg.norm(np.nan_to_num(theirs), axis=-1)
        apart = np.linalg.norm(np.nan_to_num(ours) - np.nan_to_num(theirs), axis=-1)
        farthest = max(farthest, float(np.max(apart / np.maximum(length, np.finfo(np.float32).tiny), initial=0.0)))
    return farthest


def nats_apart(
    found: Float32[np.ndarray, "steering sample token"], expected: Float32[np.ndarray, "steering sample token"]
) -> float:
    """The largest difference of two scores; inf where just one of the two is there."""
    if not np.array_equal(np.isnan(found), np.isnan(expected)):
        return float("inf")
    return float(np.max(np.abs(np.nan_to_num(found - expected)), initial=0.0))
