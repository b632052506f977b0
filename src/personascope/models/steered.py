"""Steering on torch: each row of a batch with its own edits, at its own tokens, in one forward pass.

    add     h + s v        ablate  h - s <h, u> u        cap / floor  h - s max / min(<h, u> - t, 0) u

Edits happen at the output of block k, from 0, in float32, out of place (so gradients flow through them). Rows and
tokens that are not steered come out bit for bit as they went in.

Knows `Steering` values and tensors; knows nothing of chats or models.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from personascope.errors import SteeringError
from personascope.models.protocols import Condition, Mode, Positions, Steered, Steering
from personascope.models.residual import Edit, edited


@dataclass(frozen=True)
class _Op:
    """One kind of edit at one layer, for all rows: rows without it have zero vectors."""

    mode: Mode
    positions: Positions
    vector: Float[Tensor, "row width"]
    """`add`: strength times raw direction; else the unit direction."""
    strength: Float[Tensor, " row"]
    threshold: Float[Tensor, " row"]
    condition: int | None
    """Which of the batch's conditions it waits for."""

    def rows(self, kept: Tensor) -> "_Op":
        return replace(self, vector=self.vector[kept], strength=self.strength[kept], threshold=self.threshold[kept])


class RowEdits:
    """The edits of a batch. Say before each forward pass what its columns are, by `aim`."""

    def __init__(self, steering: Sequence[Steered], device: torch.device) -> None:
        self._conditions: list[tuple[Condition, Tensor]] = []
        self._ops: dict[int, list[_Op]] = {}
        self._starts: Tensor | None = None
        self._gates: dict[int, Bool[Tensor, "row token"]] = {}
        for place in range(max((len(steered) for steered in steering), default=0)):
            edits = [steered[place] if place < len(steered) else None for steered in steering]
            for kind in dict.fromkeys(_kind(edit) for edit in edits if edit is not None):
                self._add([edit if edit is not None and _kind(edit) == kind else None for edit in edits], device)

    @property
    def layers(self) -> list[int]:
        """Where something is edited or, for a condition, read."""
        return sorted({*self._ops, *(condition.layer for condition, _ in self._conditions)})

    @property
    def steers_prompts(self) -> bool:
        """Whether any edit reaches tokens before the last of the prompt."""
        return any(op.positions != "reply" for ops in self._ops.values() for op in ops)

    def aim(self, starts: Tensor | None) -> None:
        """`starts`: the column of each row's first reply token, [row]; None: every column is a reply's."""
        self._starts = starts
        self._gates = {}

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self._ops = {layer: [op.rows(rows) for op in ops] for layer, ops in self._ops.items()}

    def hooks(self, deepest: int | None = None) -> dict[int, Edit]:
        """What to do after each block up to `deepest` (all, if None), for `residual.edited`."""
        return {layer: self._edit_of(layer) for layer in self.layers if deepest is None or layer <= deepest}

    def _add(self, edits: Sequence[Steering | None], device: torch.device) -> None:
        first = next(edit for edit in edits if edit is not None)
        condition = None
        if first.condition is not None:
            condition = len(self._conditions)
            direction = torch.from_numpy(np.asarray(first.condition.direction, dtype=np.float32)).to(device)
            self._conditions.append((first.condition, direction))
        for layer in sorted({layer for edit in edits if edit is not None for layer in edit.directions}):
            width = len(next(e.directions[layer] for e in edits if e is not None and layer in e.directions))
            vectors = np.zeros((len(edits), width), dtype=np.float32)
            numbers = np.zeros((2, len(edits)), dtype=np.float32)
            for row, edit in enumerate(edits):
                if edit is not None and layer in edit.directions:
                    raw = np.asarray(edit.directions[layer], dtype=np.float32)
                    vectors[row] = edit.strength * raw if edit.mode == "add" else raw / np.linalg.norm(raw)
                    numbers[:, row] = edit.strength, edit.thresholds.get(layer, 0.0)
            vector, strength, threshold = (torch.from_numpy(array).to(device) for array in (vectors, *numbers))
            op = _Op(first.mode, first.positions, vector, strength, threshold, condition)
            self._ops.setdefault(layer, []).append(op)

    def _edit_of(self, layer: int) -> Edit:
        def edit(stream: Tensor) -> Tensor:
            for number, (condition, direction) in enumerate(self._conditions):
                if condition.layer == layer:
                    self._gates[number] = stream.float() @ direction > condition.above
            for op in self._ops.get(layer, ()):
                stream = torch.where(self._where(op, stream), _moved(op, stream), stream)
            return stream

        return edit

    def _where(self, op: _Op, stream: Tensor) -> Bool[Tensor, "row token 1"]:
        """At which tokens an edit acts."""
        shape = stream.shape[:2]
        there = torch.ones(shape, dtype=torch.bool, device=stream.device)
        if op.positions != "all":
            if self._starts is None:
                there &= op.positions == "reply"
            else:
                column = torch.arange(shape[1], device=stream.device)[None]
                starts = self._starts[:, None]
                there &= column >= starts - 1 if op.positions == "reply" else column < starts
        if op.condition is not None:
            there &= self._gates[op.condition]
        return there[..., None]


def _kind(edit: Steering) -> tuple[object, ...]:
    """Edits of one kind are done by one operation; a condition is a kind of its own."""
    return edit.mode, edit.positions, id(edit.condition) if edit.condition else None


def _moved(op: _Op, stream: Tensor) -> Tensor:
    """The stream [row token width] with the edit at every token."""
    vector = op.vector[:, None]
    if op.mode == "add":
        return (stream + vector).to(stream.dtype)
    exact = stream.float()
    along = (exact * vector).sum(-1)
    if op.mode != "ablate":
        beyond = along - op.threshold[:, None]
        along = beyond.clamp(min=0) if op.mode == "cap" else beyond.clamp(max=0)
    return (exact - (op.strength[:, None] * along)[..., None] * vector).to(stream.dtype)


@contextmanager
def steered_everywhere(blocks: Sequence[nn.Module], steered: Steered, device: torch.device) -> Iterator[None]:
    """Steer every token of every forward pass while the `with` is open, for loops of one's own; gradients flow.

    Raises SteeringError for other positions than `all`: a bare forward pass does not know where a reply starts.
    Raises ModelError if an edit never ran.
    """
    if any(edit.positions != "all" for edit in steered):
        raise SteeringError(
            "a bare forward pass does not know where replies start",
            hint="give the steering positions 'all', or give it to generate, residuals or score",
        )
    edits = RowEdits([steered], device)
    with edited(blocks, edits.hooks()):
        yield
