"""How likely given replies are under many steerings, in few forward passes.

The prompt runs once: with steering from its last token on, everything before is the same at every strength. The
unsteered pass keeps the stream at the first steered block, so a steered pass starts there and runs only the later
blocks on the reply's tokens. Several steerings run as rows of one batch.

Knows batches, caches and edits; knows nothing of chats or files.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from personascope.models.batches import Layout, Row, by_token_budget, layout, run_halving
from personascope.models.cache import Prefixes, prefixed_cache
from personascope.models.chat import Tokens
from personascope.models.protocols import Scores, Steered, Tick
from personascope.models.residual import edited, reading, resuming_after
from personascope.models.running import Runner
from personascope.models.steered import RowEdits


class Scorer:
    """One batch of replies. The unsteered pass runs when it is made; `under` runs the steered ones."""

    def __init__(self, runner: Runner, laid: Layout, prefixes: Prefixes, split: Sequence[int]) -> None:
        """`split`: layers from which a steered pass may start."""
        self._runner, self._laid, self._prefixes = runner, laid, prefixes
        self._n = max(row.length - row.tokens.start for row in laid.rows)
        self._streams: dict[int, Tensor] = {}
        with ExitStack() as open_hooks:
            if split:
                open_hooks.enter_context(reading(runner.blocks, split, self._streams.__setitem__))
            self._plain = self._log_probabilities(laid)
        self._targets = laid.ids[:, -self._n :]

    def plain(self) -> Float[Tensor, "row token"]:
        """Log-probability of the last tokens of each row as the model is."""
        return _of_tokens(self._plain, self._targets)

    def under(
        self, steerings: Sequence[Steered]
    ) -> tuple[Float[Tensor, "steering row token"], Float[Tensor, "steering row token"]]:
        """Log-probability of the last tokens of each row, and KL(steered || unsteered) where they were drawn."""
        many, n_rows = len(steerings), len(self._laid.rows)
        laid = _repeated(self._laid, many)
        edits = RowEdits([steered for steered in steerings for _ in range(n_rows)], laid.ids.device)
        edits.aim(torch.tensor([laid.column(i, row.tokens.start) for i, row in enumerate(laid.rows)]))
        first = min(edits.layers)
        with ExitStack() as open_hooks:
            if first in self._streams:
                stream = self._streams[first].repeat(many, 1, 1)
                open_hooks.enter_context(resuming_after(self._runner.blocks, first, stream))
            open_hooks.enter_context(edited(self._runner.blocks, edits.hooks()))
            steered = self._log_probabilities(laid)
        logp = _of_tokens(steered, self._targets.repeat(many, 1))
        by_steering = steered.view(many, *self._plain.shape)
        gap = by_steering - self._plain
        kl = by_steering.exp_().mul_(gap).sum(-1)
        return logp.view(kl.shape), kl.clamp_(min=0)

    def _log_probabilities(self, laid: Layout) -> Float[Tensor, "row token vocabulary"]:
        """Of what comes at each of the last tokens of a row."""
        cache = prefixed_cache(len(self._runner.blocks), laid, self._prefixes, room=0)
        logits = self._runner.forward.last_logits(self._n + 1, laid.ids, laid.positions, laid.mask, cache)
        return torch.log_softmax(logits[:, :-1].float(), dim=-1)


def _of_tokens(log_probabilities: Float[Tensor, "row token vocabulary"], targets: Tensor) -> Float[Tensor, "row token"]:
    return log_probabilities.gather(-1, targets[..., None]).squeeze(-1)


def _repeated(laid: Layout, times: int) -> Layout:
    return Layout(
        list(laid.rows) * times,
        laid.ids.repeat(times, 1),
        laid.positions.repeat(times, 1),
        laid.mask.repeat(times, 1),
        laid.cached * times,
    )


def score_replies(runner: Runner, samples: Sequence[Tokens], steerings: Sequence[Steered], tick: Tick | None) -> Scores:
    """Every sample's reply under every steering."""
    lengths = [len(tokens.ids) - tokens.start for tokens in samples]
    blank = np.full((len(steerings), len(samples), max([*lengths, 1])), np.nan, dtype=np.float32)
    whole = Scores(blank, blank.copy())
    if tick:
        tick(lengths.count(0) * len(steerings))
    for rows, which in _grouped(samples, steerings):
        prefixes = runner.run_prefixes(rows)
        numbered = {at: steerings[at] for at in which}

        def run(batch: Sequence[Row], numbered: Numbered = numbered, prefixes: Prefixes = prefixes) -> None:
            _score(runner, layout(batch, runner.device), prefixes, numbered, whole)

        for batch in by_token_budget(rows, runner.limits.tokens // _LOGITS_SHARE):
            run_halving(batch, run)
            if tick:
                tick(len(batch) * len(which))
    return whole


Numbered = dict[int, Steered]
"""Steerings by their number in the caller's list."""

_LOGITS_SHARE = 4
"""A pass with logits of all its tokens holds so much less than one without."""


def _score(runner: Runner, laid: Layout, prefixes: Prefixes, steerings: Numbered, whole: Scores) -> None:
    """Score one batch under these steerings into `whole`."""
    firsts = {at: min(RowEdits([steered], runner.device).layers) for at, steered in steerings.items() if steered}
    splits = sorted(set(firsts.values())) if runner.resumes else []
    scorer = Scorer(runner, laid, prefixes, splits)
    plain = scorer.plain()[None]
    for at in steerings.keys() - firsts.keys():
        _put(whole, [at], laid.rows, (plain, torch.zeros_like(plain)))
    at_once = max(1, runner.limits.tokens // _LOGITS_SHARE // laid.ids.numel())
    for first in sorted(set(firsts.values())):
        same = [at for at in firsts if firsts[at] == first]
        for start in range(0, len(same), at_once):
            chunk = same[start : start + at_once]
            _put(whole, chunk, laid.rows, scorer.under([steerings[at] for at in chunk]))


def _grouped(samples: Sequence[Tokens], steerings: Sequence[Steered]) -> Iterator[tuple[list[Row], list[int]]]:
    """Rows to run together, and under which steerings.

    Where a steering leaves the prompt alone, the prompt but for its last token is a prefix, run once; prefixes are
    held in groups of bounded length. A steered prompt is run whole. Samples without a reply are left out.
    """
    filled = [(i, tokens) for i, tokens in enumerate(samples) if len(tokens.ids) > tokens.start]
    whole = [at for at, steered in enumerate(steerings) if any(edit.positions != "reply" for edit in steered)]
    shared = [at for at in range(len(steerings)) if at not in whole]
    group: list[Row] = []
    held = 0
    for i, tokens in filled if shared else ():
        prefix = tuple(tokens.ids[: tokens.start - 1])
        if group and held + len(prefix) > _MOST_HELD_TOKENS:
            yield group, shared
            group, held = [], 0
        group.append(Row(i, tokens, prefix))
        held += len(prefix)
    if group:
        yield group, shared
    if whole and filled:
        yield [Row(i, tokens) for i, tokens in filled], whole


_MOST_HELD_TOKENS = 4096
"""Of prompts whose keys and values are held at once: 94 MB on a 135M model in bfloat16."""


def _put(
    whole: Scores,
    steerings: Sequence[int],
    batch: Sequence[Row],
    part: tuple[Float[Tensor, "steering row token"], Float[Tensor, "steering row token"]],
) -> None:
    """Write a batch's scores, aligned at the right, into the samples' places, aligned at the left."""
    for array, values in ((whole.logp, part[0]), (whole.kl, part[1])):
        found = values.cpu().numpy()
        for at, row in enumerate(batch):
            length = row.length - row.tokens.start
            array[list(steerings), row.sample, :length] = found[:, at, found.shape[2] - length :]
