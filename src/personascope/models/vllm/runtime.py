"""One worker's steering and reading: hooks on its layers, and what each token of the next step is to undergo.

A layer of vLLM hands on (hidden, residual); the residual stream is their sum, and an edit is added to `hidden`. The
host says before each forward pass which program each of its tokens follows and where it is summed; afterwards all
tokens are nobody's again, so that the engine's own trial passes are never steered and never read.

Knows torch and wired messages; knows the runner only through `private_names`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from personascope.errors import UserError
from personascope.models.vllm.programs import Programs, regions
from personascope.models.vllm.sums import Sums
from personascope.models.vllm.wire import Capacity, Finals, Message, Pool, message_in


class Rows(NamedTuple):
    """Tokens of one request in a step: `n` of them from row `row` on, the first at position `first` of its text.

    Its prompt has `n_prompt` tokens.
    """

    request: str
    row: int
    n: int
    first: int
    n_prompt: int = 0


@dataclass(frozen=True)
class Place:
    """Where a worker runs: how many tokens and requests a step may have, and in what precision."""

    n_tokens: int
    n_requests: int
    dtype: torch.dtype
    device: torch.device
    eager: bool
    """Whether Python runs at every step, so that what no token needs may be left out."""


@dataclass
class _Seen:
    """A request that is running. `high`: the first position not yet counted; runs repeat after a preemption."""

    message: Message | None
    high: int = 0


@dataclass
class _Step:
    """What each token of a step is to undergo."""

    program: np.ndarray
    pool: np.ndarray
    final: np.ndarray
    steers: bool = False
    reads: bool = False


@dataclass
class Runtime:
    """Buffers, hooks and books of one worker."""

    capacity: Capacity
    place: Place
    counts: dict[int, int] = field(default_factory=dict)
    """Of each pool: how many tokens were summed."""
    kept: dict[int, int] = field(default_factory=dict)
    """Of each place of last residuals: how often it was filled."""
    refused: list[str] = field(default_factory=list)
    """Why messages were not followed; the engine asks after every run, and fails."""

    def __post_init__(self) -> None:
        place, capacity = self.place, self.capacity
        self.programs = Programs(capacity, 3 * place.n_requests + 1, place.n_tokens, place.device)
        reads = capacity.pools > 0
        self.sums = Sums(capacity, place.n_tokens, place.dtype, place.device) if reads else None
        self._seen: dict[str, _Seen] = {}
        self._steers = self._reads = False
        self._edited: frozenset[int] = frozenset()

    # Inside the model: operations on persistent buffers only.

    def install(self, layers: Sequence[nn.Module], model: nn.Module) -> list[Any]:
        """Put the hooks on; what takes them off again."""
        handles: list[Any] = [layer.register_forward_hook(self._after(at)) for at, layer in enumerate(layers)]
        if self.sums is not None:
            handles.append(model.register_forward_hook(self._at_the_end))
        return handles

    def _after(self, layer: int) -> Callable[[nn.Module, object, Any], Any]:
        def hook(_layer: nn.Module, _args: object, output: Any) -> Any:
            edits = not self.place.eager or layer in self._edited
            reads = self.sums is not None and (not self.place.eager or self._reads)
            if not (edits or reads):
                return output
            hidden, residual = output if isinstance(output, tuple) else (output, None)
            moved = self.programs.shift(layer, len(hidden)) if edits and self.place.eager else None
            if reads or moved is None:
                stream = hidden.float() if residual is None else hidden.float() + residual.float()
                if edits and moved is None:
                    moved = self.programs.edit(layer, stream, self.programs.active if self.place.eager else None)
                if reads and self.sums is not None:
                    self.sums.add(layer, stream if moved is None else stream + moved)
            if moved is not None:
                hidden = (hidden.float() + moved).to(hidden.dtype)
            return hidden if residual is None else (hidden, residual)

        return hook

    def _at_the_end(self, _model: nn.Module, _args: object, output: Any) -> None:
        if self.sums is not None and isinstance(output, Tensor) and (not self.place.eager or self._reads):
            self.sums.keep(output)

    # On the host, once a step, before the forward pass.

    def aim(self, rows: Sequence[Rows], extra_of: Callable[[str], Mapping[str, Any] | None]) -> None:
        """Say what the tokens of the next forward pass are to undergo."""
        self.rest()
        messages = [(one, message) for one in rows if (message := self._message(one, extra_of))]
        if not messages:
            return
        places = self.programs.places(message for _, message in messages)
        n = max(one.row + one.n for one in rows)
        no_pool, no_final = (self.sums.no_pool, self.sums.no_final) if self.sums else (0, 0)
        step = _Step(np.zeros(n, np.int64), np.full(n, no_pool, np.int64), np.full(n, no_final, np.int64))
        for one, message in messages:
            if message.edits:
                self._steer(step, one, message.start or 0, places[message.steering])
            self._read(step, one, message)
        self._steers, self._reads = step.steers, step.reads
        if step.steers:
            self._edited = frozenset(layer for layer, _ in self.programs.active)
            self.programs.follow(step.program)
        if step.reads and self.sums is not None:
            self.sums.pool[:n] = torch.from_numpy(step.pool).to(self.place.device)
            self.sums.final[:n] = torch.from_numpy(step.final).to(self.place.device)

    def rest(self) -> None:
        """Let every token be nobody's."""
        if self._steers:
            self.programs.program.zero_()
        if self._reads and self.sums is not None:
            self.sums.pool.fill_(self.sums.no_pool)
            self.sums.final.fill_(self.sums.no_final)
        self._steers = self._reads = False
        self._edited = frozenset()

    def forget(self, finished: Sequence[str]) -> None:
        """Drop what is known of requests that are no more."""
        for request in finished:
            self._seen.pop(request, None)

    @property
    def known(self) -> list[str]:
        """The requests that something is known of."""
        return list(self._seen)

    def _message(self, one: Rows, extra_of: Callable[[str], Mapping[str, Any] | None]) -> Message | None:
        request = one.request
        if request not in self._seen:
            message = None
            try:
                message = message_in(extra_of(request), self.capacity)
            except UserError as error:  # an error in here would end the engine; the one who asked is told
                self.refused.append(str(error))
            if message and message.start is None:
                message = replace(message, start=one.n_prompt)
            self._seen[request] = _Seen(message)
            for pool in message.pools if message else ():
                self._begin(pool)
            if message and message.finals:
                kept = message.finals
                self.kept |= dict.fromkeys(range(kept.place, kept.place + kept.end - kept.first), 0)
        return self._seen[request].message

    def _begin(self, pool: Pool) -> None:
        self.counts[pool.place] = 0
        if self.sums is not None:
            self.sums.clear(pool.place)

    def _steer(self, step: _Step, one: Rows, start: int, programs: tuple[int, int, int]) -> None:
        before, past = regions(start, one.first, one.n)
        step.program[one.row : one.row + before] = programs[0]
        step.program[one.row + before : one.row + past] = programs[1]
        step.program[one.row + past : one.row + one.n] = programs[2]
        step.steers = True

    def _read(self, step: _Step, one: Rows, message: Message) -> None:
        seen = self._seen[one.request]
        fresh, end = max(seen.high, one.first), one.first + one.n
        seen.high = max(seen.high, end)
        for pool in message.pools:
            for first, last in pool.runs:
                low, high = max(first, fresh), min(last, end)
                if low < high:
                    step.pool[one.row + low - one.first : one.row + high - one.first] = pool.place
                    self.counts[pool.place] += high - low
                    step.reads = True
        if message.finals is not None:
            self._keep(step, one, message.finals, fresh)

    def _keep(self, step: _Step, one: Rows, kept: Finals, fresh: int) -> None:
        low, high = max(kept.first, fresh), min(kept.end, one.first + one.n)
        if low < high:
            to = range(kept.place + low - kept.first, kept.place + high - kept.first)
            step.final[one.row + low - one.first : one.row + high - one.first] = to
            step.reads = True
            for at in to:
                self.kept[at] += 1
