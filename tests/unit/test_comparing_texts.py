"""A real (tiny) language model beside itself: what it wrote and what is read of its words are told apart."""

import numpy as np
import pytest
import tiny_models

from personascope.comparing import compare
from personascope.comparing_persona import Plan, persona
from personascope.prompts import Protocol
from personascope.questionnaire.items import Item, Questionnaire
from personascope.traits import load_trait

SMALL = Protocol("small", pairs=3, questions=4, repeats=1, max_new_tokens=8)
ITEMS = tuple(
    Item("extraversion", f"I like {what}", f"Do you like {what}?", ("Yes.", "No."), (1.0, 0.0))
    for what in ("parties", "crowds", "noise", "talk")
)


def quiet(_what, _total):
    return lambda _done: None


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    base = tiny_models.engine("llama")
    traits = tuple(load_trait(name) for name in ("extraversion", "evil"))
    asked = Questionnaire("made up", "statements", ITEMS)
    plan = Plan(traits, SMALL, asked, tmp_path_factory.mktemp("compared"), 0)
    return compare(base, persona(base, plan, reader=base, own_vectors=True, progress=quiet), base, plan, progress=quiet)


def test_a_model_beside_itself_gives_exactly_nothing_in_every_reading(found):
    assert found.identical
    assert set(found.shifts) == {"replies", "text", "prompt"}
    for shifts in found.shifts.values():
        assert not any(at.value for one in shifts.values() for at in one.by_layer)


def test_the_texts_are_read_again_and_not_taken_from_the_writing(found):
    """What a model wrote, read as text, may be other tokens: the two streams are not the same numbers."""
    spoken = found.base.spoken
    assert not np.array_equal(spoken.as_text.reply_mean, spoken.residuals.reply_mean, equal_nan=True)
