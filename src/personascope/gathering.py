"""Gathering: from a contrast to its rollouts and activations on disk, part by part.

A part is some rows with their activations; each is put in place whole, so an interrupted run goes on from
the last finished one. Parts are joined into two files and a manifest, written last. A later call that
would ask the same of the same model, at the same layers or fewer, reads these files and runs nothing; one
that asks for something else is refused, so that no finished run is replaced.

Knows the engine protocols and files; knows no statistics.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from personascope.activations import Activations, Position, joined, read_activations, write_activations
from personascope.artifacts import check_header, digest, header, read_json, sha256, write_json
from personascope.contrasts import Contrast
from personascope.errors import ArtifactError, ContrastError
from personascope.models.protocols import Generates, ModelSpec, ReadsResiduals, Residuals, Tick
from personascope.plans import Plan, differences, plan_of, same_but_for_layers
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
    """Rollouts with their activations, row by row, and the files they are in.

    `reused` tells whether the files were there already; `layers_there` are the layers that they hold.
    """

    rollouts: tuple[Rollout, ...]
    activations: Activations
    rollouts_path: Path
    activations_path: Path
    reused: bool
    layers_there: tuple[int, ...] = ()


class Stopped(KeyboardInterrupt):
    """Ctrl-C while rows were run: `kept` of `total` are on disk, in whole parts; `what` they are, replies or texts."""

    def __init__(self, kept: int, total: int, what: str) -> None:
        super().__init__(f"{kept} of {total} {what} are kept")
        self.kept = kept
        self.total = total
        self.what = what


def gather(
    engine: Engine, contrast: Contrast, *, layers: Sequence[int], seed: int, stem: Path, progress: Progress
) -> Gathered:
    """The rollouts and activations of a contrast, from disk where they are, else from the engine.

    Files are `<stem>_rollouts.jsonl`, `<stem>_activations.safetensors` and `<stem>_manifest.json`. Raises
    ArtifactError, before anything is run, where they hold a finished run of another plan; Stopped on Ctrl-C.
    """
    plan = plan_of(engine.spec, contrast, layers=layers, seed=seed)
    files = _Files(stem)
    if (finished := files.finished(plan)) is not None:
        return finished
    rows = _rows(contrast, seed)
    folder = _parts_folder(stem, plan)
    parts = _parts(folder, len(rows))
    tick = progress("writing replies" if contrast.sampling else "reading texts", len(rows))
    try:
        write_json(folder / "plan.json", plan)
        for part in parts:
            if part.is_whole:
                tick(len(part.rows))
            else:
                _run_part(engine, contrast, [rows[at] for at in part.rows], layers, part, tick)
        files.write(plan, parts)
    except KeyboardInterrupt as stop:
        raise _stopped(folder, parts, "replies" if contrast.sampling else "texts") from stop
    shutil.rmtree(folder, ignore_errors=True)
    return files.read(reused=False)


def n_parts(contrast: Contrast) -> int:
    """How many parts a contrast is gathered in."""
    return -(-len(contrast.rows) // PART_ROWS)


def gather_part(
    engine: Engine, contrast: Contrast, number: int, *, layers: Sequence[int], seed: int, stem: Path
) -> None:
    """One part of what `gather` runs, by number, unless it is there; `gather` goes on from it, whoever made it.

    Its rows are run together and with no others: the same numbers come of it in any process.
    """
    plan = plan_of(engine.spec, contrast, layers=layers, seed=seed)
    part = _parts(_parts_folder(stem, plan), len(contrast.rows))[number]
    if not part.is_whole:
        rows = _rows(contrast, seed)
        _run_part(engine, contrast, [rows[at] for at in part.rows], layers, part, lambda _done: None)


def is_gathered(spec: ModelSpec, contrast: Contrast, *, layers: Sequence[int], seed: int, stem: Path) -> bool:
    """Whether `gather` would run nothing. Raises ArtifactError where there is a finished run of another plan."""
    return _Files(stem).finished(plan_of(spec, contrast, layers=layers, seed=seed)) is not None


def manifest_path(stem: Path) -> Path:
    """The file that is there when, and only when, a run at this stem is finished."""
    return stem.with_name(f"{stem.name}_manifest.json")


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


@dataclass(frozen=True)
class _Files:
    """Where a gathered contrast lies."""

    stem: Path

    def _path(self, ending: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}_{ending}")

    def finished(self, plan: Plan) -> Gathered | None:
        """The finished run at the layers of this plan; None where there is none, or its own files are damaged.

        Raises ArtifactError where a run of another plan is there.
        """
        manifest = manifest_path(self.stem)
        try:
            told = read_json(manifest)
        except ArtifactError:
            return None
        hint = f"choose another --save-dir, or delete {manifest} to replace that run"
        try:
            check_header(told, KIND, manifest)
        except ArtifactError as error:
            raise ArtifactError(str(error), hint=hint) from error
        there = told["settings"]
        if same_but_for_layers(plan, there):
            if self._are_whole(told["made_from"]):
                return _at_layers(self.read(reused=True), plan["layers"])
            if set(plan["layers"]) == set(there["layers"]):
                return None
        raise ArtifactError(
            f"another run is finished in {manifest.parent}: {'; '.join(differences(plan, there))}", hint=hint
        )

    def _are_whole(self, hashes: Mapping[str, str]) -> bool:
        return all((file := self._path(name)).exists() and sha256(file) == hashes.get(name) for name in _NAMES)

    def write(self, plan: Plan, parts: Sequence["_Part"]) -> None:
        rows, arrays = (self._path(name) for name in _NAMES)
        read = [part.read() for part in parts]
        manifest_path(self.stem).unlink(missing_ok=True)
        write_rollouts(rows, [row for done, _ in read for row in done])
        write_activations(arrays, Activations(tuple(plan["layers"]), joined([residuals for _, residuals in read])))
        hashes = {name: sha256(self._path(name)) for name in _NAMES}
        model = ModelSpec(**plan["model"])
        write_json(manifest_path(self.stem), header(KIND, model=model, made_from=hashes, settings=plan))

    def read(self, *, reused: bool) -> Gathered:
        rows, arrays = (self._path(name) for name in _NAMES)
        activations = read_activations(arrays)
        return Gathered(tuple(read_rollouts(rows)), activations, rows, arrays, reused, activations.layers)


_NAMES = ("rollouts.jsonl", "activations.safetensors")


def _at_layers(gathered: Gathered, layers: Sequence[int]) -> Gathered:
    """The same at some of its layers, in the order given."""
    there = gathered.activations.layers
    if tuple(layers) == there:
        return gathered
    places = [there.index(layer) for layer in layers]
    whole = gathered.activations.residuals
    arrays = (getattr(whole, name) for name in Residuals.__dataclass_fields__)
    cut = Residuals(*(array[:, places] if array.ndim > 1 else array for array in arrays))
    return replace(gathered, activations=Activations(tuple(layers), cut))


def _rows(contrast: Contrast, seed: int) -> list[Rollout]:
    """The rows of a contrast, each with a seed of its own where replies are drawn."""
    return [replace(row, seed=row_seed(seed, at)) if contrast.sampling else row for at, row in enumerate(contrast.rows)]


def _parts_folder(stem: Path, plan: Plan) -> Path:
    return stem.with_name(f"{stem.name}_parts_{digest(plan)}")


@dataclass(frozen=True)
class _Part:
    """Some rows of a run, by number, and their two files; the second is written last."""

    rows: range
    rollouts_path: Path
    activations_path: Path

    @property
    def is_whole(self) -> bool:
        return self.rollouts_path.exists() and self.activations_path.exists()

    def read(self) -> tuple[list[Rollout], Residuals]:
        return list(read_rollouts(self.rollouts_path)), read_activations(self.activations_path).residuals


def _parts(folder: Path, n_rows: int) -> list[_Part]:
    spans = [range(start, min(start + PART_ROWS, n_rows)) for start in range(0, n_rows, PART_ROWS)]
    return [
        _Part(rows, folder / f"{number:05d}.jsonl", folder / f"{number:05d}.safetensors")
        for number, rows in enumerate(spans)
    ]


def _stopped(folder: Path, parts: Sequence[_Part], what: str) -> Stopped:
    """What a stopped run leaves; a folder without a whole part is taken away."""
    kept = sum(len(part.rows) for part in parts if part.is_whole)
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
    return Stopped(kept, sum(len(part.rows) for part in parts), what)


def _run_part(
    engine: Engine, contrast: Contrast, rows: Sequence[Rollout], layers: Sequence[int], part: _Part, tick: Tick
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
    write_rollouts(part.rollouts_path, done)
    write_activations(part.activations_path, Activations(tuple(layers), residuals))
