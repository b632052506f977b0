"""What the fields of each known layout mean: traits, keys, statements and options."""

import pytest
from item_rows import AUTHORS, HUB, ROW, SAID, TOLD, put, refused

from personascope.questionnaire.item_files import load_items


def test_the_hubs_layout_is_another_instrument(tmp_path):
    found = load_items(
        put(
            tmp_path / "a.jsonl", [HUB, HUB | {"question": "Beauty enriches life. And now?"}, HUB | {"question": "So?"}]
        )
    )
    assert found.form == "questions" and "another instrument" in found.notes[0]
    assert [item.statement for item in found.items] == ["Beauty enriches life."] * 2 + ["So?"]
    assert found.items[0].options == ("See the art.", "Eat the usual.", "Join a workshop.", "Hear the known band.")


def test_a_row_with_a_situation_is_never_read_without_it(tmp_path):
    found = load_items(put(tmp_path / "a.json", [AUTHORS | {"question": "What should I do?"}]))
    assert found.items[0].question == "I am at a fair. What should I do?"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("Openness", "openness"),
        (" OPENNESS to experience ", "openness"),
        ("Extroversion", "extraversion"),
        ("My Trait", "my_trait"),
        ("E", "e"),
    ],
)
def test_a_trait_has_the_catalogues_name(tmp_path, told, read):
    assert load_items(put(tmp_path / "a.csv", [ROW | {"trait": told}])).traits == (read,)


def test_traits_without_items_are_absent_and_none_is_shifted(tmp_path):
    rows = [ROW | {"trait": trait, "query": f"{trait}?"} for trait in ("Neuroticism", "Openness", "Neuroticism ")]
    rows[2]["query"] = "Another?"
    found = load_items(put(tmp_path / "a.jsonl", rows))
    assert found.traits == ("neuroticism", "openness")
    assert [item.trait for item in found.items] == ["neuroticism", "openness", "neuroticism"]


@pytest.mark.parametrize("place", ["label_ocean", "trait"])
def test_letters_are_traits_in_the_column_that_says_so(tmp_path, place):
    found = load_items(
        put(tmp_path / "mpi.csv", [{"label_raw": "Trust", "text": "Trust others", place: "A", "key": "1"}])
    )
    assert found.traits == (("agreeableness",) if place == "label_ocean" else ("a",))


def test_the_text_of_an_inventory_is_found_beside_its_number(tmp_path):
    found = load_items(put(tmp_path / "a.tsv", [{"Item": "17", "Text": "Take charge.", "Scale": "x", "Keyed": "+"}]))
    assert found.items[0].statement == "Take charge."
    refused(put(tmp_path / "b.tsv", [{"item": "17", "scale": "x", "keyed": "+"}]), "'17' for a statement")


@pytest.mark.parametrize("key", ["+", "1", "+1", "1.0", 1.0, "+keyed", "+ keyed", "Plus", "positive"])
def test_keys_of_items_that_rise(tmp_path, key):
    assert load_items(put(tmp_path / "a.csv", [TOLD | {"key": key}])).items[0].keys[-1] == 1.0


@pytest.mark.parametrize("key", ["-", "-1", -1, "-1.0", "-keyed", "\u22121", "reverse", "Reversed", "R", "negative"])
def test_keys_of_items_that_fall(tmp_path, key):
    assert load_items(put(tmp_path / "a.csv", [TOLD | {"key": key}])).items[0].keys[-1] == 0.0


@pytest.mark.parametrize("key", ["", "0", "2", "10", "yes", "1 0", "+-"])
def test_a_key_that_is_neither_plus_nor_minus_is_refused(tmp_path, key):
    refused(
        put(tmp_path / "a.csv", [TOLD, TOLD | {"item": "Sing.", "key": key}]),
        "row 2 of a.csv .*'key', which is neither",
    )


def test_a_truth_value_is_no_key(tmp_path):
    refused(put(tmp_path / "a.json", [TOLD | {"key": True}]), "True at 'key'")


def test_answers_other_than_yes_and_no_keep_one_order(tmp_path):
    letters = [("(B)", "(A)"), ("(A)", "(B)")]
    rows = [
        SAID | {"question": f"{n}?", "answer_matching_behavior": one, "answer_not_matching_behavior": other}
        for n, (one, other) in enumerate(letters)
    ]
    found = load_items(put(tmp_path / "a.jsonl", rows)).items
    assert [(item.options, item.keys) for item in found] == [(("(A)", "(B)"), (0.0, 1.0)), (("(A)", "(B)"), (1.0, 0.0))]
