"""A trait of a model, analysed: a vector from its items, what vectors do to all scores, and how they agree.

    half of the trait's statements -> a vector from items, read held out by statement
    vectors from rollouts, else that one -> all items asked at all doses (never those a vector was made from)
    both at every layer -> their cosine, and how each reads the texts of the other

Knows the engine protocols, items, vectors and files; knows no engine and draws nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from personascope.artifacts import Json, sha256
from personascope.contrasts import Contrast
from personascope.errors import ContrastError
from personascope.extraction import Extraction, extract
from personascope.gathering import Progress
from personascope.models.protocols import Engine
from personascope.questionnaire.analysis import Analysis, VectorOnTrial, analyse, analysis_as_json
from personascope.questionnaire.asking import WayName
from personascope.questionnaire.damage import TwoChoice
from personascope.questionnaire.held_back import held_back, made_from, origin_doubt
from personascope.questionnaire.item_vectors import LayerAgreement, agreement, contrast_from_items, halves
from personascope.questionnaire.items import Questionnaire
from personascope.questionnaire.profiling import probed
from personascope.steering import direction
from personascope.steering_files import advice, gathered_behind, load_vectors, with_residual_norms
from personascope.traits import Trait

FEWEST_STATEMENTS = 4
"""In the half that a vector is made from: with fewer, nothing could be held out."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What to analyse: the trait, the items of all traits, the vectors, and where to steer."""

    trait: Trait
    questionnaire: Questionnaire
    choices: Sequence[TwoChoice]
    vectors: Mapping[str, Path]
    """By what they are called: their trait, numbered where several are of one. If none, see `analyse_trait`."""
    way: WayName | None
    layer: int | None
    """Where to steer; the advised layer of each, if None."""
    item_layers: Sequence[int] | None
    """Of the vector from items; all if None."""
    seed: int


@dataclass(frozen=True, eq=False)
class SteeredWith:
    """Vectors that were steered with: where they lie, and what they are of."""

    path: Path
    trait: str
    contrast: str
    has_texts: bool
    """Whether the texts behind them were there, for controls from relabelled texts."""


