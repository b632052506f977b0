"""A questionnaire that cannot be read whole is refused, with the row and the field."""

import pytest
from item_rows import AUTHORS, FLAT, HUB, ROW, put, refused

from personascope.questionnaire.item_files import load_items
from personascope.questionnaire.item_rules import check_items
from personascope.questionnaire.items import situational


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "parquet"])
@pytest.mark.parametrize(("field", "value"), [("low2", ""), ("statement", "  "), ("query", None), ("trait", " ")])
def test_a_missing_or_empty_field_is_named_with_its_row(tmp_path, ending, field, value):
    path = put(tmp_path / f"a.{ending}", [ROW, ROW | {"query": "And then?"} | {field: value}])
    refused(path, rf"(row|line) 2 of a.{ending} has (no|an empty) '{field}'")


@pytest.mark.parametrize("ending", ["json", "jsonl"])
@pytest.mark.parametrize("value", [3, 1.5, True, ["a"], {"a": "b"}])
def test_a_field_of_another_type_is_named(tmp_path, ending, value):
    refused(put(tmp_path / f"a.{ending}", [ROW, ROW | {"high1": value}]), "2 of .* at 'high1', which is no text")


def test_a_field_that_later_rows_lack_is_missed(tmp_path):
    lacking = {name: text for name, text in (ROW | {"query": "And?"}).items() if name != "low1"}
    error = refused(put(tmp_path / "a.jsonl", [ROW, lacking]), "line 2 of a.jsonl has no 'low1'")
    assert "flat" in error.hint
    refused(put(tmp_path / "b.jsonl", [AUTHORS, HUB]), "line 2 of b.jsonl has no 'statement'")


def test_an_item_that_stands_twice_is_refused_with_both_rows(tmp_path):
    again = ROW | {
        "statement": "Something else.",
        "high1": ROW["low2"],
        "low2": ROW["high1"],
    }
    refused(put(tmp_path / "a.csv", [ROW, ROW | {"query": "What?"}, again]), "row 3 of a.csv .* of row 1 of a.csv")


def test_items_that_stand_twice_are_counted(tmp_path):
    refused(put(tmp_path / "a.csv", [ROW] * 4), "row 2 of a.csv .* of row 1 of a.csv: .*; 2 more stand twice$")


def test_items_that_differ_in_case_alone_are_two(tmp_path):
    assert len(load_items(put(tmp_path / "a.csv", [ROW, ROW | {"query": "where do you go?"}])).items) == 2


def test_the_same_question_may_stand_under_two_traits_or_with_other_options(tmp_path):
    rows = [ROW, ROW | {"high1": "I run there."}, ROW | {"trait": "extraversion"}]
    found = load_items(put(tmp_path / "a.csv", rows))
    assert len(found.items) == 3
    assert any("share an item" in problem for problem in check_items(found))


@pytest.mark.parametrize("same", ["I stay home.", "i stay  HOME."])
def test_two_equal_options_are_refused(tmp_path, same):
    refused(put(tmp_path / "a.csv", [ROW | {"low2": same}]), "row 1 of a.csv has the option .* twice")


def test_an_unknown_layout_is_told_its_fields_and_the_known_ones(tmp_path):
    error = refused(
        put(tmp_path / "a.jsonl", [{"goal": "x", "sol1": "y"}]), "fields goal, sol1, which are no known layout$"
    )
    for known in ("response_high1", "high1", "answer_matching_behavior", "key or keyed or sign"):
        assert known in error.hint
    lacking = {name: text for name, text in ROW.items() if name != "low2"}
    refused(put(tmp_path / "b.csv", [lacking]), r"that of personascope \(flat\) also needs low2$")


@pytest.mark.parametrize(
    "text", ["<b>Go</b> there.", "Go there.<br/>", 'Read <a href="x">this</a>.', "Fish &amp; chips.", "<P>Go."]
)
def test_html_is_refused(tmp_path, text):
    refused(
        put(tmp_path / "a.json", [ROW, ROW | {"query": "So?", "high2": text}]), "row 2 of a.json has HTML at 'high2'"
    )


@pytest.mark.parametrize("text", ["a < b & c > d", "I <3 it", "Write to <your name>.", "<a friend> calls"])
def test_marks_that_are_no_html_stay(tmp_path, text):
    assert load_items(put(tmp_path / "a.json", [ROW | {"high2": text}])).items[0].options[2] == text


