"""Weights in 8 or 4 bits: what transformers must be told, and how far such weights round.

Knows bitsandbytes by name only; nothing of it is imported unless weights are to be quantised.
"""

import importlib.util
import logging
from typing import Any, Literal, get_args

import torch

from personascope.errors import ModelError

Quantization = Literal["8bit", "4bit"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

_PACKAGES = ("bitsandbytes", "accelerate")
_TALKS_WHILE_RUNNING = "bitsandbytes.autograd._functions"
_BLOCK, _TILE = 64, 32
"""Weights that share a scale; outputs that its kernel for bfloat16 makes at once."""
_TALKS_OF_KERNELS = "bitsandbytes.backends.cpu.ops"


def quantized_loading(quantize: Quantization | None, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Settings of `from_pretrained` for weights in so many bits, computing in `dtype`; none for None.

    8-bit keeps outlying activations (above 6) in 16 bits, as published (LLM.int8, Dettmers et al. 2022): without, the
    default model's KL from float32 is 0.08 nats a token instead of 0.035. 4-bit is NF4 (QLoRA, 2023).
    Raises ModelError where the packages are missing.
    """
    if quantize is None:
        return {}
    quantization_named(quantize)
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise ModelError(
            f"weights in {quantize} need {' and '.join(missing)}", hint="pip install 'personascope[quantize]'"
        )
    from transformers import BitsAndBytesConfig

    for talks in (_TALKS_WHILE_RUNNING, _TALKS_OF_KERNELS):
        logging.getLogger(talks).setLevel(logging.ERROR)
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if quantize == "8bit"
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    )
    return {"quantization_config": config, "device_map": {"": device}}


def compute_in(model: Any, dtype: torch.dtype) -> None:
    """Let layers of 4-bit weights compute in `dtype` on a processor with instructions for bfloat16, too.

    There bitsandbytes 0.50 takes bfloat16 whatever was asked for, and unpacks a layer wrongly whose inputs are no
    multiple of the block that shares a scale (measured: 0.37 of the weights' norm away, instead of 0.09).
    Raises ModelError for a model with such a layer.
    """
    for layer in model.modules():
        if not getattr(layer, "support_avx512bf16_for_cpu", False) or layer.weight.device.type != "cpu":
            continue
        if layer.in_features % _BLOCK:
            raise ModelError(
                f"4-bit weights of {layer.in_features} inputs, no multiple of {_BLOCK}, are read wrongly here",
                hint="on this processor use --quantize 8bit",
            )
        layer.support_avx512bf16_for_cpu = dtype == torch.bfloat16 and layer.out_features % _TILE == 0


def quantization_named(name: str | None) -> Quantization | None:
    """The quantisation of that name; None for none. Raises ModelError where there is no such."""
    if name is None:
        return None
    for known in QUANTIZATIONS:
        if name == known:
            return known
    raise ModelError(f"there is no quantisation {name!r}", hint=f"choose one of {', '.join(QUANTIZATIONS)}")


def precision_told(model: Any) -> str:
    """How a model's numbers are kept: float32, or of quantised weights 8bit-float32 (the second is computed in)."""
    dtype = next(weight.dtype for weight in model.parameters() if weight.dtype.is_floating_point)
    told = str(dtype).removeprefix("torch.")
    for bits in QUANTIZATIONS:
        if getattr(model, f"is_loaded_in_{bits}", False):
            return f"{bits}-{told}"
    return told


def is_quantized(dtype: str) -> bool:
    """Whether a precision, as a model's spec tells it, is one of quantised weights."""
    return dtype.partition("-")[0] in QUANTIZATIONS
