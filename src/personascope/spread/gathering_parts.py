"""Rollouts and activations of many traits, gathered part by part; `gathering.gather` then goes on from the parts.

Each part is run alone, here as there, and the parts are joined in their order: one worker and many leave the same
files, and the sums over them are taken by the same code as ever. Knows engines' names and the stage; knows no Ray.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from personascope.contrasts import Contrast
from personascope.errors import ClusterError
from personascope.gathering import PART_ROWS, Progress, gather_part, manifest_path, n_parts
from personascope.models.protocols import ModelSpec
from personascope.spread.doing import done
from personascope.spread.openings import Opening
from personascope.spread.work import Cluster, Done, Job
from personascope.traits import Trait


@dataclass(frozen=True)
class Piece:
    """What one call of `gather` is given: a trait's texts, the layers (None: all), the seed, and where they go."""

    trait: Trait
    contrast: Contrast
    layers: tuple[int, ...] | None
    seed: int
    stem: Path


@dataclass(frozen=True)
class Parts:
    """The parts of several pieces, of one model."""

    opening: Opening
    pieces: tuple[Piece, ...]

    @property
    def gpus(self) -> int:
        """How many GPUs one worker takes."""
        return self.opening.gpus

    def opened(self) -> Callable[[Job], Done]:
        """Open the model and give what makes one part."""
        engines = self.opening.engines()

        def do(job: Job) -> Done:
            piece = self.pieces[job["piece"]]
            engine = engines(piece.trait)
            layers = range(engine.spec.n_layers) if piece.layers is None else piece.layers
            gather_part(engine, piece.contrast, job["part"], layers=layers, seed=piece.seed, stem=piece.stem)
            return {**job, "model": asdict(engine.spec)}

        return do


def gather_parts(
    opening: Opening, pieces: Sequence[Piece], cluster: Cluster | None, progress: Progress
) -> dict[Path, ModelSpec]:
    """Make the parts of all pieces that are not finished; which model each one's were made with, by its stem."""
    wanted = tuple(piece for piece in pieces if not manifest_path(piece.stem).exists())
    jobs = [
        {"piece": number, "part": part, "rows": min(PART_ROWS, len(piece.contrast.rows) - part * PART_ROWS)}
        for number, piece in enumerate(wanted)
        for part in range(n_parts(piece.contrast))
    ]
    made_with: dict[Path, ModelSpec] = {}
    if not jobs:
        return made_with
    tick = progress("gathering", sum(job["rows"] for job in jobs))
    for told in done(Parts(opening, wanted), jobs, cluster):
        made_with[wanted[told["piece"]].stem] = ModelSpec(**told["model"])
        tick(told["rows"])
    return made_with


def check_same_model(here: ModelSpec, there: ModelSpec) -> None:
    """Raise ClusterError where the workers opened another model than this process: their parts would not be found."""
    mine, theirs = asdict(here), asdict(there)
    told = [f"{name} {theirs[name]} there, {mine[name]} here" for name in mine if mine[name] != theirs[name]]
    if told:
        raise ClusterError(
            f"the workers opened the model otherwise than this machine: {'; '.join(told)}",
            hint="name the precision with --dtype; every machine must see the same model",
        )
