"""Reading the residual stream of given texts: each text run once more as a prompt, pooled in the worker.

Knows drivers, wired messages and pools; knows nothing of chats.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from personascope.errors import ModelError
from personascope.models.batches import Row
from personascope.models.chat import Tokens
from personascope.models.pooling import empty_residuals, kept_tokens
from personascope.models.protocols import Residuals, Steered, Tick
from personascope.models.vllm.driving import Driver, Request
from personascope.models.vllm.wire import Capacity, Message, Pool
from personascope.models.vllm.wiring import Bank, Wired


def read_texts(
    driver: Driver,
    bank: Bank,
    capacity: Capacity,
    samples: Sequence[Tokens],
    steering: Sequence[Steered],
    *,
    layers: Sequence[int],
    special: Collection[int],
    tick: Tick | None,
) -> Residuals:
    """The residuals of all texts at `layers`, each under its steering. Raises ModelError where a token went unread."""
    whole = empty_residuals(len(samples), len(layers), capacity.width)
    at_once = capacity.pools // 2
    for wave in bank.waves(steering, [sample.start for sample in samples]):
        rows = list(wave)
        for first in range(0, len(rows), at_once):
            part = rows[first : first + at_once]
            pools = [_pools(samples[row], place, special) for place, row in enumerate(part)]
            requests = [
                Request(samples[row].ids, _reading(wave[row], of_row), fresh=True)
                for row, of_row in zip(part, pools, strict=True)
            ]
            driver.run(requests, (lambda _at, _written, done: tick(1.0) if done else None) if tick else None)
            _collect(driver, capacity, whole, part, pools, layers)
    return whole


def _pools(sample: Tokens, place: int, special: Collection[int]) -> tuple[Pool, ...]:
    """The reply's tokens that count, if there are any, and the prompt's last token."""
    kept = kept_tokens(Row(0, sample, ()), special)
    reply = (Pool(2 * place, runs_of(kept)),) if kept else ()
    return (*reply, Pool(2 * place + 1, ((sample.start - 1, sample.start),)))


def runs_of(positions: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Rising positions as runs, each from its first up to before its end."""
    breaks = [at for at in range(1, len(positions)) if positions[at] != positions[at - 1] + 1]
    return tuple(
        (positions[first], positions[end - 1] + 1)
        for first, end in zip([0, *breaks], [*breaks, len(positions)], strict=True)
    )


def _reading(wired: Wired, pools: tuple[Pool, ...]) -> Wired:
    message: Message = replace(wired.message, pools=pools)
    return replace(wired, message=message)


def _collect(
    driver: Driver,
    capacity: Capacity,
    whole: Residuals,
    rows: Sequence[int],
    pools: Sequence[tuple[Pool, ...]],
    layers: Sequence[int],
) -> None:
    """Put the workers' sums into the caller's rows."""
    flat = [(row, pool) for row, of_row in zip(rows, pools, strict=True) for pool in of_row]
    streams, norms, counts = driver.ask("pooled", [pool.place for _, pool in flat])[0]
    sums = np.frombuffer(streams, np.float32).reshape(len(flat), capacity.n_layers, capacity.width)
    lengths = np.frombuffer(norms, np.float32).reshape(len(flat), capacity.n_layers)
    for at, (row, pool) in enumerate(flat):
        if counts[at] != pool.n_tokens:
            raise unread(counts[at], pool.n_tokens)
        if pool.place % 2:
            whole.prompt_last[row] = sums[at, list(layers)]
            continue
        whole.reply_mean[row] = sums[at, list(layers)] / pool.n_tokens
        whole.token_norm[row] = lengths[at, list(layers)] / pool.n_tokens
        whole.n_tokens[row] = pool.n_tokens


def unread(found: int, expected: int) -> ModelError:
    """The error for tokens that did not pass the worker's buffers as they should."""
    return ModelError(
        f"vLLM's worker read {found} of {expected} tokens of a text",
        hint="report this as a bug, with vLLM's version and settings; --engine hf reads the same texts",
    )
