"""Steering as tables on the device: which program each token of a step follows, and what a program does at each layer.

    h <- h + (amount + share * clamp(<h, v> - threshold, lowest, highest)) * v        one edit, v a row of the bank

    add     amount = s                        ablate  share = -s
    cap     share = -s, lowest = 0            floor   share = -s, highest = 0        (v of length 1, threshold t)

Everything that a forward pass reads has a fixed place in memory; the host changes contents between steps only, so that
the operations may be compiled, or recorded in a CUDA graph. Program 0 changes nothing: its tokens come out bit for
bit.

Knows tensors and wired edits; knows nothing of vLLM.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from personascope.models.protocols import Positions
from personascope.models.vllm.wire import Capacity, Message, WiredEdit

_Places = tuple[int, int, int]
"""The programs of one steering, by region."""
REGIONS: tuple[frozenset[Positions], ...] = (
    frozenset({"prompt", "all"}),
    frozenset({"reply", "prompt", "all"}),
    frozenset({"reply", "all"}),
)
"""Which positions a token belongs to: before the prompt's last token, that token, the reply's."""


class Programs:
    """The tables, and who owns which of their columns in this step."""

    def __init__(self, capacity: Capacity, n_programs: int, n_tokens: int, device: torch.device) -> None:
        layers, edits, gates = capacity.n_layers, capacity.edits, capacity.conditions
        self._capacity, self._device = capacity, device
        exact: Any = {"dtype": torch.float32, "device": device}
        whole: Any = {"dtype": torch.int64, "device": device}
        self.bank = torch.zeros(capacity.vectors + 1, capacity.width, **exact)
        """Row 0 stays zero: the vector of edits that are none."""
        self.program = torch.zeros(n_tokens, **whole)
        self._vector = torch.zeros(layers, edits, n_programs, **whole)
        self._numbers = torch.zeros(layers, edits, n_programs, 5, **exact)
        self._gate = torch.zeros(layers, edits, n_programs, **whole)
        self._met = torch.ones(n_tokens, gates + 1, dtype=torch.bool, device=device)
        self._read_vector = torch.zeros(layers, gates, n_programs, **whole)
        self._read_above = torch.full((layers, gates, n_programs), math.inf, **exact)
        self._read_here = torch.zeros(layers, gates, n_programs, dtype=torch.bool, device=device)
        self._owners: dict[tuple[str, int], int] = {}
        self._latest: dict[str, _Places] = {}
        self._free = list(range(n_programs - 1, 0, -1))
        self._places: dict[int, set[tuple[int, int]]] = {}
        self._looks: dict[int, set[int]] = {}
        self.active: frozenset[tuple[int, int]] = frozenset()
        """(layer, edit) that some token of this step has; conditions have negative numbers."""
        self._looked_at: frozenset[int] = frozenset()
        self._followed = np.zeros(0, np.int64)
        self._shifts: dict[int, Tensor] = {}

    def put(self, rows: Sequence[int], vectors: np.ndarray) -> None:
        """Write vectors [row width] into rows of the bank, counted as requests count them."""
        self._shifts.clear()
        at = torch.tensor(rows, device=self._device) + 1
        self.bank[at] = torch.from_numpy(np.array(vectors, dtype=np.float32)).to(self._device)

    def follow(self, program: np.ndarray) -> None:
        """Say which program each of the next pass's tokens follows, from the first on [token]."""
        if not np.array_equal(program, self._followed):
            self._shifts.clear()
            self._followed = program
        self.program[: len(program)] = torch.from_numpy(program).to(self._device)

    def shift(self, layer: int, n: int) -> Tensor | None:
        """What a layer's edits add to the first `n` tokens [token width], float32; None if one depends on the stream.

        Kept from step to step while the tokens follow the same programs, unless they are many. It asks the host, so it
        is not for compiled code.
        """
        if layer in self._looked_at:
            return None
        kept = self._shifts.get(layer)
        if kept is not None and len(kept) == n:
            return kept
        moved = self.edit(layer, self.bank.new_zeros(n, self._capacity.width), self.active)
        if n <= self._vector.shape[-1]:
            self._shifts[layer] = moved
        return moved

    def edit(self, layer: int, stream: Tensor, only: frozenset[tuple[int, int]] | None = None) -> Tensor:
        """What is to be added to a layer's stream [token width], float32. `only`: skip whatever is not in it."""
        n = stream.shape[0]
        program, moved = self.program[:n], torch.zeros_like(stream)
        for gate in range(self._capacity.conditions):
            if only is None or (layer, -1 - gate) in only:
                self._look(layer, gate, program, stream)
        for at in range(self._capacity.edits):
            if only is not None and (layer, at) not in only:
                continue
            vector = self.bank[self._vector[layer, at][program]]
            amount, share, threshold, lowest, highest = self._numbers[layer, at][program].unbind(-1)
            along = ((stream + moved) * vector).sum(-1) - threshold
            change = amount + share * torch.minimum(torch.maximum(along, lowest), highest)
            met = self._met[:n].gather(1, self._gate[layer, at][program][:, None])[:, 0]
            moved = moved + torch.where(met, change, 0.0)[:, None] * vector
        return moved

    def _look(self, layer: int, gate: int, program: Tensor, stream: Tensor) -> None:
        """Note which tokens meet a condition that is read at this layer."""
        n = stream.shape[0]
        along = (stream * self.bank[self._read_vector[layer, gate][program]]).sum(-1)
        met = along > self._read_above[layer, gate][program]
        here = self._read_here[layer, gate][program]
        self._met[:n, gate + 1] = torch.where(here, met, self._met[:n, gate + 1])

    def places(self, messages: Iterable[Message]) -> dict[str, _Places]:
        """Of each steering among the messages of one step: its program in each region; written where new.

        Programs of other steps make room where it is needed.
        """
        wanted = {message.steering: message for message in messages if message.edits}
        if wanted.keys() == self._latest.keys():
            return self._latest
        keys = {(steering, region) for steering in wanted for region in range(len(REGIONS))}
        if len(keys - self._owners.keys()) > len(self._free):
            for key in [key for key in self._owners if key not in keys]:
                self._free.append(self._owners.pop(key))
        found = {
            steering: (self._owned(message, 0), self._owned(message, 1), self._owned(message, 2))
            for steering, message in wanted.items()
        }
        self._latest = found
        used = [at for programs in found.values() for at in programs]
        self.active = frozenset().union(*(self._places[at] for at in used))
        self._looked_at = frozenset().union(*(self._looks[at] for at in used))
        return found

    def _owned(self, message: Message, region: int) -> int:
        key = (message.steering, region)
        if key not in self._owners:
            self._owners[key] = self._free.pop()
            self._write(self._owners[key], message, REGIONS[region])
        return self._owners[key]

    def _write(self, at: int, message: Message, positions: frozenset[Positions]) -> None:
        """Fill a column of the tables. Built on the host, and copied whole."""
        self._shifts.clear()
        layers, most, gates = self._capacity.n_layers, self._capacity.edits, self._capacity.conditions
        vector, gate = torch.zeros(layers, most, dtype=torch.int64), torch.zeros(layers, most, dtype=torch.int64)
        numbers, n_edits = torch.zeros(layers, most, 5), [0] * layers
        for edit in message.edits:
            if edit.positions in positions:
                place = edit.layer, n_edits[edit.layer]
                n_edits[edit.layer] += 1
                vector[place], numbers[place] = edit.vector + 1, torch.tensor(numbers_of(edit))
                gate[place] = 0 if edit.condition is None else edit.condition + 1
        read, above = torch.zeros(layers, gates, dtype=torch.int64), torch.full((layers, gates), math.inf)
        here = torch.zeros(layers, gates, dtype=torch.bool)
        for number, condition in enumerate(message.conditions):
            place = condition.layer, number
            read[place], above[place], here[place] = condition.vector + 1, condition.above, True
        for table, column in (
            (self._vector, vector), (self._numbers, numbers), (self._gate, gate),
            (self._read_vector, read), (self._read_above, above), (self._read_here, here),
        ):  # fmt: skip
            table[:, :, at] = column.to(self._device)
        acting = {(layer, edit) for layer, n in enumerate(n_edits) for edit in range(n)}
        self._places[at] = acting | {(one.layer, -1 - number) for number, one in enumerate(message.conditions)}
        looking = {one.layer for one in message.edits if one.mode != "add" or one.condition is not None}
        self._looks[at] = looking | {one.layer for one in message.conditions}


def numbers_of(edit: WiredEdit) -> tuple[float, float, float, float, float]:
    """Amount, share, threshold, lowest and highest of an edit."""
    if edit.mode == "add":
        return edit.strength, 0.0, 0.0, 0.0, 0.0
    lowest = 0.0 if edit.mode == "cap" else -math.inf
    highest = 0.0 if edit.mode == "floor" else math.inf
    return 0.0, -edit.strength, edit.threshold if edit.mode != "ablate" else 0.0, lowest, highest


def regions(start: int, first: int, n: int) -> tuple[int, int]:
    """Where, among `n` tokens from position `first`, the prompt's last token is reached and passed: two counts."""
    return min(max(start - 1 - first, 0), n), min(max(start - first, 0), n)
