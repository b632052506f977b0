"""What all ways of running a model share: its blocks, its limits, prefixes run once, a batch's edits.

Knows torch and batches; knows nothing of chats.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from personascope.models.batches import Layout, Row, by_token_budget, layout
from personascope.models.cache import Prefixes, prefixed_cache, prefixes_in
from personascope.models.chat import Tokens
from personascope.models.forward import Forward
from personascope.models.protocols import Steered
from personascope.models.steered import RowEdits


@dataclass(frozen=True)
class Limits:
    """How much runs at once: `tokens` in a forward pass; `rows` and `kept_tokens` while replies are written.

    Each step streams all weights from memory; 128 rows share that cost, and more gain little (AVX2, measured).
    """

    tokens: int = 4096
    rows: int = 128
    kept_tokens: int = 32_768


@dataclass(frozen=True)
class Runner:
    """A model ready to run: its blocks in order, where it is, and how much of it may run at once.

    `special` tokens never count in a mean, `ends` end a reply; `resumes`: whether a forward pass may start in the
    middle, from a stream that is known.
    """

    forward: Forward
    blocks: Sequence[nn.Module]
    device: torch.device
    limits: Limits
    special: frozenset[int]
    ends: frozenset[int]
    resumes: bool

    def run_prefixes(self, rows: Sequence[Row]) -> Prefixes:
        """Keys and values of each shared prefix, run once, as the model is."""
        distinct = dict.fromkeys(row.prefix for row in rows if row.prefix)
        prefixes: Prefixes = {}
        alone = [Row(i, Tokens(list(prefix), len(prefix))) for i, prefix in enumerate(distinct)]
        for batch in by_token_budget(alone, self.limits.tokens):
            laid = layout(batch, self.device)
            cache = prefixed_cache(len(self.blocks), laid, {}, room=1)  # with room, a cache keeps what it is shown
            self.forward.up_to(len(self.blocks) - 1, laid.ids, laid.positions, laid.mask, cache)
            prefixes |= prefixes_in(cache, [tuple(row.tokens.ids) for row in batch])
        return prefixes

    def edits(self, laid: Layout, steering: Sequence[Steered] | None) -> RowEdits:
        """The edits of a batch's rows, aimed at its columns."""
        edits = RowEdits([steering[row.sample] for row in laid.rows] if steering else [], self.device)
        starts = [laid.column(at, row.tokens.start) for at, row in enumerate(laid.rows)]
        edits.aim(torch.tensor(starts, device=self.device))
        return edits
