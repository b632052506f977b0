"""Whether a trait of a model is finished: everything that one extraction leaves is on disk, and of just this run.

Knows files, plans and traits; knows no engine.
"""

from dataclasses import dataclass
from pathlib import Path

import personascope
from personascope.artifacts import Json, read_json, sha256
from personascope.contrasts import Contrast
from personascope.errors import ArtifactError
from personascope.evaluation import evaluation_seed
from personascope.gathering import is_gathered
from personascope.models.protocols import ModelSpec
from personascope.traits import Trait

_MADE_FROM = {"vectors": "vectors.npz", "rollouts": "rollouts.jsonl", "activations": "activations.safetensors"}
_SHOWN = ("report.html", "analysis.png")


@dataclass(frozen=True)
class Wanted:
    """What an extraction is asked for; `evaluation` are the texts of the steering trial, None where there is none."""

    trait: Trait
    contrast: Contrast
    evaluation: Contrast | None
    layers: tuple[int, ...]
    seed: int


def is_finished(wanted: Wanted, spec: ModelSpec, stem: Path) -> bool:
    """Whether the files at a stem are those that this run would leave, by this version; a trial more does no harm.

    Raises ArtifactError where a run of another plan is there.
    """
    texts = {stem: (wanted.contrast, wanted.seed)}
    if wanted.evaluation is not None:
        texts[stem.with_name(f"{stem.name}_evaluation")] = wanted.evaluation, evaluation_seed(wanted.seed)
    for at, (contrast, seed) in texts.items():
        if not is_gathered(spec, contrast, layers=wanted.layers, seed=seed, stem=at):
            return False
    try:
        told = read_json(_beside(stem, "analysis.json"))
    except ArtifactError:
        return False
    return _tells_of(told, wanted) and _is_of_the_files(told, stem) and _is_shown(stem)


def _tells_of(told: Json, wanted: Wanted) -> bool:
    layers = sorted(int(key.removeprefix("layer_")) for key in told if key.startswith("layer_"))
    return (
        told.get("made_by") == f"personascope {personascope.__version__}"
        and told.get("made_from", {}).get("trait") == wanted.trait.digest
        and layers == sorted(wanted.layers)
        and (wanted.evaluation is None or "steering" in told)
    )


def _is_of_the_files(told: Json, stem: Path) -> bool:
    """Whether vectors, replies and activations are those that the analysis was made from."""
    paths = {what: _beside(stem, ending) for what, ending in _MADE_FROM.items()}
    return all(path.exists() and sha256(path) == told["made_from"].get(what) for what, path in paths.items())


def _is_shown(stem: Path) -> bool:
    """Whether picture and report are there, written after the analysis."""
    written = _beside(stem, "analysis.json").stat().st_mtime_ns
    shown = [_beside(stem, ending) for ending in _SHOWN]
    return all(path.exists() and path.stat().st_mtime_ns >= written for path in shown)


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}_{ending}")
