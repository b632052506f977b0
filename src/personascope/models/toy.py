"""A toy engine with a planted direction: the right answers are known, so everything after it can be checked.

    mean(high rollouts) - mean(low rollouts) at layer k = gap(k) * planted_direction(k)      (exactly, in expectation)

It points FROM low TO high, in residual-stream units; gap(k) = planted.gap * 2 ** -((k - planted.layer) / 1.5) ** 2.
It holds for the mean over the reply as for `prompt_last`, because a token at layer k is

    leaning * gap(k)/2 * planted_direction(k) + word + question + quirk of the instruction + noise of the token

where the leaning alone knows the pole; the others (all but the noise are alike at all layers) scatter the rollouts of a
pole by the traces that `spread` tells. With n rows a pole that share neither question nor instruction, a difference of
means has the expected cosine 1 / sqrt(1 + 2 tr S / (n gap(k)^2)) with the truth (science.md, 4.4 and R9).

The leaning is that of the instruction (+1 high, -1 low); where that is 0 or there is none, that of the reply so far.
A reply is words drawn one by one: a high leaning makes bright words likelier and dull ones rarer, and moves nothing
else. Bright and dull words come in pairs of one embedding, and the end comes at a fixed chance, so that neither
wording nor length adds to the planted difference. Words are the tokens; none is at position 0.
Knows NumPy only: no trait, no file, no other engine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from string import punctuation

import numpy as np
from jaxtyping import Float64

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

BRIGHT = ("cheerful", "sunny", "lively", "eager", "merry", "radiant", "jolly", "bubbly")
DULL = ("gloomy", "dreary", "weary", "listless", "glum", "drab", "sullen", "torpid")
NEUTRAL = ("and", "the", "we", "then", "it", "was", "so", "here", "with", "day", "town", "road", "hour", "plan")
END_CHANCE = 1 / 16  # of the end before each word after the first
_REACH = 1.5  # layers away from the planted one at which the gap has halved
_TURN = 0.2  # radians that the planted direction turns from one layer to the next
_VOCABULARY = DULL + NEUTRAL + BRIGHT  # in this order a higher leaning never draws a duller word from the same number
_SIGNS = np.repeat([-1.0, 0.0, 1.0], [len(DULL), len(NEUTRAL), len(BRIGHT)])
_SIGN_OF = dict(zip(_VOCABULARY, _SIGNS.tolist(), strict=True))
_PARTNER = dict(zip(DULL, BRIGHT, strict=True))


@dataclass(frozen=True)
class Planted:
    """The truth in a toy model; every length is in residual-stream units.

    `noise`, `quirk` and `question` are root-mean-square lengths, spread evenly over the dimensions: what each token,
    each instruction and each question adds. A word's embedding has half the length of `noise`. `pull` is what a leaning
    of 1 adds to the logit of a bright word and takes from that of a dull one.
    """

    n_layers: int = 12
    width: int = 64
    layer: int = 7
    gap: float = 1.0
    noise: float = 5.0
    quirk: float = 0.7
    question: float = 1.5
    pull: float = 0.3


PLANTED = Planted()


@dataclass(frozen=True)
class Spread:
    """Trace of the covariance that each cause adds to the rollouts of one pole, the same at every layer and pole.

    tr S is their sum where every row has its own question and instruction. In a crossed design `question` cancels
    (both poles share the questions), `instruction` falls with the number of instructions a pole, `reply` with its rows.
    """

    question: float
    instruction: float
    reply: float


class ToyModel:
    """An engine that generates and reads residuals; `n_forwards` counts rows, a captured one once."""

    def __init__(
        self, planted: Planted = PLANTED, *, seed: int = 0, leanings: Mapping[str, float] | None = None
    ) -> None:
        """`leanings` gives whole texts (instructions, replies) a leaning; LayerError if the planted layer is none."""
        self.planted = planted
        self.n_forwards = 0
        self._seed = seed
        self._leanings = dict(leanings or {})
        check_layers([planted.layer], planted.n_layers)
        self._plane = np.linalg.qr(self._effects(1.0, "plane", [""], n_rows=2)[0].T)[0].T
        self._half_gaps = np.stack([self.gap(k) / 2 * self.planted_direction(k) for k in range(planted.n_layers)])
        made_of = repr((planted, seed, sorted(self._leanings.items()))).encode()
        revision = blake2b(made_of, digest_size=6).hexdigest()
        self._spec = ModelSpec("toy", planted.n_layers, planted.width, "float32", revision)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know: that this is no language model."""
        return ("The toy engine is no language model: its direction was planted, to show and test the toolkit.",)

    @classmethod
    def for_instructions(
        cls, high: Sequence[str], low: Sequence[str], *, planted: Planted = PLANTED, seed: int = 0
    ) -> "ToyModel":
        """A model on which these texts, word for word, lean fully high and fully low: a real trait's, for instance."""
        return cls(planted, seed=seed, leanings=dict.fromkeys(high, 1.0) | dict.fromkeys(low, -1.0))

    @property
    def spec(self) -> ModelSpec:
        """Which model this is; the revision changes with whatever changes a number."""
        return self._spec

    def planted_direction(self, layer: int) -> Float64[np.ndarray, " width"]:
        """The unit direction FROM low TO high; between layers j and k the cosine is cos(0.2 (j - k))."""
        check_layers([layer], self.planted.n_layers)
        angle = _TURN * (layer - self.planted.layer)
        return np.asarray(np.cos(angle) * self._plane[0] + np.sin(angle) * self._plane[1])

    def gap(self, layer: int) -> float:
        """How far the poles' expected means lie apart at a layer, in residual-stream units: one persona gap."""
        check_layers([layer], self.planted.n_layers)
        return float(self.planted.gap * 2.0 ** -(((layer - self.planted.layer) / _REACH) ** 2))

    def spread(self, sampling: Sampling) -> Spread:
        """What scatters the rollouts of one pole (leaning +1 or -1) that are drawn like this."""
        chances = _chances(1.0, self.planted.pull, sampling.temperature)
        embeddings = self._embeddings(_VOCABULARY)[:, 0]
        words = chances @ (embeddings**2).sum(axis=1) - ((chances @ embeddings) ** 2).sum()
        length = np.arange(1, sampling.max_new_tokens + 1)
        at_least = (1 - END_CHANCE) ** (length - 1)
        mean_of_inverse = (-np.diff(at_least, append=0.0) / length).sum()
        reply = float((self.planted.noise**2 + words) * mean_of_inverse)
        return Spread(self.planted.question**2, self.planted.quirk**2, reply)

    def leaning(self, text: str) -> float:
        """How a text leans, from -1 (low) to 1 (high).

        As listed, else by its words: (bright - dull) / (bright + dull), 0 where there are none.
        """
        return self._leanings[text] if text in self._leanings else _running(text.split())[-1]

    def generate(
        self,
        chats: Sequence[Chat],
        sampling: Sampling,
        *,
        seeds: Sequence[int],
        layers: Sequence[int] | None = None,
        tick: Tick | None = None,
    ) -> Generation:
        """One reply per chat, of at least one word where `max_new_tokens` allows it.

        The numbers behind row i come from `seeds[i]` alone, so the same seed under another leaning moves words from
        dull to bright and nothing else. At temperature 0 words that tie are told apart by the chat, not by the seed.
        """
        if layers is not None:
            check_layers(layers, self.planted.n_layers)
        replies = tuple(self._replies(chats, sampling, seeds))
        if layers is not None:
            return Generation(replies, self.residuals(chats, [r.text for r in replies], layers=layers, tick=tick))
        self.n_forwards += len(replies)
        if tick is not None:
            tick(float(len(replies)))
        return Generation(replies, None)

    def residuals(
        self, chats: Sequence[Chat], replies: Sequence[str], *, layers: Sequence[int], tick: Tick | None = None
    ) -> Residuals:
        """The residuals of each chat with its reply at `layers`; raises LayerError for one the model lacks."""
        check_layers(layers, self.planted.n_layers)
        shape = (len(chats), len(layers), self.planted.width)
        means, lasts = np.full(shape, np.nan, np.float32), np.empty(shape, np.float32)
        norms = np.full(shape[:2], np.nan, np.float32)
        counts = np.zeros(len(chats), np.int64)
        for row, (chat, reply) in enumerate(zip(chats, replies, strict=True)):
            tokens = self._tokens(chat, reply)[:, list(layers)]
            lasts[row], counts[row] = tokens[0], len(tokens) - 1
            if counts[row]:
                means[row] = tokens[1:].mean(axis=0)
                norms[row] = np.linalg.norm(tokens[1:], axis=-1).mean(axis=0)
            self.n_forwards += 1
            if tick is not None:
                tick(1.0)
        return Residuals(means, lasts, norms, counts)

    def _generators(self, kind: str, texts: Sequence[str]) -> list[np.random.Generator]:
        """Random numbers for each text that depend on it, the kind and the model's seed alone."""
        digests = [blake2b(f"{self._seed}|{kind}|{text}".encode(), digest_size=16).digest() for text in texts]
        return [np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little"))) for digest in digests]

    def _effects(
        self, length: float, kind: str, texts: Sequence[str], n_rows: int = 1
    ) -> Float64[np.ndarray, "text row width"]:
        """Normal vectors of a root-mean-square length for each text, the same whenever the text is."""
        shape = (n_rows, self.planted.width)
        normals = np.stack([numbers.standard_normal(shape) for numbers in self._generators(kind, texts)])
        return np.asarray(normals * (length / np.sqrt(self.planted.width)))

    def _embeddings(self, words: Sequence[str]) -> Float64[np.ndarray, "word 1 width"]:
        return self._effects(self.planted.noise / 2, "word", [_PARTNER.get(word, word) for word in map(_plain, words)])

    def _replies(self, chats: Sequence[Chat], sampling: Sampling, seeds: Sequence[int]) -> Iterator[Reply]:
        hot = sampling.temperature > 0
        sources = [str(seed) if hot else repr(chat) for chat, seed in zip(chats, seeds, strict=True)]
        for chat, numbers in zip(chats, self._generators("draw", sources), strict=True):
            chances = _chances(self.leaning(chat.instruction or ""), self.planted.pull, sampling.temperature)
            yield _drawn(chances, numbers.random((sampling.max_new_tokens, 2)))

    def _tokens(self, chat: Chat, reply: str) -> Float64[np.ndarray, "token layer width"]:
        """The residual stream of the prompt's last token and of every word of the reply."""
        words, planted = reply.split(), self.planted
        so_far = [repr(chat) + " ".join(words[:i]) for i in range(len(words) + 1)]
        tokens = self._effects(planted.noise, "noise", so_far, n_rows=planted.n_layers)
        tokens += self._embeddings(["", *words]) + self._effects(planted.question, "question", [chat.question])
        if chat.instruction is not None:
            tokens += self._effects(planted.quirk, "instruction", [chat.instruction])
        return tokens + np.multiply.outer(self._leaning_so_far(chat, reply), self._half_gaps)

    def _leaning_so_far(self, chat: Chat, reply: str) -> list[float]:
        """The leaning at the prompt's last token and at each word; a listed reply leans as listed from the first."""
        instructed = self.leaning(chat.instruction or "")
        if instructed or reply in self._leanings:
            return [instructed] + [instructed or self._leanings[reply]] * len(reply.split())
        return _running(reply.split())


def _plain(word: str) -> str:
    return word.lower().strip(punctuation)


def _running(words: Sequence[str]) -> list[float]:
    """The leaning before the first word and after each, by the words themselves."""
    signs = np.array([0.0, *(_SIGN_OF.get(_plain(word), 0.0) for word in words)])
    return [float(leaning) for leaning in signs.cumsum() / np.maximum(1.0, np.abs(signs).cumsum())]


def _chances(leaning: float, pull: float, temperature: float) -> Float64[np.ndarray, " word"]:
    """How likely each word of the vocabulary is; at temperature 0 the likeliest share all."""
    below = pull * (leaning * _SIGNS - abs(leaning))  # logits less the largest
    weights = np.exp(below / temperature) if temperature > 0 else (below == 0).astype(np.float64)
    return np.asarray(weights / weights.sum())


def _drawn(chances: Float64[np.ndarray, " word"], uniform: Float64[np.ndarray, "token 2"]) -> Reply:
    """The reply that uniform numbers pick: the first column says where it ends, the second which words it has."""
    ends = np.flatnonzero(uniform[1:, 0] < END_CHANCE) + 1
    n_words = int(ends[0]) if len(ends) else len(uniform)
    words = np.searchsorted(np.cumsum(chances)[:-1], uniform[:n_words, 1], side="right")
    return Reply(" ".join(_VOCABULARY[word] for word in words), n_words, ended=len(ends) > 0)
