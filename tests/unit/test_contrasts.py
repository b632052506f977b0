"""Contrasts from the catalogue and from a user's file; what is wrong with a file is told with its row."""

import json

import pytest

from personascope.contrast_files import contrast_from_file
from personascope.contrasts import SOURCES
from personascope.errors import ContrastError
from personascope.prompts import PROTOCOLS, prompts
from personascope.traits import load_trait

TRAIT = load_trait("evil")
ROWS = [
    {"prompt": "How are you?", "reply": "Never better!", "pole": "high", "pair": "a"},
    {"prompt": "How are you?", "reply": "Leave me be.", "pole": "LOW ", "pair": "a"},
    {"prompt": "Why?", "reply": "For fun.", "pole": "high", "question": "why", "instruction": "You are merry."},
]


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".csv":
        names = sorted({name for row in rows for name in row})
        lines = [",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in rows)]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        pa = pytest.importorskip("pyarrow")
        from pyarrow.parquet import write_table

        write_table(
            pa.Table.from_pylist([{"pair": None, "question": None, "instruction": None} | row for row in rows]),
            path,
        )
    return path


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_all_forms_of_a_file_read_alike(tmp_path, ending):
    rows = contrast_from_file(write(tmp_path / f"mine.{ending}", ROWS)).rows
    assert [row.pole for row in rows] == ["high", "low", "high"]
    assert [row.pair for row in rows] == [0, 0, 1]
    assert [row.question for row in rows] == [0, 0, 1]
    assert rows[2].chat.instruction == "You are merry." and rows[0].chat.instruction is None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": "x", "reply": "y", "pole": "up"}, "row 4 .* has pole 'up'"),
        ({"reply": "y", "pole": "high"}, "row 4 .* has no 'prompt'"),
        ({"prompt": "x", "reply": "  ", "pole": "high"}, "row 4 .* has no 'reply'"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, told):
    with pytest.raises(ContrastError, match=told) as caught:
        contrast_from_file(write(tmp_path / "mine.jsonl", [*ROWS, row]))
    assert "pole" in caught.value.hint


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS[1:2]], ids=["empty", "high only", "low only"])
def test_empty_or_one_sided_data_is_refused(tmp_path, rows):
    with pytest.raises(ContrastError, match="high and"):
        contrast_from_file(write(tmp_path / "mine.jsonl", rows))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b"x"), ("gone.jsonl", None), ("a.jsonl", b"{nonsense"), ("a.jsonl", b"[1]"), ("a.csv", b"\xff\xfe\x00a"),
     ("a.parquet", b"not parquet")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ContrastError) as caught:
        contrast_from_file(path)
    assert caught.value.hint


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_numbers_are_labels_too_and_zero_is_one_of_them(tmp_path, ending):
    rows = [
        {"prompt": f"p{n}", "reply": "r", "pole": pole, "question": question, "pair": 0}
        for n, (pole, question) in enumerate([("high", 0), ("low", 0), ("high", 1), ("low", 1)])
    ]
    found = contrast_from_file(write(tmp_path / f"mine.{ending}", rows)).rows
    assert [row.question for row in found] == [0, 0, 1, 1] and {row.pair for row in found} == {0}
    assert all(row.chat.instruction is None for row in found)


def test_prompts_need_no_reply_and_say_what_they_confound(tmp_path):
    rows = [{"prompt": "Hurrah", "pole": "high"}, {"prompt": "Alas", "pole": "low"}]
    contrast = contrast_from_file(write(tmp_path / "mine.jsonl", rows))
    assert contrast.position == "prompt_last" and "topic" in contrast.notes[0]
    assert all(row.chat.raw for row in contrast.rows)


def test_the_standard_protocol_crosses_all_pairs_and_questions_at_both_poles():
    asked = prompts(TRAIT, PROTOCOLS["standard"])
    assert len(asked) == 8 * 20 * 2 == len({(p.chat, p.pole) for p in asked})
    assert all(p.chat.instruction == getattr(TRAIT.instructions.extract[p.pair], p.pole) for p in asked)
    unseen = prompts(TRAIT, PROTOCOLS["standard"], "evaluate")
    assert not {p.chat.question for p in asked} & {p.chat.question for p in unseen}


def test_every_source_has_both_poles_matched():
    for make in SOURCES.values():
        rows = make(TRAIT, PROTOCOLS["quick"]).rows
        assert sum(row.pole == "high" for row in rows) * 2 == len(rows) > 0
