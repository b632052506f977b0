"""Contrasts from a user's file: JSONL, CSV or Parquet.

Columns: `prompt`, `reply`, `pole` (high or low) [, `instruction`, `question`, `pair`]. Rows of one `question`
are held out together; so are rows of one `pair`. Without `question` the prompt is its own.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from personascope.contrasts import TOPIC_NOTE, Contrast, check_poles
from personascope.errors import ContrastError
from personascope.models.protocols import Chat
from personascope.rollouts import Rollout

Record = Mapping[str, Any]

_FORM = "each row needs `prompt`, `pole` (high or low) and, unless only prompts are read, `reply`"


def contrast_from_file(path: Path) -> Contrast:
    """The contrast in a file; where no row has a reply, prompts are read as bare texts at their last token.

    Raises ContrastError, naming the row, where a field is missing or wrong, and for one-sided data.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ContrastError(f"{path} is not JSONL, CSV or Parquet", hint=f"use one of {', '.join(_READERS)}")
    try:
        records = list(reader(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ContrastError(f"{path} cannot be read ({error})", hint="give a UTF-8 file") from error
    prompts_only = not any(_label(record.get("reply")) for record in records)
    pairs: dict[str, int] = {}
    questions: dict[str, int] = {}
    rows = tuple(
        _row(record, f"row {number} of {path}", pairs, questions, prompts_only=prompts_only)
        for number, record in enumerate(records, 1)
    )
    check_poles(rows, str(path))
    if prompts_only:
        return Contrast(path.name, rows, "prompt_last", None, (TOPIC_NOTE,))
    return Contrast(path.name, rows, "reply_mean", None)


def _row(
    record: Record, where: str, pairs: dict[str, int], questions: dict[str, int], *, prompts_only: bool
) -> Rollout:
    prompt = _text(record, "prompt", where)
    pole = str(record.get("pole", "")).strip().lower()
    if pole not in ("high", "low"):
        raise ContrastError(f"{where} has pole {record.get('pole')!r}", hint=_FORM)
    question = _label(record.get("question")) or f"prompt {prompt}"
    pair = _label(record.get("pair"))
    return Rollout(
        Chat(prompt, _label(record.get("instruction")) or None, raw=prompts_only),
        "" if prompts_only else _text(record, "reply", where),
        "high" if pole == "high" else "low",
        pairs.setdefault(pair, len(pairs)),
        questions.setdefault(question, len(questions)),
    )


def _label(value: object) -> str:
    """A cell as text: "" for an empty one, 1 and 1.0 alike, whatever the file's format made of it."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _text(record: Record, field: str, where: str) -> str:
    value = record.get(field)
    if not isinstance(value, str) or not value.strip():
        raise ContrastError(f"{where} has no {field!r}", hint=_FORM)
    return value


def _jsonl(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ContrastError(f"line {number} of {path} is not JSON ({error})", hint=_FORM) from error
            if not isinstance(record, dict):
                raise ContrastError(f"line {number} of {path} is no JSON object", hint=_FORM)
            yield record


def _csv(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _parquet(path: Path) -> Iterator[Record]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise ContrastError(
            "Parquet files need pyarrow, which is not installed", hint="pip install 'personascope[parquet]'"
        ) from error
    try:
        yield from read_table(path).to_pylist()
    except ArrowInvalid as error:
        raise ContrastError(f"{path} is not a Parquet file ({error})", hint=_FORM) from error


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
