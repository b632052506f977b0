"""From a model and a steering to a folder that holds the steered model whole: no hook, no plugin, no personascope.

The folder is filled under a neighbour's name, opened again, compared with the hook, and only then put in place.
What cannot be baked is refused before anything is written. Knows transformers' way of saving; knows no vectors files.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from personascope.errors import ArtifactError, ModelError
from personascope.models.adapters import MERGE
from personascope.models.bake_proof import Agreement, compared, expected
from personascope.models.baking import bake, biases_of, find_projections, make_room, narrowest_dtype, rounded
from personascope.models.huggingface import HuggingFaceModel
from personascope.models.loading import quiet
from personascope.models.opening import open_model
from personascope.models.probing import Probe
from personascope.models.protocols import Chat, ModelSpec, Steered
from personascope.models.quantising import is_quantized

_PART = ".part"


@dataclass(frozen=True)
class Baked:
    """What was written: the model that the folder is, its architecture, and how it agrees with the hook.

    `rounding` is the largest share of a bias that its rounding to `dtype`, the precision of the file, changed.
    """

    spec: ModelSpec
    architecture: str
    dtype: str
    rounding: float
    agreement: Agreement


def write_baked(
    engine: HuggingFaceModel,
    steered: Steered,
    folder: Path,
    *,
    chats: Sequence[Chat],
    describe: Callable[[Baked, Path], None],
) -> Baked:
    """Write the model with the steering in its weights, prove it on `chats`, and put it in place.

    `describe` adds what is to be told to the folder, before it is in place. The engine's weights are used up.
    Raises SteeringError for what is no bias, ModelError where the architecture has none or the proof fails,
    ArtifactError where the folder holds something or cannot be written.
    """
    check_free(folder)
    check_bakeable(engine)
    model, biases = engine.loaded.model, biases_of(steered)
    with torch.inference_mode():
        projections = find_projections(engine.loaded.blocks, biases, Probe(model).logits)
    make_room(model, projections)
    device = str(next(model.parameters()).device)
    dtype = narrowest_dtype(model)
    added = rounded(projections, biases, dtype)
    told = expected(engine, chats, steered, added)
    bake(projections, added)
    with _filled_beside(folder) as part:
        _save(engine, dtype, part)
        again = open_model(str(part), precision="float32", device=device)
        baked = Baked(
            replace(again.spec, name=str(folder)),
            type(model).__name__,
            str(dtype).removeprefix("torch."),
            max(float(abs(added[k] - biases[k]).max() / abs(biases[k]).max()) for k in added),
            compared(again, told),
        )
        describe(baked, part)
    return baked


def check_free(folder: Path) -> None:
    """Raise ArtifactError where a folder, or a file of its name, holds something."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise ArtifactError(f"{folder} is not empty", hint="name a new folder: --save-dir; nothing is overwritten")


def check_bakeable(engine: HuggingFaceModel) -> None:
    """Raise ModelError for an adapter's engine and for weights in few bits."""
    name = engine.spec.name
    if engine.spec.adapter is not None:
        raise ModelError(f"{name} is an adapter: its weights and its base's are two things", hint=MERGE)
    if is_quantized(engine.spec.dtype) or getattr(engine.loaded.model.config, "quantization_config", None):
        raise ModelError(
            f"{name} has quantised weights, which are not written again", hint="bake the model that it was made from"
        )
    if engine.spec.dtype != "float32":
        raise ModelError(
            f"{name} was opened in {engine.spec.dtype}", hint="open it in float32: the proof is made in it"
        )


@contextmanager
def _filled_beside(folder: Path) -> Iterator[Path]:
    """A folder to fill, put in place in one step when the `with` closes; nothing is left where it fails."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, suffix=_PART, ignore_cleanup_errors=True) as made:
            part = Path(made) / folder.name
            part.mkdir()
            yield part
            if folder.is_dir():
                folder.rmdir()
            part.replace(folder)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} could not be written: {error}", hint="make room on the disk or choose another --save-dir"
        ) from error


def _save(engine: HuggingFaceModel, dtype: torch.dtype, folder: Path) -> None:
    """Weights, config, generation settings, tokenizer and chat template; the memory is given back."""
    model: Any = engine.loaded.model
    tokenizer: Any = engine.loaded.chat_format.tokenizer
    try:
        with quiet():
            model.to(dtype).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except ValueError as error:  # settings of generation that transformers itself finds wrong
        raise ModelError(
            f"transformers does not save {engine.spec.name} ({error})",
            hint="mend the settings that it names, in a copy of the model's folder",
        ) from error
    model.to("meta")
