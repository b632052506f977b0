"""Which engine runs a model, as a user chooses it.

Knows names alone, so that mistakes show before torch is imported.
"""

import importlib.util
from dataclasses import dataclass
from typing import Literal, get_args

from personascope.errors import ModelError, UserError

EngineName = Literal["hf", "vllm"]
ENGINE_NAMES: tuple[EngineName, ...] = get_args(EngineName)


@dataclass(frozen=True)
class EngineChoice:
    """`hf`, the reference, or `vllm`, with the weights spread over so many devices."""

    name: EngineName = "hf"
    tensor_parallel: int = 1


HF = EngineChoice()
VLLM = EngineChoice("vllm")


def engine_chosen(name: str, tensor_parallel: int = 1) -> EngineChoice:
    """The engine of that name. Raises UserError where there is none, ModelError where vLLM is not installed."""
    known = {one: one for one in ENGINE_NAMES}.get(name)  # type: ignore[call-overload]
    if known is None:
        raise UserError(f"there is no engine {name!r}", hint=f"choose one of {', '.join(ENGINE_NAMES)}")
    if known == "hf" and tensor_parallel != 1:
        raise UserError("the Hugging Face engine has no --tensor-parallel", hint="add --engine vllm, or leave it out")
    if known == "vllm":
        check_available()
    return EngineChoice(known, tensor_parallel)


def has_vllm() -> bool:
    """Whether vLLM is installed; a mere folder of that name, as a clone of its source, is not it."""
    found = importlib.util.find_spec("vllm")
    return found is not None and found.origin is not None


def check_available() -> None:
    """Raise ModelError where vLLM is not installed."""
    if not has_vllm():
        raise ModelError(
            "vLLM is not installed",
            hint="install personascope[vllm] in an environment of its own (docs/scale.md says how), or use --engine hf",
        )


def refuse_gradients(choice: EngineChoice, what: str) -> None:
    """Raise ModelError where `what` would be asked of an engine without gradients."""
    if choice.name == "vllm":
        raise no_gradients(what)


def no_gradients(what: str) -> ModelError:
    """The error for what needs gradients."""
    return ModelError(
        f"{what} needs gradients, and vLLM has none", hint="use the Hugging Face engine for it: --engine hf"
    )
