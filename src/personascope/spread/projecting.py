"""A data set projected on vectors, block by block; each block's file is what a rerun goes on from.

Knows engines' names, files and the stage; knows neither Ray nor the terminal.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from personascope.artifacts import Json, read_json, sha256, write_json
from personascope.data_columns import Columns, text_of
from personascope.data_files import Block, Survey, block_reader
from personascope.errors import ClusterError, TraitError
from personascope.gathering import Progress
from personascope.models.protocols import ReadsResiduals
from personascope.projection import Axis, project
from personascope.projection_files import MODEL, SUMMARY, block_path, claim, claim_model, write_block
from personascope.projection_summary import Lie, lie, problems
from personascope.spread.doing import done
from personascope.spread.openings import Opening
from personascope.spread.work import Cluster, Done, Job
from personascope.steering import direction
from personascope.steering_files import advice, load_vectors, trait_told
from personascope.traits import load_trait


@dataclass(frozen=True)
class Projection:
    """Which texts go on which vectors (by trait), at which layer (None: as each file advises), and where to."""

    opening: Opening
    vectors: tuple[tuple[str, Path], ...]
    layer: int | None
    data: Path
    columns: Columns
    folder: Path
    suffix: str

    @property
    def gpus(self) -> int:
        """How many GPUs one worker takes."""
        return self.opening.gpus

    @property
    def traits(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return tuple(trait for trait, _ in self.vectors)

    def engine(self) -> ReadsResiduals:
        """The engine; the toy's truth is planted in the first trait's texts."""
        try:
            return self.opening.engine(load_trait(trait_told(self.vectors[0][1])))
        except TraitError:  # a trait of the user's own
            return self.opening.engine(None)

    def opened(self) -> Callable[[Job], Done]:
        """Open the model, check that it is the one of the blocks that are there, and give what does one block."""
        engine = self.engine()
        claim_model(self.folder, engine.spec)
        axes = [axis_of(trait, path, engine, self.layer) for trait, path in self.vectors]
        reader = block_reader(self.data)
        told = [{"trait": axis.trait, "layer": axis.layer, "behind": dict(axis.behind)} for axis in axes]

        def do(job: Job) -> Done:
            if job:
                block = Block(**job)
                texts = [text_of(record, self.columns) for record in reader.rows(block)]
                path = block_path(self.folder, block, self.suffix)
                write_block(path, block, project(engine, texts, axes), self.traits)
            return {"rows": job.get("n_rows", 0), "axes": told}

        return do

    def path(self, block: Block) -> Path:
        """Where a block's projections lie."""
        return block_path(self.folder, block, self.suffix)

    def settings(self, survey: Survey, block_rows: int) -> dict[str, Json]:
        """What the blocks' contents follow from, but for the model's own weights."""
        opening = self.opening
        return {
            "data": survey.sha256,
            "rows": survey.n_rows,
            "block_rows": block_rows,
            "columns": self.columns.as_json(),
            "vectors": {trait: sha256(path) for trait, path in self.vectors},
            "layer": self.layer,
            "model": opening.name,
            "dtype": opening.precision,
            "quantize": opening.quantize,
            "engine": opening.on.name,
            "format": self.suffix,
        }


@dataclass(frozen=True, eq=False)
class Projections:
    """How all texts of a data set lie on each vector, and why some were not read."""

    n_rows: int
    axes: tuple[dict[str, Json], ...]
    lies: tuple[Lie, ...]
    problems: dict[str, int]
    path: Path


def projected(
    work: Projection, survey: Survey, block_rows: int, *, cluster: Cluster | None, progress: Progress
) -> Projections:
    """Project what is not projected yet, and tell how all of it lies; writes `summary.json`.

    Raises ArtifactError where the folder is another run's, ClusterError where workers wrote elsewhere.
    """
    claim(work.folder, work.settings(survey, block_rows))
    jobs = left(work, survey.blocks)
    tick = progress("projecting", survey.n_rows)
    tick(survey.n_rows - sum(job.get("n_rows", 0) for job in jobs))
    axes: list[dict[str, Json]] = []
    for told in done(work, jobs, cluster):
        axes = told["axes"]
        tick(told["rows"])
    paths = [work.path(block) for block in survey.blocks]
    if lost := sum(not path.exists() for path in paths):
        raise ClusterError(
            f"{lost} of {len(paths)} blocks were written where this machine does not see them",
            hint="give -o a folder that all machines of the cluster share",
        )
    found = Projections(
        survey.n_rows, tuple(axes), tuple(lie(paths, trait) for trait in work.traits), problems(paths), work.folder
    )
    write_json(work.folder / SUMMARY, {**summary_as_json(found), "model": read_json(work.folder / MODEL)})
    return found


def summary_as_json(found: Projections) -> dict[str, Json]:
    """How the texts lie, by trait, in persona gaps."""
    by_trait = {axis["trait"]: {**axis, **asdict(one)} for axis, one in zip(found.axes, found.lies, strict=True)}
    return {"kind": "projection summary", "n_rows": found.n_rows, "traits": by_trait, "problems": found.problems}


def left(work: Projection, blocks: Sequence[Block]) -> list[Job]:
    """The blocks without a file; where all are there, an empty job, which only checks that the model is theirs."""
    return [asdict(block) for block in blocks if not work.path(block).exists()] or [{}]


def axis_of(trait: str, path: Path, engine: ReadsResiduals, layer: int | None) -> Axis:
    """A trait's axis. Raises ArtifactError where the file does not fit the model, LayerError for no such layer."""
    vectors, _ = load_vectors(path, engine.spec)
    at = advice(vectors, path).layer if layer is None else layer
    raw = direction(vectors, at)
    told = vectors.metadata["layers"][str(at)].get("projection_percentiles") or {}
    return Axis(trait, at, raw, {share: float(value) / float(np.linalg.norm(raw)) for share, value in told.items()})
