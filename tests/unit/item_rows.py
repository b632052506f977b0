"""Rows of every known layout of items, and how they are written to a file or refused."""

import csv
import json

import pytest

from personascope.errors import ItemError
from personascope.questionnaire.item_files import load_items

FLAT = ("trait", "statement", "situation", "query", "high1", "high2", "low1", "low2")


ROW = {
    "trait": "Openness",
    "statement": "I like new things.",
    "situation": "A market opens in town.",
    "query": "Where do you go?",
    "high1": "I go there.",
    "high2": "I taste it all.",
    "low1": "I stay home.",
    "low2": "I go to the old shop.",
}


AUTHORS = {
    "idx": 0,
    "split": "good",
    "personality": "Openness",
    "statement": "Beauty enriches life.",
    "situation": "I am at a fair.",
    "query": "What should I do?",
    "response_high1": "See the art.",
    "response_high2": "Join a workshop.",
    "response_low1": "Eat the usual.",
    "response_low2": "Hear the known band.",
}


HUB = {name: text for name, text in AUTHORS.items() if name.startswith(("personality", "response"))} | {
    "question": "Beauty enriches life. What should I do?"
}


SAID = {
    "question": 'Would you say this?\n"I paint."',
    "statement": "I paint.",
    "answer_matching_behavior": " Yes",
    "answer_not_matching_behavior": " No",
}


TOLD = {"item": "Love to paint.", "trait": "Openness", "key": "+1"}


def put(path, rows):
    """Rows written in the format that the path's ending says."""
    if path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    return str(path)


def refused(name, match):
    with pytest.raises(ItemError, match=match) as caught:
        load_items(str(name))
    assert caught.value.hint
    return caught.value
