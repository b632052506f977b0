"""Activations: what the residual stream of each rollout was, pooled, at every layer asked for.

`[sample layer width]` in float32; layer k is the output of decoder block k. Kept as safetensors beside the
rollouts, so that another fit, layer or statistic costs no forward pass. Knows no engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from personascope.artifacts import write_whole
from personascope.errors import ArtifactError
from personascope.models.protocols import Residuals
from personascope.rollouts import Rollout
from personascope.separation import Design

Position = Literal["reply_mean", "prompt_last"]


@dataclass(frozen=True)
class Activations:
    """The residuals of all samples of a contrast, and which layers their second axis stands for."""

    layers: tuple[int, ...]
    residuals: Residuals

    def at(self, position: Position) -> Float32[np.ndarray, "sample layer width"]:
        """The pooled stream at one position."""
        pooled: np.ndarray = getattr(self.residuals, position)
        return pooled


def design_of(rollouts: Sequence[Rollout]) -> Design:
    """Pole, instruction pair and question of each rollout."""
    return Design(
        high=np.array([rollout.pole == "high" for rollout in rollouts], dtype=bool),
        pair=_numbers(rollout.pair for rollout in rollouts),
        question=_numbers(rollout.question for rollout in rollouts),
    )


def _numbers(values: "object") -> Int64[np.ndarray, " sample"]:
    return np.fromiter(values, dtype=np.int64)  # type: ignore[call-overload,no-any-return]


def joined(parts: Sequence[Residuals]) -> Residuals:
    """The residuals of several parts, one after the other."""
    return Residuals(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Residuals.__dataclass_fields__)
    )


def write_activations(path: Path, activations: Activations) -> None:
    """Put the activations in place as safetensors, in one step."""
    arrays = {name: getattr(activations.residuals, name) for name in Residuals.__dataclass_fields__}
    arrays["layers"] = np.array(activations.layers, dtype=np.int64)
    write_whole(path, lambda part: save_file(arrays, part))


def read_activations(path: Path) -> Activations:
    """The activations in a file. Raises ArtifactError if it is damaged."""
    try:
        arrays = load_file(path)
        layers = tuple(int(layer) for layer in arrays.pop("layers"))
        return Activations(layers, Residuals(**arrays))
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} holds no activations ({error})", hint="delete it and run extract again") from error
