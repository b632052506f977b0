"""vLLM's own OpenAI server with our worker in it: what it is started with, by public options alone.

Vectors do not travel with requests and cannot be sent later: the worker's bank is filled from a file, its stock.

Knows vLLM's options and the files of a model; starts nothing and knows no personas.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from safetensors.numpy import save_file

from personascope.models import default_model
from personascope.models.chat import ChatFormat, chat_format
from personascope.models.loading import Source
from personascope.models.precision import Precision, dtype_of
from personascope.models.protocols import ModelSpec
from personascope.models.vllm.starting import Hosting, files_of, room_for, weights_on_disk
from personascope.models.vllm.wire import CAPACITY, STOCK, Capacity

_PACKAGE = "personascope.models.vllm"
_AS_IT_IS = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""How a reply is drawn where a request does not say: from the model's own distribution, as everywhere here."""


@dataclass(frozen=True)
class Hosted:
    """A model that vLLM's server is to serve: its files, what it is, and how chats are put to it."""

    folder: str
    spec: ModelSpec
    chat_format: ChatFormat
    context: int
    room: float
    """GiB of keys and values that one text of the whole context takes."""
    trust_remote_code: bool


def hosted(name: str, precision: Precision, hosting: Hosting, *, trust_remote_code: bool) -> Hosted:
    """What is to be known of a model before a server of it starts. Raises ModelError where it cannot be had."""
    place = default_model.default_model_source() if name == default_model.NAME else name
    source = Source(name, place, None, trust_remote_code)
    dtype = dtype_of(precision, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    folder, config, tokenizer = files_of(source)
    text, form = config.get_text_config(decoder=True), chat_format(tokenizer)
    context = min(int(getattr(text, "max_position_embeddings", None) or 2**31), hosting.longest)
    spec = ModelSpec(
        name,
        int(text.num_hidden_layers),
        int(text.hidden_size),
        dtype=str(dtype).removeprefix("torch."),
        template=form.digest,
        weights=weights_on_disk(folder, config, dtype),
    )
    return Hosted(folder, spec, form, context, room_for(text, context + 256, dtype), trust_remote_code)


def capacity_for(spec: ModelSpec, n_vectors: int, hosting: Hosting) -> Capacity:
    """Buffers of a server: nothing is read, and its bank holds the stock."""
    return Capacity(spec.n_layers, spec.width, n_vectors, hosting.edits, hosting.conditions, 0, 0)


def write_stock(path: Path, vectors: Float32[np.ndarray, "row width"]) -> None:
    """Put what the bank shall hold in a file."""
    save_file({"vectors": np.ascontiguousarray(vectors)}, path)


def command(one: Hosted, capacity: Capacity, stock: Path, hosting: Hosting, more: Mapping[str, object]) -> list[str]:
    """The command that starts the server. `more`: further options by name, such as host, port and middleware."""
    on_gpu = torch.cuda.is_available()
    compiled = on_gpu if hosting.compiled is None else hosting.compiled
    buffers = {
        name: amount for name, amount in asdict(capacity).items() if name not in ("n_layers", "width")
    } | {STOCK: str(stock)}  # fmt: skip
    gib = hosting.memory_gib if hosting.memory_gib is not None or on_gpu else max(1.0, one.room)
    options = {
        "model": one.folder,
        "served-model-name": one.spec.name,
        "dtype": one.spec.dtype,
        "config-format": "hf",
        "max-model-len": one.context,
        "tensor-parallel-size": hosting.tensor_parallel,
        "override-generation-config": json.dumps(_AS_IT_IS),
        "worker-cls": f"{_PACKAGE}.worker.PersonaWorker",
        "logits-processors": f"{_PACKAGE}.admission:Admission",
        "additional-config": json.dumps({"personascope": buffers}),
        **({} if gib is None else {"kv-cache-memory-bytes": int(gib * 2**30)}),
        **more,
    }
    flags = ["--trust-remote-code"] * one.trust_remote_code + ["--enforce-eager"] * (not compiled)
    told = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *told, *flags]


def environment(capacity: Capacity, hosting: Hosting) -> dict[str, str]:
    """What the server reads from its environment beside that."""
    unbound = {"VLLM_CPU_OMP_THREADS_BIND": "nobind"} if hosting.tensor_parallel > 1 else {}
    return {CAPACITY: json.dumps(asdict(capacity)), "VLLM_NO_USAGE_STATS": "1"} | unbound
