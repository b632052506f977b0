"""Tiny random models that vLLM can run: heads as wide as its attention kernels want them."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import tiny_models
import torch
import transformers

CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**tiny_models._LLAMA, head_dim=32),
    "qwen3": lambda: transformers.Qwen3Config(**tiny_models._LLAMA, head_dim=32),
    "gemma2": lambda: transformers.Gemma2Config(**tiny_models._GEMMA | {"head_dim": 32, "query_pre_attn_scalar": 32}),
}


@cache
def folder(architecture: str) -> str:
    """Where such a model lies, with its tokenizer, in float32."""
    made = Path(tempfile.mkdtemp(prefix="personascope-tiny-")) / f"tiny-{architecture}"
    atexit.register(shutil.rmtree, made.parent, ignore_errors=True)
    model = tiny_models.filled(CONFIGS[architecture](), seed=0)
    model.save_pretrained(made)
    tiny_models.tokenizer().save_pretrained(made)
    return str(made)


def engine(architecture: str, **settings):
    """The engine for it; `settings` are vLLM's own."""
    from personascope.models.loading import Source
    from personascope.models.vllm.starting import Hosting, start

    place, hosting = folder(architecture), settings.pop("hosting", Hosting(memory_gib=0.125))
    return start(Source(f"tiny-{architecture}", place), torch.float32, hosting, settings=settings)
