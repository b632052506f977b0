"""What a stage may ask of an engine, in text and NumPy only.

Layer k is the residual stream AFTER decoder block k, counted from 0. Embeddings have no number, and the
stream after the final norm is not a layer. All activations cross this boundary as float32.

Knows no engine: `toy`, `huggingface` and later engines plug in by having these methods.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from personascope.errors import LayerError

Pole = Literal["high", "low"]
POLES: tuple[Pole, Pole] = ("high", "low")

Tick = Callable[[float], None]
"""Called with the number of rows' worth of work done since the last call (fractions allowed)."""


Listen = Callable[[int, str], None]
"""Called with a row's number and the text of its reply so far, as it is written."""


@dataclass(frozen=True)
class Chat:
    """What a model is asked: the user's words, under an instruction (system prompt) or none.

    With `raw` the question is a text to be read or continued as it stands, without any chat template. `earlier` is what
    was said before, oldest first: the user's words and the reply.
    """

    question: str
    instruction: str | None = None
    raw: bool = False
    earlier: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ModelSpec:
    """Which model an artifact belongs to.

    `template` is a short hash of the chat template, or "" where the model reads raw text; `weights` is one of
    the weights, so that a model trained further under the same name is told apart.
    """

    name: str
    n_layers: int
    width: int
    dtype: str
    revision: str | None = None
    adapter: str | None = None
    template: str = ""
    weights: str = ""


@dataclass(frozen=True)
class Sampling:
    """How replies are drawn: pure sampling at a temperature (0 = greedy), no top-k, no top-p."""

    max_new_tokens: int = 128
    temperature: float = 1.0


@dataclass(frozen=True)
class Reply:
    """What the model said; `n_tokens` counts without the end token, `ended` tells whether it came."""

    text: str
    n_tokens: int
    ended: bool


@dataclass(frozen=True)
class Residuals:
    """The residual stream of each sample, pooled over tokens in float32.

    `reply_mean` averages the reply's tokens without position 0, special tokens and the end token;
    `token_norm` is the mean norm of the same tokens, the unit of a relative dose; `prompt_last` is the last
    token before the reply. `n_tokens` is how many tokens the means have.
    """

    reply_mean: Float32[np.ndarray, "sample layer width"]
    prompt_last: Float32[np.ndarray, "sample layer width"]
    token_norm: Float32[np.ndarray, "sample layer"]
    n_tokens: Int64[np.ndarray, " sample"]


@dataclass(frozen=True)
class Generation:
    """Replies, and where they were asked for the residuals that made them."""

    replies: tuple[Reply, ...]
    residuals: Residuals | None


Mode = Literal["add", "ablate", "cap", "floor"]
Positions = Literal["reply", "prompt", "all"]


@dataclass(frozen=True, eq=False)
class Condition:
    """Steer a token only where its residual at `layer`, projected on the unit `direction`, is above `above`."""

    layer: int
    direction: Float32[np.ndarray, " width"]
    above: float


@dataclass(frozen=True, eq=False)
class Steering:
    """One edit of the residual stream h after some blocks, as plain data.

        add     h + strength * v                          strength 1 adds one persona gap
        ablate  h - strength * <h, u> u                   strength 1 takes the direction out
        cap     h - strength * max(<h, u> - t, 0) u       strength 1 keeps the projection at or below t
        floor   h - strength * min(<h, u> - t, 0) u       strength 1 keeps the projection at or above t

    v = directions[layer] is raw (its length is one gap, in residual-stream units), u = v / |v|, t = thresholds[layer].
    Positions: `reply` is the last prompt token and every token of the reply, `prompt` every prompt token, `all` both.
    Made and checked by `personascope.steering`.
    """

    directions: Mapping[int, Float32[np.ndarray, " width"]]
    strength: float = 1.0
    mode: Mode = "add"
    positions: Positions = "reply"
    thresholds: Mapping[int, float] = field(default_factory=dict)
    condition: Condition | None = None


Steered = Sequence[Steering]
"""All edits of one row, applied in this order at each layer; empty: the model as it is."""


@dataclass(frozen=True)
class Scores:
    """How likely given replies are, token by token, under each of several steerings; NaN after a reply's end.

    `logp` is in nats. `kl` is KL(steered || unsteered) of the distribution that the token was drawn from, in nats.
    """

    logp: Float32[np.ndarray, "steering sample token"]
    kl: Float32[np.ndarray, "steering sample token"]


def check_layers(layers: Sequence[int], n_layers: int) -> None:
    """Raise LayerError unless a model of `n_layers` has all of `layers`, each named once, at least one."""
    hint = f"the model has layers 0 to {n_layers - 1}; layer k is the output of decoder block k, counted from 0"
    if not layers:
        raise LayerError("no layer was asked for", hint=hint)
    missing = sorted({layer for layer in layers if not 0 <= layer < n_layers})
    if missing:
        raise LayerError(f"layer {', '.join(map(str, missing))} does not exist", hint=hint)
    if len(set(layers)) < len(layers):
        raise LayerError("a layer is named twice", hint="name each layer once")


@runtime_checkable
class Generates(Protocol):
    """Can answer chats."""

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know about how chats are put to this model."""
        ...

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
        """One reply per chat; row i is drawn with `seeds[i]`, steered by `steering[i]`, whatever else is in the batch.

        With `layers`, the residuals of those layers are captured while decoding, without a second
        pass. A reply without any token that counts has NaN activations and `n_tokens` 0.
        """
        ...


@runtime_checkable
class ReadsResiduals(Protocol):
    """Can read the residual stream of given texts."""

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""
        ...

    def residuals(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        layers: Sequence[int],
        steering: Sequence[Steered] | None = None,
        tick: Tick | None = None,
    ) -> Residuals:
        """The residuals of each chat with its reply, at `layers`, in the order given.

        Row i is steered by `steering[i]`; what is read at a layer is the stream after its edit.

        An empty reply is allowed: its mean is NaN with `n_tokens` 0, its `prompt_last` is the text's last token.
        """
        ...


@runtime_checkable
class ScoresReplies(Protocol):
    """Can tell how likely given replies are, plain or steered."""

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""
        ...

    def score(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        steerings: Sequence[Steered],
        most_tokens: int | None = None,
        tick: Tick | None = None,
    ) -> Scores:
        """Every reply under every steering: its first `most_tokens` tokens (all, if None), without an end token.

        A reply without tokens is all NaN. `tick` counts replies times steerings.
        """
        ...

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

        Taken where nothing is added, for positions `reply`; nats per residual-stream unit. The slope of that sum along
        any direction is its inner product with this. Which experts a token is sent to is a step that no gradient sees.
        """
        ...


@runtime_checkable
class Engine(Generates, ReadsResiduals, ScoresReplies, Protocol):
    """Can write, read and score replies."""
