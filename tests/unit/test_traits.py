"""The catalogue keeps its own rules, and a user's file is told what is wrong with it."""

from dataclasses import replace

import pytest
import yaml

from personascope.errors import TraitError
from personascope.traits import catalogue_names, load_trait, problems, trait_file

WANTED = {
    "agreeableness", "conscientiousness", "evil", "extraversion", "hallucination", "machiavellianism",
    "narcissism", "neuroticism", "openness", "psychopathy", "sycophancy",
}  # fmt: skip


def test_the_catalogue_has_every_trait_promised():
    assert set(catalogue_names()) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_shipped_trait_keeps_every_rule(name):
    trait = load_trait(name)
    assert trait.name == name
    assert problems(trait) == []
    assert (len(trait.instructions.extract), len(trait.instructions.evaluate)) == (8, 3)
    assert (len(trait.questions.extract), len(trait.questions.evaluate)) == (20, 20)
    assert (len(trait.replies), len({reply.domain for reply in trait.replies}), len(trait.openers)) == (24, 8, 6)
    assert trait.definition.strip() and trait.source.strip()


def test_no_question_serves_to_extract_in_one_trait_and_is_twice_in_it():
    for name in WANTED:
        trait = load_trait(name)
        assert not set(trait.questions.extract) & set(trait.questions.evaluate)


def test_an_unknown_trait_is_told_the_known_ones():
    with pytest.raises(TraitError, match="no trait 'charm'") as caught:
        load_trait("charm")
    assert "extraversion" in caught.value.hint


def test_a_users_file_works_like_a_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(trait_file("openness"), encoding="utf-8")
    assert load_trait(str(path)) == load_trait("openness")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"definition": None}, "definition"),
        ({"colour": "red"}, "colour"),
        ({"questions": {"extract": ["Why?"], "evaluate": []}}, "1 questions at questions.extract"),
        ({"replies": [{"domain": "work"}]}, "replies.0.question"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_field(tmp_path, change, told):
    fields = yaml.safe_load(trait_file("openness")) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(TraitError, match=told):
        load_trait(str(path))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("definition",), "  \n"),
        (("instructions", "extract", 3, "low"), ""),
        (("questions", "evaluate", 19), " "),
        (("replies", 0, "high"), "\t"),
        (("openers", 2), ""),
        (("trait_words", 0), ""),
        (("poles", "low", "adjective"), ""),
    ],
)
def test_an_empty_text_is_refused_with_its_place(tmp_path, place, text):
    fields = yaml.safe_load(trait_file("openness")) | {"name": "mine"}
    inner = fields
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = text
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(TraitError, match="empty text at " + ".".join(map(str, place))):
        load_trait(str(path))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"instructions": {"extract": [], "evaluate": []}}, "0 pairs at instructions.extract"),
        ({"questions": {"extract": [], "evaluate": []}}, "0 questions at questions.extract"),
    ],
)
def test_an_empty_list_where_texts_are_needed_is_refused_with_its_place(tmp_path, change, told):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(trait_file("openness")) | change), encoding="utf-8")
    with pytest.raises(TraitError, match=told):
        load_trait(str(path))


@pytest.mark.parametrize("name", ["openness", "Openness", "evil"])
def test_a_users_file_cannot_pass_for_a_trait_of_the_catalogue(tmp_path, name):
    path = tmp_path / "mine.yaml"
    text = trait_file("openness").replace("label: Openness", "label: Something else")
    path.write_text(text.replace("name: openness", f"name: {name}"), encoding="utf-8")
    with pytest.raises(TraitError, match="has the name of a catalogue trait") as caught:
        load_trait(str(path))
    assert f"my_{name.lower()}" in caught.value.hint


def test_near_misses_are_asked_about(tmp_path):
    for name in ("evli", "Narcisism", str(tmp_path / "evli.yaml")):
        with pytest.raises(TraitError) as caught:
            load_trait(name)
        wanted = "narcissism" if "isism" in name else "evil"
        assert caught.value.hint.startswith(f"did you mean {wanted}? ")
    with pytest.raises(TraitError, match="no such file"):
        load_trait(str(tmp_path / "none.yaml"))


def test_texts_of_the_template_left_unchanged_are_problems():
    template = replace(load_trait("extraversion"), name="mine")
    told = problems(template)
    for part in ("1 label is", "11 instruction pairs are", "40 questions are", "24 matched replies are", "2 poles are"):
        assert any(problem.startswith(f"{part} still th") and "of extraversion" in problem for problem in told), part
    pairs = template.instructions
    changed = [replace(pair, high=f"{pair.high} Truly.") for pair in pairs.extract[3:]]
    fewer = replace(template, instructions=replace(pairs, extract=(*pairs.extract[:3], *changed), evaluate=()))
    assert "3 instruction pairs are still those of extraversion" in problems(fewer)


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00", b"", b"- 1\n- 2\n"])
def test_what_is_no_trait_file_is_refused(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(TraitError) as caught:
        load_trait(str(path))
    assert caught.value.hint


def test_problems_name_what_breaks_a_rule():
    trait = load_trait("openness")
    asked = replace(trait.questions, extract=("Are you an open person?", *trait.questions.extract[1:-1], "What now?"))
    worse = replace(
        trait,
        questions=replace(asked, evaluate=(*asked.evaluate[:-1], "what NOW")),
        trait_words=("open",),
        openers=trait.openers[:2],
        replies=(replace(trait.replies[0], high="Yes."), *trait.replies[1:]),
    )
    told = " / ".join(problems(worse))
    for part in ("2 openers", "'open' names the trait", "a question stands 2 times", "words"):
        assert part in told


def test_the_digest_changes_with_any_text():
    trait = load_trait("openness")
    assert replace(trait, openers=trait.openers[1:]).digest != trait.digest == load_trait("openness").digest
