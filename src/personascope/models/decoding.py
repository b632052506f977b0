"""Writing replies: one batch of chats, decoded together, read while it goes on.

Pure sampling at a temperature by inverse transform: row i at step t takes the token at which the
cumulative probability passes uniform number u[i, t], drawn from the row's own seed. So nothing is sorted,
no row depends on its neighbours, and the same seed gives the same noise under another steering strength.

Knows a forward function; knows nothing of caches, templates or files.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from personascope.errors import ModelError
from personascope.models.pooling import mean_of
from personascope.models.protocols import Sampling, Tick

_COMPACT_BELOW = 0.75
"""Finished rows leave the batch once fewer than this share of its rows is still writing."""


@dataclass(frozen=True)
class Step:
    """The newest token of each row in the batch: ids [row 1], positions [row 1], mask [row token]."""

    ids: Tensor
    positions: Tensor
    mask: Tensor


class Tally:
    """Sums over the reply's tokens of the residual streams, [row layer width] in float32.

    `note` is called by hooks with each layer's stream; `add` counts what they noted.
    """

    def __init__(self, layers: Sequence[int], n_rows: int) -> None:
        self._slot = {layer: slot for slot, layer in enumerate(layers)}
        self._newest: list[Tensor] = [torch.empty(0)] * len(layers)
        self._sums: Tensor | None = None
        self._norms: Tensor | None = None
        self.counts = torch.zeros(n_rows, dtype=torch.long)

    def note(self, layer: int, stream: Tensor) -> None:
        """Keep the newest token's residual [row width]."""
        self._newest[self._slot[layer]] = stream[:, -1].float()

    def newest(self) -> Tensor:
        """What was noted last, [row layer width]."""
        return torch.stack(self._newest, dim=1)

    def add(self, rows: Tensor, counted: Tensor) -> None:
        """Count what was noted of `rows` (batch order), where `counted`."""
        newest = self.newest()
        if self._sums is None or self._norms is None:
            self._sums = newest.new_zeros(len(self.counts), *newest.shape[1:])
            self._norms = self._sums[:, :, 0].clone()
        counted_there = counted.to(newest.device)
        tokens, to = newest[counted_there], rows[counted].to(newest.device)
        self._sums[to] += tokens
        self._norms[to] += tokens.norm(dim=-1)
        self.counts[rows[counted]] += 1

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Means over the counted tokens, of the streams and of their norms; NaN where there were none."""
        if self._sums is None or self._norms is None:
            newest = self.newest()
            self._sums = newest.new_zeros(len(self.counts), *newest.shape[1:])
            self._norms = self._sums[:, :, 0].clone()
        return mean_of(self._sums, self.counts), mean_of(self._norms, self.counts)


class Batch:
    """Replies being written. `rows[slot]` is which reply a row of the batch belongs to.

    `keep(slots)` is called when finished rows leave: whatever else has a row per reply must drop the others too.
    """

    def __init__(self, mask: Tensor, positions: Tensor, ends: Collection[int], keep: Callable[[Tensor], None]) -> None:
        self.rows = torch.arange(len(mask))
        self.writing = torch.ones(len(mask), dtype=torch.bool)
        self.ids: list[list[int]] = [[] for _ in mask]
        self.ended = [False] * len(mask)
        self._mask, self._positions, self._keep, self._ends = mask, positions[:, -1:], keep, ends

    def take(self, chosen: Tensor) -> None:
        """Append one token to each reply that is being written, or end it."""
        for slot, token in enumerate(chosen.tolist()):
            row = int(self.rows[slot])
            if not self.writing[slot]:
                continue
            if token in self._ends:
                self.ended[row] = True
                self.writing[slot] = False
            else:
                self.ids[row].append(token)

    def advance(self, chosen: Tensor) -> Step:
        """The tokens just taken, as input of the next forward pass; finished rows leave when many."""
        if int(self.writing.sum()) < _COMPACT_BELOW * len(self.writing):
            kept = self.writing.nonzero().squeeze(1)
            on_device = kept.to(self._mask.device)
            self._keep(on_device)
            self.rows, self.writing = self.rows[kept], self.writing[kept]
            self._mask, self._positions = self._mask[on_device], self._positions[on_device]
            chosen = chosen[on_device]
        self._positions = self._positions + 1
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], dim=1)
        return Step(chosen[:, None], self._positions, self._mask)


def write(
    batch: Batch,
    logits: Tensor,
    forward: Callable[[Step, bool], Tensor],
    *,
    sampling: Sampling,
    seeds: Sequence[int],
    counted: Callable[[Tensor, Tensor], None] | None = None,
    tick: Tick | None = None,
    hear: Callable[[int, list[int]], None] | None = None,
) -> None:
    """Write all replies of a batch, starting from the logits after their prompts.

    `forward(step, wanted)` gives the next logits [row vocabulary] and may skip them where they are not
    `wanted` (the last token of a capture). `counted(rows, ids)` is called after each token was read, `hear(row, ids)`
    with each reply that has grown.
    """
    most = sampling.max_new_tokens
    noise = torch.from_numpy(uniforms(seeds, most)).to(logits.device)
    for at in range(most):
        chosen = choose(logits, noise[batch.rows.to(logits.device), at], sampling.temperature)
        before = int(batch.writing.sum())
        batch.take(chosen)
        if hear:
            for row in batch.rows[batch.writing].tolist():
                hear(row, batch.ids[row])
        now = int(batch.writing.sum())
        if tick:
            tick((now + (before - now) * (most - at)) / most)
        last = at + 1 == most
        if not now or (last and counted is None):
            return
        step = batch.advance(chosen)
        logits = forward(step, not last)
        if counted is not None:
            counted(batch.rows, torch.where(batch.writing, step.ids[:, 0].cpu(), -1))


def uniforms(seeds: Sequence[int], n: int) -> np.ndarray:
    """Uniform numbers in [0, 1), [row step], float32; each row from its own seed alone."""
    return np.stack([np.random.Generator(np.random.Philox(key=seed)).random(n, dtype=np.float32) for seed in seeds])


def choose(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """One token per row [row] from logits [row vocabulary]; the likeliest at temperature 0.

    Raises ModelError where logits are not finite.
    """
    if temperature == 0:
        chosen = logits.argmax(dim=-1)
        reference = logits.gather(1, chosen[:, None])
    else:
        weights = logits.float()
        reference = weights.amax(dim=-1, keepdim=True)
        weights = ((weights - reference) / temperature).exp_()
        total = weights.cumsum_(dim=-1)
        threshold = uniform[:, None] * total[:, -1:]
        # `right` takes the first token whose cumulative weight is above the threshold: never one of weight 0.
        chosen = torch.searchsorted(total, threshold, right=True).squeeze(1).clamp_(max=logits.shape[-1] - 1)
    if not bool(torch.isfinite(reference).all()):
        raise ModelError(
            "the model's logits are not finite",
            hint="try --dtype float32; if that does not help, the checkpoint is damaged",
        )
    return chosen
