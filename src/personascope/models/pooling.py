"""From residual streams to one number per sample, layer and channel, on the device, in float32.

Never are all hidden states held: each layer's stream is summed over the tokens that count while the
forward pass goes on, and forgotten. Not counted: position 0 (an attention sink; its norm was measured at
161 times the median's at layer 15 of SmolLM2-135M), special tokens, the end token.

Knows layouts of batches; knows nothing of models.
"""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from personascope.models.batches import Layout, Row
from personascope.models.protocols import Residuals


class Pooling:
    """Sums of one batch; give it to `residual.reading`, then ask for `means` and `lasts`."""

    def __init__(self, batch: Layout, layers: Sequence[int], special: Collection[int]) -> None:
        device = batch.ids.device
        kept = [kept_tokens(row, special) for row in batch.rows]
        self.counts = torch.tensor([len(tokens) for tokens in kept])
        self._slot = {layer: slot for slot, layer in enumerate(layers)}
        self._runs = [
            (i, batch.column(i, first), batch.column(i, last) + 1)
            for i, tokens in enumerate(kept)
            for first, last in _runs(tokens)
        ]
        self._last = torch.tensor([batch.column(i, row.tokens.start - 1) for i, row in enumerate(batch.rows)])
        self._weights = None if device.type == "cpu" else self._as_weights(batch.ids)
        self._sums: Tensor | None = None
        self._lasts: Tensor | None = None
        self._norms: Tensor | None = None

    def __call__(self, layer: int, stream: Tensor) -> None:
        """Add one layer's stream [row token width]."""
        if self._sums is None or self._lasts is None or self._norms is None:
            shape = (stream.shape[0], len(self._slot), stream.shape[-1])
            self._sums = torch.zeros(shape, dtype=torch.float32, device=stream.device)
            self._lasts = torch.zeros_like(self._sums)
            self._norms = torch.zeros(shape[:2], dtype=torch.float32, device=stream.device)
        slot = self._slot[layer]
        self._lasts[:, slot] = stream[torch.arange(stream.shape[0]), self._last].float()
        if self._weights is not None:
            exact = stream.float()
            self._sums[:, slot] = torch.einsum("rt,rtw->rw", self._weights, exact)
            self._norms[:, slot] = (self._weights * exact.norm(dim=-1)).sum(-1)
            return
        # A sum per run of tokens converts inside the kernel; a product with weights would first copy the
        # whole stream to float32, which costs 3-4 % of a bfloat16 forward on a CPU.
        for row, first, end in self._runs:
            tokens = stream[row, first:end]
            self._sums[row, slot] += tokens.sum(0, dtype=torch.float32)
            self._norms[row, slot] += torch.linalg.vector_norm(tokens, dim=-1, dtype=torch.float32).sum()

    def residuals(self) -> Residuals:
        """Means and last prompt tokens of the batch; NaN where no token counts."""
        if self._sums is None or self._lasts is None or self._norms is None:
            raise RuntimeError("nothing was read")
        means, norms = mean_of(self._sums, self.counts), mean_of(self._norms, self.counts)
        return Residuals(means, self._lasts.cpu().numpy(), norms, self.counts.numpy())

    def _as_weights(self, ids: Tensor) -> Tensor:
        weights = torch.zeros(ids.shape, dtype=torch.float32)
        for row, first, end in self._runs:
            weights[row, first:end] = 1.0
        return weights.to(ids.device)


def mean_of(sums: Tensor, counts: Tensor) -> np.ndarray:
    """Sums [row ...] over counts [row]; NaN where nothing was counted."""
    counts = counts.to(sums.device).reshape(-1, *[1] * (sums.ndim - 1))
    return torch.where(counts > 0, sums / counts, torch.nan).cpu().numpy()


def kept_tokens(row: Row, special: Collection[int]) -> list[int]:
    """Which tokens of a row count in the mean of its reply."""
    ids = row.tokens.ids
    return [at for at in range(max(row.tokens.start, 1), len(ids)) if ids[at] not in special]


def _runs(tokens: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, last) runs."""
    runs: list[tuple[int, int]] = []
    for at in tokens:
        if runs and runs[-1][1] == at - 1:
            runs[-1] = (runs[-1][0], at)
        else:
            runs.append((at, at))
    return runs


def empty_residuals(n_samples: int, n_layers: int, width: int) -> Residuals:
    """Residuals still to be filled, all NaN and without tokens."""
    blank = np.full((n_samples, n_layers, width), np.nan, dtype=np.float32)
    return Residuals(blank, blank.copy(), blank[:, :, 0].copy(), np.zeros(n_samples, dtype=np.int64))


def put(whole: Residuals, rows: Sequence[int], part: Residuals) -> None:
    """Write a batch's residuals into the caller's rows, in place."""
    index = np.asarray(rows, dtype=np.int64)
    for name in Residuals.__dataclass_fields__:
        getattr(whole, name)[index] = getattr(part, name)
