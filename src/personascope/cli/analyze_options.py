"""What `analyze` is asked, read from its options; mistakes show before a model is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from personascope.artifacts import model_in_file_names
from personascope.cli.extract import parse_layers
from personascope.cli.profile_options import check_way, questionnaire_named, way_named
from personascope.errors import TraitError
from personascope.questionnaire.damage import TwoChoice, choices_from_file, own_choices
from personascope.questionnaire.items import Questionnaire, of_traits
from personascope.questionnaire.trait_analysis import Plan
from personascope.steering_files import trait_told
from personascope.traits import Trait, load_trait
from personascope.traits.trait import Instructions, Pole, Poles, Questions


@dataclass(frozen=True)
class Asked:
    """The options that tell what is asked, as they were typed."""

    items: str = "own"
    max_items: int | None = None
    ask: str = "auto"
    choices: Path | None = None


@dataclass(frozen=True)
class Steered:
    """The options that tell what is steered with and where, as they were typed."""

    vectors: Sequence[Path] = ()
    layer: int | None = None
    layers: str | None = None


def plan_of(trait: str, asked: Asked, steered: Steered, *, seed: int) -> Plan:
    """What the options ask for. Raises UserError where they do not fit together."""
    questionnaire = questionnaire_named(asked.items, None, asked.max_items)
    known = trait_of(trait, questionnaire)
    way = way_named(asked.ask)
    check_way(questionnaire, way)
    return Plan(
        known,
        questionnaire,
        choices_named(asked.choices),
        named(steered.vectors),
        way,
        steered.layer,
        None if steered.layers is None else parse_layers(steered.layers),
        seed,
    )


def trait_of(name: str, questionnaire: Questionnaire) -> Trait:
    """A trait with items: the catalogue's, a user's file, or no more than its name where only the items know it.

    Raises TraitError for an unknown trait, ItemError for one without items.
    """
    try:
        trait = load_trait(name)
    except TraitError:
        if name not in questionnaire.traits and name.lower() in questionnaire.traits:
            name = name.lower()
        if Path(name).suffix or name not in questionnaire.traits:
            raise
        trait = _named_only(name)
    of_traits(questionnaire, [trait.name])
    return trait


def choices_named(path: Path | None) -> Sequence[TwoChoice]:
    """The shipped two-choice questions, or those of a file."""
    return own_choices() if path is None else choices_from_file(path)


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Vectors files by their trait, numbered where several are of one. Raises ArtifactError for no vectors file."""
    told: dict[str, Path] = {}
    for path in paths:
        trait = trait_told(path)
        before = sum(one == trait or one.startswith(f"{trait}-") for one in told)
        told[f"{trait}-{before + 1}" if before else trait] = path
    return told


def stem_of(model: str, trait: str, save_dir: Path) -> Path:
    """What the names of all files begin with."""
    return save_dir / f"{model_in_file_names(model)}_{trait}"


def _named_only(name: str) -> Trait:
    poles = Poles(Pole(f"high {name}", ""), Pole(f"low {name}", ""))
    return Trait(name, name, "own", "", "the items alone", poles, Instructions((), ()), Questions((), ()))
