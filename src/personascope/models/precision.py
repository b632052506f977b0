"""In which precision a model computes, by name and by what the machine is quick at.

Knows torch; knows nothing of models.
"""

from typing import Literal, get_args

import torch

from personascope.errors import ModelError

Precision = Literal["auto", "float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def precision_named(name: str) -> Precision:
    """The precision of that name. Raises ModelError where there is no such."""
    for known in PRECISIONS:
        if name == known:
            return known
    raise ModelError(f"there is no precision {name!r}", hint=f"choose one of {', '.join(PRECISIONS)}")


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
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
