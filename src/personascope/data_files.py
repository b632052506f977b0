"""Rows of a data set, JSON lines or Parquet, a block at a time: memory does not grow with the file.

A file is gone over once, for its hash and for where its blocks begin; then any block is read by itself, on any machine
that has the file at that path. Knows files; knows nothing of what their columns mean.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from personascope.artifacts import sha256
from personascope.errors import DataError

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """Some rows that stand together: the first one's number, from 0, how many, and where they begin in a JSONL file."""

    number: int
    first: int
    n_rows: int
    offset: int = 0


@dataclass(frozen=True)
class Survey:
    """What is in a file: its blocks in order, its hash, and its first row."""

    blocks: tuple[Block, ...]
    sha256: str
    first: Record

    @property
    def n_rows(self) -> int:
        """Of the whole file."""
        return sum(block.n_rows for block in self.blocks)


@runtime_checkable
class ReadsBlocks(Protocol):
    """Reads blocks of one file; cheapest in ascending order."""

    def rows(self, block: Block) -> list[Record]:
        """The rows of a block. Raises DataError where one is damaged."""
        ...


def survey(path: Path, block_rows: int) -> Survey:
    """The blocks of a file, `block_rows` rows each but for the last. Raises DataError where there are none."""
    kind = _kind(path)
    try:
        blocks, found = _jsonl_blocks(path, block_rows) if kind == ".jsonl" else _parquet_blocks(path, block_rows)
        if not blocks:
            raise DataError(f"{path} has no rows", hint="give a file with at least one")
        return Survey(blocks, found, block_reader(path).rows(Block(0, 0, 1))[0])
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})", hint=_HINT) from error


def block_reader(path: Path) -> ReadsBlocks:
    """What reads the blocks of a file."""
    return _JsonLines(path) if _kind(path) == ".jsonl" else _Parquet(path)


_HINT = "give a .jsonl or .parquet file; with --ray, at a path that every machine sees"


def _kind(path: Path) -> str:
    if path.suffix.lower() not in (".jsonl", ".parquet"):
        raise DataError(f"{path} is not JSON lines or Parquet", hint=_HINT)
    return path.suffix.lower()


def _jsonl_blocks(path: Path, block_rows: int) -> tuple[tuple[Block, ...], str]:
    """Blocks and hash, in one pass; blank lines are no rows."""
    whole = hashlib.sha256()
    blocks: list[Block] = []
    offset, n_rows, begun = 0, 0, 0
    with path.open("rb") as file:
        for line in file:
            whole.update(line)
            if line.strip():
                if n_rows % block_rows == 0:
                    begun = offset
                n_rows += 1
                if n_rows % block_rows == 0:
                    blocks.append(Block(len(blocks), n_rows - block_rows, block_rows, begun))
            offset += len(line)
    if n_rows % block_rows:
        blocks.append(Block(len(blocks), n_rows - n_rows % block_rows, n_rows % block_rows, begun))
    return tuple(blocks), whole.hexdigest()


def _parquet_blocks(path: Path, block_rows: int) -> tuple[tuple[Block, ...], str]:
    n_rows = int(_parquet_file(path).metadata.num_rows)
    starts = range(0, n_rows, block_rows)
    blocks = (Block(number, first, min(block_rows, n_rows - first)) for number, first in enumerate(starts))
    return tuple(blocks), sha256(path)


class _JsonLines:
    """Goes straight to a block's first byte."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, block: Block) -> list[Record]:
        found: list[Record] = []
        with self._path.open("rb") as file:
            file.seek(block.offset)
            for line in file:
                if not line.strip():
                    continue
                found.append(self._row(line, block.first + len(found) + 1))
                if len(found) == block.n_rows:
                    break
        return found

    def _row(self, line: bytes, number: int) -> Record:
        try:
            record = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
        except ValueError as error:
            raise DataError(f"row {number} of {self._path} is not JSON ({error})", hint=_HINT) from error
        if not isinstance(record, dict):
            raise DataError(f"row {number} of {self._path} is no JSON object", hint="each line holds one row, {...}")
        return record


class _Parquet:
    """Goes on from the row it has come to; only a block behind that begins anew."""

    _BATCH = 256

    def __init__(self, path: Path) -> None:
        self._path = path
        self._batches: Iterator[Any] | None = None
        self._left: Any = None
        """What is left of the batch that is read."""
        self._at = 0
        """The number of the next row."""

    def rows(self, block: Block) -> list[Record]:
        if self._batches is None or block.first < self._at:
            self._begin(block.first)
        while self._at < block.first:
            self._take(block.first - self._at)
        found: list[Record] = []
        while len(found) < block.n_rows:
            found += self._take(block.n_rows - len(found)).to_pylist()
        return found

    def _take(self, most: int) -> Any:
        """At most so many of the next rows."""
        assert self._batches is not None
        if self._left is None or not self._left.num_rows:
            self._left = next(self._batches)
        part = self._left.slice(0, most)
        self._left = self._left.slice(part.num_rows)
        self._at += part.num_rows
        return part

    def _begin(self, first: int) -> None:
        """Open the file at the row group that holds this row."""
        file, self._at, group = _parquet_file(self._path), 0, 0
        while group < file.num_row_groups and self._at + file.metadata.row_group(group).num_rows <= first:
            self._at += file.metadata.row_group(group).num_rows
            group += 1
        self._left = None
        self._batches = file.iter_batches(self._BATCH, row_groups=list(range(group, file.num_row_groups)))


def _parquet_file(path: Path) -> Any:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise DataError(
            "Parquet files need pyarrow, which is not installed", hint="pip install 'personascope[parquet]'"
        ) from error
    try:
        return ParquetFile(path, pre_buffer=False)
    except ArrowInvalid as error:
        raise DataError(f"{path} is not a Parquet file ({error})", hint=_HINT) from error
