"""A questionnaire that is written is read again, from every format; real files; the page on them."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from item_rows import AUTHORS, FLAT, SAID, put, refused

from personascope.questionnaire.item_files import load_items
from personascope.questionnaire.item_rules import check_items
from personascope.questionnaire.items import Item, Questionnaire, own_items, situational
from personascope.questionnaire.layouts import SCALE

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufffd<&"), min_size=1, max_size=30)


@st.composite
def flat_rows(draw):
    """Rows of our flat layout, of several traits and statements, no two alike; texts of any characters."""
    rows = []
    for number in range(draw(st.integers(1, 6))):
        fields = {name: f"{draw(texts)}|{name}|{number}".strip() for name in FLAT}
        fields["trait"] = draw(st.sampled_from(["openness", "my_trait"]))
        fields["statement"] = f"I am {draw(st.integers(0, 2))}"
        rows.append(fields)
    return rows


def items_of(rows):
    return tuple(
        situational(
            row["trait"],
            row["statement"],
            f"{row['situation']} {row['query']}",
            (row["high1"], row["high2"]),
            (row["low1"], row["low2"]),
        )
        for row in rows
    )


laws = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "parquet"])
@laws
@given(rows=flat_rows())
def test_flat_rows_come_back_from_every_format(tmp_path, ending, rows):
    found = load_items(put(tmp_path / f"mine.{ending}", rows))
    assert found == Questionnaire(f"mine.{ending}", "situations", items_of(rows))


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "parquet"])
@laws
@given(rows=flat_rows())
def test_rows_of_the_authors_layout_come_back_from_every_format(tmp_path, ending, rows):
    names = dict(zip(FLAT, list(AUTHORS)[2:], strict=True))
    theirs = [{"idx": 0, "split": "good"} | {names[name]: text for name, text in row.items()} for row in rows]
    found = load_items(put(tmp_path / f"theirs.{ending}", theirs))
    assert found.items == items_of(rows) and found.form == "situations"


@laws
@given(rows=flat_rows())
def test_yaml_comes_back_statement_by_statement(tmp_path, rows):
    fields = {
        "trait": "mine",
        "statements": [
            {
                "statement": row["statement"],
                "situations": [
                    {
                        "situation": row["situation"],
                        "query": row["query"],
                        "high": [row["high1"], row["high2"]],
                        "low": [row["low1"], row["low2"]],
                    }
                ],
            }
            for row in rows
        ],
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    assert load_items(str(path)).items == items_of([row | {"trait": "mine"} for row in rows])


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@laws
@given(said=st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=5))
def test_persona_statements_come_back_with_their_keys(tmp_path, ending, said):
    rows = [
        SAID
        | {"question": f"{text}?|{n}".strip(), "statement": f"{text}|{n}".strip(), "label_confidence": 0.9}
        | ({} if yes else {"answer_matching_behavior": " No", "answer_not_matching_behavior": " Yes"})
        for n, (text, yes) in enumerate(said)
    ]
    found = load_items(put(tmp_path / f"Interest-in-art.{ending}", rows))
    assert found.form == "statements" and found.traits == ("interest_in_art",)
    for item, row, (_, yes) in zip(found.items, rows, said, strict=True):
        keys = (1.0, 0.0) if yes else (0.0, 1.0)
        assert item == Item("interest_in_art", row["statement"], row["question"], ("Yes", "No"), keys)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@laws
@given(told=st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=5))
def test_inventories_come_back_with_rising_and_falling_keys(tmp_path, ending, told):
    rows = [
        {"text": f"{text}|x{n}".strip(), "scale": "Extraversion", "key": 1 if up else -1}
        for n, (text, up) in enumerate(told)
    ]
    found = load_items(put(tmp_path / f"ipip.{ending}", rows))
    assert found.form == "inventory" and found.traits == ("extraversion",)
    for item, row, (_, up) in zip(found.items, rows, told, strict=True):
        assert item.statement == row["text"] and f'"{row["text"]}"' in item.question
        rising = (0.0, 0.25, 0.5, 0.75, 1.0)
        assert (item.options, item.keys) == (SCALE, rising if up else rising[::-1])


def test_the_shipped_items_come_back_as_a_users_file(tmp_path):
    rows = [
        {
            "trait": item.trait,
            "statement": item.statement,
            "situation": item.question.rpartition(". ")[0] + ".",
            "query": item.question.rpartition(". ")[2],
            "high1": item.options[0],
            "high2": item.options[2],
            "low1": item.options[1],
            "low2": item.options[3],
        }
        for item in own_items().items
    ]
    assert load_items(put(tmp_path / "copy.csv", rows)).digest == own_items().digest


def test_the_authors_sample_is_read_whole(shared_data):
    found = load_items(str(shared_data / "trait" / "trait_sample.json"))
    assert (found.form, len(found.items), found.notes) == ("situations", 522, ())
    assert found.traits == (
        "openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism", "machiavellianism"
    )  # fmt: skip
    raw = json.loads((shared_data / "trait" / "trait_sample.json").read_text(encoding="utf-8"))
    assert found.items[0].question == f"{raw[0]['situation']} {raw[0]['query']}"
    names = ("response_high1", "response_low1", "response_high2", "response_low2")
    assert found.items[9].options == tuple(raw[9][name] for name in names)
    assert len({item.statement for item in found.items if item.trait == "machiavellianism"}) == 40


def test_the_hubs_form_of_the_sample_keeps_its_statements_together(shared_data, tmp_path):
    path = shared_data / "trait" / "trait_sample.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    kept = ("personality", "response_high1", "response_high2", "response_low1", "response_low2")
    rows = [{name: row[name] for name in kept} | {"question": f"{row['statement']} {row['query']}"} for row in raw]
    theirs, ours = load_items(put(tmp_path / "hub.parquet", rows)), load_items(str(path))
    assert theirs.form == "questions" and "missing" in theirs.notes[0]
    statements = dict(
        zip((item.statement for item in ours.items), (item.statement for item in theirs.items), strict=True)
    )
    assert [statements[item.statement] for item in ours.items] == [item.statement for item in theirs.items]
    assert len(set(statements.values())) == len(statements)


@pytest.mark.parametrize("trait", ["openness", "machiavellianism"])
def test_persona_statements_are_read_whole(shared_data, trait):
    found = load_items(str(shared_data / "persona_statements" / f"{trait}.jsonl"))
    assert (found.form, found.traits, len(found.items)) == ("statements", (trait,), 1000)
    assert {item.options for item in found.items} == {("Yes", "No")}
    assert sum(item.keys == (1.0, 0.0) for item in found.items) == 500
    assert check_items(found) == ()


def test_the_yaml_of_the_page_can_be_loaded_and_the_page_names_every_field(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "items.md").read_text(encoding="utf-8")
    (tmp_path / "thrift.yaml").write_text(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    found = load_items(str(tmp_path / "thrift.yaml"))
    assert (found.traits, len(found.items), found.form) == (("thrift",), 1, "situations")
    told = refused(put(tmp_path / "a.json", [{"x": "y"}]), "no known layout").hint
    fields = {field for part in re.split(r"[;:,]| or ", told) if re.fullmatch(r"[a-z_]+\d?", field := part.strip())}
    assert len(fields) > 20 and [field for field in sorted(fields) if f"`{field}`" not in page] == []


@pytest.mark.parametrize("name", ["own", "personascope"])
def test_our_own_items_have_a_name(name):
    assert load_items(name) is own_items()


def test_what_is_no_name_is_told_what_can_be_given(tmp_path):
    assert "did you mean own?" in refused("owm", "no items 'owm'").hint
    refused(tmp_path / "gone.csv", "gone.csv is no file")
    refused(tmp_path, "is a folder")
