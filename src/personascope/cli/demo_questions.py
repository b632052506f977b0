"""What the demo asks, and how answers are read: Enter takes what stands in brackets, a broken answer is asked again."""

import os
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from personascope.errors import ArtifactError, ModelError, TraitError, UserError
from personascope.prompts import PROTOCOLS, Protocol
from personascope.suggestions import did_you_mean
from personascope.traits import catalogue_names, load_trait

DEFAULT_MODEL = "smollm2-135m"
DEFAULT_TRAIT = "extraversion"
SEVERAL = ("openness", "extraversion", "conscientiousness")
"""Those that the original toolkit's batch analysis runs over."""
_NEAR_AT_HAND = (DEFAULT_MODEL, "toy")
Read = TypeVar("Read")


@dataclass(frozen=True)
class Answers:
    """What a choice is made with; it stands in brackets when the next one asks."""

    model: str = DEFAULT_MODEL
    trait: str = DEFAULT_TRAIT
    traits: tuple[str, ...] = SEVERAL
    protocol: str = "quick"
    save_dir: Path = Path("persona_demo")
    output: Path = Path("test_prompts.txt")
    overwrite: bool = False
    """Whether `output` may be replaced where it is there already."""


def tell(text: str) -> None:
    """Print a text, wrapped to the terminal between words."""
    width = shutil.get_terminal_size().columns
    print(
        "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n")
        )
    )


def ask(what: str, default: str, read: Callable[[str], Read]) -> Read:
    """The first answer that can be read; Enter is the default. Raises EOFError at the end of input."""
    while True:
        try:
            return read(input(f"{what} [{default}]: ").strip() or default)
        except UserError as error:
            tell(f"That does not work: {error}.\n{error.hint[:1].upper()}{error.hint[1:]}.\n")
        except UnicodeDecodeError:
            tell("That line cannot be read as text: type it again.\n")


def ask_for_one(answers: Answers) -> Answers:
    """The answers with a model, a trait, a protocol and a folder asked for."""
    answers = _model(answers)
    tell(f"\nTraits: {', '.join(catalogue_names())}; or a YAML file of your own.")
    return _run(replace(answers, trait=ask("Trait", answers.trait, one_trait)))


def ask_for_several(answers: Answers) -> Answers:
    """The answers with a model, traits, a protocol and a folder asked for."""
    return _run(_traits(_model(answers)))


def ask_for_prompts(answers: Answers) -> Answers:
    """The answers with traits and a file asked for; a file that is there is replaced only after a yes."""
    answers = _traits(answers)
    while True:
        answers = replace(answers, output=ask("File", str(answers.output), file_to_write))
        if not answers.output.exists():
            return answers
        tell(f"{answers.output} is there already.")
        if ask("Replace it? y or n", "n", _yes):
            return replace(answers, overwrite=True)


def ask_nothing(answers: Answers) -> Answers:
    """The answers as they are."""
    return answers


def model_named(text: str) -> str:
    """A model's name, refused only where it cannot be one. Raises ModelError."""
    if text.startswith("-"):
        raise ModelError(f"{text!r} is no model", hint=f"type a Hub name, a folder, {DEFAULT_MODEL} or toy")
    if text.startswith((".", "/", "~")) and not Path(text).expanduser().is_dir():
        raise ModelError(f"there is no folder {text}", hint=f"type a Hub name, a folder, {DEFAULT_MODEL} or toy")
    near = did_you_mean(text, _NEAR_AT_HAND)
    if near and text not in _NEAR_AT_HAND and not Path(text).exists():
        hint = f"{near}Other names are those of the Hub (owner/name) or of a folder"
        raise ModelError(f"there is no model {text!r}", hint=hint)
    return str(Path(text).expanduser()) if text.startswith("~") else text


def one_trait(text: str) -> str:
    """A trait's name in the catalogue, or the path of its file. Raises TraitError where there is none."""
    name = load_trait(text).name
    return name if name == text.lower() else text


def several_traits(text: str) -> tuple[str, ...]:
    """Traits with commas or spaces between them, each once; `all` is the catalogue. Raises TraitError."""
    if text.strip().lower() == "all":
        return tuple(catalogue_names())
    parts = text.split(",") if "," in text or Path(text).exists() else text.split()
    found = dict.fromkeys(one_trait(part.strip()) for part in parts if part.strip())
    if not found:
        raise TraitError("no trait is named", hint="type some with commas between them, such as openness,evil, or all")
    return tuple(found)


def protocol_of(text: str) -> str:
    """A protocol's name. Raises UserError for an unknown one."""
    if text not in PROTOCOLS:
        hint = f"{did_you_mean(text, PROTOCOLS)}choose one of {', '.join(PROTOCOLS)}"
        raise UserError(f"there is no protocol {text!r}", hint=hint)
    return text


def folder_to_write(text: str) -> Path:
    """A folder that is there or can be made. Raises ArtifactError where it cannot."""
    path = Path(text).expanduser()
    if not _may_write_in(path):
        raise ArtifactError(f"no files can be put in {path}", hint="name another folder; it is made if it is not there")
    return path


def file_to_write(text: str) -> Path:
    """A file that can be written. Raises ArtifactError where it cannot."""
    path = Path(text).expanduser()
    if path.is_dir() or not _may_write_in(path.parent):
        raise ArtifactError(f"{path} cannot be written as a file", hint="name another, such as test_prompts.txt")
    return path


def _model(answers: Answers) -> Answers:
    tell(
        f"\nModels: a Hub name, a folder, {DEFAULT_MODEL} (small, works offline), "
        "or toy (no language model: it shows the tool in seconds)."
    )
    return replace(answers, model=ask("Model", answers.model, model_named))


def _traits(answers: Answers) -> Answers:
    tell(f"\nTraits: {', '.join(catalogue_names())}; or all, or YAML files of your own.")
    return replace(answers, traits=ask("Traits", ",".join(answers.traits), several_traits))


def _run(answers: Answers) -> Answers:
    sizes = ", ".join(f"{name} ({_replies(protocol):,})" for name, protocol in PROTOCOLS.items())
    tell(f"\nProtocols, and how many replies of a trait they draw: {sizes}. quick is a first look only.")
    protocol = ask("Protocol", answers.protocol, protocol_of)
    tell("\nFiles go to a folder below the current one, or where you say.")
    return replace(answers, protocol=protocol, save_dir=ask("Folder", str(answers.save_dir), folder_to_write))


def _replies(protocol: Protocol) -> int:
    return 2 * protocol.pairs * protocol.questions * protocol.repeats


def _may_write_in(folder: Path) -> bool:
    """Whether the nearest folder that is there, up from this one, can be written."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path())
    return there.is_dir() and os.access(there, os.W_OK)


def _yes(text: str) -> bool:
    if text.lower() not in ("y", "yes", "n", "no"):
        raise UserError(f"{text!r} is neither yes nor no", hint="type y or n")
    return text.lower().startswith("y")
