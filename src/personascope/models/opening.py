"""From a model's name to an engine: precision, and the proof that it can be read and edited.

Knows every engine; nothing above it does.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, overload

import torch
from torch import nn

from personascope.errors import ModelError
from personascope.models import default_model
from personascope.models.adapters import (
    NAME_THE_BASE,
    Adapter,
    base_note,
    check_vocabulary,
    find_adapter,
    refused,
    tokenizer_notes,
    tokenizer_of,
)
from personascope.models.answered_once import AnsweredOnce
from personascope.models.chat import chat_format
from personascope.models.engine_choice import HF, EngineChoice, EngineName
from personascope.models.huggingface import HuggingFaceModel, Loaded
from personascope.models.loading import Source, ends_of, load, read_config
from personascope.models.precision import Precision, dtype_of, precision_named
from personascope.models.probing import Probe, fingerprint, prove_batches
from personascope.models.protocols import ModelSpec
from personascope.models.quantising import Quantization, precision_told, quantization_named
from personascope.models.residual import bears_resuming, find_blocks, prove_edits
from personascope.models.running import Limits
from personascope.models.toy import ToyModel
from personascope.models.toys import TRAINED_TOYS, toy_named
from personascope.models.vllm.engine import VllmModel
from personascope.models.vllm.opening import How, open_vllm, tuned_vllm
from personascope.models.vllm.starting import Hosting
from personascope.models.wearing import Wardrobe
from personascope.traits import Trait

_Base = TypeVar("_Base", HuggingFaceModel, VllmModel)


@overload
def open_model(
    name: str,
    *,
    engine: Literal["hf"] = ...,
    precision: Precision = ...,
    device: str | None = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
    limits: Limits | None = ...,
    quantize: Quantization | None = ...,
) -> HuggingFaceModel: ...


@overload
def open_model(
    name: str,
    *,
    engine: Literal["vllm"] | Hosting,
    precision: Precision = ...,
    revision: str | None = ...,
    trust_remote_code: bool = ...,
) -> VllmModel: ...


def open_model(
    name: str,
    *,
    engine: EngineName | Hosting = "hf",
    precision: Precision = "auto",
    device: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    limits: Limits | None = None,
    quantize: Quantization | None = None,
) -> HuggingFaceModel | VllmModel:
    """The engine for a model by Hub name, folder, or `smollm2-135m` (the default model); or for a PEFT adapter.

    Of an adapter, the base that its config names is opened and the adapter put on it. Probes the model once: blocks are
    found, edits proven to land, texts to read the same in a batch as alone. `engine="vllm"` opens it on vLLM, as does a
    `Hosting`, which tells on how many devices and with what room; device, limits and quantize are not for it.
    Raises ModelError where the model cannot be had or fails the proof.
    """
    if engine != "hf":
        check_hosted(name, quantize)
        if device is not None or limits is not None:
            raise ModelError("vLLM chooses device and batches itself", hint="leave out device and limits")
        return open_vllm(name, How(precision, trust_remote_code, revision, None if engine == "vllm" else engine))
    how = _How(precision, device, trust_remote_code, limits, quantize)
    adapter = find_adapter(name, revision)
    if adapter is None:
        return _open(name, revision, how)
    return _tuned(_base_of(adapter, how), adapter, trust_remote_code=trust_remote_code)


def open_tuned(
    base: _Base,
    name: str,
    *,
    precision: Precision = "auto",
    trust_remote_code: bool = False,
    quantize: Quantization | None = None,
) -> _Base:
    """The engine for a tuned model, to be compared with its base.

    An adapter is put on the base's weights, in their precision: they stay in memory once, both engines stay usable,
    and the base reads bit for bit what it read. Any other name is opened as a model of its own. `notes` tell where
    tokenizer or chat template differ from the base's. Raises ModelError where the adapter does not fit this base.
    """
    if isinstance(base, VllmModel):
        check_hosted(name, quantize)
        return tuned_vllm(base, name, How(precision, trust_remote_code))
    adapter = find_adapter(name)
    if adapter is not None:
        return _tuned(base, adapter, trust_remote_code=trust_remote_code)
    device = str(base.loaded.model.device)
    whole = _open(name, None, _How(precision, device, trust_remote_code, base._runner.limits, quantize))
    unlike = tokenizer_notes(name, whole.loaded.chat_format, base.spec.name, base.loaded.chat_format)
    return HuggingFaceModel(replace(whole.loaded, notes=unlike), whole._runner.limits)


def check_is_there(name: str, *, trust_remote_code: bool = False) -> None:
    """Raise ModelError where there is no such model, before any weights are read."""
    read_config(_source(name, None, trust_remote_code=trust_remote_code))


def open_engine(
    name: str,
    trait: Trait | None,
    *,
    precision: str = "auto",
    trust_remote_code: bool = False,
    quantize: str | None = None,
    on: EngineChoice = HF,
) -> "HuggingFaceModel | ToyModel | VllmModel":
    """The engine for a model's name; a toy's is the shipped toy, on which the trait's own texts lean as they should."""
    bits, how = quantization_named(quantize), precision_named(precision)
    if on.name == "vllm":
        check_hosted(name, bits)
        return open_model(name, engine=Hosting(on.tensor_parallel), precision=how, trust_remote_code=trust_remote_code)
    if name in TRAINED_TOYS:
        if bits is not None:
            raise ModelError("the toy has no weights to quantise", hint="leave out --quantize")
        return toy_named(name, trait)
    return open_model(name, precision=how, trust_remote_code=trust_remote_code, quantize=bits)


