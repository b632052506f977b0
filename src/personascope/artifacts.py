"""Files that say what they are: one header for all kinds, hashes, and writing in one step.

A file is filled under a neighbour's name and then put in place, so that what is there is whole. The
manifest of a group of files is written last: its presence means that the group is complete.

Knows paths and JSON; knows no kind of artifact.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import personascope
from personascope.errors import ArtifactError
from personascope.models.protocols import ModelSpec

FORMAT_VERSION = 1
CONVENTION = (
    "layer k is the residual stream after decoder block k, counted from 0; directions point from low to high; "
    "strength 1 adds one persona gap (mean high - mean low) at that layer"
)

_PLAIN_FILE = 0o666
"""Some writers make files that only their owner can read; ours are what the user's umask says."""

Json = Any
"""Whatever json.loads gives."""


def header(
    kind: str, *, model: ModelSpec, made_from: Mapping[str, str], settings: Mapping[str, Json]
) -> dict[str, Json]:
    """What every artifact says of itself. `made_from` maps each source to its sha256 or digest."""
    return {
        "kind": kind,
        "format_version": FORMAT_VERSION,
        "made_by": f"personascope {personascope.__version__}",
        "convention": CONVENTION,
        "made_from": dict(made_from),
        "model": asdict(model),
        "settings": dict(settings),
    }


def model_in_file_names(name: str) -> str:
    """A model's name as the names of files begin with it: a Hub name's slash becomes an underscore."""
    return name.strip("./").replace("/", "_") or Path(name).resolve().name


def check_header(found: Mapping[str, Json], kind: str, path: Path) -> None:
    """Raise ArtifactError unless a header is of this kind, in a format this version reads."""
    if found.get("kind") != kind:
        raise ArtifactError(
            f"{path} holds {found.get('kind') or 'something else'}, not {kind}", hint="give the file that extract wrote"
        )
    if found.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has format {found.get('format_version')}; this version reads format {FORMAT_VERSION}",
            hint="make the file again, or install the personascope it was made by",
        )


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a neighbour file, then put it in place in one step.

    The neighbour's name is this call's own: a worker that was given up and still writes disturbs nobody.
    Raises ArtifactError where the disk is full or the folder cannot be written; nothing is left behind.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.chmod(_PLAIN_FILE & ~_umask())
        part.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"{path} could not be written: {error.strerror or error}",
            hint="make room on the disk or choose another --save-dir; a rerun goes on from what is finished",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def write_json(path: Path, content: Json) -> None:
    """Put a JSON file in place in one step; numbers that are not finite become null."""
    text = json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, lambda part: _write_text(part, text + "\n"))


def read_json(path: Path) -> dict[str, Json]:
    """The object in a JSON file. Raises ArtifactError if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error})", hint="give a file that personascope wrote") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} holds no JSON object", hint="give a file that personascope wrote")
    return content


def finite(content: Json) -> Json:
    """The same with None for every float that is not finite."""
    if isinstance(content, Mapping):
        return {str(key): finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    if isinstance(content, float) and (content != content or content in (float("inf"), float("-inf"))):
        return None
    return content


def sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(content: Json) -> str:
    """A short hash of JSON content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
