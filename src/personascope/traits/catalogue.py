"""Trait files: where they are and how they are read.

A name stands for a file of the catalogue; a path to a YAML file works wherever a name does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from personascope.errors import TraitError
from personascope.suggestions import did_you_mean
from personascope.traits.trait import Trait

_FEWEST_QUESTIONS = 4
_SHOWN = 3


def catalogue_names() -> list[str]:
    """The traits that are shipped, in alphabetical order."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def load_trait(name_or_path: str) -> Trait:
    """The trait of that name in the catalogue, or in that YAML file.

    Raises TraitError for an unknown name and for a file that does not fit, naming the field; also for a file with
    the name of a catalogue trait and other texts, whose results would pass for the catalogue's.
    """
    if name_or_path.lower() in catalogue_names():
        return _shipped(name_or_path.lower())
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        raise TraitError(
            f"there is no trait {name_or_path!r} in the catalogue",
            hint=f"{_did_you_mean(name_or_path)}choose one of {', '.join(catalogue_names())}, "
            "or give the path of a .yaml file",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TraitError(
            f"the trait file {path} cannot be read ({_reason(error)})",
            hint=f"{_did_you_mean(path.stem)}give the path of a UTF-8 YAML file",
        ) from error
    trait = parse_trait(text, where=str(path))
    if trait.name.lower() in catalogue_names() and trait != _shipped(trait.name.lower()):
        raise TraitError(
            f"{path} has the name of a catalogue trait, {trait.name}, and other texts",
            hint=f"rename it: `name: my_{trait.name.lower()}`",
        )
    return trait


def parse_trait(text: str, *, where: str) -> Trait:
    """The trait in a YAML text; `where` names it in errors. Raises TraitError where it does not fit."""
    try:
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TraitError(f"{where} is not YAML ({' '.join(str(error).split())})", hint=_COMPARE) from error
    trait = _validated(fields, where)
    if empty := list(_empty_texts(asdict(trait))):
        told = ", ".join(empty[:_SHOWN]) + (f" (and {len(empty) - _SHOWN} more)" if len(empty) > _SHOWN else "")
        raise TraitError(f"{where} has an empty text at {told}", hint="write a text there, or take the entry out")
    if not re.fullmatch(r"[\w-]+", trait.name):
        raise TraitError(f"{where} has the name {trait.name!r}", hint="use one word: it becomes part of file names")
    if not trait.instructions.extract or len(trait.questions.extract) < _FEWEST_QUESTIONS:
        raise TraitError(
            f"{where} has {len(trait.instructions.extract)} pairs at instructions.extract and "
            f"{len(trait.questions.extract)} questions at questions.extract",
            hint=f"at least one pair and {_FEWEST_QUESTIONS} questions are needed; 8 pairs and 20 questions are wanted",
        )
    return trait


def trait_file(name: str) -> str:
    """The YAML text of a trait, by name or path as for `load_trait`. Raises TraitError for an unknown name."""
    load_trait(name)
    return _text(name.lower()) if name.lower() in catalogue_names() else Path(name).read_text(encoding="utf-8")


_COMPARE = "compare it with a shipped file: personascope traits show extraversion --yaml"


def _did_you_mean(name: str) -> str:
    return did_you_mean(name, catalogue_names())


def _reason(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else str(error)


def _empty_texts(value: Any, place: tuple[str, ...] = ()) -> Iterator[str]:
    """Where in nested fields a text is empty or blank, as instructions.extract.0.high."""
    if isinstance(value, str):
        if not value.strip():
            yield ".".join(place)
        return
    inner = value if isinstance(value, Mapping) else dict(enumerate(value))
    for key, text in inner.items():
        yield from _empty_texts(text, (*place, str(key)))


def _folder() -> Any:
    return resources.files("personascope.traits") / "files"


@cache
def _shipped(name: str) -> Trait:
    return parse_trait(_text(name), where=f"the catalogue's {name}.yaml")


def _text(name: str) -> str:
    return str((_folder() / f"{name}.yaml").read_text(encoding="utf-8"))


class _Checked(Trait):
    """Trait, with unknown fields refused on reading."""

    __pydantic_config__ = ConfigDict(extra="forbid", str_strip_whitespace=True)


_CHECK: Any = TypeAdapter(_Checked)


def _validated(fields: object, where: str) -> Trait:
    try:
        checked = _CHECK.validate_python(fields)
    except ValidationError as error:
        found = error.errors()
        told = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in found[:_SHOWN])
        more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
        raise TraitError(f"{where} does not fit the form of a trait: {told}{more}", hint=_COMPARE) from error
    return Trait(**{name: getattr(checked, name) for name in Trait.__dataclass_fields__})
