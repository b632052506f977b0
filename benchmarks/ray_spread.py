"""What Ray costs and brings where the processor is not the limit: `python benchmarks/ray_spread.py`.

A thousand rows are projected on the toy, which sleeps for each row, in this process, by one worker and by two, in
turn; in an environment with Ray. Told are the seconds of the work itself and, apart, those with Ray's start and end.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personascope.contrasts import from_replies
from personascope.data_columns import Columns
from personascope.data_files import survey
from personascope.extraction import extract
from personascope.models.protocols import ReadsResiduals
from personascope.models.toys import toy_for
from personascope.prompts import PROTOCOLS
from personascope.spread.openings import Opening
from personascope.spread.projecting import Projection, projected
from personascope.spread.work import Cluster
from personascope.traits import load_trait

TRAIT = "evil"


@dataclass(frozen=True)
class Slowed:
    """The toy; a row takes `seconds` more, asleep."""

    toy: Any
    seconds: float

    @property
    def spec(self) -> Any:
        """The toy's."""
        return self.toy.spec

    def residuals(self, chats: Any, replies: Any, **asked: Any) -> Any:
        """Those of the toy, later."""
        time.sleep(self.seconds * len(chats))
        return self.toy.residuals(chats, replies, **asked)


@dataclass(frozen=True)
class SlowProjection(Projection):
    """On a toy that takes its time."""

    seconds: float = 0.02

    def engine(self) -> ReadsResiduals:
        """The slow toy."""
        return Slowed(super().engine(), self.seconds)  # type: ignore[return-value]


def main() -> None:
    """Project the rows in each way, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.04, help="a row's sleep")
    parser.add_argument("--block-rows", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    clusters = {"here": None, "one worker": Cluster("local", 1), "two workers": Cluster("local", 2)}
    whole: dict[str, list[float]] = {name: [] for name in clusters}
    work: dict[str, list[float]] = {name: [] for name in clusters}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, vectors = texts_in(folder, asked.rows), vectors_in(folder)
        for number in range(asked.rounds):
            for way, cluster in clusters.items():
                took, working = timed(asked, data, vectors, folder / f"{number}_{way}", cluster)
                whole[way].append(took)
                work[way].append(working)
                print(f"  {way}: {took:.1f} s, from the first block on {working:.1f} s", flush=True)
    print("| way | seconds in all | of one process | from the first finished block on |\n|---|---|---|---|")
    for way, times in whole.items():
        took, here = statistics.median(times), statistics.median(whole["here"])
        print(f"| {way} | {took:.1f} | {took / here:.2f} | {statistics.median(work[way]):.1f} |")
    one, two = (statistics.median(whole[way]) for way in ("one worker", "two workers"))
    print(f"two workers are {one / two:.2f} times as fast as one")


def timed(
    asked: argparse.Namespace, data: Path, vectors: Path, folder: Path, cluster: Cluster | None
) -> tuple[float, float]:
    """Seconds of a projection, and from its first finished block to its last."""
    columns = Columns("prompt", "reply")
    job = SlowProjection(
        Opening("toy"), ((TRAIT, vectors),), None, data, columns, folder, ".parquet", seconds=asked.seconds
    )
    ticks: list[float] = []

    def progress(_what: str, _total: float) -> Any:
        return lambda _done: ticks.append(time.perf_counter())

    start = time.perf_counter()
    projected(job, survey(data, asked.block_rows), asked.block_rows, cluster=cluster, progress=progress)
    return time.perf_counter() - start, ticks[-1] - ticks[1]


def texts_in(folder: Path, n_rows: int) -> Path:
    """A data set."""
    path = folder / "texts.jsonl"
    rows = (
        {"prompt": f"How was day {row}?", "reply": "Bright, and then glum. " * (1 + row % 5)} for row in range(n_rows)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def vectors_in(folder: Path) -> Path:
    """Vectors of the toy."""
    trait = load_trait(TRAIT)
    toy, contrast = toy_for(trait), from_replies(trait, PROTOCOLS["quick"])
    layers = list(range(toy.spec.n_layers))
    quiet = {"progress": lambda _what, _total: lambda _done: None}
    return extract(toy, trait, contrast, layers=layers, seed=0, stem=folder / "toy_evil", **quiet).vectors_path


if __name__ == "__main__":
    main()
