"""The vectors of all personas in the bank of a worker that takes none later, and requests that name them by row.

Server and worker are two processes: both know the same rows because both lay the same vectors out in the same order.

Knows personas and vLLM's wired messages; knows neither server nor worker.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from personascope.models.protocols import Mode, Steered
from personascope.models.vllm.wire import Capacity
from personascope.models.vllm.wiring import Bank, Wired
from personascope.serve.personas import Persona

_FORMS: tuple[Mode, ...] = ("add", "ablate")
"""One mode that takes a vector as it is, and one that takes it at length 1: every mode does one of the two."""


@dataclass
class Stock:
    """A bank that is full: `vectors` are its rows."""

    personas: Mapping[str, Persona]
    capacity: Capacity
    vectors: Float32[np.ndarray, "row width"] = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = np.zeros((self.capacity.vectors, self.capacity.width), np.float32)
        self._bank = Bank(self.capacity, self._put)
        everything = [
            persona.dose({"strength": 1.0, "layer": layer, "mode": mode}).steered
            for persona in self.personas.values()
            for mode in _FORMS
            for layer in persona.vectors.layers
        ]
        for _wave in self._bank.waves(everything, [None] * len(everything)):
            pass

    def wired(self, steered: Steered, prompt: str) -> Wired:
        """A row's edits as they travel; the reply starts where the prompt ends. `prompt`: whatever decides its text.

        Raises SteeringError for edits that the worker's buffers cannot hold.
        """
        (((_, one),),) = ([*wave.items()] for wave in self._bank.waves([steered], [None]))
        if one.salt is None or all(edit.positions == "all" for edit in steered):
            return one
        # What is steered depends on where the prompt ends: only the same prompt may share what it leaves in the cache.
        salt = hashlib.blake2b(f"{one.salt} {prompt}".encode(), digest_size=16).hexdigest()
        return Wired(one.message, salt)

    def _put(self, rows: list[int], vectors: Float32[np.ndarray, "row width"]) -> None:
        self.vectors[rows] = vectors


def n_rows(personas: Sequence[Persona]) -> int:
    """How many rows a bank needs for all vectors of these personas."""
    return len(_FORMS) * sum(len(persona.vectors.layers) for persona in personas)
