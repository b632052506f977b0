"""How likely given replies are under many steerings: texts run as prompts, their last residuals kept in the worker.

Only the residuals that the output head reads are kept, width numbers a token; logits are made from them afterwards, a
few hundred tokens at a time, beside those of the unsteered model. A reply's last token is never run, so that replies
of one token to one prompt (the letters of a list) are read off one text.

Knows drivers and wired messages; knows nothing of chats or files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from personascope.errors import ContrastError, ModelError
from personascope.models.chat import Tokens
from personascope.models.protocols import Scores, Steered, Tick
from personascope.models.vllm.driving import Driver, Request
from personascope.models.vllm.reading import unread
from personascope.models.vllm.wire import Capacity, Finals
from personascope.models.vllm.wiring import Bank


@dataclass(frozen=True)
class Text:
    """Token ids that are run, all but the last of a reply; where the reply starts, and the samples that it is of."""

    ids: tuple[int, ...]
    start: int
    samples: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """How many tokens of a reply are drawn from what is run."""
        return len(self.ids) - self.start + 1


@dataclass(frozen=True)
class Scoring:
    """One call: where texts are run, what they are, and where scores go."""

    driver: Driver
    bank: Bank
    capacity: Capacity
    samples: Sequence[Tokens]
    whole: Scores
    tick: Tick | None

    def run(self, steerings: Sequence[Steered]) -> None:
        """Fill in every sample's reply under every steering."""
        for texts in _portions(_texts(self.samples), self.capacity.finals // 2):
            plain = dict(zip(texts, self._kept(texts, [()] * len(texts), 0), strict=True))
            for number, steered in enumerate(steerings):
                if not steered:
                    self._put([(number, text, plain[text]) for text in texts], plain)
            jobs = [(number, text) for number, steered in enumerate(steerings) if steered for text in texts]
            for part in _filling(jobs, self.capacity.finals // 2):
                edits = [steerings[number] for number, _ in part]
                places = self._kept([text for _, text in part], edits, self.capacity.finals // 2)
                self._put([(*job, place) for job, place in zip(part, places, strict=True)], plain)

    def _kept(self, texts: Sequence[Text], steering: Sequence[Steered], first: int) -> list[int]:
        """Run texts; where the last residuals of each are kept from, one text after the other from `first` on."""
        places, end = [], first
        for text in texts:
            places.append(end)
            end += text.n_tokens
        for wave in self.bank.waves(steering, [text.start for text in texts]):
            requests = []
            for row, wired in wave.items():
                text = texts[row]
                finals = Finals(places[row], text.start - 1, len(text.ids))
                message = replace(wired.message, finals=finals)
                requests.append(Request(text.ids, replace(wired, message=message), fresh=True))
            self.driver.run(requests)
        if not all(self.driver.ask("kept", first, end)):
            raise unread(0, end - first)
        return places

    def _put(self, jobs: Sequence[tuple[int, Text, int]], plain: dict[Text, int]) -> None:
        """Score kept texts: (number of a steering, text, place)."""
        steered: list[int] = []
        base: list[int] = []
        tokens, into = [], []
        for number, text, place in jobs:
            for sample in text.samples:
                ids = self.samples[sample].ids[text.start :]
                steered += range(place, place + len(ids))
                base += range(plain[text], plain[text] + len(ids))
                tokens += ids
                into += [(number, sample, at) for at in range(len(ids))]
        answers = self.driver.ask("scores", base, steered, tokens)
        logp, kl = (np.frombuffer(told, np.float32) for told in next(filter(None, answers)))
        if not (np.isfinite(logp).all() and np.isfinite(kl).all()):
            raise ModelError("the scores are not finite", hint="a dose may be far too large; else try --dtype float32")
        at = tuple(np.array(into).T)
        self.whole.logp[at], self.whole.kl[at] = logp, kl
        if self.tick:
            self.tick(sum(len(text.samples) for _, text, _ in jobs))


def blank_scores(samples: Sequence[Tokens], n_steerings: int) -> Scores:
    """Scores still to be filled, all NaN."""
    longest = max([*(len(sample.ids) - sample.start for sample in samples), 1])
    blank = np.full((n_steerings, len(samples), longest), np.nan, dtype=np.float32)
    return Scores(blank, blank.copy())


def _texts(samples: Sequence[Tokens]) -> list[Text]:
    """The texts to run, each once. Samples without a reply are left out."""
    found: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for at, sample in enumerate(samples):
        if len(sample.ids) > sample.start:
            found.setdefault((tuple(sample.ids[:-1]), sample.start), []).append(at)
    return [Text(ids, start, tuple(members)) for (ids, start), members in found.items()]


def _portions(texts: Sequence[Text], most: int) -> Iterator[list[Text]]:
    for part in _filling([(0, text) for text in texts], most):
        yield [text for _, text in part]


def _filling(jobs: Sequence[tuple[int, Text]], most: int) -> Iterator[list[tuple[int, Text]]]:
    """The jobs in their order, in parts of at most so many tokens."""
    part: list[tuple[int, Text]] = []
    n_tokens = 0
    for job in jobs:
        n_own = job[1].n_tokens
        if n_own > most:
            raise ContrastError(
                f"a reply of {n_own} tokens is longer than the {most} that this engine scores at once",
                hint="score shorter replies, or open vLLM with more `finals`",
            )
        if part and n_tokens + n_own > most:
            yield part
            part, n_tokens = [], 0
        part.append(job)
        n_tokens += n_own
    if part:
        yield part
