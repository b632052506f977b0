"""From a model's name to an engine: precision, and the proof that it can be read and edited.

Knows every engine; nothing above it does.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from personascope.errors import ModelError
from personascope.models import default_model
from personascope.models.answered_once import AnsweredOnce
from personascope.models.chat import Tokens, chat_format
from personascope.models.huggingface import HuggingFaceModel, Loaded
from personascope.models.loading import Source, load
from personascope.models.protocols import ModelSpec
from personascope.models.residual import bears_resuming, find_blocks, prove_edits
from personascope.models.running import Limits
from personascope.models.toy import ToyModel
from personascope.traits import Trait

Precision = Literal["auto", "float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def open_model(
    name: str,
    *,
    precision: Precision = "auto",
    device: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    limits: Limits | None = None,
) -> HuggingFaceModel:
    """The engine for a model by Hub name, folder, or `smollm2-135m` (the default model).

    Probes the model once: blocks are found, edits proven to land, texts to read the same in a batch as alone.
    Raises ModelError where the model cannot be had or fails the proof.
    """
    source = default_model.default_model_source() if name == default_model.NAME else name
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = _dtype(precision, place)
    model, tokenizer = load(Source(name, source, revision, trust_remote_code), dtype)
    model = model.to(place).eval()
    return engine_for(model, tokenizer, name=name, revision=revision, limits=limits)


def open_engine(
    name: str, trait: Trait | None, *, precision: str = "auto", trust_remote_code: bool = False
) -> "HuggingFaceModel | ToyModel":
    """The engine for a model's name; `toy` is the shipped toy, on which the trait's own texts lean as they should."""
    if name == "toy":
        return toy_for(trait) if trait else ToyModel()
    if precision not in PRECISIONS:
        raise ModelError(f"there is no precision {precision!r}", hint=f"choose one of {', '.join(PRECISIONS)}")
    return open_model(name, precision=precision, trust_remote_code=trust_remote_code)


def open_engines(
    name: str, *, precision: str = "auto", trust_remote_code: bool = False
) -> Callable[[Trait], AnsweredOnce]:
    """What gives the engine to read each trait from: one and the same for all, opened now and answering once.

    Of the toy there is one for each trait, since its truth is planted in the trait's texts: they share nothing.
    """
    if name == "toy":
        return lambda trait: AnsweredOnce(toy_for(trait))
    engine = AnsweredOnce(open_engine(name, None, precision=precision, trust_remote_code=trust_remote_code))
    return lambda _trait: engine


def toy_for(trait: Trait) -> ToyModel:
    """The toy engine, leaning fully high and low on the trait's instructions and matched replies."""
    pairs = [*trait.instructions.extract, *trait.instructions.evaluate]
    high = [*(pair.high for pair in pairs), *(reply.high for reply in trait.replies)]
    low = [*(pair.low for pair in pairs), *(reply.low for reply in trait.replies)]
    return ToyModel.for_instructions(high, low)


def engine_for(
    model: nn.Module, tokenizer: Any, *, name: str, revision: str | None = None, limits: Limits | None = None
) -> HuggingFaceModel:
    """The engine over a model and tokenizer that are already loaded. Raises ModelError where the probe fails."""
    config: Any = model.config
    text_config = config.get_text_config(decoder=True)
    probe = _Probe(model)
    with torch.inference_mode():
        blocks = find_blocks(model, text_config.hidden_size, probe.logits)
        prove_edits(blocks, probe.logits)
        resumes = bears_resuming(blocks, probe.logits)
    form = chat_format(tokenizer)
    first = next(model.parameters())
    spec = ModelSpec(
        name=name,
        n_layers=len(blocks),
        width=text_config.hidden_size,
        dtype=str(first.dtype).removeprefix("torch."),
        revision=revision,
        template=form.digest,
        weights=_fingerprint(model),
    )
    loaded = Loaded(
        model=model,
        blocks=blocks,
        chat_format=form,
        spec=spec,
        ends=_ends(model, tokenizer),
        context=int(getattr(text_config, "max_position_embeddings", None) or 2**31),
        resumes=resumes,
    )
    engine = HuggingFaceModel(loaded, limits or _limits(first.device))
    _prove_batches(engine, probe.numbers(24))
    return engine


def _prove_batches(engine: HuggingFaceModel, ids: list[int]) -> None:
    """Check that two texts of unlike length read the same in one batch with a shared prefix as each alone.

    Raises ModelError where they do not: a model that ignores position ids, or keeps more than keys and values.
    """
    texts = [Tokens(ids, len(ids) - 4), Tokens([*ids[:12], ids[1]], 12)]
    layers = list(range(engine.spec.n_layers))
    try:
        together = engine.read_tokens(texts, ["same", "same"], layers=layers).reply_mean
        alone = np.concatenate([engine.read_tokens([text], [None], layers=layers).reply_mean for text in texts])
    except (ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(
            f"texts of {engine.spec.name} cannot be run together ({error})",
            hint="recurrent and hybrid architectures are not supported yet; use a transformer decoder",
        ) from error
    gap = np.linalg.norm(together - alone, axis=-1) / np.linalg.norm(alone, axis=-1)
    loosest = {"float32": 1e-3}.get(engine.spec.dtype, 0.1)
    if not gap.max() <= loosest:
        raise ModelError(
            f"a text of {engine.spec.name} reads differently in a batch (by {gap.max():.1%} of its residual)",
            hint="the model ignores position ids or attention masks; its numbers could not be trusted",
        )


def _fingerprint(model: Any) -> str:
    """A short hash of values spread over all weights: another training of the same model has another one."""
    hashed = hashlib.sha256()
    for name, weight in model.named_parameters():
        flat = weight.detach().flatten()
        some = flat[:: max(1, flat.numel() // _WEIGHTS_HASHED)].float().cpu().numpy()
        hashed.update(name.encode() + some.tobytes())
    return hashed.hexdigest()[:12]


_WEIGHTS_HASHED = 512
"""Of each tensor."""


class _Probe:
    """A forward pass over a few tokens, as `find_blocks` and `prove_edits` want it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._vocabulary = model.get_input_embeddings().weight.shape[0]
        self._ids = torch.tensor([self.numbers(5)], device=next(model.parameters()).device)

    def numbers(self, n: int) -> list[int]:
        """Token ids, spread over the vocabulary."""
        return [(7 + 31 * i) % self._vocabulary for i in range(n)]

    def logits(self) -> Tensor:
        output = self._model(input_ids=self._ids, use_cache=False)
        logits: Tensor = output.logits
        return logits


def _dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """bfloat16 on an accelerator and on a processor with matrix instructions for it; else float32.

    A processor without them runs bfloat16 five times slower than float32 (measured, AVX2).
    """
    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.type != "cpu":
        return torch.bfloat16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def _limits(device: torch.device) -> Limits:
    return Limits() if device.type == "cpu" else Limits(tokens=32_768, kept_tokens=131_072)


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a reply: the generation settings', the config's and the tokenizer's."""
    told = (
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        getattr(tokenizer, "eos_token_id", None),
    )
    ends: set[int] = set()
    for value in told:
        ends |= set(value) if isinstance(value, (list, tuple)) else ({value} if value is not None else set())
    return frozenset(int(end) for end in ends)