@dataclass(frozen=True, eq=False)
class TraitAnalysis:
    """What came of it."""

    trait: str
    analysis: Analysis
    steered_with: Mapping[str, SteeredWith]
    item_vector: Extraction | None
    agreement: Mapping[str, tuple[LayerAgreement, ...]]
    """By name, of the vectors of this trait that were not made from items."""
    notes: tuple[str, ...]
    seed: int


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A vector on trial and where it comes from."""

    trial: VectorOnTrial
    origin: SteeredWith


def analyse_trait(engine: Engine, plan: Plan, stem: Path, *, progress: Progress) -> TraitAnalysis:
    """The analysis; the vector from items is written at `<stem>_items`.

    Where the plan names no vectors, those at `<stem>_vectors.npz` are steered with, else the one from items.
    Raises ItemError or ContrastError where nothing can be made or asked, ArtifactError or LayerError for vectors that
    do not fit the model.
    """
    notes = [*engine.notes, *plan.questionnaire.notes]
    paths = plan.vectors or _left_by_extract(plan, stem, notes)
    loaded = {name: _load(engine, name, path, plan, notes) for name, path in paths.items()}
    items, reason = _vector_from_items(engine, plan, stem, progress)
    notes += [reason] if reason else []
    if not loaded:
        if items is None:
            raise ContrastError(f"there is no vector to steer with. {reason}", hint="give one: --vectors FILE")
        loaded = {plan.trait.name: _load(engine, plan.trait.name, items.vectors_path, plan, notes)}
    gone = [
        item for one in loaded.values() for item in made_from(one.trial.vectors, one.origin.path, plan.questionnaire)
    ]
    asked, told = held_back(plan.questionnaire, gone, plan.trait.name)
    notes += filter(None, (told, _doubt(engine, asked, plan.way)))
    # Before the long part: what cannot be read shows before anything is lost.
    alike = _agreements(plan, loaded, items=items, notes=notes, progress=progress)
    found = analyse(
        engine,
        asked,
        trials=[one.trial for one in loaded.values()],
        choices=plan.choices,
        asked=plan.way,
        seed=plan.seed,
        progress=progress,
    )
    origins = {name: one.origin for name, one in loaded.items()}
    return TraitAnalysis(plan.trait.name, found, origins, items, alike, tuple(dict.fromkeys(notes)), plan.seed)


def trait_analysis_as_json(found: TraitAnalysis) -> dict[str, Json]:
    """An analysis as one artifact: scores by dose, effects, damage; matrix, vector from items and agreement beside."""
    analysis, items = found.analysis, found.item_vector
    made_from = {str(one.path): sha256(one.path) for one in found.steered_with.values()}
    return {
        **analysis_as_json(analysis, made_from, seed=found.seed),
        "trait": found.trait,
        "steered_with": {name: asdict(one) | {"path": str(one.path)} for name, one in found.steered_with.items()},
        "matrix": {
            "vectors": list(analysis.vectors),
            "traits": list(analysis.questionnaire.traits),
            "slopes": analysis.matrix.tolist(),
        },
        "item_vector": _item_vector_as_json(items) if items else None,
        "agreement": {name: [asdict(layer) for layer in layers] for name, layers in found.agreement.items()},
        "notes": list(found.notes),
    }


def _item_vector_as_json(items: Extraction) -> dict[str, Json]:
    separation = items.separation
    return {
        "path": str(items.vectors_path),
        "n_statements": separation.n_questions,
        "n_high": separation.n_high,
        "n_low": separation.n_low,
        "chosen_layer": separation.chosen_layer,
        "nested_auc": asdict(separation.nested_auc),
        "p": separation.p,
        "layers": {
            str(one.layer): {"auc": asdict(one.auc), "cohens_d": asdict(one.cohens_d), "separation": one.separation}
            for one in separation.readings
        },
    }


def _left_by_extract(plan: Plan, stem: Path, notes: list[str]) -> dict[str, Path]:
    """The vectors that `extract` wrote at the same stem, if any; adds to the notes."""
    path = stem.with_name(f"{stem.name}_vectors.npz")
    if not path.exists():
        return {}
    notes.append(f"No vectors were named: {path.name}, which lies in the folder, is steered with.")
    return {plan.trait.name: path}


def _load(engine: Engine, name: str, path: Path, plan: Plan, notes: list[str]) -> _Loaded:
    """Vectors with their layer, their safe doses there, and the texts behind them; adds to the notes."""
    vectors, told = load_vectors(path, engine.spec)
    vectors = with_residual_norms(engine, vectors)
    advised = advice(vectors, path)
    layer, why = (advised.layer, advised.why) if plan.layer is None else (plan.layer, "as asked for")
    direction(vectors, layer)  # what the file lacks shows before anything is run
    behind = gathered_behind(vectors, path)
    if behind is not None and layer not in behind.activations.layers:
        behind = None
    notes += told
    if behind is None:
        notes.append(f"The texts behind {path.name} do not lie beside it: its only controls are random directions.")
    notes += filter(None, (origin_doubt(vectors, path),))
    safe = advised.safe if layer == advised.layer else None
    contrast = str(vectors.metadata["settings"]["contrast"])
    trait = str(vectors.metadata["trait"]["name"])
    trial = VectorOnTrial(name, vectors, layer, why, behind, safe)
    return _Loaded(trial, SteeredWith(path, trait, contrast, behind is not None))


def items_contrast(plan: Plan) -> tuple[Contrast | None, str]:
    """What the vector from half of the trait's statements is made from, or why there is none; asks no model."""
    trait = plan.trait.name
    if plan.questionnaire.form in ("inventory", "statements"):
        return (
            None,
            f"No vector was made from items: those of {plan.questionnaire.source} do not show both poles alike.",
        )
    own, _ = halves(plan.questionnaire, trait)
    n_statements = len({item.statement for item in own})
    if n_statements < FEWEST_STATEMENTS:
        return None, (
            f"No vector was made from items: half of the statements of {trait} are {n_statements}, and at least "
            f"{FEWEST_STATEMENTS} are needed to hold some out."
        )
    try:
        return contrast_from_items(own, plan.questionnaire.source), ""
    except ContrastError as error:
        return None, f"No vector was made from items: {error}."


def _vector_from_items(engine: Engine, plan: Plan, stem: Path, progress: Progress) -> tuple[Extraction | None, str]:
    """The vector from half of the trait's statements, or why there is none."""
    contrast, reason = items_contrast(plan)
    if contrast is None:
        return None, reason
    layers = list(range(engine.spec.n_layers)) if plan.item_layers is None else list(plan.item_layers)
    stem = stem.with_name(f"{stem.name}_items")
    made = extract(engine, plan.trait, contrast, layers=layers, seed=plan.seed, stem=stem, progress=progress)
    return made, ""


def _doubt(engine: Engine, asked: Questionnaire, way: WayName | None) -> str:
    """What a labelled way that was asked for is not worth on a few items; nothing where it is reliable."""
    if way is None or way == "text":
        return ""
    found, _ = probed(engine, asked, way)
    if found.reliable:
        return ""
    return f"Scores by {way} are not reliable on this model ({'; '.join(found.reasons)}): use --ask text."


def _agreements(
    plan: Plan, loaded: Mapping[str, _Loaded], *, items: Extraction | None, notes: list[str], progress: Progress
) -> dict[str, tuple[LayerAgreement, ...]]:
    """Agreement of the vector from items with each other vector of the trait; adds to the notes."""
    own = plan.trait.name
    others = {n: one for n, one in loaded.items() if one.origin.trait == own and one.origin.contrast != "items"}
    if items is None or not others:
        return {}
    tick = progress("agreement", len(others))
    told = {}
    for name, one in others.items():
        vectors, behind = one.trial.vectors, one.trial.behind
        if behind is not None and vectors.metadata["settings"]["position"] != "reply_mean":
            notes.append(
                f"The texts behind {name} are prompts without replies: the vector from items reads none of them."
            )
            behind = None
        told[name] = agreement(
            from_rollouts=vectors, rollouts=behind, from_items=items.vectors, items=items.gathered, seed=plan.seed
        )
        tick(1)
    return told
