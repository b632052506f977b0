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
        ({"questions": {"extract": ["Why?"], "evaluate": []}}, "1 questions to extract"),
        ({"replies": [{"domain": "work"}]}, "replies.0.question"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_field(tmp_path, change, told):
    fields = yaml.safe_load(trait_file("openness")) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(TraitError, match=told):
        load_trait(str(path))


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
