"""From a model's name to vLLM with our worker in it: settings, buffers, the names of its layers, and the self-test.

Knows vLLM's public `LLM` and the files of a model; knows nothing of what is asked of it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from personascope.errors import ModelError
from personascope.models.chat import chat_format
from personascope.models.engine_choice import check_available
from personascope.models.loading import Source, check_folder, ends_of, hub_answers, not_opened, quiet, reason
from personascope.models.probing import fingerprint
from personascope.models.protocols import ModelSpec
from personascope.models.vllm.driving import Driver
from personascope.models.vllm.engine import Served, VllmModel
from personascope.models.vllm.self_test import prove_steering
from personascope.models.vllm.wire import Capacity
from personascope.models.vllm.wiring import Bank

_PACKAGE = "personascope.models.vllm"
_STARTED: list[Any] = []
"""Held until the process ends: an engine that is collected takes down what all engines of the process share."""
_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_NOT_OURS = ["original/*", "consolidated*", "params.json"]
"""The same weights once more, in their maker's own layout."""


@dataclass(frozen=True)
class Hosting:
    """How vLLM hosts a model. Buffers are laid out once, when it starts.

    `vectors` that rows in work may be steered by, `edits` of one row at one layer, `conditions` of one row; `reads`:
    whether residuals and scores can be asked for. `longest` text in tokens. `memory_gib` for keys and values; of a GPU
    nine tenths are taken if it is None. `compiled`: None compiles on a GPU, and starts at once elsewhere.
    """

    tensor_parallel: int = 1
    vectors: int = 1024
    edits: int = 4
    conditions: int = 2
    reads: bool = True
    longest: int = 8192
    memory_gib: float | None = None
    compiled: bool | None = None


def start(
    source: Source,
    dtype: torch.dtype,
    hosting: Hosting | None = None,
    *,
    most_rank: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> VllmModel:
    """The engine for a model. With `most_rank` adapters up to it can be put on. `settings`: vLLM's own, over ours.

    Raises ModelError where vLLM or the model cannot be had, or where steering does not steer.
    """
    check_available()
    hosting = hosting or Hosting()
    folder, config, tokenizer = files_of(source)
    text = config.get_text_config(decoder=True)
    context = min(int(getattr(text, "max_position_embeddings", None) or 2**31), hosting.longest)
    room = room_for(text, context + 256, dtype)
    asked = _settings(folder, source, dtype, hosting, context, room) | _lora(most_rank) | dict(settings or {})
    llm = _started(source.name, asked, hosting)
    form = chat_format(tokenizer)
    capacity = Capacity(**llm.collective_rpc("personascope_capacity")[0])
    spec = ModelSpec(
        source.name,
        capacity.n_layers,
        capacity.width,
        dtype=str(dtype).removeprefix("torch."),
        revision=source.revision,
        template=form.digest,
        weights=weights_on_disk(folder, config, dtype),
    )
    ends = ends_of(_generation(folder), config, tokenizer)
    driver = Driver(llm, ends, capacity)
    bank = Bank(capacity, driver.put)
    ids = [(7 + 31 * at) % int(text.vocab_size) for at in range(24)]
    prove_steering(driver, bank, capacity, ids, exact=dtype == torch.float32)
    return VllmModel(Served(driver, bank, capacity, form, spec, ends, context))


def files_of(source: Source) -> tuple[str, Any, Any]:
    """Where the model's files are, its config and its tokenizer. Raises ModelError where they cannot be had."""
    folder = _folder(source)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=source.trust_remote_code)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=source.trust_remote_code)
    except Exception as error:  # these libraries raise whatever they like
        raise not_opened(source.name, reason(error)) from error
    return folder, config, tokenizer


def _folder(source: Source) -> str:
    """Where the model's files are; fetched from the Hub if need be."""
    check_folder(source.name)
    if Path(source.place).is_dir():
        return source.place
    try:
        with quiet():
            return huggingface_hub.snapshot_download(
                source.place,
                revision=source.revision,
                allow_patterns=[*_FILES, "*.py"] if source.trust_remote_code else _FILES,
                ignore_patterns=_NOT_OURS,
                local_files_only=not hub_answers(),
            )
    except Exception as error:  # the Hub's library raises whatever it likes
        raise not_opened(source.name, reason(error)) from error


