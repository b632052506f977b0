"""One baked checkpoint, from the opened model to what the terminal shows.

Apart from `export`, so that help and mistakes need no torch.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from personascope.artifacts import finite, sha256, write_json
from personascope.cli.export_options import Bake
from personascope.cli.printing import Interrupted
from personascope.cli.starters import neutral_starters
from personascope.cli.steered_model import dial_at
from personascope.cli.steering_options import Setting
from personascope.errors import ArtifactError
from personascope.models.baked_checkpoint import Baked, check_bakeable, write_baked
from personascope.models.huggingface import HuggingFaceModel
from personascope.models.merging import merged
from personascope.models.opening import open_model
from personascope.models.precision import PRECISIONS, dtype_of
from personascope.models.probing import fingerprint
from personascope.models.protocols import Chat, ModelSpec, Steered, Steering
from personascope.report.baked_card import CARD, RECORD, Ingredient, Push, agreement_told, card, record
from personascope.steering import gaps, rho
from personascope.steering_files import advice, load_vectors, trait_told, with_residual_norms
from personascope.vectors import Vectors


@dataclass(frozen=True)
class _Into:
    """What is baked into: its engine, the model that was named, and its weights' fingerprint in each precision."""

    engine: HuggingFaceModel
    spec: ModelSpec
    weights: Mapping[str, str]
    anyway: bool


def run_bake(asked: Bake, *, trust_remote_code: bool, json_output: bool) -> None:
    """Bake the vectors into the model, write the folder, and print what came of it."""
    into = _opened(asked, trust_remote_code=trust_remote_code)
    engine, base, notes = into.engine, into.spec, list(into.engine.notes)
    steered: list[Steering] = []
    ingredients: list[Ingredient] = []
    for place, (path, amount) in enumerate(asked.files):
        own = asked.setting if place == 0 else Setting(positions="all", unit=asked.setting.unit)
        one, edits, told = _ingredient(into, path, amount, own)
        ingredients.append(one)
        steered += edits
        notes += told
    notes = list(dict.fromkeys(notes + _cautions(ingredients)))

    def describe(baked: Baked, folder: Path) -> None:
        (folder / CARD).write_text(card(baked, base, ingredients, notes), encoding="utf-8")
        write_json(folder / RECORD, record(baked, base, ingredients, notes))

    try:
        baked = write_baked(
            engine, tuple(steered), asked.folder, chats=[Chat(text) for text in neutral_starters()], describe=describe
        )
    except KeyboardInterrupt as stop:
        raise Interrupted("nothing was written") from stop
    if json_output:
        print(json.dumps(finite(record(baked, base, ingredients, notes)), indent=1, ensure_ascii=False))
    else:
        _print(baked, asked, ingredients, notes)


def _opened(asked: Bake, *, trust_remote_code: bool) -> _Into:
    """The model to bake into; an adapter is merged into its base."""
    engine = open_model(asked.model, precision="float32", trust_remote_code=trust_remote_code)
    spec, model = engine.spec, engine.loaded.model
    if spec.adapter is not None:
        return _Into(merged(engine), spec, {spec.dtype: spec.weights}, asked.anyway)
    check_bakeable(engine)
    place = next(model.parameters()).device
    weights = {str(name): fingerprint(model, dtype_of(name, place)) for name in PRECISIONS if name != "auto"}
    return _Into(engine, spec, weights, asked.anyway)


def _check_weights(into: _Into, vectors: Vectors, path: Path) -> None:
    """Raise ArtifactError for vectors of other weights: a run can be taken back, a checkpoint goes its own way."""
    made_on = vectors.metadata["model"]
    found, expected = made_on.get("weights"), into.weights.get(str(made_on.get("dtype")))
    if into.anyway or not found or not expected or found == expected:
        return
    raise ArtifactError(
        f"{path} was made on {made_on.get('name')} with the weights {found}; {into.spec.name} has others, {expected}",
        hint="bake it into the model that it was made on, or extract vectors of this one; --anyway bakes it as it is",
    )


def _ingredient(into: _Into, path: Path, amount: float, setting: Setting) -> tuple[Ingredient, Steered, list[str]]:
    """What a vectors file adds, and what must be known about it."""
    vectors, notes = load_vectors(path, into.spec)
    _check_weights(into, vectors, path)
    vectors = with_residual_norms(into.engine, vectors)
    advised = advice(vectors, path)
    dose = dial_at(vectors, advised, setting).at(amount)
    pushes = tuple(
        Push(layer, edit.strength, rho(vectors, layer, edit.strength))
        for edit in dose.steered
        for layer in sorted(edit.directions)
    )
    per_rho = gaps(vectors, advised.layer, 1.0, "norm")
    one = Ingredient(trait_told(path), path.name, sha256(path), pushes, advised.layer, advised.safe, per_rho)
    return one, dose.steered, list(notes)


def _cautions(ingredients: Sequence[Ingredient]) -> list[str]:
    told = [caution for one in ingredients for caution in one.cautions]
    if len(ingredients) > 1:
        told.append("Safe ranges are those of one vector alone: with several, text may break earlier.")
    return told


def _print(baked: Baked, asked: Bake, ingredients: Sequence[Ingredient], notes: Sequence[str]) -> None:
    for one in ingredients:
        for push in one.pushes:
            print(f"{one.trait}: layer {push.layer}, strength {push.strength:+.2f} (rho {push.rho:+.2f})")
    for note in notes:
        print(f"! {note}")
    print(f"\n{agreement_told(baked)}")
    print(f"\nwritten: {asked.folder} ({baked.architecture}, {baked.dtype}); its {CARD} tells what was baked")
