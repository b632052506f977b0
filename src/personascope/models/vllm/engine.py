"""vLLM as an engine: `Generates`, `ReadsResiduals` and scoring of replies, each row of a batch with its own steering.

Chats become token ids exactly as for the Hugging Face engine, so greedy replies, residuals and scores agree with it to
rounding. Replies sampled at a temperature are drawn with vLLM's own noise: a row's depends on its seed alone, but is
not that of the Hugging Face engine. Residuals are read in a second pass over prompt and reply.

Knows token ids and messages; vLLM itself is known to `starting` and `driving`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, final

import numpy as np
from jaxtyping import Float32

from personascope.errors import ModelError
from personascope.models.admitting import check_rows, tokens_of
from personascope.models.chat import ChatFormat, Tokens
from personascope.models.engine_choice import no_gradients
from personascope.models.protocols import (
    Chat,
    Generation,
    Listen,
    ModelSpec,
    Reply,
    Residuals,
    Sampling,
    Scores,
    Steered,
    Tick,
    check_layers,
)
from personascope.models.vllm.driving import Driver, Heard, Request, Written
from personascope.models.vllm.reading import read_texts
from personascope.models.vllm.scoring import Scoring, blank_scores
from personascope.models.vllm.wire import Capacity
from personascope.models.vllm.wiring import Bank
from personascope.steering import acting, check_steered


@dataclass(frozen=True)
class Served:
    """A model that vLLM runs: how chats are put to it, what ends a reply, and what its workers hold."""

    driver: Driver
    bank: Bank
    capacity: Capacity
    chat_format: ChatFormat
    spec: ModelSpec
    ends: frozenset[int]
    context: int
    notes: tuple[str, ...] = ()

    @property
    def special(self) -> frozenset[int]:
        """Tokens that never count in a mean."""
        return frozenset(self.chat_format.tokenizer.all_special_ids) | self.ends


@final
class VllmModel:
    """Writes, reads and scores replies on vLLM. Made by `opening.open_model` with `engine="vllm"`."""

    def __init__(self, served: Served) -> None:
        self._served = served

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""
        return self._served.spec

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know about how chats are put to this model."""
        return (*self._served.chat_format.notes, *self._served.notes)

    @property
    def served(self) -> Served:
        """What this engine runs; another engine over the same weights is made from it."""
        return self._served

    def generate(
        self,
        chats: Sequence[Chat],
        sampling: Sampling,
        *,
        seeds: Sequence[int],
        layers: Sequence[int] | None = None,
        steering: Sequence[Steered] | None = None,
        tick: Tick | None = None,
        listen: Listen | None = None,
    ) -> Generation:
        """One reply per chat, row i under `steering[i]`; with `layers`, their residuals, read in a second pass.

        Raises LayerError for a layer that the model does not have, ContrastError for a chat beyond the context,
        SteeringError for a steering that cannot be placed, or that is more than the engine was opened for.
        """
        if layers is not None:
            check_layers(layers, self.spec.n_layers)
        if len(seeds) != len(chats):
            raise ValueError(f"{len(seeds)} seeds for {len(chats)} chats")
        samples = [self._served.chat_format.tokens(chat) for chat in chats]
        edits = _placed(self._served, samples, steering, room=sampling.max_new_tokens)
        share = 1.0 if layers is None else 0.5
        written = self._write(samples, edits, sampling, seeds, _Ear(self._served.chat_format, listen, tick, share))
        replies = tuple(
            Reply(self._served.chat_format.reply_text(list(one.ids)), len(one.ids), one.ended) for one in written
        )
        if layers is None:
            return Generation(replies, None)
        whole = [Tokens([*one.ids, *new.ids], one.start) for one, new in zip(samples, written, strict=True)]
        return Generation(replies, self._read(whole, edits, layers, _part(tick, 1 - share)))

    def residuals(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        layers: Sequence[int],
        steering: Sequence[Steered] | None = None,
        tick: Tick | None = None,
    ) -> Residuals:
        """The residuals of each chat with its reply, at `layers`, in the order given; row i under `steering[i]`.

        Raises LayerError for a layer that the model does not have, ContrastError for a text beyond the context,
        SteeringError for a steering that cannot be placed, or that is more than the engine was opened for.
        """
        check_layers(layers, self.spec.n_layers)
        samples = tokens_of(self._served.chat_format, chats, replies)
        return self._read(samples, _placed(self._served, samples, steering), layers, tick)

    def score(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        steerings: Sequence[Steered],
        most_tokens: int | None = None,
        tick: Tick | None = None,
    ) -> Scores:
        """Every reply under every steering: log-probability and KL to the unsteered model, token by token, in nats.

        Raises ContrastError for a text beyond the context, SteeringError for a steering that cannot be placed.
        """
        self._check_reads()
        samples = tokens_of(self._served.chat_format, chats, replies, most_tokens)
        _placed(self._served, samples)
        for steered in steerings:
            check_steered(steered, self.spec)
        whole, served = blank_scores(samples, len(steerings)), self._served
        if tick:
            tick(sum(len(sample.ids) == sample.start for sample in samples) * len(steerings))
        scoring = Scoring(served.driver, served.bank, served.capacity, samples, whole, tick)
        scoring.run([acting(steered) for steered in steerings])
        return whole

    def sensitivity(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        weights: Float32[np.ndarray, " sample"],
        layers: Sequence[int],
        most_tokens: int | None = None,
    ) -> NoReturn:
        """Raises ModelError: vLLM runs forward only, and this is a gradient."""
        raise no_gradients("this")

    def _write(
        self,
        samples: Sequence[Tokens],
        edits: Sequence[Steered],
        sampling: Sampling,
        seeds: Sequence[int],
        ear: "_Ear",
    ) -> list[Written]:
        written, driver = [Written((), ended=False)] * len(samples), self._served.driver
        for wave in self._served.bank.waves(edits, [sample.start for sample in samples]):
            rows = list(wave)
            requests = [Request(samples[row].ids, wave[row], sampling, int(seeds[row])) for row in rows]
            for row, one in zip(rows, driver.run(requests, ear.of(rows), growing=ear.listens), strict=True):
                written[row] = one
        return written

    def _read(
        self, samples: Sequence[Tokens], edits: Sequence[Steered], layers: Sequence[int], tick: Tick | None
    ) -> Residuals:
        self._check_reads()
        served = self._served
        return read_texts(
            served.driver, served.bank, served.capacity, samples, edits,
            layers=layers, special=served.special, tick=tick,
        )  # fmt: skip

    def _check_reads(self) -> None:
        if not self._served.capacity.pools:
            raise ModelError(
                "this engine was opened to write only", hint="open vLLM with `reads=True`, or use --engine hf"
            )


