"""From steerings to messages: vectors get rows in the workers' bank, texts of one steering a cache of their own.

Knows `Steering` values and wired messages; how vectors get to the workers it is told.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from personascope.errors import SteeringError
from personascope.models.protocols import Condition, Steered, Steering
from personascope.models.vllm.wire import Capacity, Message, WiredCondition, WiredEdit, check

_Digest = str


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A row's edits, with vectors by digest in place of rows of the bank."""

    edits: tuple[tuple[_Digest, WiredEdit], ...]
    conditions: tuple[tuple[_Digest, WiredCondition], ...]

    @property
    def digests(self) -> set[_Digest]:
        """The vectors that it takes."""
        return {digest for digest, _ in (*self.edits, *self.conditions)}

    def canonical(self, start: int | None) -> str:
        """The same text for the same edits of the same tokens, whatever rows their vectors have."""
        everywhere = all(edit.positions == "all" for _, edit in self.edits)
        edits = [[digest, asdict(edit)] for digest, edit in self.edits]
        conditions = [[digest, asdict(condition)] for digest, condition in self.conditions]
        return json.dumps([None if everywhere else start, edits, conditions])


@dataclass(frozen=True)
class Wired:
    """A row's edits as they travel. `salt` keeps what its tokens leave in the prefix cache apart from other rows'."""

    message: Message
    salt: str | None


UNSTEERED = Wired(Message(), None)


class Bank:
    """Which vectors are in the workers' bank, and where. `send` writes vectors [row width] into rows."""

    def __init__(self, capacity: Capacity, send: Callable[[list[int], np.ndarray], None]) -> None:
        self._capacity, self._send = capacity, send
        self._rows: OrderedDict[_Digest, int] = OrderedDict()
        self._vectors: dict[_Digest, np.ndarray] = {}

    def waves(self, steering: Sequence[Steered], starts: Sequence[int | None]) -> Iterator[dict[int, Wired]]:
        """The rows by number, as many at a time as the bank holds vectors of; a wave holds until the next one.

        Raises SteeringError for a row that the workers cannot do.
        """
        drawn = {id(steered): self._draw(steered) for steered in {id(one): one for one in steering}.values()}
        wave: list[int] = []
        wanted: set[_Digest] = set()
        for at, steered in enumerate(steering):
            digests = drawn[id(steered)].digests
            if len(wanted | digests) > self._capacity.vectors and wave:
                yield self._wired(wave, [drawn[id(steering[row])] for row in wave], starts)
                wave, wanted = [], set()
            wave.append(at)
            wanted |= digests
        if wave:
            yield self._wired(wave, [drawn[id(steering[row])] for row in wave], starts)
        self._vectors = {}

    def _wired(self, rows: Sequence[int], drawn: Sequence[_Drawn], starts: Sequence[int | None]) -> dict[int, Wired]:
        self._place(set().union(*(one.digests for one in drawn)))
        return {row: self._message(one, starts[row]) for row, one in zip(rows, drawn, strict=True)}

    def _message(self, drawn: _Drawn, start: int | None) -> Wired:
        if not drawn.edits:
            return Wired(Message(start), None)
        message = Message(
            start,
            tuple(replace(edit, vector=self._rows[digest]) for digest, edit in drawn.edits),
            tuple(replace(condition, vector=self._rows[digest]) for digest, condition in drawn.conditions),
        )
        check(message, self._capacity)
        return Wired(message, hashlib.blake2b(drawn.canonical(start).encode(), digest_size=16).hexdigest())

    def _place(self, digests: set[_Digest]) -> None:
        """Give all of these a row, taking rows of the least recently used others."""
        if len(digests) > self._capacity.vectors:
            raise SteeringError(
                f"one row is steered by {len(digests)} vectors; this engine holds {self._capacity.vectors} at once",
                hint="open vLLM with more `vectors`, or use --engine hf",
            )
        for digest in digests & self._rows.keys():
            self._rows.move_to_end(digest)
        new = sorted(digests - self._rows.keys())
        free = sorted(set(range(self._capacity.vectors)) - set(self._rows.values()), reverse=True)
        for digest in new:
            self._rows[digest] = free.pop() if free else self._rows.popitem(last=False)[1]
        if new:
            self._send([self._rows[digest] for digest in new], np.stack([self._vectors[digest] for digest in new]))

    def _draw(self, steered: Steered) -> _Drawn:
        conditions: dict[tuple[int, _Digest, float], int] = {}
        edits = []
        for edit in steered:
            waits = None if edit.condition is None else self._condition(edit.condition, conditions)
            for layer, raw in edit.directions.items():
                told = WiredEdit(
                    int(layer),
                    0,
                    edit.mode,
                    edit.positions,
                    float(edit.strength),
                    float(edit.thresholds.get(layer, 0.0)),
                    waits,
                )
                edits.append((self._digest(_vector(edit, raw)), told))
        wired = [(digest, WiredCondition(layer, 0, above)) for layer, digest, above in conditions]
        return _Drawn(tuple(edits), tuple(wired))

    def _condition(self, condition: Condition, known: dict[tuple[int, _Digest, float], int]) -> int:
        digest = self._digest(np.asarray(condition.direction, dtype=np.float32))
        return known.setdefault((int(condition.layer), digest, float(condition.above)), len(known))

    def _digest(self, vector: np.ndarray) -> _Digest:
        digest = hashlib.blake2b(np.ascontiguousarray(vector).tobytes(), digest_size=16).hexdigest()
        self._vectors[digest] = vector
        return digest


def _vector(edit: Steering, raw: np.ndarray) -> np.ndarray:
    """As the worker takes it: raw where it is added, else of length 1."""
    exact = np.asarray(raw, dtype=np.float32)
    return exact if edit.mode == "add" else exact / np.linalg.norm(exact)
