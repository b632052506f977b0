"""What `compare` is asked, read from its options; mistakes show before a model is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from personascope.cli.profile_options import questionnaire_named
from personascope.errors import TraitError, UserError
from personascope.prompts import PROTOCOLS, Protocol
from personascope.questionnaire.items import Questionnaire
from personascope.suggestions import did_you_mean
from personascope.traits import Trait, catalogue_names, load_trait

ALL = "all"


@dataclass(frozen=True)
class Job:
    """Which models are compared on what, and where the files go."""

    base: str
    tuned: tuple[str, ...]
    traits: tuple[Trait, ...]
    protocol: Protocol
    questionnaire: Questionnaire
    save_dir: Path
    seed: int


def job_asked(
    base: str,
    tuned: Sequence[str],
    traits: str,
    items: tuple[str, int | None],
    *,
    protocol: str,
    save_dir: Path,
    seed: int,
) -> Job:
    """The job that the options ask for. Raises UserError where they do not fit."""
    twice = {name for name in tuned if list(tuned).count(name) > 1}
    if twice:
        raise UserError(f"{', '.join(sorted(twice))} is named twice", hint="name each trained model once")
    if protocol not in PROTOCOLS:
        hint = f"{did_you_mean(protocol, PROTOCOLS)}choose one of {', '.join(PROTOCOLS)}"
        raise UserError(f"there is no protocol {protocol!r}", hint=hint)
    questionnaire = questionnaire_named(items[0], None, items[1])
    return Job(base, tuple(tuned), _traits(traits), PROTOCOLS[protocol], questionnaire, save_dir, seed)


def _traits(named: str) -> tuple[Trait, ...]:
    names = list(dict.fromkeys(filter(None, (one.strip() for one in named.split(",")))))
    if not names:
        raise TraitError("no trait is named", hint="give some, as openness,evil, or all")
    return tuple(load_trait(name) for name in (catalogue_names() if names == [ALL] else names))
