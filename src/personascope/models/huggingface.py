"""The reference engine: any decoder model of transformers, on this machine.

Layer k is the output of decoder block k, from 0. One forward pass serves all layers; it ends after the
deepest wanted block, so neither later blocks nor the output head run where no logits are needed.

Knows torch and transformers; stages see only the protocols it has.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from personascope.models.admitting import check_rows, tokens_of
from personascope.models.batches import rows_with_prefixes
from personascope.models.capture import capture
from personascope.models.chat import ChatFormat, Tokens
from personascope.models.forward import Forward
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
from personascope.models.running import Limits, Runner
from personascope.models.scoring import score_replies
from personascope.models.sensitivity import sensitivity
from personascope.models.steered import steered_everywhere
from personascope.models.wearing import Wardrobe
from personascope.models.writing import Wanted, write_replies
from personascope.steering import acting, check_steered


@dataclass(frozen=True)
class Loaded:
    """A model ready to run: its blocks in order, how chats are put to it, and what ends a reply.

    `resumes`: whether a forward pass may start in the middle, from a stream that is known. `wardrobe` holds the
    adapters of the model's weights, `worn` names the one that this engine runs with.
    """

    model: nn.Module
    blocks: Sequence[nn.Module]
    chat_format: ChatFormat
    spec: ModelSpec
    ends: frozenset[int]
    context: int
    resumes: bool = False
    wardrobe: Wardrobe | None = None
    worn: str | None = None
    notes: tuple[str, ...] = ()

    def dressed(self) -> AbstractContextManager[None]:
        """Within the `with` the model has on what this engine runs with; afterwards what it had on before."""
        return self.wardrobe.showing(self.worn) if self.wardrobe else nullcontext()


class HuggingFaceModel:
    """`Generates`, `ReadsResiduals` and `ScoresReplies` over a loaded model. Made by `opening.open_model`."""

    def __init__(self, loaded: Loaded, limits: Limits | None = None) -> None:
        self._loaded = loaded
        self._runner = Runner(
            Forward(loaded.model, loaded.blocks),
            loaded.blocks,
            next(loaded.model.parameters()).device,
            limits or Limits(),
            special=frozenset(loaded.chat_format.tokenizer.all_special_ids) | loaded.ends,
            ends=loaded.ends,
            resumes=loaded.resumes,
        )

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""
        return self._loaded.spec

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know about how chats are put to this model."""
        return (*self._loaded.chat_format.notes, *self._loaded.notes)

    @property
    def loaded(self) -> Loaded:
        """What this engine runs; another engine over the same weights is made from it."""
        return self._loaded

    @contextmanager
    def steered(self, steered: Steered) -> Iterator[nn.Module]:
        """The torch module with every token of every forward pass steered while the `with` is open; gradients flow.

        For loops of one's own. Raises SteeringError unless all positions are `all`, ModelError if an edit never ran.
        """
        check_steered(steered, self.spec)
        with self._loaded.dressed(), steered_everywhere(self._loaded.blocks, steered, self._runner.device):
            yield self._loaded.model

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
        SteeringError for a steering that cannot be placed.
        """
        samples = tokens_of(self._loaded.chat_format, chats, replies)
        self._check(samples, steering)
        steering = _acting(steering)
        keys = _sharing(chats, steering)
        return self.read_tokens(samples, keys, layers=layers, steering=steering, tick=tick)

    @torch.inference_mode()
    def read_tokens(
        self,
        samples: Sequence[Tokens],
        keys: Sequence[Hashable],
        *,
        layers: Sequence[int],
        steering: Sequence[Steered] | None = None,
        tick: Tick | None = None,
    ) -> Residuals:
        """The residuals of token ids; samples of one key may share the run of their common beginning."""
        check_layers(layers, self.spec.n_layers)
        self._check(samples, steering)
        rows = rows_with_prefixes(samples, keys)
        with self._loaded.dressed():
            return capture(self._runner, rows, layers=layers, width=self.spec.width, steering=steering, tick=tick)

    @torch.inference_mode()
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
        """One reply per chat, row i under `steering[i]`; with `layers`, their residuals too, read while writing.

        Many strengths of one prompt share its run. Raises LayerError for a layer that the model does not have,
        ContrastError for a chat beyond the context, SteeringError for a steering that cannot be placed.
        """
        if layers is not None:
            check_layers(layers, self.spec.n_layers)
        if len(seeds) != len(chats):
            raise ValueError(f"{len(seeds)} seeds for {len(chats)} chats")
        samples = [self._loaded.chat_format.tokens(chat) for chat in chats]
        self._check(samples, steering, room=sampling.max_new_tokens)
        steering = _acting(steering)
        rows = rows_with_prefixes(samples, _sharing(chats, steering))
        text = self._loaded.chat_format.reply_text
        hear = (lambda row, ids: listen(row, text(ids))) if listen else None
        wanted = Wanted(sampling, seeds, layers, steering, hear)
        with self._loaded.dressed():
            written, residuals = write_replies(self._runner, rows, wanted, width=self.spec.width, tick=tick)
        return Generation(tuple(Reply(text(one.ids), len(one.ids), one.ended) for one in written), residuals)

    @torch.inference_mode()
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
        samples = tokens_of(self._loaded.chat_format, chats, replies, most_tokens)
        self._check(samples)
        for steered in steerings:
            check_steered(steered, self.spec)
        with self._loaded.dressed():
            return score_replies(self._runner, samples, [acting(steered) for steered in steerings], tick)

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

        Raises LayerError for a layer that the model does not have, ContrastError for a text beyond the context.
        """
        check_layers(layers, self.spec.n_layers)
        samples = tokens_of(self._loaded.chat_format, chats, replies, most_tokens)
        self._check(samples)
        with self._loaded.dressed():
            return sensitivity(self._runner, samples, weights, layers=layers, width=self.spec.width)

    def _check(self, samples: Sequence[Tokens], steering: Sequence[Steered] | None = None, *, room: int = 0) -> None:
        check_rows(samples, steering, self.spec, context=self._loaded.context, room=room)


def _acting(steering: Sequence[Steered] | None) -> Sequence[Steered] | None:
    """The edits that do something; None if there are none, so that strength 0 runs just as no steering does."""
    acted = [acting(steered) for steered in steering or ()]
    return acted if any(acted) else None


def _sharing(chats: Sequence[Chat], steering: Sequence[Steered] | None) -> list[Hashable]:
    """Which rows may share the run of their common beginning: those of one instruction, unsteered up to there.

    Where chats repeat (many strengths of one prompt), each shares with its own kind, up to its last token.
    """
    if steering is None:
        return [chat.instruction for chat in chats]
    repeat = len(set(chats)) < len(chats)
    return [
        ("alone", at) if any(edit.positions != "reply" for edit in steered) else (chat if repeat else chat.instruction)
        for at, (chat, steered) in enumerate(zip(chats, steering, strict=True))
    ]
