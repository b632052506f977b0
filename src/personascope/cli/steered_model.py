"""A model with its dials in place: which files, which layers, and what must be known about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from personascope.calibration import calibrate, why_there
from personascope.cli.bars import progress_bars
from personascope.cli.extract import parse_layers
from personascope.cli.starters import neutral_starters
from personascope.cli.steering_options import Files, Setting
from personascope.cli.steering_tables import dial_range
from personascope.errors import TraitError
from personascope.models.engine_choice import HF, EngineChoice
from personascope.models.opening import open_engine
from personascope.models.protocols import Engine, Steered
from personascope.steered_replies import Dial
from personascope.steering_files import (
    Advice,
    advice,
    is_original,
    keep_calibration,
    layer_of_key,
    load_vectors,
    rollouts_behind,
    trait_told,
    with_residual_norms,
)
from personascope.traits import Trait, load_trait
from personascope.vectors import Vectors


@dataclass(frozen=True)
class Turned:
    """A trait's dial, and why it stands where it does."""

    path: Path
    dial: Dial
    advice: Advice

    @property
    def trait(self) -> str:
        """The trait's own name, without the number that a second file of it has here."""
        return str(self.dial.vectors.metadata["trait"]["name"])


@dataclass(frozen=True)
class SteeredModel:
    """A model with a dial for each trait, by the trait's name; the first is the one that was asked for.

    `held` are the amounts of the others; `notes` what a reader of the replies must know.
    """

    engine: Engine
    turned: Mapping[str, Turned]
    held: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def first(self) -> str:
        """The trait whose strengths are compared."""
        return next(iter(self.turned))


def open_steered(
    model_name: str,
    files: Files,
    setting: Setting,
    *,
    precision: str = "auto",
    trust_remote_code: bool = False,
    quantize: str | None = None,
    on: EngineChoice = HF,
) -> SteeredModel:
    """Open the model and put its dials in place.

    Raises ArtifactError where a file does not fit the model, LayerError where it lacks the layer.
    """
    paths = [files.vectors, *(path for path, _ in files.also)]
    names = _names(paths)
    trait = known_trait(names[0])
    engine = open_engine(
        model_name, trait, precision=precision, trust_remote_code=trust_remote_code, quantize=quantize, on=on
    )
    first, notes = _first(engine, files, setting)
    turned = {names[0]: first}
    for name, path in zip(names[1:], paths[1:], strict=True):
        vectors, told = _read(engine, path)
        advised = advice(vectors, path)
        own = Setting(positions=setting.positions, unit=setting.unit)
        turned[name] = Turned(path, dial_at(vectors, advised, own), advised)
        notes += told
    held = {name: amount or 0.0 for name, (_, amount) in zip(names[1:], files.also, strict=True)}
    notes += [*_range_notes(first), *alone_notes(first.dial, held)]
    return SteeredModel(engine, turned, held, (*engine.notes, *notes))


def dial_at(vectors: Vectors, advised: Advice, setting: Setting) -> Dial:
    """A dial at the layers that a setting names, or the advised one.

    Raises LayerError where the file lacks one, SteeringError or ArtifactError for a setting that makes no dose.
    """
    every_layer = setting.layer == "all"
    if every_layer:
        layers = list(vectors.layers)
    elif setting.layer is None:
        layers = [advised.layer]
    elif setting.layer.startswith("layer_"):
        layers = [layer_of_key(vectors, setting.layer)]
    else:
        layers = parse_layers(setting.layer)
    measured = layers == [advised.layer] and setting.mode == "add" and setting.positions == "reply" and not every_layer
    safe = advised.safe if measured else None
    dial = Dial(vectors, tuple(layers), setting.mode, setting.positions, setting.unit, every_layer, safe)
    dial.at(0.0)
    return dial


def known_trait(name: str) -> Trait | None:
    """The catalogue's trait of that name; None for a trait of the user's own."""
    try:
        return load_trait(name)
    except TraitError:
        return None


def openers_of(turned: Turned) -> tuple[tuple[str, ...], str]:
    """Prompts for a trait where none are given, and what they are."""
    known = known_trait(turned.trait)
    if known is not None and known.openers:
        return known.openers, f"{turned.trait}'s own sentence openers"
    return neutral_starters(), f"neutral requests ({turned.trait} is no trait of the catalogue)"


def is_raw(model: SteeredModel, asked: bool | None) -> bool:
    """Whether prompts are continued as they stand: as asked, else where the model has no chat template."""
    return not model.engine.spec.template if asked is None else asked


def alone_notes(dial: Dial, held: Mapping[str, float]) -> list[str]:
    """A note where a safe range is known and other vectors push, too: nobody measured them together."""
    if dial.safe is None or not any(held.values()):
        return []
    return ["The safe range is that of one vector alone: with another one held, text may break earlier."]


def held_edits(model: SteeredModel, trait: str, held: Mapping[str, float]) -> Steered:
    """The edits of all traits but one, each at its amount; of those at 0, none."""
    return tuple(
        edit
        for name, turned in model.turned.items()
        if name != trait and held.get(name)
        for edit in turned.dial.at(held[name]).steered
    )


def _first(engine: Engine, files: Files, setting: Setting) -> tuple[Turned, list[str]]:
    """The dial that was asked for, calibrated if wanted, and notes."""
    vectors, told = _read(engine, files.vectors)
    advised = advice(vectors, files.vectors, files.analysis)
    dial = dial_at(vectors, advised, setting)  # what cannot be placed shows before the minutes of a calibration
    if files.calibrate:
        advised, how = _calibrated(engine, vectors, files.vectors)
        dial = dial_at(vectors, advised, setting)
        told.append(how)
    return Turned(files.vectors, dial, advised), told


def _read(engine: Engine, path: Path) -> tuple[Vectors, list[str]]:
    """The vectors in a file, with residual norms, and what must be known about them."""
    vectors, notes = load_vectors(path, engine.spec)
    return with_residual_norms(engine, vectors), list(notes)


def _calibrated(engine: Engine, vectors: Vectors, path: Path) -> tuple[Advice, str]:
    """Where to steer and how far, measured now; and where the answer was kept."""
    seed = int(vectors.metadata["settings"].get("seed") or 0)
    rollouts = rollouts_behind(vectors, path)
    with progress_bars(leave=False) as progress:
        found = calibrate(engine, vectors, rollouts, seed=seed, progress=progress)
    kept = keep_calibration(path, found)
    advised = Advice(found.layer, why_there(found.layers, original=is_original(vectors)), found.safe)
    told = dial_range(dial_at(vectors, advised, Setting()))
    where = f"kept in {kept}" if kept else "kept for this run only: no analysis file of ours lies beside the vectors"
    return advised, f"Calibrated: steer at layer {found.layer}, safe {told}; {where}."


def _range_notes(turned: Turned) -> list[str]:
    """What is not known about safe doses."""
    if turned.dial.mode != "add" or turned.dial.safe is not None:
        return []
    if turned.advice.safe is None:
        return ["It is not known how far a dose may go: add --calibrate to measure it."]
    return [
        f"The safe range was measured at layer {turned.advice.layer} alone, at the reply: "
        "for this setting none is known."
    ]


def _names(paths: Sequence[Path]) -> list[str]:
    """The trait of each file, numbered where several are of one trait. Raises ArtifactError for no vectors file."""
    traits = [trait_told(path) for path in paths]
    before = [traits[:at].count(trait) for at, trait in enumerate(traits)]
    return [f"{trait}-{n + 1}" if n else trait for trait, n in zip(traits, before, strict=True)]
