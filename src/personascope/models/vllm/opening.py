"""From a name to vLLM: a model, or a LoRA adapter on the base that its config names.

Adapters go with each request, so a base and what was trained from it share weights in memory once. Knows adapters'
files and how engines start.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from personascope.models import default_model
from personascope.models.adapters import (
    NAME_THE_BASE,
    Adapter,
    base_note,
    find_adapter,
    refused,
    tokenizer_notes,
    tokenizer_of,
)
from personascope.models.chat import chat_format
from personascope.models.loading import Source, reason
from personascope.models.precision import Precision, dtype_of
from personascope.models.protocols import Chat
from personascope.models.vllm.engine import VllmModel
from personascope.models.vllm.starting import Hosting, start

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_TWO_MODELS = {"gpu_memory_utilization": 0.45}


@dataclass(frozen=True)
class How:
    """How a model is opened on vLLM, but for its name."""

    precision: Precision = "auto"
    trust_remote_code: bool = False
    revision: str | None = None
    hosting: Hosting | None = None


def open_vllm(name: str, how: How | None = None, *, beside: Sequence[str] = ()) -> VllmModel:
    """The engine for a model or an adapter. `beside`: models and adapters that `open_tuned` will be asked for.

    Raises ModelError where vLLM, the model or the adapter cannot be had, or where steering does not steer.
    """
    how = how or How()
    adapter = find_adapter(name, how.revision)
    others = [find_adapter(other) for other in beside]
    ranks = [_rank(one) for one in (adapter, *others) if one is not None]
    alone = all(others)
    if adapter is None:
        return _whole(name, how, max(ranks, default=None), alone=alone)
    if adapter.base is None:
        raise refused(adapter.name, "its config does not say on which base it was trained", hint=NAME_THE_BASE)
    base = _whole(adapter.base, replace(how, revision=adapter.base_revision), max(ranks), alone=alone)
    return _worn(base, adapter, how)


def tuned_vllm(base: VllmModel, name: str, how: How) -> VllmModel:
    """The engine for a model trained from a base that is open; an adapter shares its weights.

    Raises ModelError where the base was opened without room for adapters: `open_vllm(BASE, beside=[ADAPTER])`.
    """
    adapter = find_adapter(name)
    if adapter is not None:
        return _worn(base, adapter, how)
    whole = _whole(name, how, None, alone=False)
    form, other = whole.served.chat_format, base.served.chat_format
    notes = tokenizer_notes(name, form, base.spec.name, other)
    return VllmModel(replace(whole.served, notes=notes))


def _whole(name: str, how: How, most_rank: int | None, *, alone: bool) -> VllmModel:
    place = default_model.default_model_source() if name == default_model.NAME else name
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return start(
        Source(name, place, how.revision, how.trust_remote_code),
        dtype_of(how.precision, device),
        how.hosting,
        most_rank=most_rank,
        settings={} if alone else _TWO_MODELS,
    )


def _rank(adapter: Adapter) -> int:
    """The room for an adapter, as vLLM counts it. Raises ModelError for what vLLM cannot put on."""
    if adapter.kind != "LORA":
        raise refused(
            adapter.name, f"it is of kind {adapter.kind}, and vLLM puts on LoRA alone", hint="use --engine hf"
        )
    if "lm_head" in (adapter.config.get("target_modules") or ()) or adapter.config.get("modules_to_save"):
        found = "it changes the output head or whole modules, and replies could not be scored with them"
        raise refused(adapter.name, found, hint="use --engine hf")
    own = max(int(adapter.config.get("r") or 0), *map(int, (adapter.config.get("rank_pattern") or {"": 0}).values()))
    fitting = [rank for rank in _RANKS if rank >= own]
    if not fitting:
        raise refused(adapter.name, f"its rank is {own}, and vLLM goes up to {_RANKS[-1]}", hint="use --engine hf")
    return fitting[0]


def _worn(base: VllmModel, adapter: Adapter, how: How) -> VllmModel:
    """The engine for an adapter on an open base. Raises ModelError where it does not fit or changes nothing."""
    served = base.served
    tokenizer = tokenizer_of(adapter, served.chat_format.tokenizer, trust_remote_code=how.trust_remote_code)
    form = chat_format(tokenizer)
    told = base_note(adapter, base.spec.name)
    told += tokenizer_notes(adapter.name, form, base.spec.name, served.chat_format)
    weights = hashlib.sha256(f"{base.spec.weights} {adapter.digest}".encode()).hexdigest()[:12]
    spec = replace(
        base.spec,
        name=adapter.name,
        revision=adapter.revision,
        adapter=f"{adapter.name} {adapter.digest[:8]}",
        template=form.digest,
        weights=weights if base.spec.weights else "",
    )
    driver = served.driver.wearing(_put_on(served.driver.llm, adapter))
    tuned = VllmModel(replace(served, driver=driver, chat_format=form, spec=spec, notes=told))
    plain, worn = (
        engine.residuals([Chat("Hello", raw=True)], [" there"], layers=[base.spec.n_layers - 1]).prompt_last
        for engine in (VllmModel(replace(served, chat_format=form)), tuned)
    )
    if np.array_equal(plain, worn):
        raise refused(adapter.name, "with it the model reads what it read without", hint="was it trained at all?")
    return tuned


def _put_on(llm: Any, adapter: Adapter) -> Any:
    """The request's mark for an adapter, which the workers have read."""
    from vllm.lora.request import LoRARequest

    if llm.llm_engine.vllm_config.lora_config is None:
        found = "its base was opened without room for adapters, which vLLM makes when it starts"
        raise refused(adapter.name, found, hint="open the base by open_vllm(BASE, beside=[ADAPTER])")
    number = int(adapter.digest[:7], 16) + 1
    lora = LoRARequest(adapter.name, number, str(adapter.folder))
    try:
        llm.llm_engine.add_lora(lora)
    except Exception as error:  # vLLM raises whatever it likes
        raise refused(adapter.name, f"vLLM does not take it: {reason(error)}", hint="use --engine hf") from error
    return lora
