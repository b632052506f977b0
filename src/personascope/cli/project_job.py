"""One projection of a data set, from its first row to what the terminal shows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from personascope.artifacts import finite
from personascope.cli.bars import progress_bars
from personascope.cli.printing import Interrupted
from personascope.data_columns import columns_named
from personascope.data_files import Survey, survey
from personascope.projection_files import suffix_here
from personascope.spread.openings import Opening
from personascope.spread.projecting import Projection, Projections, projected, summary_as_json
from personascope.spread.work import Cluster
from personascope.steering_files import trait_told
from personascope.wording import ABSENT, counted, decimals, with_interval

_ALL = "{} in persona gaps; 0 is no neutral text. Intervals take texts as drawn independently."


@dataclass(frozen=True)
class Asked:
    """Which texts on which vectors, as typed, and where the projections go."""

    data: Path
    vectors: tuple[Path, ...]
    columns: str | None
    layer: int | None
    block_rows: int
    folder: Path


def run_project(opening: Opening, asked: Asked, cluster: Cluster | None, *, json_output: bool) -> None:
    """Project, and print how the texts lie. Raises Interrupted on Ctrl-C, with what is kept."""
    found = survey(asked.data, asked.block_rows)
    work = Projection(
        opening,
        tuple(zip(_names(asked.vectors), (path.resolve() for path in asked.vectors), strict=True)),
        asked.layer,
        asked.data.resolve(),
        columns_named(asked.columns, found.first),
        asked.folder.resolve(),
        suffix_here(),
    )
    try:
        with progress_bars(leave=False) as progress:
            told = projected(work, found, asked.block_rows, cluster=cluster, progress=progress)
    except KeyboardInterrupt as stop:
        raise Interrupted(_kept(work, found)) from stop
    if json_output:
        print(json.dumps(finite(summary_as_json(told)), indent=1, ensure_ascii=False))
        return
    _print(told, asked.folder)


def _names(paths: Sequence[Path]) -> list[str]:
    """The trait of each file, numbered where several are of one. Raises ArtifactError for no vectors file."""
    traits = [trait_told(path) for path in paths]
    before = [traits[:at].count(trait) for at, trait in enumerate(traits)]
    return [f"{trait}-{n + 1}" if n else trait for trait, n in zip(traits, before, strict=True)]


def _kept(work: Projection, found: Survey) -> str:
    there = sum(work.path(block).exists() for block in found.blocks)
    if not there:
        return "no block is finished"
    return f"{there} of {counted(len(found.blocks), 'block')} are kept, the same command goes on from there"


def _print(told: Projections, folder: Path) -> None:
    """A row a vector, why texts were not read, and where the projections lie."""
    console = Console(highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("trait", "layer", "texts", "mean", "quartiles", "lowest", "highest", "its own replies"):
        table.add_column(heading, justify="left" if heading == "trait" else "right")
    for axis, one in zip(told.axes, told.lies, strict=True):
        behind = axis["behind"]
        own = f"{decimals(behind['25'])} to {decimals(behind['75'])}" if behind else ABSENT
        quartiles = " ".join(decimals(value) for value in one.quartiles)
        ends = (decimals(one.lowest), decimals(one.highest))
        table.add_row(one.trait, str(axis["layer"]), str(one.n), with_interval(one.mean), quartiles, *ends, own)
    console.print(table)
    console.print(_ALL.format("Projections"), soft_wrap=True)
    for problem, n in told.problems.items():
        console.print(f"! {counted(n, 'text')} not read: {problem}", soft_wrap=True)
    console.print(f"\nProjections saved to: {folder / 'projections'}", soft_wrap=True)
    console.print(f"Summary saved to: {folder / 'summary.json'}", soft_wrap=True)
