"""The residual stream of the toy engine: what a token is at each layer, and what edits of it do.

The formulas are told in `toy`. Knows NumPy, the toy's words and `Steering` values; draws no reply.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from jaxtyping import Float64

from personascope.models.protocols import Chat, Residuals, Sampling, Steered, Steering, check_layers
from personascope.models.toy_words import END_CHANCE, VOCABULARY, chances, embedded_as, running_leanings

_REACH = 1.5  # layers away from the planted one at which the gap has halved
_TURN = 0.2  # radians that the planted direction turns from one layer to the next


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


class Stream:
    """Tokens with a planted direction; the same text has the same tokens."""

    def __init__(self, planted: Planted, seed: int, leanings: Mapping[str, float]) -> None:
        check_layers([planted.layer], planted.n_layers)
        self.planted = planted
        self._seed = seed
        self._leanings = dict(leanings)
        layers = range(planted.n_layers)
        self._plane = np.linalg.qr(self._effects(1.0, "plane", [""], n_rows=2)[0].T)[0].T
        self._half_gaps = np.stack([self.gap(k) / 2 * self.direction(k) for k in layers])
        self._directions = np.stack([self.direction(k) for k in layers])

    def direction(self, layer: int) -> Float64[np.ndarray, " width"]:
        """The unit direction FROM low TO high; between layers j and k the cosine is cos(0.2 (j - k))."""
        check_layers([layer], self.planted.n_layers)
        angle = _TURN * (layer - self.planted.layer)
        return np.asarray(np.cos(angle) * self._plane[0] + np.sin(angle) * self._plane[1])

    def gap(self, layer: int) -> float:
        """How far the poles' expected means lie apart at a layer, in residual-stream units: one persona gap."""
        check_layers([layer], self.planted.n_layers)
        return float(self.planted.gap * 2.0 ** -(((layer - self.planted.layer) / _REACH) ** 2))

    @property
    def leverage(self) -> float:
        """By how much a push of length 1 along a planted direction moves the leaning: one gap moves it by 2."""
        return 2.0 / self.planted.gap if self.planted.gap else 0.0

    def leaning(self, text: str) -> float:
        """How a text leans: as listed, else by its words."""
        return self._leanings[text] if text in self._leanings else running_leanings(text.split())[-1]

    def spread(self, sampling: Sampling) -> Spread:
        """What scatters the rollouts of one pole (leaning +1 or -1) that are drawn like this."""
        chance = chances(1.0, self.planted.pull, sampling.temperature)
        embeddings = self._embeddings(VOCABULARY)[:, 0]
        words = chance @ (embeddings**2).sum(axis=1) - ((chance @ embeddings) ** 2).sum()
        length = np.arange(1, sampling.max_new_tokens + 1)
        at_least = (1 - END_CHANCE) ** (length - 1)
        mean_of_inverse = (-np.diff(at_least, append=0.0) / length).sum()
        reply = float((self.planted.noise**2 + words) * mean_of_inverse)
        return Spread(self.planted.question**2, self.planted.quirk**2, reply)

    def generators(self, kind: str, texts: Sequence[str]) -> list[np.random.Generator]:
        """Random numbers for each text that depend on it, the kind and the model's seed alone."""
        digests = [blake2b(f"{self._seed}|{kind}|{text}".encode(), digest_size=16).digest() for text in texts]
        return [np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little"))) for digest in digests]

    def tokens(self, chat: Chat, reply: str, *, first: int = 0) -> Float64[np.ndarray, "token layer width"]:
        """The residual stream of the prompt's last token and of every word of the reply, from token `first` on."""
        words, planted = reply.split(), self.planted
        so_far = [asked(chat) + " ".join(words[:i]) for i in range(first, len(words) + 1)]
        tokens = self._effects(planted.noise, "noise", so_far, n_rows=planted.n_layers)
        tokens += self._embeddings(["", *words][first:]) + self._effects(planted.question, "question", [chat.question])
        if chat.instruction is not None:
            tokens += self._effects(planted.quirk, "instruction", [chat.instruction])
        return tokens + np.multiply.outer(self._leaning_so_far(chat, reply)[first:], self._half_gaps)

    def edited(
        self, tokens: Float64[np.ndarray, "token layer width"], steered: Steered, *, first: int = 0
    ) -> tuple[Float64[np.ndarray, "token layer width"], Float64[np.ndarray, " token"]]:
        """The tokens as edited, and how far the edits of each token move its leaning; token 0 ends the prompt."""
        stream, moved = tokens.copy(), np.zeros(len(tokens))
        in_prompt = np.arange(first, first + len(tokens)) == 0
        waits = {i: edit.condition for i, edit in enumerate(steered) if edit.condition}
        met: dict[int, np.ndarray] = {}
        edited_at = {layer for edit in steered for layer in edit.directions}
        for layer in sorted(edited_at | {wait.layer for wait in waits.values()}):
            here = stream[:, layer]
            met |= {i: here @ wait.direction > wait.above for i, wait in waits.items() if wait.layer == layer}
            for i, edit in enumerate(steered):
                if layer in edit.directions:
                    acts = (in_prompt | (edit.positions != "prompt")) & met.get(i, np.True_)
                    change = acts[:, None] * _change(edit, layer, stream[:, layer])
                    stream[:, layer:] += change[:, None]
                    moved += self.leverage * (change @ self._directions[layer])
        return stream, moved

    def _effects(
        self, length: float, kind: str, texts: Sequence[str], n_rows: int = 1
    ) -> Float64[np.ndarray, "text row width"]:
        """Normal vectors of a root-mean-square length for each text, the same whenever the text is."""
        shape = (n_rows, self.planted.width)
        normals = np.stack([numbers.standard_normal(shape) for numbers in self.generators(kind, texts)])
        return np.asarray(normals * (length / np.sqrt(self.planted.width)))

    def _embeddings(self, words: Sequence[str]) -> Float64[np.ndarray, "word 1 width"]:
        return self._effects(self.planted.noise / 2, "word", [embedded_as(word) for word in words])

    def _leaning_so_far(self, chat: Chat, reply: str) -> list[float]:
        """The leaning at the prompt's last token and at each word; a listed reply leans as listed from the first."""
        instructed = self.leaning(chat.instruction or "")
        if instructed or reply in self._leanings:
            return [instructed] + [instructed or self._leanings[reply]] * len(reply.split())
        return running_leanings(reply.split())


def asked(chat: Chat) -> str:
    """What the numbers behind a chat depend on: all that is said in it."""
    before = "".join(map(repr, chat.earlier))
    return f"{before}Chat(question={chat.question!r}, instruction={chat.instruction!r}, raw={chat.raw})"


def pooled(
    stream: Stream, rows: Sequence[tuple[Chat, str, Steered]], layers: Sequence[int], done: Callable[[], None]
) -> Residuals:
    """The residuals of each chat with its reply under its edits, at `layers`; `done` is called after each row."""
    shape = (len(rows), len(layers), stream.planted.width)
    means, lasts = np.full(shape, np.nan, np.float32), np.empty(shape, np.float32)
    norms = np.full(shape[:2], np.nan, np.float32)
    counts = np.zeros(len(rows), np.int64)
    for row, (chat, reply, steered) in enumerate(rows):
        whole = stream.tokens(chat, reply)
        tokens = (stream.edited(whole, steered)[0] if steered else whole)[:, list(layers)]
        lasts[row], counts[row] = tokens[0], len(tokens) - 1
        if counts[row]:
            means[row] = tokens[1:].mean(axis=0)
            norms[row] = np.linalg.norm(tokens[1:], axis=-1).mean(axis=0)
        done()
    return Residuals(means, lasts, norms, counts)


def _change(
    edit: Steering, layer: int, stream: Float64[np.ndarray, "token width"]
) -> Float64[np.ndarray, "token width"]:
    """What an edit adds to each token at a layer, were it to act at all of them."""
    raw = np.asarray(edit.directions[layer], dtype=np.float64)
    if edit.mode == "add":
        return np.broadcast_to(edit.strength * raw, stream.shape)
    unit = raw / np.linalg.norm(raw)
    beyond = stream @ unit
    if edit.mode == "cap":
        beyond = np.maximum(beyond - edit.thresholds[layer], 0.0)
    elif edit.mode == "floor":
        beyond = np.minimum(beyond - edit.thresholds[layer], 0.0)
    return np.asarray(-edit.strength * np.multiply.outer(beyond, unit))
