"""The reference engine: any decoder model of transformers, on this machine.

Layer k is the output of decoder block k, from 0. One forward pass serves all layers; it ends after the
deepest wanted block, so neither later blocks nor the output head run where no logits are needed.

Knows torch and transformers; stages see only the protocols it has.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from personascope.errors import ContrastError
from personascope.models.batches import Layout, Row, by_token_budget, layout, rows_with_prefixes, run_halving
from personascope.models.cache import Prefixes, prefixed_cache, prefixes_in
from personascope.models.chat import ChatFormat, Tokens
from personascope.models.decoding import Batch, Step, Tally, write
from personascope.models.forward import Forward
from personascope.models.pooling import Pooling, empty_residuals, put
from personascope.models.protocols import (
    Chat,
    Generation,
    ModelSpec,
    Reply,
    Residuals,
    Sampling,
    Tick,
    check_layers,
)
from personascope.models.residual import reading


@dataclass(frozen=True)
class Limits:
    """How much runs at once: `tokens` in a forward pass; `rows` and `kept_tokens` while replies are written.

    Each step streams all weights from memory; 128 rows share that cost, and more gain little (AVX2, measured).
    """

    tokens: int = 4096
    rows: int = 128
    kept_tokens: int = 32_768


@dataclass(frozen=True)
class Loaded:
    """A model ready to run: its blocks in order, how chats are put to it, and what ends a reply."""

    model: nn.Module
    blocks: Sequence[nn.Module]
    chat_format: ChatFormat
    spec: ModelSpec
    ends: frozenset[int]
    context: int


class HuggingFaceModel:
    """`Generates` and `ReadsResiduals` over a loaded model. Made by `opening.open_model`."""

    def __init__(self, loaded: Loaded, limits: Limits | None = None) -> None:
        self._forward = Forward(loaded.model, loaded.blocks)
        self._loaded = loaded
        self._limits = limits or Limits()
        self._special = frozenset(loaded.chat_format.tokenizer.all_special_ids) | loaded.ends
        self._device = next(loaded.model.parameters()).device

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""
        return self._loaded.spec

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know about how chats are put to this model."""
        return self._loaded.chat_format.notes

    def residuals(
        self, chats: Sequence[Chat], replies: Sequence[str], *, layers: Sequence[int], tick: Tick | None = None
    ) -> Residuals:
        """The residuals of each chat with its reply, at `layers`, in the order given.

        Raises LayerError for a layer that the model does not have, ContrastError for a text beyond the context.
        """
        samples = [self._loaded.chat_format.tokens(c, r) for c, r in zip(chats, replies, strict=True)]
        return self.read_tokens(samples, [chat.instruction for chat in chats], layers=layers, tick=tick)

    @torch.inference_mode()
    def read_tokens(
        self, samples: Sequence[Tokens], keys: Sequence[Hashable], *, layers: Sequence[int], tick: Tick | None = None
    ) -> Residuals:
        """The residuals of token ids; samples of one key may share the run of their common beginning."""
        check_layers(layers, self.spec.n_layers)
        rows = self._rows(samples, keys)
        whole = empty_residuals(len(rows), len(layers), self.spec.width)
        prefixes = self._run_prefixes(rows)

        def run(batch: Sequence[Row]) -> None:
            laid = layout(batch, self._device)
            pooling = Pooling(laid, layers, self._special)
            cache = prefixed_cache(self.spec.n_layers, laid, prefixes, room=0) if laid.n_cached else None
            with reading(self._loaded.blocks, layers, pooling):
                self._forward.up_to(max(layers), laid.ids, laid.positions, laid.mask, cache)
            put(whole, [row.sample for row in batch], pooling.residuals())
            if tick:
                tick(len(batch))

        for batch in by_token_budget(rows, self._limits.tokens):
            run_halving(batch, run)
        return whole

    @torch.inference_mode()
    def generate(
        self,
        chats: Sequence[Chat],
        sampling: Sampling,
        *,
        seeds: Sequence[int],
        layers: Sequence[int] | None = None,
        tick: Tick | None = None,
    ) -> Generation:
        """One reply per chat; with `layers`, their residuals too, read while the reply is written.

        Raises LayerError for a layer that the model does not have, ContrastError for a chat beyond the context.
        """
        if layers is not None:
            check_layers(layers, self.spec.n_layers)
        samples = [self._loaded.chat_format.tokens(chat) for chat in chats]
        rows = self._rows(samples, [chat.instruction for chat in chats], room=sampling.max_new_tokens)
        seed_of = dict(zip(range(len(rows)), seeds, strict=True))
        replies: list[Reply] = [Reply("", 0, ended=False)] * len(rows)
        whole = empty_residuals(len(rows), len(layers), self.spec.width) if layers is not None else None
        prefixes = self._run_prefixes(rows)

        def run(batch: Sequence[Row]) -> None:
            written, part = self._write(
                layout(batch, self._device), prefixes, sampling, [seed_of[row.sample] for row in batch], layers, tick
            )
            for row, ids, ended in zip(batch, written.ids, written.ended, strict=True):
                replies[row.sample] = Reply(self._loaded.chat_format.reply_text(ids), len(ids), ended)
            if whole is not None and part is not None:
                put(whole, [row.sample for row in batch], part)

        limits, most = self._limits, sampling.max_new_tokens
        for batch in by_token_budget(rows, limits.kept_tokens, extra=most, most_rows=limits.rows):
            run_halving(batch, run)
        return Generation(tuple(replies), whole)

    def _write(
        self,
        laid: Layout,
        prefixes: Prefixes,
        sampling: Sampling,
        seeds: Sequence[int],
        layers: Sequence[int] | None,
        tick: Tick | None,
    ) -> tuple[Batch, Residuals | None]:
        """Prefill a batch and write its replies; with layers, their residuals."""
        cache = prefixed_cache(self.spec.n_layers, laid, prefixes, room=sampling.max_new_tokens)
        batch = Batch(laid.mask, laid.positions, cache, self._loaded.ends)
        if layers is None:
            logits = self._forward.logits(laid.ids, laid.positions, laid.mask, cache)
            write(batch, logits, self._stepper(cache, None), sampling=sampling, seeds=seeds, tick=tick)
            return batch, None
        tally = Tally(layers, len(seeds))

        def counted(rows: Tensor, ids: Tensor) -> None:
            tally.add(rows, torch.tensor([token >= 0 and token not in self._special for token in ids.tolist()]))

        with reading(self._loaded.blocks, layers, tally.note):
            logits = self._forward.logits(laid.ids, laid.positions, laid.mask, cache)
            last = tally.newest().cpu().numpy()
            step = self._stepper(cache, max(layers))
            write(batch, logits, step, sampling=sampling, seeds=seeds, counted=counted, tick=tick)
        means, norms = tally.means()
        return batch, Residuals(means, last, norms, tally.counts.numpy())

    def _rows(self, samples: Sequence[Tokens], keys: Sequence[Hashable], room: int = 0) -> list[Row]:
        longest = max((len(tokens.ids) for tokens in samples), default=0)
        if longest + room > self._loaded.context:
            raise ContrastError(
                f"a text of {longest} tokens (and {room} new ones) is longer than the context, {self._loaded.context}",
                hint="shorten the longest text or ask for fewer new tokens",
            )
        if any(tokens.start == 0 for tokens in samples):
            raise ContrastError("a prompt is empty", hint="give every chat a question")
        return rows_with_prefixes(samples, keys)

    def _run_prefixes(self, rows: Sequence[Row]) -> Prefixes:
        """Keys and values of each shared prefix, run once."""
        distinct = dict.fromkeys(row.prefix for row in rows if row.prefix)
        prefixes: Prefixes = {}
        alone = [Row(i, Tokens(list(prefix), len(prefix))) for i, prefix in enumerate(distinct)]
        for batch in by_token_budget(alone, self._limits.tokens):
            laid = layout(batch, self._device)
            cache = prefixed_cache(self.spec.n_layers, laid, {}, room=1)  # with room, a cache keeps what it is shown
            self._forward.up_to(self.spec.n_layers - 1, laid.ids, laid.positions, laid.mask, cache)
            prefixes |= prefixes_in(cache, [tuple(row.tokens.ids) for row in batch])
        return prefixes

    def _stepper(self, cache: Cache, deepest: int | None) -> Any:
        def forward(step: Step, wanted: bool) -> Tensor:
            if wanted or deepest is None:
                return self._forward.logits(step.ids, step.positions, step.mask, cache)
            self._forward.up_to(deepest, step.ids, step.positions, step.mask, cache)
            return step.ids

        return forward
