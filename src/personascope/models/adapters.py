"""PEFT adapters by name: whether a name is one, of which base, its weights and its tokenizer.

A folder with `adapter_config.json`, or a repository of the Hub that holds one. Pickled weights are refused.
Knows the Hub and safetensors; what an adapter does to a model is `wearing`'s.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoTokenizer

from personascope.errors import ModelError
from personascope.models import default_model, loading
from personascope.models.chat import ChatFormat

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
_WANTED = [
    CONFIG,
    WEIGHTS,
    "tokenizer*",
    "*.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges*",
]
_OF_ITS_FILE_ONLY = ("base_model_name_or_path", "revision", "peft_version", "inference_mode", "auto_mapping")
"""Fields of the config that do not change what the adapter does."""

MERGE = "merge it into its base (peft's merge_and_unload), save that with its tokenizer, and give the folder"
NAME_THE_BASE = "name the base yourself: `compare BASE ADAPTER`, or in Python open_tuned(open_model(BASE), ADAPTER)"


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter's files: its name as the user gave it, the folder they lie in, and its config."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    revision: str | None = None

    @property
    def kind(self) -> str:
        """LORA, IA3 and the like."""
        return str(self.config.get("peft_type", "")).upper()

    @property
    def base(self) -> str | None:
        """The base that its config names; the packaged default model under its short name."""
        named = self.config.get("base_model_name_or_path") or None
        return default_model.NAME if named and same_base(str(named), default_model.NAME) else named

    @property
    def base_revision(self) -> str | None:
        """The base's revision, where the config has one; the packaged model has none."""
        return None if self.base == default_model.NAME else self.config.get("revision") or None

    @property
    def digest(self) -> str:
        """A short hash of the weights and of what scales and places them: another training has another one."""
        settings = {key: value for key, value in self.config.items() if key not in _OF_ITS_FILE_ONLY}
        hashed = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
        with (self.folder / WEIGHTS).open("rb") as file:
            hashed.update(hashlib.file_digest(file, "sha256").digest())
        return hashed.hexdigest()[:12]

    def weights(self) -> dict[str, Tensor]:
        """Its tensors by name. Raises ModelError where they are not there whole, or pickled."""
        try:
            found: dict[str, Tensor] = safetensors.torch.load_file(self.folder / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise refused(self.name, f"{WEIGHTS} cannot be read ({error})", hint="copy or save it again") from error
        return found


def refused(name: str, found: str, *, hint: str) -> ModelError:
    """What is wrong with an adapter, and what to do."""
    return ModelError(f"the adapter {name!r} could not be opened: {found}", hint=hint)


def find_adapter(name: str, revision: str | None = None) -> Adapter | None:
    """The adapter of that name; None where it is something else, or nothing (which opening it as a model will tell).

    Raises ModelError for an adapter whose files are damaged, missing or pickled.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        found = None if name in (default_model.NAME, "toy") else _from_hub(name, revision)
        if found is None:
            return None
        folder = found
    if not (folder / CONFIG).is_file():
        return None
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise refused(name, f"its {CONFIG} cannot be read ({error})", hint="copy or save it again") from error
    if not isinstance(config, dict):
        raise refused(name, f"its {CONFIG} holds no settings", hint="copy or save it again")
    _check_files(name, folder)
    return Adapter(name, folder, config, revision)


def _check_files(name: str, folder: Path) -> None:
    if (folder / WEIGHTS).is_file():
        return
    if (folder / PICKLED).is_file():
        raise refused(
            name,
            f"its weights are pickled ({PICKLED}), and a pickle can run any code",
            hint=f"where you trust it, load it with peft and save_pretrained it again: that writes {WEIGHTS}",
        )
    raise refused(name, f"there is no {WEIGHTS}", hint=f"copy it whole; a pickled {PICKLED} will not do")


def _from_hub(name: str, revision: str | None) -> Path | None:
    """The folder of a Hub repository that holds an adapter, fetched without its pickles; None for any other name."""
    try:
        held = [
            isinstance(huggingface_hub.try_to_load_from_cache(name, file, revision=revision), str)
            for file in (CONFIG, "config.json")
        ]
        if held == [False, True]:
            return None
        offline = not loading.hub_answers()
        with loading.quiet():
            huggingface_hub.hf_hub_download(name, CONFIG, revision=revision, local_files_only=offline)
    except Exception:  # noqa: BLE001 - whatever is wrong with name or network, opening it as a model tells
        return None
    try:
        with loading.quiet():
            return Path(
                huggingface_hub.snapshot_download(
                    name, revision=revision, allow_patterns=_WANTED, local_files_only=offline
                )
            )
    except Exception as error:
        hint = "check the network, or give the adapter's folder"
        raise refused(name, f"its files could not be fetched ({loading.reason(error)})", hint=hint) from error


def same_base(one: str, other: str) -> bool:
    """Whether two names lead to the same base: as written, as folders, or as names of the default model."""
    return _place(one) == _place(other)


def _place(name: str) -> str:
    if name in (default_model.NAME, default_model.HUB_NAME) or Path(name) == default_model.converted_folder():
        return default_model.NAME
    return str(Path(name).resolve()) if Path(name).is_dir() else name.lower()


def base_note(adapter: Adapter, base_name: str) -> tuple[str, ...]:
    """That an adapter was trained on another base than it is put on, where its config says so."""
    if adapter.base is None or same_base(adapter.base, base_name):
        return ()
    told = f"The adapter {adapter.name} names {adapter.base} as its base and was put on {base_name}: the shapes fit, "
    return (f"{told}the weights may be others.",)


def tokenizer_of(adapter: Adapter, of_base: Any, *, trust_remote_code: bool) -> Any:
    """The adapter's own tokenizer and chat template; where it lacks one of them, the base's."""
    tokenizer = of_base
    if any((adapter.folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        try:
            with loading.quiet():
                tokenizer = AutoTokenizer.from_pretrained(str(adapter.folder), trust_remote_code=trust_remote_code)
        except Exception as error:  # tokenizers, and code that comes with them, raise whatever they like
            hint = "repair its tokenizer files, or remove them: the base's tokenizer is taken then"
            raise refused(adapter.name, f"its tokenizer: {loading.reason(error)}", hint=hint) from error
    template = adapter.folder / "chat_template.jinja"
    if tokenizer is of_base and template.is_file():
        tokenizer = copy.deepcopy(of_base)
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    if not getattr(tokenizer, "chat_template", None):
        tokenizer.chat_template = getattr(of_base, "chat_template", None)
    return tokenizer


def check_vocabulary(adapter: Adapter, tokenizer: Any, n_rows: int) -> None:
    """Raise ModelError where a tokenizer knows tokens that the base has no embedding for."""
    if (most := max(tokenizer.get_vocab().values())) >= n_rows:
        found = f"its tokenizer has ids up to {most}, and the base has embeddings for {n_rows} tokens"
        raise refused(adapter.name, found, hint=f"its base was made larger before it was trained: {MERGE}")


def tokenizer_notes(name: str, own: ChatFormat, base_name: str, of_base: ChatFormat) -> tuple[str, ...]:
    """In what a tuned model's tokenizer differs from its base's: then the two do not read the same tokens."""
    notes = []
    words: tuple[Any, Any] = (own.tokenizer, of_base.tokenizer)
    mine, theirs = (tokenizer.get_vocab() for tokenizer in words)
    if unlike := {token for token in mine.keys() | theirs.keys() if mine.get(token) != theirs.get(token)}:
        notes.append(
            f"The tokenizers of {name} and {base_name} differ in {len(unlike)} tokens: "
            "one text may be other tokens to each."
        )
    if own.digest != of_base.digest:
        notes.append(f"The chat templates of {name} and {base_name} differ: each is asked through its own.")
    return tuple(notes)
