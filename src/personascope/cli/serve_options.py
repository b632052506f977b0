"""What `serve` is asked, read from its options; mistakes show before a model is opened."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from personascope.errors import ArtifactError, ModelError
from personascope.steering_files import trait_told


@dataclass(frozen=True)
class Job:
    """Which model is served where, with which vectors, by the name of their trait."""

    model: str
    vectors: dict[str, Path]
    host: str
    port: int


def job_asked(model: str, vectors: Sequence[Path], place: tuple[str, int]) -> Job:
    """The job that the options ask for. Raises UserError where they do not fit, or what serves is not installed."""
    if importlib.util.find_spec("uvicorn") is None or importlib.util.find_spec("starlette") is None:
        raise ModelError("the server is not installed", hint="pip install 'personascope[serve]'")
    named: dict[str, Path] = {}
    for path in vectors:
        trait = trait_told(path)
        if trait in named:
            raise ArtifactError(
                f"{named[trait]} and {path} are both of {trait}", hint="a request names a trait: give one file of each"
            )
        named[trait] = path
    return Job(model, named, *place)
