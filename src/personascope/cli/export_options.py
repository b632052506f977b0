"""What `export` is asked, read from its options; mistakes show before a model is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from personascope.cli.steering_options import Setting, parse_also, parse_strength, setting
from personascope.errors import ArtifactError, ModelError, SteeringError


@dataclass(frozen=True)
class Bake:
    """Which vectors are baked into which model, each at an amount in the setting's unit, and where it goes."""

    model: str
    files: tuple[tuple[Path, float], ...]
    """The first at the setting's layers, others each at the layer that is advised for it."""
    setting: Setting
    folder: Path
    anyway: bool = False
    """Whether vectors that were made on other weights are baked too."""


def bake_asked(
    vectors: Path, model: str, dose: tuple[str, str, str | None], also: Sequence[str], folder: Path, *, anyway: bool
) -> Bake:
    """The job asked for; `dose` is strength, unit and layer as typed. Raises UserError where it is none."""
    if model == "toy":
        raise ModelError("the toy has no weights to bake into", hint="bake into smollm2-135m, the default model")
    strength, unit, layer = dose
    files = [(vectors, parse_strength(strength))]
    for path, amount in map(parse_also, also):
        if amount is None:
            raise SteeringError(f"--also {path} has no strength", hint=f"write it as --also {path}:0.5")
        files.append((path, amount))
    for path, amount in files:
        if amount == 0:
            raise SteeringError(f"strength 0 bakes nothing of {path}", hint="give a strength above or below 0")
        if not path.exists():
            raise ArtifactError(f"there is no file {path}", hint="give the .npz that extract wrote")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ArtifactError(f"{folder} is not empty", hint="name a new folder: --save-dir; nothing is overwritten")
    return Bake(model, tuple(files), setting(layer, "add", "all", unit), folder, anyway)
