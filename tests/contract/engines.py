"""The engines that the contract suite is run over, by name; each opens in a moment and needs no network.

An engine to be added has at least 3 layers, computes in float32, and its tokenizer reads every reply back as the tokens
it was made of (else a reply captured while generating is not the reply that is read afterwards).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tiny_adapters
import tiny_models
import tiny_vllm

from personascope.models.engine_choice import has_vllm
from personascope.models.protocols import Engine
from personascope.models.running import Limits
from personascope.models.toy import Planted, ToyModel


def toy_engines() -> dict[str, Callable[[], Engine]]:
    """Exact ones: whatever the batch, the numbers are the same to the last bit."""
    return {
        "toy": ToyModel,
        "toy-small": lambda: ToyModel(Planted(n_layers=3, width=8, layer=1), seed=5),
    }


def huggingface_engines() -> dict[str, Callable[[], Engine]]:
    """Tiny random models of each architecture, in float32; batches change their numbers by rounding only."""
    every = {f"hf-{name}": partial(tiny_models.engine, name) for name in tiny_models.CONFIGS}
    few_at_once = partial(tiny_models.engine, "llama", limits=Limits(tokens=200, rows=2, kept_tokens=300))
    return every | {"hf-base": partial(tiny_models.engine, "llama", template=None), "hf-few-at-once": few_at_once}


def adapter_engines() -> dict[str, Callable[[], Engine]]:
    """Tiny models that wear an adapter, over weights that another adapter and the base's own engine share."""
    return {f"hf-{name}-lora": partial(tiny_adapters.engine, name) for name in tiny_adapters.TARGETS}


def vllm_engines() -> dict[str, Callable[[], Engine]]:
    """Tiny models on real vLLM, where that is installed (`make test-vllm`)."""
    if not has_vllm():
        return {}
    return {f"vllm-{name}": partial(tiny_vllm.engine, name) for name in tiny_vllm.CONFIGS}


ENGINES: dict[str, Callable[[], Engine]] = toy_engines() | huggingface_engines() | adapter_engines() | vllm_engines()

RELATIVE_TOLERANCE: dict[str, float] = dict.fromkeys(ENGINES, 1e-4) | dict.fromkeys(toy_engines(), 0.0)
"""How far two readings of one text may lie apart, as a share of the length of the row's residual at that layer."""


def hooks_on(engine: Engine) -> int:
    """How many hooks and replaced methods the engine's torch modules carry now; 0 for an engine without any."""
    loaded = getattr(engine, "_loaded", None)
    if loaded is None:
        return 0
    modules = list(loaded.model.modules())
    replaced = sum("forward" in vars(module) for module in modules)
    return replaced + sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules)


def streams_into(engine: Engine, layer: int, ask: Callable[[], object]) -> list[np.ndarray] | None:
    """What block `layer` is given in each pass while `ask` runs, [row token width]; None without torch modules."""
    loaded = getattr(engine, "_loaded", None)
    if loaded is None:
        return None
    seen: list[np.ndarray] = []

    def keep(_block: object, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
        seen.append((args[0] if args else settings["hidden_states"]).detach().double().numpy().copy())

    handle = loaded.blocks[layer].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        ask()
    finally:
        handle.remove()
    return seen
