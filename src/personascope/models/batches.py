"""Which samples run together: token-budget batches sorted by length, and prefixes run once.

All batches are aligned at their right end: column -1 is every row's last token. A row whose first tokens
are a prefix shared with other rows (the same instruction, say) takes them from a cache; all rows of a
batch then run the same number of tokens, so there is nothing to pad on the right.

Knows token ids; knows nothing of weights or hooks.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personascope.errors import ModelError
from personascope.models.chat import Tokens

_SHORTEST_PREFIX = 8
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""How processors (Linux, Windows) and cuBLAS say it, in plain RuntimeErrors."""
_MOST_PREFIX_TOKENS = 2048
"""Key-value memory of prefixes is bounded by this: 45 MB on a 135M model in bfloat16."""


@dataclass(frozen=True)
class Row:
    """One sample in a batch: where it stands in the caller's list, its tokens and its shared prefix."""

    sample: int
    tokens: Tokens
    prefix: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """All tokens, prefix included."""
        return len(self.tokens.ids)

    @property
    def own(self) -> int:
        """Tokens after the shared prefix."""
        return self.length - len(self.prefix)


@dataclass(frozen=True)
class Layout:
    """The tensors of one batch, aligned at the right end.

    Of row i the first `cached[i]` tokens come from its prefix; `ids` holds the rest. `mask` covers the
    cached part too: [row, n_cached + n_run].
    """

    rows: Sequence[Row]
    ids: Tensor
    positions: Tensor
    mask: Tensor
    cached: list[int]

    @property
    def n_cached(self) -> int:
        """Columns of the batch that come from the cache."""
        return self.mask.shape[1] - self.ids.shape[1]

    def column(self, row: int, token: int) -> int:
        """Where token number `token` of a row is among the columns run."""
        return self.ids.shape[1] - self.rows[row].length + token


def rows_with_prefixes(samples: Sequence[Tokens], keys: Sequence[Hashable]) -> list[Row]:
    """Rows in the order of `samples`, each with the prefix it shares with all samples of the same key.

    A prefix ends before the last token of every prompt, so that this token is always run. Prefixes that
    save the most tokens come first, up to a bounded sum of their lengths.
    """
    members: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        members.setdefault(key, []).append(i)
    shared = {key: _common_prefix([samples[i] for i in group]) for key, group in members.items() if len(group) > 1}
    by_saving = sorted(shared, key=lambda key: (len(members[key]) - 1) * len(shared[key]), reverse=True)
    room, chosen = _MOST_PREFIX_TOKENS, {}
    for key in by_saving:
        if _SHORTEST_PREFIX <= len(shared[key]) <= room:
            chosen[key] = shared[key]
            room -= len(shared[key])
    return [Row(i, tokens, chosen.get(key, ())) for i, (tokens, key) in enumerate(zip(samples, keys, strict=True))]


def beginnings(texts: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """The longest beginning that each distinct text shares with another, short of the whole; () where too short.

    In sorted order the text that shares most with another stands beside it. A text that others begin with is their
    beginning, and its own is what it shares with the rest.
    """
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    ordered = sorted(set(texts))
    for at, text in enumerate(ordered):
        beside = [ordered[other] for other in (at - 1, at + 1) if 0 <= other < len(ordered)]
        lengths = [_shared(text, other) for other in beside]
        n = max((length for length in lengths if length < len(text)), default=0)
        found[text] = text[:n] if n >= _SHORTEST_PREFIX else ()
    return found


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common from the start."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _common_prefix(samples: Sequence[Tokens]) -> tuple[int, ...]:
    longest = max(0, min(tokens.start for tokens in samples) - 1)
    first = samples[0].ids
    for at in range(longest):
        if any(tokens.ids[at] != first[at] for tokens in samples):
            return tuple(first[:at])
    return tuple(first[:longest])


def by_token_budget(rows: Sequence[Row], budget: int, *, extra: int = 0, most_rows: int = 4096) -> Iterator[list[Row]]:
    """Batches of rows of like length, longest first, each at most `budget` tokens wide times high.

    `extra` tokens are counted on top of each row (replies still to be written).
    """
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: (-row.own, -row.length, row.sample)):
        widest = max(batch[0].own if batch else 0, row.own) + extra
        if batch and ((len(batch) + 1) * widest > budget or len(batch) == most_rows):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def layout(rows: Sequence[Row], device: torch.device) -> Layout:
    """The tensors of a batch. Empty columns on the left hold id 0 and are masked out."""
    n_run = max(row.own for row in rows)
    cached = [max(0, row.length - n_run) for row in rows]
    n_cached = max(cached)
    ids = torch.zeros(len(rows), n_run, dtype=torch.long)
    mask = torch.zeros(len(rows), n_cached + n_run, dtype=torch.long)
    for i, row in enumerate(rows):
        run = row.tokens.ids[cached[i] :]
        ids[i, n_run - len(run) :] = torch.tensor(run, dtype=torch.long)
        mask[i, mask.shape[1] - row.length :] = 1
    lengths = torch.tensor([row.length for row in rows])
    positions = (lengths[:, None] - n_run + torch.arange(n_run)).clamp(min=0)
    return Layout(rows, ids.to(device), positions.to(device), mask.to(device), cached)


MORE_MEMORY = (
    "batches are halved by themselves; try --quantize 8bit, for extract fewer --layers, a smaller model, "
    "or a machine with more memory"
)
"""What to do where not even one text fits; the original toolkit's advice."""


def run_halving(rows: Sequence[Row], run: Callable[[Sequence[Row]], None]) -> None:
    """Run a batch; where memory does not suffice, its halves. Raises ModelError if one row is too much."""
    try:
        run(rows)
        return
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(rows) == 1:
            raise ModelError(
                f"one text of {rows[0].length} tokens does not fit into memory",
                hint=f"{MORE_MEMORY}; or shorter texts",
            ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(rows) // 2
    run_halving(rows[:middle], run)
    run_halving(rows[middle:], run)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, in whatever words torch says so."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(told in str(error) for told in _OUT_OF_MEMORY)
