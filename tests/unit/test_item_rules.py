"""What would bias a score is told of items that can be read."""

from dataclasses import replace

import pytest

from personascope.questionnaire.item_rules import check_items, sign_p
from personascope.questionnaire.items import Item, Questionnaire, situational


def questionnaire(items, form="situations"):
    return Questionnaire("x", form, tuple(items))


def sound(n=12, trait="openness"):
    """Items with nothing to mend: two of each statement."""
    return [
        situational(
            trait,
            f"statement {k // 2}",
            f"What of {k}?",
            (f"I'd go {k} a", f"I'd be {k} b"),
            (f"I'd be {k} c", f"I'd go {k} d"),
        )
        for k in range(n)
    ]


def test_sound_items_have_no_problem():
    assert check_items(questionnaire(sound())) == ()


def changed(items, at, **fields):
    return [replace(item, **fields) if k == at else item for k, item in enumerate(items)]


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (sound(10), "openness: 5 statements: fewer than 6 give no interval"),
        (
            changed(sound(), 3, statement="alone"),
            "openness: 2 of 7 statements have a single item: 'statement 1', 'alone'",
        ),
        (changed(sound(), 0, question="word " * 300), "1 item of more than 300 words: 'word word"),
        (changed(sound(), 0, question="Are you Curious?"), "'curious' names the trait and stands in 1 item"),
        (changed(sound(), 0, options=("I'd go", "openness", "I'd be", "I'd run")), "'openness' names the trait"),
        (
            [replace(item, options=(item.options[0] + " far away", *item.options[1:])) for item in sound()],
            "options of the high pole are 4.5 characters longer",
        ),
        (
            [replace(item, options=(f"Go {n}", *item.options[1:])) for n, item in enumerate(sound())],
            "the opening of an option gives its pole away: 'go' (12 high, 0 low)",
        ),
    ],
)
def test_what_would_bias_a_score_is_told(items, told):
    assert any(told in problem for problem in check_items(questionnaire(items)))


def test_two_opening_words_may_tell_what_one_does_not():
    items = [
        replace(item, options=(f"I'd ask {n}", f"I'd sit {n}", f"I'd ask {n}0", f"I'd lie {n}"))
        for n, item in enumerate(sound())
    ]
    assert '"i\'d ask" (24 high, 0 low)' in check_items(questionnaire(items))[0]


def test_words_and_lengths_are_not_held_against_statements_that_must_name_the_trait():
    said = [Item("openness", f"{n}", f"Are you curious {n}?", ("Yes", "No"), (1.0, 0.0)) for n in range(6)]
    said += [Item("openness", f"{n}", f"Are you dull {n}?", ("Yes", "No"), (0.0, 1.0)) for n in range(6)]
    assert check_items(questionnaire(said, "statements")) == ()
    assert "'Yes' shows the high pole in 5 items, 'No' in 6" in check_items(questionnaire(said[1:], "statements"))[0]


def test_the_sign_test_is_exact():
    assert sign_p(8, 0) == pytest.approx(2 / 256)
    assert sign_p(3, 3) == 1.0
    assert sign_p(1, 5) == pytest.approx(2 * 7 / 64)
    assert sign_p(2000, 0) == 0.0 or sign_p(2000, 0) < 1e-300
