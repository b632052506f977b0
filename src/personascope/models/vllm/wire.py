"""What travels with a request to the worker: which of its tokens are steered how, and which are read to where.

Tensors never travel: an edit names a row of the worker's bank of vectors, a reading names places in its sums. One
JSON text under one key, so that it passes through HTTP as well. Positions count from the prompt's first token, 0.

Knows numbers and texts; knows neither torch nor vLLM.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, get_args

from personascope.errors import SteeringError
from personascope.models.protocols import Mode, Positions

KEY = "personascope"
CAPACITY = "PERSONASCOPE_VLLM_CAPACITY"
"""The environment variable that tells the process where requests are taken in how much the buffers hold."""
STOCK = "stock"
"""Among the worker's settings: a file of vectors that its bank holds from the start, row by row."""
_MODES: tuple[Mode, ...] = get_args(Mode)
_POSITIONS: tuple[Positions, ...] = get_args(Positions)
_LARGEST = 3.4e38
_HINT = "let personascope write this text: it is its own, between engine and worker"


@dataclass(frozen=True)
class Capacity:
    """How much the worker's buffers hold; fixed when the engine starts.

    `vectors` at once, over all requests; `edits` of one request at one layer; `conditions` of one request; `pools` of
    tokens summed at once; `finals`, tokens whose last residual is kept at once. The last two may be 0: nothing is read.
    """

    n_layers: int
    width: int
    vectors: int
    edits: int
    conditions: int
    pools: int
    finals: int


@dataclass(frozen=True)
class WiredEdit:
    """One edit at one layer. `vector` is a row of the bank, raw for `add`, else of length 1."""

    layer: int
    vector: int
    mode: Mode
    positions: Positions
    strength: float
    threshold: float = 0.0
    condition: int | None = None
    """Which of the request's conditions it waits for."""


@dataclass(frozen=True)
class WiredCondition:
    """Met by a token whose residual at `layer`, before its edits, projects above `above` on a row of the bank."""

    layer: int
    vector: int
    above: float


@dataclass(frozen=True)
class Pool:
    """Tokens to be summed into one place: runs of positions, each from the first up to before the end."""

    place: int
    runs: tuple[tuple[int, int], ...]

    @property
    def n_tokens(self) -> int:
        """How many tokens it sums."""
        return sum(end - first for first, end in self.runs)


@dataclass(frozen=True)
class Finals:
    """Tokens whose last residual, as the output head reads it, is kept from `place` on."""

    place: int
    first: int
    end: int


@dataclass(frozen=True)
class Message:
    """What one request asks of the worker beside its reply.

    `start`: the position of the reply's first token; None where the prompt ends, which the worker knows.
    """

    start: int | None = 0
    edits: tuple[WiredEdit, ...] = ()
    conditions: tuple[WiredCondition, ...] = ()
    pools: tuple[Pool, ...] = ()
    finals: Finals | None = None

    def text(self) -> str:
        """As it travels."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @cached_property
    def steering(self) -> str:
        """What decides its edits: requests alike in this are steered by the same rows of the worker's tables.

        Looked up for every request at every step: a text is hashed once, a tuple of edits each time.
        """
        return repr((self.edits, self.conditions)) if self.edits else ""


def message_in(extra: Mapping[str, Any] | None, capacity: Capacity) -> Message | None:
    """The message of a request, None where it has none. Raises SteeringError for anything that the worker cannot do."""
    text = (extra or {}).get(KEY)
    if text is None:
        return None
    try:
        message = _built(json.loads(text))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise SteeringError(f"a request's {KEY!r} cannot be read: {error}", hint=_HINT) from error
    check(message, capacity)
    return message


def check(message: Message, capacity: Capacity) -> None:
    """Raise SteeringError unless the worker's buffers can do what a message asks."""
    for what, holds in _demands(message, capacity):
        if not holds:
            raise SteeringError(f"a request asks for {what}, which the worker's buffers do not hold", hint=_HINT)
    for layer in {edit.layer for edit in message.edits}:
        n_edits = sum(edit.layer == layer for edit in message.edits)
        if n_edits > capacity.edits:
            raise SteeringError(
                f"{n_edits} edits at layer {layer} of one row; this engine was opened for {capacity.edits}",
                hint="add directions up before, open vLLM with more `edits`, or use --engine hf",
            )
    if len(message.conditions) > capacity.conditions:
        raise SteeringError(
            f"{len(message.conditions)} conditions of one row; this engine was opened for {capacity.conditions}",
            hint="open vLLM with more `conditions`, or use --engine hf",
        )


def _demands(message: Message, capacity: Capacity) -> list[tuple[str, bool]]:
    """What a message asks for, and whether there is such a thing."""
    starts = message.start is None or _number(message.start, None)
    found: list[tuple[str, bool]] = [(f"start {message.start!r}", starts)]
    for edit in message.edits:
        found += [
            (f"layer {edit.layer!r}", _number(edit.layer, capacity.n_layers)),
            (f"vector {edit.vector!r}", _number(edit.vector, capacity.vectors)),
            (f"mode {edit.mode!r}", edit.mode in _MODES),
            (f"positions {edit.positions!r}", edit.positions in _POSITIONS),
            (f"strength {edit.strength!r}", _finite(edit.strength) and _finite(edit.threshold)),
            (
                f"condition {edit.condition!r}",
                edit.condition is None or _number(edit.condition, len(message.conditions)),
            ),
        ]
    for condition in message.conditions:
        there = _number(condition.layer, capacity.n_layers) and _number(condition.vector, capacity.vectors)
        found.append(
            (f"{condition!r}", there and isinstance(condition.above, float) and not math.isnan(condition.above))
        )
    for pool in message.pools:
        rising = all(_number(first, None) and _number(end, None) and first < end for first, end in pool.runs)
        found.append((f"{pool!r}", _number(pool.place, capacity.pools) and rising))
    if (kept := message.finals) is not None:
        whole = all(_number(at, None) for at in (kept.place, kept.first, kept.end)) and kept.first < kept.end
        found.append((f"{kept!r}", whole and kept.place + kept.end - kept.first <= capacity.finals))
    return found


def _number(value: object, below: int | None) -> bool:
    """Whether it is a whole number, not negative, below a bound."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0 and (below is None or value < below)


def _finite(value: object) -> bool:
    """Whether it is a number that float32, in which the worker computes, can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _built(told: Any) -> Message:
    finals = told.get("finals")
    return Message(
        told.get("start", 0),
        tuple(WiredEdit(**edit) for edit in told.get("edits", ())),
        tuple(WiredCondition(**condition) for condition in told.get("conditions", ())),
        tuple(Pool(pool["place"], _runs(pool["runs"])) for pool in told.get("pools", ())),
        None if finals is None else Finals(**finals),
    )


def _runs(told: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((first, end) for first, end in told)
