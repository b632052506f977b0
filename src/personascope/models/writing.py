"""Writing replies: batches of rows, prefilled and decoded together, steered and read while they are written.

With steering from the last prompt token on, all strengths of one prompt share its run. Knows batches, caches and
decoding; knows nothing of chats.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from personascope.models.batches import Layout, Row, by_token_budget, layout, run_halving
from personascope.models.cache import Prefixes, keep_rows, prefixed_cache
from personascope.models.decoding import Batch, Step, Tally, write
from personascope.models.pooling import empty_residuals, put
from personascope.models.protocols import Residuals, Sampling, Steered, Tick
from personascope.models.residual import edited, reading
from personascope.models.running import Runner
from personascope.models.steered import RowEdits


@dataclass(frozen=True)
class Wanted:
    """How replies are drawn, each row with its own seed and steering, and at which layers they are read."""

    sampling: Sampling
    seeds: Sequence[int]
    layers: Sequence[int] | None
    steering: Sequence[Steered] | None
    hear: Callable[[int, list[int]], None] | None = None
    """Called with a row's number and its token ids so far, as they are written."""


@dataclass(frozen=True)
class Written:
    """A reply's token ids, and whether its end came."""

    ids: list[int]
    ended: bool


@dataclass(frozen=True)
class _Prefilled:
    """A batch about to be written: its columns, its cache, its edits."""

    laid: Layout
    cache: Cache
    edits: RowEdits

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        keep_rows(self.cache, rows)
        self.edits.keep(rows)


def write_replies(
    runner: Runner, rows: Sequence[Row], wanted: Wanted, *, width: int, tick: Tick | None
) -> tuple[list[Written], Residuals | None]:
    """One reply per row, in the rows' order; with layers, their residuals."""
    replies = [Written([], ended=False)] * len(rows)
    whole = empty_residuals(len(rows), len(wanted.layers), width) if wanted.layers is not None else None
    prefixes = runner.run_prefixes(rows)

    def run(batch: Sequence[Row]) -> None:
        written, part = _write(runner, layout(batch, runner.device), prefixes, wanted, tick)
        for row, ids, ended in zip(batch, written.ids, written.ended, strict=True):
            replies[row.sample] = Written(ids, ended)
        if whole is not None and part is not None:
            put(whole, [row.sample for row in batch], part)

    limits, most = runner.limits, wanted.sampling.max_new_tokens
    for batch in by_token_budget(rows, limits.kept_tokens, extra=most, most_rows=limits.rows):
        run_halving(batch, run)
    return replies, whole


def _write(
    runner: Runner, laid: Layout, prefixes: Prefixes, wanted: Wanted, tick: Tick | None
) -> tuple[Batch, Residuals | None]:
    """Prefill a batch and write its replies; with layers, their residuals."""
    cache = prefixed_cache(len(runner.blocks), laid, prefixes, room=wanted.sampling.max_new_tokens)
    edits = runner.edits(laid, wanted.steering)
    prefilled = _Prefilled(laid, cache, edits)
    batch = Batch(laid.mask, laid.positions, runner.ends, prefilled.keep)
    settings: Any = {
        "sampling": wanted.sampling,
        "seeds": [wanted.seeds[row.sample] for row in laid.rows],
        "tick": tick,
        "hear": _numbered(wanted.hear, laid.rows),
    }
    with edited(runner.blocks, edits.hooks()):
        if wanted.layers is None:
            logits = runner.forward.logits(laid.ids, laid.positions, laid.mask, cache)
            edits.aim(None)
            write(batch, logits, _stepper(runner, cache, None), **settings)
            return batch, None
        return batch, _write_and_read(runner, prefilled, batch, wanted.layers, settings)


def _numbered(
    hear: Callable[[int, list[int]], None] | None, rows: Sequence[Row]
) -> Callable[[int, list[int]], None] | None:
    """The same for rows of a batch, by their place in it."""
    return (lambda at, ids: hear(rows[at].sample, ids)) if hear else None


def _write_and_read(
    runner: Runner, prefilled: _Prefilled, batch: Batch, layers: Sequence[int], settings: Any
) -> Residuals:
    laid, cache = prefilled.laid, prefilled.cache
    tally = Tally(layers, len(laid.rows))

    def counted(rows: Tensor, ids: Tensor) -> None:
        tally.add(rows, torch.tensor([token >= 0 and token not in runner.special for token in ids.tolist()]))

    with reading(runner.blocks, layers, tally.note):
        logits = runner.forward.logits(laid.ids, laid.positions, laid.mask, cache)
        last = tally.newest().cpu().numpy()
        prefilled.edits.aim(None)
        write(batch, logits, _stepper(runner, cache, max(layers)), counted=counted, **settings)
    means, norms = tally.means()
    return Residuals(means, last, norms, tally.counts.numpy())


def _stepper(runner: Runner, cache: Cache, deepest: int | None) -> Any:
    def forward(step: Step, wanted: bool) -> Tensor:
        if wanted or deepest is None:
            return runner.forward.logits(step.ids, step.positions, step.mask, cache)
        runner.forward.up_to(deepest, step.ids, step.positions, step.mask, cache)
        return step.ids

    return forward
