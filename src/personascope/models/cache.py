"""Keys and values: prefixes that many rows share, and room for the replies still to be written.

transformers' own growing cache copies everything at each new token; here a layer's keys and values are
laid out once at full length. A layer without room keeps nothing: it only shows the prefix to the rows.

Knows transformers' cache interface; knows nothing of chats or sampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from personascope.models.batches import Layout

Prefixes = dict[tuple[int, ...], list[tuple[Tensor, Tensor]]]
"""Keys and values of a prefix at each layer, [head token channel]."""


@dataclass(frozen=True)
class _Take:
    """The first `n` tokens of a prefix's keys and values, for one row."""

    row: int
    n: int
    prefix: tuple[int, ...]


class PrefixedLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values: shared prefixes first, then what is run, then room for more."""

    def __init__(self, layer: int, batch: Layout, prefixes: Prefixes, room: int) -> None:
        super().__init__()
        self._n_cached = batch.n_cached
        self._takes = [
            _Take(i, n, row.prefix) for i, (row, n) in enumerate(zip(batch.rows, batch.cached, strict=True)) if n
        ]
        self._prefixes = {take.prefix: prefixes[take.prefix][layer] for take in self._takes}
        self._room = room
        self._filled = self._n_cached
        self._all_keys: Tensor | None = None
        self._all_values: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_settings: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of all tokens so far, the new ones last."""
        if self._all_keys is None or self._all_values is None:
            keys, values = self._laid_out(key_states, 0), self._laid_out(value_states, 1)
            if not self._room:
                return keys, values
            self._all_keys, self._all_values = keys, values
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
        end = self._filled + key_states.shape[2]
        self._all_keys[:, :, self._filled : end] = key_states
        self._all_values[:, :, self._filled : end] = value_states
        self._filled = end
        self.keys, self.values = self._all_keys[:, :, :end], self._all_values[:, :, :end]
        return self.keys, self.values

    def _laid_out(self, new: Tensor, which: int) -> Tensor:
        rows, heads, n_run, channels = new.shape
        whole = new.new_zeros(rows, heads, self._n_cached + n_run + self._room, channels)
        for take in self._takes:
            whole[take.row, :, self._n_cached - take.n : self._n_cached] = self._prefixes[take.prefix][which][
                :, : take.n
            ]
        whole[:, :, self._n_cached : self._n_cached + n_run] = new
        return whole

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        if self._all_keys is None or self._all_values is None:
            return
        self._all_keys, self._all_values = self._all_keys[rows], self._all_values[rows]
        self.keys, self.values = self._all_keys[:, :, : self._filled], self._all_values[:, :, : self._filled]

    def get_seq_length(self) -> int:
        """Tokens held, prefix included."""
        return self._filled

    def prefix_of(self, row: int, n_tokens: int) -> tuple[Tensor, Tensor]:
        """The last `n_tokens` keys and values of a row, [head token channel], free of the batch."""
        if self._all_keys is None or self._all_values is None:
            raise RuntimeError("nothing was run through this layer")
        part = slice(self._filled - n_tokens, self._filled)
        return self._all_keys[row, :, part].clone(), self._all_values[row, :, part].clone()


def prefixed_cache(n_layers: int, batch: Layout, prefixes: Prefixes, *, room: int) -> Cache:
    """A cache of `PrefixedLayer`s for a batch; `room` is how many tokens may follow (0: keep nothing)."""
    return Cache(layers=[PrefixedLayer(layer, batch, prefixes, room) for layer in range(n_layers)])


def keep_rows(cache: Cache, rows: Tensor) -> None:
    """Drop all rows of a cache but these."""
    for layer in cache.layers:
        layer.keep_rows(rows)


def prefixes_in(cache: Cache, prefixes: Sequence[tuple[int, ...]]) -> Prefixes:
    """Keys and values of each row of a cache that was filled with these prefixes, right-aligned."""
    with torch.no_grad():
        return {
            prefix: [layer.prefix_of(row, len(prefix)) for layer in cache.layers] for row, prefix in enumerate(prefixes)
        }