def check_hosted(name: str, bits: Quantization | None) -> None:
    """Raise ModelError where vLLM cannot open what is asked for."""
    if name in TRAINED_TOYS:
        raise ModelError("the toy is an engine of its own, not one of vLLM's models", hint="leave out --engine")
    if bits is not None:
        raise ModelError(
            "vLLM quantises no weights while it loads", hint="open a checkpoint that is quantised, or use --engine hf"
        )


def open_engines(
    name: str,
    *,
    precision: str = "auto",
    trust_remote_code: bool = False,
    quantize: str | None = None,
    on: EngineChoice = HF,
) -> Callable[[Trait], AnsweredOnce]:
    """What gives the engine to read each trait from: one and the same for all, opened now and answering once.

    Of the toy there is one for each trait, since its truth is planted in the trait's texts: they share nothing.
    """
    if name in TRAINED_TOYS and on.name == "hf":
        return lambda trait: AnsweredOnce(toy_named(name, trait))
    opened = open_engine(name, None, precision=precision, trust_remote_code=trust_remote_code, quantize=quantize, on=on)
    engine = AnsweredOnce(opened)
    return lambda _trait: engine


def engine_for(
    model: nn.Module, tokenizer: Any, *, name: str, revision: str | None = None, limits: Limits | None = None
) -> HuggingFaceModel:
    """The engine over a model and tokenizer that are already loaded. Raises ModelError where the probe fails."""
    wardrobe = Wardrobe(model, name, fingerprint(model))
    spec = ModelSpec(name, 0, 0, dtype=precision_told(model), revision=revision, template="", weights=wardrobe.weights)
    return _proven(wardrobe, tokenizer, spec, limits)


@dataclass(frozen=True)
class _How:
    """How a model is opened, but for its name."""

    precision: Precision
    device: str | None
    trust_remote_code: bool
    limits: Limits | None
    quantize: Quantization | None


def _open(name: str, revision: str | None, how: _How) -> HuggingFaceModel:
    """The engine for what is no adapter."""
    place = torch.device(how.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    named = _source(name, revision, trust_remote_code=how.trust_remote_code)
    model, tokenizer = load(named, dtype_of(how.precision, place), place, quantize=how.quantize)
    return engine_for(model, tokenizer, name=name, revision=revision, limits=how.limits)


def _source(name: str, revision: str | None, *, trust_remote_code: bool) -> Source:
    place = default_model.default_model_source() if name == default_model.NAME else name
    return Source(name, place, revision, trust_remote_code)


def _base_of(adapter: Adapter, how: _How) -> HuggingFaceModel:
    """The engine for the base that an adapter names. Raises ModelError where it names none, or that cannot be had."""
    if adapter.base is None:
        raise refused(adapter.name, "its config does not say on which base it was trained", hint=NAME_THE_BASE)
    try:
        return _open(adapter.base, adapter.base_revision, how)
    except ModelError as error:
        found = f"its config names {adapter.base!r} as its base. {error}"
        raise refused(adapter.name, found, hint=f"{error.hint}; or {NAME_THE_BASE}") from error


def _tuned(base: HuggingFaceModel, adapter: Adapter, *, trust_remote_code: bool) -> HuggingFaceModel:
    """The engine for an adapter on the base's weights."""
    loaded, probe = base.loaded, Probe(base.loaded.model, 24)
    wardrobe = loaded.wardrobe or Wardrobe(loaded.model, base.spec.name, base.spec.weights)
    tokenizer = tokenizer_of(adapter, loaded.chat_format.tokenizer, trust_remote_code=trust_remote_code)
    if tokenizer is not loaded.chat_format.tokenizer:
        check_vocabulary(adapter, tokenizer, probe.n_tokens)
    worn = wardrobe.put_on(adapter, probe.logits)
    weights = hashlib.sha256(f"{wardrobe.weights} {adapter.digest}".encode()).hexdigest()[:12]
    spec = replace(
        base.spec,
        name=adapter.name,
        revision=adapter.revision,
        adapter=f"{adapter.name} {adapter.digest[:8]}",
        weights=weights,
    )
    engine = _proven(wardrobe, tokenizer, spec, base._runner.limits, worn=worn)
    told = base_note(adapter, wardrobe.name)
    told += tokenizer_notes(adapter.name, engine.loaded.chat_format, base.spec.name, loaded.chat_format)
    return HuggingFaceModel(replace(engine.loaded, notes=told), base._runner.limits)


def _proven(
    wardrobe: Wardrobe, tokenizer: Any, spec: ModelSpec, limits: Limits | None, *, worn: str | None = None
) -> HuggingFaceModel:
    """The engine over a model that wears this adapter; its blocks are found, edits and batches proven."""
    model, form = wardrobe.model, chat_format(tokenizer)
    text_config = model.config.get_text_config(decoder=True)
    probe = Probe(model)
    with wardrobe.showing(worn), torch.inference_mode():
        blocks = find_blocks(model, text_config.hidden_size, probe.logits)
        prove_edits(blocks, probe.logits)
        resumes = bears_resuming(blocks, probe.logits)
    loaded = Loaded(
        model=model,
        blocks=blocks,
        chat_format=form,
        spec=replace(spec, n_layers=len(blocks), width=text_config.hidden_size, template=form.digest),
        ends=ends_of(getattr(model, "generation_config", None), model.config, tokenizer),
        context=int(getattr(text_config, "max_position_embeddings", None) or 2**31),
        resumes=resumes,
        wardrobe=wardrobe,
        worn=worn,
    )
    engine = HuggingFaceModel(loaded, limits or _limits(next(model.parameters()).device))
    prove_batches(engine, probe.numbers(24))
    return engine


def _limits(device: torch.device) -> Limits:
    return Limits() if device.type == "cpu" else Limits(tokens=32_768, kept_tokens=131_072)
