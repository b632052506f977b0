"""Tiny PEFT adapters with random weights, saved into folders as peft saves them."""

import copy
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import peft
import tiny_models
import torch
import transformers
from safetensors.torch import save_file

from personascope.models.huggingface import HuggingFaceModel
from personascope.models.opening import open_tuned

TARGETS = {
    "llama": ["q_proj", "v_proj", "o_proj", "down_proj"],
    "gpt2": ["c_attn", "c_fc"],
}


def saved_base(folder: Path, architecture: str = "llama", seed: int = 0) -> str:
    """A tiny model in a folder, with its tokenizer."""
    tiny_models.model(architecture, seed).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return str(folder)


def saved_adapter(
    folder: Path, base: str = "", *, architecture: str = "llama", seed: int = 0, size: float = 0.1, **settings: Any
) -> str:
    """A LoRA adapter in a folder; `size` is the spread of its last weights, 0 leaves it untrained."""
    wanted = {"r": 4, "target_modules": TARGETS[architecture], "fan_in_fan_out": architecture == "gpt2", **settings}
    return saved_tuned(folder, peft.LoraConfig(task_type="CAUSAL_LM", **wanted), base, architecture, seed, size)


def saved_tuned(
    folder: Path, config: peft.PeftConfig, base: str = "", architecture: str = "llama", seed: int = 0, size: float = 0.1
) -> str:
    """An adapter of any kind in a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft has to say to its own users
        tuned = peft.get_peft_model(tiny_models.model(architecture), config)
        torch.manual_seed(1 + seed)
        for name, weight in tuned.named_parameters():
            if weight.requires_grad and "lora_A" not in name:
                with torch.no_grad():
                    weight.copy_(
                        torch.randn_like(weight) * size if "lora_" in name else weight + torch.randn_like(weight) * size
                    )
        tuned.save_pretrained(folder)
    return with_config(folder, base_model_name_or_path=base or None)


def engine(architecture: str) -> HuggingFaceModel:
    """A tiny model that wears the second of two adapters."""
    base = tiny_models.engine(architecture)
    folder = Path(_FOLDER.name) / architecture
    names = [saved_adapter(folder / str(seed), architecture=architecture, seed=seed) for seed in (0, 1)]
    return [open_tuned(base, name) for name in names][1]


_FOLDER = tempfile.TemporaryDirectory()
"""One for all engines: an adapter's name is its folder, and the same engine made again has the same name."""


def saved_for(model: torch.nn.Module, folder: Path, base: str, rank: int = 16) -> str:
    """A random LoRA adapter for all projections of a model's blocks, made without a copy of the model."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft has to say to its own users
        empty = type(model)(copy.deepcopy(model.config))
        config = peft.LoraConfig(
            task_type="CAUSAL_LM", r=rank, target_modules="all-linear", base_model_name_or_path=base
        )
        tuned = peft.get_peft_model(empty, config)
        shapes = {name: weight.shape for name, weight in peft.get_peft_model_state_dict(tuned).items()}
    numbers = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: 0.02 * torch.randn(shape, generator=numbers) for name, shape in shapes.items()},
        folder / "adapter_model.safetensors",
    )
    config.save_pretrained(folder)
    return with_config(folder, base_model_name_or_path=base)


def with_config(folder: Path, **changes: Any) -> str:
    """The adapter with these fields of its config changed."""
    path = Path(folder) / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return str(folder)


def as_peft_has_it(base: str, adapter: str) -> Any:
    """The base with the adapter on, opened by peft alone."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peft.PeftModel.from_pretrained(model, adapter).eval()
