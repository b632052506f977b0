"""Gathering: from a contrast to its rollouts and activations on disk, part by part.

A part is some rows with their activations; each is put in place whole, so an interrupted run goes on from
the last finished one. Parts are joined into two files and a manifest, written last. A later call that
would ask the same of the same model reads these files and runs nothing.

Knows the engine protocols and files; knows no statistics.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from personascope.activations import Activations, Position, joined, read_activations, write_activations
from personascope.artifacts import Json, check_header, digest, header, read_json, sha256, write_json
from personascope.contrasts import Contrast
from personascope.errors import ArtifactError, ContrastError
from personascope.models.protocols import Generates, ModelSpec, ReadsResiduals, Residuals, Tick
from personascope.rollouts import Rollout, read_rollouts, write_rollouts

PART_ROWS = 128

KIND = "gathered contrast"


@runtime_checkable
class Engine(Generates, ReadsResiduals, Protocol):
    """An engine that can write replies and read texts."""


Progress = Callable[[str, int], Tick]
"""Called with what is being done and of how many rows; what it gives back is called as they are done."""


@dataclass(frozen=True)
class Gathered:
    """Rollouts with their activations, row by row, and the files they are in."""

    rollouts: tuple[Rollout, ...]
    activations: Activations
    rollouts_path: Path
    activations_path: Path
    reused: bool


def gather(
    engine: Engine, contrast: Contrast, *, layers: Sequence[int], seed: int, stem: Path, progress: Progress
) -> Gathered:
    """The rollouts and activations of a contrast, from disk where they are, else from the engine.

    Files are `<stem>_rollouts.jsonl`, `<stem>_activations.safetensors` and `<stem>_manifest.json`. Raises
    ContrastError where no reply has a token to read.
    """
    plan = _plan(engine.spec, contrast, layers, seed)
    files = _Files(stem)
    if files.hold(plan):
        return files.read(reused=True)
    rows = [replace(row, seed=row_seed(seed, at)) if contrast.sampling else row for at, row in enumerate(contrast.rows)]
    what = "writing replies" if contrast.sampling else "reading texts"
    tick = progress(what, len(rows))
    folder = _parts_folder(stem, plan)
    parts = [range(start, min(start + PART_ROWS, len(rows))) for start in range(0, len(rows), PART_ROWS)]
    for number, part in enumerate(parts):
        if all(file.exists() for file in _part_files(folder, number)):
            tick(len(part))
        else:
            _run_part(engine, contrast, [rows[at] for at in part], layers, _part_files(folder, number), tick)
    finished = list(_read_parts(folder, len(parts)))
    files.write(plan, [row for part, _ in finished for row in part], [part for _, part in finished], layers)
    shutil.rmtree(folder, ignore_errors=True)
    return files.read(reused=False)


def row_seed(seed: int, row: int) -> int:
    """The seed of one row of a run: 63 bits drawn from the run's seed and the row's number."""
    return int(np.random.SeedSequence((seed, row)).generate_state(1, np.uint64)[0] >> 1)


def without_empty(gathered: Gathered, position: Position) -> tuple[Gathered, str]:
    """The same without rows that have nothing at the position read (an empty reply), and a note of them.

    The partner at the other pole (same pair and question) goes too: without it, questions and instructions
    would no longer cancel out of the direction. Raises ContrastError if nothing is left.
    """
    there = gathered.activations.residuals.n_tokens > 0
    if position == "prompt_last" or there.all():
        return gathered, ""
    cells = _cells(gathered.rollouts)
    empty = {cell for cell, is_there in zip(cells, there, strict=True) if not is_there}
    poles = Counter(r.pole for r, is_there in zip(gathered.rollouts, there, strict=True) if not is_there)
    there &= np.array([cell not in empty for cell in cells])
    if not there.any():
        raise ContrastError("no question has a reply at both poles", hint="raise --max-new-tokens; look at the replies")
    residuals = gathered.activations.residuals
    kept = Residuals(*(getattr(residuals, name)[there] for name in Residuals.__dataclass_fields__))
    rollouts = tuple(rollout for rollout, keep in zip(gathered.rollouts, there, strict=True) if keep)
    activations = Activations(gathered.activations.layers, kept)
    note = f"Empty replies ({poles['high']} high, {poles['low']} low) were left out with their partners."
    return replace(gathered, rollouts=rollouts, activations=activations), note


def _cells(rollouts: Sequence[Rollout]) -> list[tuple[int, int, int]]:
    """Pair, question and repeat of each row: what a high and a low row share."""
    seen: Counter[tuple[int, int, str]] = Counter()
    cells = []
    for rollout in rollouts:
        place = (rollout.pair, rollout.question, rollout.pole)
        cells.append((rollout.pair, rollout.question, seen[place]))
        seen[place] += 1
    return cells


def _plan(spec: ModelSpec, contrast: Contrast, layers: Sequence[int], seed: int) -> dict[str, Json]:
    """Everything that the rows depend on."""
    return {
        "source": contrast.source,
        "rows": digest([row.to_line() for row in contrast.rows]),
        "n_rows": len(contrast.rows),
        "sampling": asdict(contrast.sampling) if contrast.sampling else None,
        "layers": list(layers),
        "seed": seed if contrast.sampling else None,
        "model": asdict(spec),
    }


@dataclass(frozen=True)
class _Files:
    """Where a gathered contrast lies."""

    stem: Path

    def _path(self, ending: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}_{ending}")

    def hold(self, plan: Json) -> bool:
        """Whether the files are there, whole, and what this plan would make."""
        manifest = self._path("manifest.json")
        if not manifest.exists():
            return False
        try:
            told = read_json(manifest)
            check_header(told, KIND, manifest)
        except ArtifactError:
            return False
        files, hashes = {name: self._path(name) for name in _NAMES}, told.get("made_from", {})
        whole = all(file.exists() and sha256(file) == hashes.get(name) for name, file in files.items())
        return whole and told.get("settings") == plan

    def write(
        self, plan: dict[str, Json], rollouts: Sequence[Rollout], residuals: Sequence[Residuals], layers: Sequence[int]
    ) -> None:
        rows, arrays = (self._path(name) for name in _NAMES)
        self._path("manifest.json").unlink(missing_ok=True)
        write_rollouts(rows, rollouts)
        write_activations(arrays, Activations(tuple(layers), joined(residuals)))
        hashes = {name: sha256(self._path(name)) for name in _NAMES}
        model = ModelSpec(**plan["model"])
        write_json(self._path("manifest.json"), header(KIND, model=model, made_from=hashes, settings=plan))

    def read(self, *, reused: bool) -> Gathered:
        rows, arrays = (self._path(name) for name in _NAMES)
        return Gathered(tuple(read_rollouts(rows)), read_activations(arrays), rows, arrays, reused)


_NAMES = ("rollouts.jsonl", "activations.safetensors")


def _parts_folder(stem: Path, plan: Json) -> Path:
    """The folder of finished parts of just this plan; its name tells plans apart."""
    folder = stem.with_name(f"{stem.name}_parts_{digest(plan)}")
    write_json(folder / "plan.json", plan)
    return folder


def _part_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Rollouts and activations of a part; the second is written last."""
    return folder / f"{number:05d}.jsonl", folder / f"{number:05d}.safetensors"


def _run_part(
    engine: Engine,
    contrast: Contrast,
    rows: Sequence[Rollout],
    layers: Sequence[int],
    files: tuple[Path, Path],
    tick: Tick,
) -> None:
    chats = [row.chat for row in rows]
    if contrast.sampling is None:
        residuals = engine.residuals(chats, [row.reply for row in rows], layers=layers, tick=tick)
        done = list(rows)
    else:
        seeds = [row.seed or 0 for row in rows]
        made = engine.generate(chats, contrast.sampling, seeds=seeds, layers=layers, tick=tick)
        if made.residuals is None:
            raise ArtifactError("the engine gave no activations", hint="please report this engine")
        residuals = made.residuals
        done = [
            replace(row, reply=reply.text, n_tokens=reply.n_tokens, ended=reply.ended)
            for row, reply in zip(rows, made.replies, strict=True)
        ]
    write_rollouts(files[0], done)
    write_activations(files[1], Activations(tuple(layers), residuals))


def _read_parts(folder: Path, n_parts: int) -> Iterator[tuple[list[Rollout], Residuals]]:
    for number in range(n_parts):
        rows, arrays = _part_files(folder, number)
        yield list(read_rollouts(rows)), read_activations(arrays).residuals
