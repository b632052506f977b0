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

Steering edits tokens as `Steering` says, and a change at layer k is carried to all later layers. What the edits change
at a token moves the leaning by which the word after it is drawn, and nothing else:

    leaning of a word = leaning of the instruction + 2/gap * sum over edited k of <change at k, planted_direction(k)>

with the gap of the planted layer. So one gap of the planted direction there moves it by 2, from low to high. A push of
that length moves it by 2 at any other layer too, but the layer's own gap is shorter and moves it by less: the layer
that reads best steers best. A direction at right angles moves nothing. The prompt has one token here, its last:
steering the prompt moves the first word only.
Knows NumPy only: no trait, no file, no other engine.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b

import numpy as np
from jaxtyping import Float32, Float64

from personascope.errors import SteeringError
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
from personascope.models.toy_speech import leaning_slope, replies_drawn, scores
from personascope.models.toy_stream import PLANTED, Planted, Spread, Stream, pooled
from personascope.models.toy_words import mean_sign
from personascope.steering import check_steered

Leanings = Mapping[str, float]
"""By whole text, from -1 (low) to 1 (high)."""


class ToyModel:
    """An engine that generates, reads residuals and scores; `n_forwards` counts rows, a captured one once."""

    def __init__(
        self, planted: Planted = PLANTED, *, seed: int = 0, leanings: Leanings | None = None, name: str = "toy"
    ) -> None:
        """`leanings` gives whole texts (instructions, "" for none, replies) a leaning; LayerError for no layer."""
        listed = dict(leanings or {})
        self.planted = planted
        self.n_forwards = 0
        self._stream = Stream(planted, seed, listed)
        revision = blake2b(repr((planted, seed, sorted(listed.items()))).encode(), digest_size=6).hexdigest()
        self._spec = ModelSpec(name, planted.n_layers, planted.width, "float32", revision)

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
        return self._stream.direction(layer)

    def gap(self, layer: int) -> float:
        """How far the poles' expected means lie apart at a layer, in residual-stream units: one persona gap."""
        return self._stream.gap(layer)

    def spread(self, sampling: Sampling) -> Spread:
        """What scatters the rollouts of one pole (leaning +1 or -1) that are drawn like this."""
        return self._stream.spread(sampling)

    def propensity_slope(self, high: Sequence[str], low: Sequence[str], *, layer: int | None = None) -> float:
        """The planted slope of S in nats per token for each gap of a layer (the planted one, if None) added there.

        S = mean over high replies of (logp steered - plain) - mean over low ones, logp the mean over the reply's words:
        2 * pull * gap(layer)/gap * (mean sign of the words of high replies - that of low ones), at every strength.
        Exact where the chats have one leaning between them and all words of the replies are in the vocabulary.
        """
        leverage = self._stream.leverage * self.gap(self.planted.layer if layer is None else layer)
        return float(leverage * self.planted.pull * (mean_sign(high) - mean_sign(low)))

    def leaning(self, text: str) -> float:
        """How a text leans, from -1 (low) to 1 (high).

        As listed, else by its words: (bright - dull) / (bright + dull), 0 where there are none.
        """
        return self._stream.leaning(text)

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
        """One reply per chat, of at least one word where `max_new_tokens` allows it.

        The numbers behind row i come from `seeds[i]` alone, so the same seed under another leaning, told or steered,
        moves words from dull to bright and nothing else. At temperature 0 words that tie are told apart by the chat,
        not by the seed. Raises LayerError or SteeringError for a steering that cannot be placed.
        """
        check_layers([0] if layers is None else layers, self.planted.n_layers)
        rows = _rows(steering, len(chats), self._spec)
        replies = tuple(replies_drawn(self._stream, chats, sampling, seeds, rows))
        if listen is not None:
            _tell(replies, listen)
        if layers is not None:
            texts = [reply.text for reply in replies]
            return Generation(replies, self.residuals(chats, texts, layers=layers, steering=steering, tick=tick))
        for _ in replies:
            self._count(tick)
        return Generation(replies, None)

    def residuals(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        layers: Sequence[int],
        steering: Sequence[Steered] | None = None,
        tick: Tick | None = None,
    ) -> Residuals:
        """The residuals of each chat with its reply at `layers`, after the edits of its row.

        Raises LayerError for a layer the model lacks, LayerError or SteeringError for a steering that cannot be placed.
        """
        check_layers(layers, self.planted.n_layers)
        rows = zip(chats, replies, _rows(steering, len(chats), self._spec), strict=True)
        return pooled(self._stream, list(rows), layers, partial(self._count, tick))

    def score(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        steerings: Sequence[Steered],
        most_tokens: int | None = None,
        tick: Tick | None = None,
    ) -> Scores:
        """How likely the words of each reply are under each steering, given that a word comes and not the end.

        A word outside the vocabulary has `toy_words.UNKNOWN_CHANCE` under every steering. `kl` is exact.
        Raises LayerError or SteeringError for a steering that cannot be placed.
        """
        placed, texts = _placed(steerings, self._spec), list(zip(chats, replies, strict=True))
        return scores(self._stream, texts, placed, most_tokens, partial(self._count, tick))

    def sensitivity(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        weights: Float32[np.ndarray, " sample"],
        layers: Sequence[int],
        most_tokens: int | None = None,
    ) -> Float32[np.ndarray, "layer width"]:
        """Gradient of sum(weights * mean log-probability of each reply) by a vector added at each of `layers`.

        It lies along the planted direction of each layer. Raises LayerError for a layer that the model lacks.
        """
        check_layers(layers, self.planted.n_layers)
        rows = zip(chats, replies, weights.tolist(), strict=True)
        slope = sum(weight * leaning_slope(self._stream, chat, reply, most_tokens) for chat, reply, weight in rows)
        self.n_forwards += len(chats)
        pushes = [self._stream.leverage * self.planted_direction(layer) for layer in layers]
        return np.asarray(slope * np.stack(pushes), dtype=np.float32)

    def _count(self, tick: Tick | None) -> None:
        self.n_forwards += 1
        if tick is not None:
            tick(1.0)


def _rows(steering: Sequence[Steered] | None, n_rows: int, spec: ModelSpec) -> list[Steered]:
    """The edits of each row that change anything. Raises SteeringError unless every row has its own."""
    if steering is None:
        return [()] * n_rows
    if len(steering) != n_rows:
        raise SteeringError(f"{len(steering)} steerings for {n_rows} rows", hint="give each row its own, () for none")
    return _placed(steering, spec)


def _placed(steering: Sequence[Steered], spec: ModelSpec) -> list[Steered]:
    """The edits of each row that change anything. Raises LayerError or SteeringError unless all can be placed."""
    for steered in {id(steered): steered for steered in steering}.values():
        check_steered(steered, spec)
    return [tuple(edit for edit in steered if edit.strength) for steered in steering]


def _tell(replies: Sequence[Reply], listen: Listen) -> None:
    """Tell of each reply as if it came word by word."""
    for row, reply in enumerate(replies):
        words = reply.text.split()
        for n in range(1, len(words) + 1):
            listen(row, " ".join(words[:n]))
