"""The folder of a projection: one file a block, the identity of the run, and how all texts lie, summed block by block.

    manifest.json             what was asked: data, columns, vectors, layers, settings; written first
    model.json                which model it is, by the first worker that has opened it
    projections/00000.parquet a row each: row, <trait>, <trait>_norm, n_tokens, problem (JSON lines without pyarrow)
    summary.json              written last: its presence means that all blocks are there

A block's bytes follow from its texts and the model alone. Knows files; knows no engine.
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from personascope.artifacts import FORMAT_VERSION, Json, read_json, write_json, write_whole
from personascope.data_files import Block
from personascope.errors import ArtifactError
from personascope.models.protocols import ModelSpec
from personascope.projection import Projected

KIND = "projection of a data set"
MANIFEST, MODEL, SUMMARY = "manifest.json", "model.json", "summary.json"


def claim(folder: Path, settings: Mapping[str, Json]) -> None:
    """Make the folder this run's own, or go on with it. Raises ArtifactError where it is another run's."""
    asked = {"kind": KIND, "format_version": FORMAT_VERSION, "settings": dict(settings)}
    if (folder / MANIFEST).exists():
        there = read_json(folder / MANIFEST)
        if there != json.loads(json.dumps(asked)):
            raise _other_run(folder, _differing(there.get("settings") or {}, settings) or "another format")
        return
    if (folder / "projections").exists():
        raise _other_run(folder, "its manifest is missing")
    write_json(folder / MANIFEST, asked)


def claim_model(folder: Path, spec: ModelSpec) -> None:
    """Say which model the blocks are of; the first worker decides. Raises ArtifactError for a worker of another one."""
    told = json.dumps(asdict(spec), indent=1)
    path = folder / MODEL
    mine = path.with_name(f"{MODEL}.{uuid.uuid4().hex[:8]}.part")
    try:
        mine.write_text(told + "\n", encoding="utf-8")
        # A link is made only where no file of that name is: of two workers that begin at once, one is the first.
        with suppress(FileExistsError):
            os.link(mine, path)
    except OSError as error:
        raise ArtifactError(
            f"{path} could not be written: {error.strerror or error}", hint="every worker must write to this folder"
        ) from error
    finally:
        mine.unlink(missing_ok=True)
    there = read_json(path)
    if there != json.loads(told):
        raise _other_run(folder, _differing(there, asdict(spec)))


def block_path(folder: Path, block: Block, suffix: str) -> Path:
    """Where a block's projections lie."""
    return folder / "projections" / f"{block.number:05d}{suffix}"


def suffix_here() -> str:
    """`.parquet`, or `.jsonl` where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return ".jsonl"
    return ".parquet"


def write_block(path: Path, block: Block, found: Projected, traits: Sequence[str]) -> None:
    """Put a block's projections in place, in one step; what was not read is null."""
    columns: dict[str, list[Any]] = {"row": list(range(block.first, block.first + block.n_rows))}
    for number, trait in enumerate(traits):
        columns[trait] = _nullable(found.gaps[:, number])
        columns[f"{trait}_norm"] = _nullable(found.norms[:, number])
    columns |= {"n_tokens": found.n_tokens.tolist(), "problem": list(found.problems)}
    if path.suffix == ".jsonl":
        rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_whole(path, lambda part: _write_text(part, text))
        return
    import pyarrow as pa
    from pyarrow.parquet import write_table

    kinds = {"row": pa.int64(), "n_tokens": pa.int64(), "problem": pa.string()}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in columns])
    write_whole(path, lambda part: write_table(pa.table(columns, schema=schema), part))


def projections_of(path: Path, trait: str) -> Float64[np.ndarray, " sample"]:
    """One trait's projections in a block's file, in persona gaps; those of texts that were read."""
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            values = [json.loads(line)[trait] for line in file]
        return np.array([value for value in values if value is not None], dtype=np.float64)
    from pyarrow.parquet import read_table

    return np.asarray(read_table(path, columns=[trait])[trait].drop_null().to_numpy(), dtype=np.float64)


def problems_of(path: Path) -> Iterator[str]:
    """Why texts of a block's file could not be read."""
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            found = [json.loads(line)["problem"] for line in file]
    else:
        from pyarrow.parquet import read_table

        found = read_table(path, columns=["problem"])["problem"].to_pylist()
    yield from (problem for problem in found if problem)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _nullable(values: Float64[np.ndarray, " sample"]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _differing(there: Mapping[str, Json], now: Mapping[str, Json]) -> str:
    return "; ".join(
        f"{key.replace('_', ' ')} {there.get(key)} there, {now.get(key)} now"
        for key in {**there, **now}
        if there.get(key) != json.loads(json.dumps(now.get(key)))
    )


def _other_run(folder: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"{folder} holds another run: {why}", hint="choose another folder, or delete this one to replace that run"
    )
