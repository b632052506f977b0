"""The neutral texts are plain: counted, unlike each other, and free of every word that names a trait."""

import re
from collections import Counter
from dataclasses import asdict
from importlib import resources

import pytest

from personascope.neutral import neutral
from personascope.traits import catalogue_names, load_trait

# Words of persons, feelings, judgments and duties; the words that name traits come from the catalogue.
PERSONAL = re.compile(
    r"\b(i|i'm|my|mine|myself|we|us|our|ours|feel\w*|felt|lov(e|es|ed)|hat(e|es|ed)|happ(y|ily)|sad|angry|glad|proud|sorry|"
    r"hope\w*|wish\w*|enjoy\w*|think\w*|believ\w*|opinion\w*|favorite\w*|wonderful\w*|beautiful\w*|amazing\w*|awful\w*|"
    r"terribl\w*|great|good|bad|ought|should|must|never|always|important|unfortunately)\b",
    re.IGNORECASE,
)
ASKED_BY_SOMEBODY = {"How do I change a flat bicycle tire?", "How do I find north with a map and a compass?"}


def all_texts():
    texts = neutral()
    return [*texts.prompts, *(part for passage in texts.passages for part in (passage.question, passage.text))]


def words(text):
    return re.findall(r"[\w'-]+", text.lower())


def test_there_are_as_many_texts_as_promised():
    assert (len(neutral().prompts), len(neutral().passages)) == (24, 16)


def test_texts_keep_their_lengths():
    assert [text for text in neutral().prompts if not 4 <= len(text.split()) <= 25] == []
    assert [p.question for p in neutral().passages if len(p.question.split()) > 15] == []
    lengths = {p.question: len(p.text.split()) for p in neutral().passages}
    assert {question: n for question, n in lengths.items() if not 60 <= n <= 90} == {}


def test_no_text_stands_twice_nor_in_the_catalogue():
    plain = Counter(" ".join(words(text)) for text in all_texts())
    assert [text for text, n in plain.items() if n > 1] == []
    for name in catalogue_names():
        trait = load_trait(name)
        asked = [*trait.questions.extract, *trait.questions.evaluate, *(reply.question for reply in trait.replies)]
        assert not plain.keys() & {" ".join(words(text)) for text in asked}


@pytest.mark.parametrize("name", catalogue_names())
def test_no_word_names_a_trait(name):
    stems = load_trait(name).trait_words
    assert stems
    assert [(w, text) for text in all_texts() for w in words(text) if w.startswith(tuple(stems))] == []


def test_no_word_is_personal():
    found = {text: PERSONAL.findall(text) for text in all_texts() if text not in ASKED_BY_SOMEBODY}
    assert {text: words for text, words in found.items() if words} == {}


@pytest.mark.parametrize("text", all_texts())
def test_a_text_is_whole_and_balanced(text):
    assert text == " ".join(text.split()), "one line, single spaces"
    assert text[0].isupper() and re.search(r"[.?][\"]?$", text)
    assert text.count('"') % 2 == 0 and text.count("(") == text.count(")")
    assert "!" not in text and text.isascii()


def test_questions_ask():
    assert all(passage.question.endswith("?") for passage in neutral().passages)


def test_the_texts_are_read_once_and_named_by_their_content():
    assert neutral() is neutral()
    assert re.fullmatch(r"[0-9a-f]{16}", neutral().digest)


def test_every_text_of_the_file_arrives():
    file = (resources.files("personascope.neutral") / "neutral.yaml").read_text(encoding="utf-8")
    shipped = " ".join(file.split())
    for passage in neutral().passages:
        assert all(text in shipped for text in asdict(passage).values())
    assert all(prompt in shipped for prompt in neutral().prompts)
