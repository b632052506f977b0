"""An engine that writes what it has written before from memory.

Knows an engine by its protocol; knows neither torch nor what the replies are for.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from personascope.models.protocols import (
    Chat,
    Engine,
    Generation,
    Listen,
    ModelSpec,
    Residuals,
    Sampling,
    Scores,
    Steered,
    Tick,
)

_Asked = tuple[tuple[Chat, ...], Sampling, tuple[int, ...]]


class AnsweredOnce:
    """The same engine; what is asked again, unsteered and with the same seeds, is not run again.

    A reply follows from its chat, its seed and the sampling alone, whatever else is in the batch: so the model's own
    replies to neutral prompts are the same for every trait. What is steered, read or heard is always run.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._written: dict[_Asked, Generation] = {}

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""
        return self._engine.spec

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know about how chats are put to this model."""
        return self._engine.notes

    def generate(
        self,
        chats: Sequence[Chat],
        sampling: Sampling,
        *,
        seeds: Sequence[int],
        layers: Sequence[int] | None = None,
        steering: Sequence[Steered] | None = None,
        tick: Tick | None = None,
        listen: Listen | None = None,
    ) -> Generation:
        """One reply per chat, as the engine writes it, or as it wrote it when the same was asked before."""
        asked = tuple(chats), sampling, tuple(seeds)
        plain = layers is None and steering is None and listen is None
        if plain and asked in self._written:
            if tick:
                tick(len(chats))
            return self._written[asked]
        made = self._engine.generate(
            chats, sampling, seeds=seeds, layers=layers, steering=steering, tick=tick, listen=listen
        )
        if plain:
            self._written[asked] = made
        return made

    def residuals(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        layers: Sequence[int],
        steering: Sequence[Steered] | None = None,
        tick: Tick | None = None,
    ) -> Residuals:
        """The residuals of each chat with its reply, as the engine reads them."""
        return self._engine.residuals(chats, replies, layers=layers, steering=steering, tick=tick)

    def score(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        steerings: Sequence[Steered],
        most_tokens: int | None = None,
        tick: Tick | None = None,
    ) -> Scores:
        """Every reply under every steering, as the engine scores it."""
        return self._engine.score(chats, replies, steerings=steerings, most_tokens=most_tokens, tick=tick)

    def sensitivity(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        weights: Float32[np.ndarray, " sample"],
        layers: Sequence[int],
        most_tokens: int | None = None,
    ) -> Float32[np.ndarray, "layer width"]:
        """The gradient that the engine gives."""
        return self._engine.sensitivity(chats, replies, weights=weights, layers=layers, most_tokens=most_tokens)
