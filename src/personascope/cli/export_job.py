"""One baked checkpoint, from the opened model to what the terminal shows.

Apart from `export`, so that help and mistakes need no torch.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from personascope.artifacts import finite, sha256, write_json
from personascope.cli.export_options import Bake
from personascope.cli.printing import Interrupted
from personascope.cli.starters import neutral_starters
from personascope.cli.steered_model import dial_at
from personascope.cli.steering_options import Setting
from personascope.errors import ModelError
from personascope.models.adapters import MERGE, find_adapter
from personascope.models.baked_checkpoint import Baked, check_bakeable, write_baked
from personascope.models.huggingface import HuggingFaceModel
from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Steered, Steering
from personascope.report.baked_card import CARD, RECORD, Ingredient, Push, agreement_told, card, record
from personascope.steering import gaps, rho
from personascope.steering_files import advice, load_vectors, trait_told, with_residual_norms


def run_bake(asked: Bake, *, trust_remote_code: bool, json_output: bool) -> None:
    """Bake the vectors into the model, write the folder, and print what came of it."""
    if find_adapter(asked.model) is not None:
        raise ModelError(f"{asked.model} is an adapter: its weights and its base's are two things", hint=MERGE)
    engine = open_model(asked.model, precision="float32", trust_remote_code=trust_remote_code)
    check_bakeable(engine)
    base, notes = engine.spec, list(engine.notes)
    steered: list[Steering] = []
    ingredients: list[Ingredient] = []
    for place, (path, amount) in enumerate(asked.files):
        own = asked.setting if place == 0 else Setting(positions="all", unit=asked.setting.unit)
        one, edits, told = _ingredient(engine, path, amount, own)
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


def _ingredient(
    engine: HuggingFaceModel, path: Path, amount: float, setting: Setting
) -> tuple[Ingredient, Steered, list[str]]:
    """What a vectors file adds, and what must be known about it."""
    vectors, notes = load_vectors(path, engine.spec)
    vectors = with_residual_norms(engine, vectors)
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