@pytest.mark.parametrize("text", ["caf\ufffd", "zero\0"])
def test_broken_characters_are_refused(tmp_path, text):
    refused(put(tmp_path / "a.json", [ROW | {"low1": text}]), "broken character at 'low1'")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.json", b"", "a.json is empty"),
        ("a.jsonl", b"\n \n", "a.jsonl is empty"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", ",".join(FLAT).encode(), "a.csv has no items"),
        ("a.json", b"[]", "a.json has no items"),
        ("a.yaml", b"# nothing\n", "a.yaml has no items"),
        ("a.json", b"{nonsense", "a.json is not JSON"),
        ("a.json", b"[" * 100_000, "a.json is not JSON"),
        ("a.json", b'{"trait": "x"}', "a.json is no JSON list"),
        ("a.json", b'[{}, "x"]', "row 2 of a.json is no JSON object"),
        ("a.jsonl", b'{"a": 1}\n\n{nonsense\n', "line 3 of a.jsonl is not JSON"),
        ("a.jsonl", b'{"a": 1, "a": 2}', "line 1 of a.jsonl has two fields 'a'"),
        ("a.jsonl", b'{"a": 1, "A ": 2}', "line 1 of a.jsonl has two fields 'a'"),
        ("a.csv", "tr\u00e4it,x".encode("latin-1"), "a.csv is not UTF-8"),
        ("a.csv", b"trait,trait\nx,y\n", "the header of a.csv has two fields 'trait'"),
        ("a.csv", b"trait,x\na,b\na,b,c\n", "row 2 of a.csv has 3 cells, the header 2"),
        ("a.csv", b'trait,x\na,"b\nc,d\n', "line 3 of a.csv cannot be read"),
        ("a.tsv", b"trait,item,key\nx,y,+\n", "the first line of a.tsv has no tab"),
        ("a.csv", b"trait\titem\tkey\nx\ty\t+\n", "the first line of a.csv has no comma"),
        ("a.csv", b"trait;item;key\nx;y;+\n", "the first line of a.csv has no comma"),
        ("a.json", b"\n<!DOCTYPE html><html></html>", "a.json is a web page"),
        ("a.json", b"version https://git-lfs.github.com/spec/v1\n", "a.json is a Git LFS pointer"),
        ("a.parquet", b"PAR1 not", "a.parquet is not a Parquet file"),
        ("a.txt", b"x", "a.txt is of no known format"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_whole_is_refused(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, match)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv"])
def test_a_line_of_more_than_100_kb_is_refused(tmp_path, ending):
    refused(put(tmp_path / f"a.{ending}", [ROW, ROW | {"situation": "\u00e4" * 50_000}]), "line [23] of .* bytes long")


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_a_text_of_more_than_100_kb_is_refused(tmp_path, ending):
    refused(put(tmp_path / f"a.{ending}", [ROW, ROW | {"situation": "x" * 100_001}]), "row 2 of .* 100,001 characters")


def test_a_byte_order_mark_is_no_part_of_the_first_field(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + b"trait,item,key\r\nOpenness,Paint.,+\r\n")
    assert load_items(str(path)).items[0].statement == "Paint."


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("trait: mine", ""), "mine.yaml has no 'trait'"),
        (("trait: mine", "trait: yes"), "mine.yaml has True at 'trait', which is no text"),
        (("query: So?", ""), "statement 1, situation 1 of mine.yaml has no 'query'"),
        (("low: [c, d]", "low: [c]"), "statement 1, situation 1 of mine.yaml has 1 options at 'low'"),
        (("low: [c, d]", "low: c"), "'c' at 'low', which is no list"),
        (("low: [c, d]", "low: [c, 4]"), "4 at 'low 2', which is no text"),
        (("low: [c, d]", "low: [c, d"), "mine.yaml is not YAML"),
        (("query: So?", "query: So?\n        query: Now?"), "mine.yaml is not YAML .*'query' stands twice"),
        (("statement: I do.", "statement:"), "statement 1 of mine.yaml has no 'statement'"),
    ],
)
def test_a_yaml_file_that_does_not_fit_is_told_where(tmp_path, change, match):
    text = """
trait: mine
statements:
  - statement: I do.
    situations:
      - situation: A bell rings.
        query: So?
        high: [a, b]
        low: [c, d]
"""
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_items(str(path)).items == (situational("mine", "I do.", "A bell rings. So?", "ab", "cd"),)
    path.write_text(text.replace(*change), encoding="utf-8")
    refused(path, match)


def test_statements_that_are_no_mappings_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("trait: mine\nstatements: [I do.]\n", encoding="utf-8")
    refused(tmp_path / "a.yaml", "statement 1 of a.yaml is no mapping")


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    path = put(tmp_path / "a.parquet", [ROW])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert "personascope[parquet]" in refused(path, "need pyarrow").hint
