"""How a model is opened where work is done: names and settings alone, which travel.

Knows engines by name; torch is imported where one is opened.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from personascope.models.engine_choice import HF, EngineChoice
from personascope.models.protocols import Engine
from personascope.models.toys import TRAINED_TOYS
from personascope.traits import Trait


@dataclass(frozen=True)
class Opening:
    """How a model is opened: its name and what a user says about it."""

    name: str
    precision: str = "auto"
    trust_remote_code: bool = False
    quantize: str | None = None
    on: EngineChoice = field(default_factory=lambda: HF)

    @property
    def gpus(self) -> int:
        """How many GPUs one engine takes."""
        return 0 if self.name in TRAINED_TOYS else self.on.tensor_parallel

    def engine(self, trait: Trait | None) -> Engine:
        """The engine, opened now."""
        from personascope.models.opening import open_engine

        return open_engine(self.name, trait, **self._settings())

    def engines(self) -> Callable[[Trait], Engine]:
        """What gives the engine to read each trait from: one for all, opened now; of the toy one for each."""
        from personascope.models.opening import open_engines

        return open_engines(self.name, **self._settings())

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "name"}