def _placed(
    served: Served, samples: Sequence[Tokens], steering: Sequence[Steered] | None = None, *, room: int = 1
) -> list[Steered]:
    """The edits of each row that do something. Raises unless all texts fit and all edits can be placed."""
    check_rows(samples, steering, served.spec, context=served.context, room=room)
    if steering is None:
        return [()] * len(samples)
    different = {id(steered): steered for steered in steering}
    acted = {at: acting(steered) for at, steered in different.items()}
    return [acted[id(steered)] for steered in steering]


@dataclass(frozen=True)
class _Ear:
    """Who hears of replies as they are written; a finished row ticks `share` of a row."""

    form: ChatFormat
    listen: Listen | None
    tick: Tick | None
    share: float

    @property
    def listens(self) -> bool:
        """Whether a reply is wanted as it grows: each step then makes all of its tokens known again."""
        return self.listen is not None

    def of(self, rows: Sequence[int]) -> Heard | None:
        """For requests that are these rows."""
        if self.listen is None and self.tick is None:
            return None

        def heard(at: int, written: Written, finished: bool) -> None:
            if self.listen is not None and written.ids:
                self.listen(rows[at], self.form.reply_text(list(written.ids)))
            if self.tick is not None and finished:
                self.tick(self.share)

        return heard


def _part(tick: Tick | None, share: float) -> Tick | None:
    return None if tick is None else (lambda done: tick(share * done))