def _settings(
    folder: str, source: Source, dtype: torch.dtype, hosting: Hosting, context: int, room: float
) -> dict[str, Any]:
    """What vLLM is started with. `room`: GiB of keys and values that one text of the whole context takes."""
    on_gpu = torch.cuda.is_available()
    compiled = on_gpu if hosting.compiled is None else hosting.compiled
    finals = max(8192, 2 * context) if hosting.reads else 0
    buffers = {
        "vectors": hosting.vectors,
        "edits": hosting.edits,
        "conditions": hosting.conditions,
        "pools": 256 if hosting.reads else 0,
        "finals": finals,
    }
    gib = hosting.memory_gib if hosting.memory_gib is not None or on_gpu else max(1.0, room)
    return {
        "model": folder,
        "dtype": str(dtype).removeprefix("torch."),
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "config_format": "hf",
        "trust_remote_code": source.trust_remote_code,
        "max_model_len": context,
        "tensor_parallel_size": hosting.tensor_parallel,
        "kv_cache_memory_bytes": None if gib is None else int(gib * 2**30),
        "enforce_eager": not compiled,
        "enable_prefix_caching": True,
        "worker_cls": f"{_PACKAGE}.worker.PersonaWorker",
        "logits_processors": [f"{_PACKAGE}.admission:Admission"],
        "additional_config": {"personascope": buffers},
        "disable_log_stats": True,
    }


def room_for(text: Any, n_tokens: int, dtype: torch.dtype) -> float:
    """GiB that keys and values of so many tokens take; vLLM does not start without room for one whole text."""
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return float(2 * text.num_hidden_layers * heads * width * dtype.itemsize * n_tokens / 2**30)


def _lora(most_rank: int | None) -> dict[str, Any]:
    return {} if most_rank is None else {"enable_lora": True, "max_lora_rank": most_rank, "max_loras": 1}


def _started(name: str, asked: dict[str, Any], hosting: Hosting) -> Any:
    """The `LLM` of vLLM. What it reads from the environment is set unless it is set already."""
    quiet_ones = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    # In this process one start takes seconds and both cores compute; several workers need processes of their own.
    alone = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0" if hosting.tensor_parallel == 1 else "1"}
    # Without a count of threads of its own, vLLM's worker in this process falls back to one.
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    # On a processor vLLM would bind each worker to a memory node of its own, and refuse more workers than nodes.
    unbound = {"VLLM_CPU_OMP_THREADS_BIND": "nobind"} if hosting.tensor_parallel > 1 else {}
    for variable, value in (quiet_ones | alone | threads | unbound).items():
        os.environ.setdefault(variable, value)
    try:
        from vllm import LLM

        _STARTED.append(LLM(**asked))
        return _STARTED[-1]
    except ModelError:
        raise
    except Exception as error:  # vLLM raises whatever it likes
        raise ModelError(
            f"vLLM could not open {name!r}: {reason(error)}",
            hint="use --engine hf, or see what vLLM says with VLLM_LOGGING_LEVEL=INFO",
        ) from error


def _generation(folder: str) -> Any:
    """The model's settings for writing, None if it has none."""
    try:
        return GenerationConfig.from_pretrained(folder)
    except OSError:
        return None


def weights_on_disk(folder: str, config: Any, dtype: torch.dtype) -> str:
    """The same short hash as of a model that transformers has loaded; "" where the files' names are not the model's."""
    files = {key: file for file in sorted(Path(folder).glob("*.safetensors")) for key in _keys(file)}
    try:
        with quiet(), torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config)
        return fingerprint(_OnDisk(files, [name for name, _ in empty.named_parameters()], dtype))
    except Exception:  # noqa: BLE001 - of a model that cannot be told by its files nothing is claimed
        return ""


def _keys(file: Path) -> list[str]:
    with safe_open(file, "pt") as tensors:
        return list(tensors.keys())


class _OnDisk:
    """The named parameters of a model, read one by one from its files."""

    def __init__(self, files: Mapping[str, Path], names: list[str], dtype: torch.dtype) -> None:
        self._files, self._names, self._dtype = files, names, dtype

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names and values. Raises KeyError for one that is in no file."""
        for name in self._names:
            with safe_open(self._files[name], "pt") as tensors:
                yield name, tensors.get_tensor(name).to(self._dtype)
