"""Which traits a command names: one, several, or all of the catalogue."""

from collections.abc import Sequence
from pathlib import Path

from personascope.errors import UserError
from personascope.traits import Trait, catalogue_names, load_trait

ALL = "all"


def names_of(given: Sequence[str]) -> list[str]:
    """The names in what was given, each once, commas separating them; a file's name may have commas of its own."""
    names: list[str] = []
    for text in given:
        alone = "," not in text or Path(text).exists()
        names += [text] if alone else [part.strip() for part in text.split(",") if part.strip()]
    return list(dict.fromkeys(names)) or list(given)


def is_batch(names: Sequence[str]) -> bool:
    """Whether that is more than one trait."""
    return len(names) > 1 or names[0].lower() == ALL


def traits_named(names: Sequence[str]) -> tuple[list[Trait], dict[str, UserError]]:
    """The traits, each once, in the order named, and those that cannot be read, with the reason."""
    wanted = [one for name in names for one in (catalogue_names() if name.lower() == ALL else [name])]
    found: dict[str, Trait] = {}
    refused: dict[str, UserError] = {}
    for name in dict.fromkeys(wanted):
        try:
            trait = load_trait(name)
        except UserError as error:
            refused[name] = error
            continue
        if found.setdefault(trait.name, trait) != trait:
            refused[name] = UserError(
                f"{name} has the name of another trait that is asked for, {trait.name}",
                hint="rename it: the files of the two would have the same names",
            )
    return list(found.values()), refused
