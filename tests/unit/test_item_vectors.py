"""Vectors from items: halves of the statements, agreement with rollouts, and what the vector has not seen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_analysis import CHOICES, TRAIT, quiet
from planted_items import RISES, items_of, planted_items

from personascope.contrasts import from_rollouts
from personascope.errors import ContrastError, LayerError
from personascope.extraction import extract
from personascope.models.toy import ToyModel
from personascope.models.toys import toy_for
from personascope.prompts import with_samples
from personascope.questionnaire.item_vectors import agreement, asked_items, contrast_from_items, halves
from personascope.questionnaire.items import Item, Questionnaire
from personascope.questionnaire.trait_analysis import Plan, analyse_trait, trait_analysis_as_json
from personascope.steering_files import gathered_behind


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.integers(1, 3),
)
def test_halves_never_share_a_statement_and_lose_no_item(numbers, n_traits):
    items = tuple(
        Item(f"t{at % n_traits}", f"s{number}", f"q{at}", ("a", "b"), (1.0, 0.0)) for at, number in enumerate(numbers)
    )
    questionnaire = Questionnaire("made", "situations", items)
    one, other = halves(questionnaire, "t0")
    assert not {item.statement for item in one} & {item.statement for item in other}
    assert len({*map(id, one), *map(id, other)}) == len([item for item in items if item.trait == "t0"])
    left = asked_items(questionnaire, one)
    assert len(left.items) == len(items) - len(one)
    assert not any(item.trait == "t0" and item.statement in {i.statement for i in one} for item in left.items)


def test_a_contrast_from_items_has_every_option_at_its_pole():
    items = items_of(RISES, 3)
    contrast = contrast_from_items(items, "planted")
    assert [(row.reply, row.pole, row.question) for row in contrast.rows[:4]] == [
        (option, pole, 0) for option, pole in zip(items[0].options, ("high", "low", "high", "low"), strict=True)
    ]
    scale = [Item("t", "s", "q", ("no", "so so"), (0.0, 0.5))]
    with pytest.raises(ContrastError, match="1 poles"):
        contrast_from_items(scale, "a scale")


def test_vectors_from_items_and_from_rollouts_agree_where_the_direction_is_planted(made, tmp_path):
    engine = toy_for(TRAIT)
    contrast = from_rollouts(TRAIT, with_samples(8, TRAIT))
    rolled = extract(engine, TRAIT, contrast, layers=[2, 7], seed=0, stem=tmp_path / "toy", progress=quiet)
    behind = gathered_behind(rolled.vectors, rolled.vectors_path)
    layers = agreement(
        from_rollouts=rolled.vectors, rollouts=behind, from_items=made.vectors, items=made.gathered, seed=0
    )
    assert [one.layer for one in layers] == [2, 7]
    at_7 = layers[1]
    assert at_7.cosine > 0.5
    assert at_7.items_read_by_rollouts.low > 0.5
    assert at_7.rollouts_read_by_items.low > 0.5
    bare = agreement(from_rollouts=rolled.vectors, rollouts=None, from_items=made.vectors, items=made.gathered, seed=0)[
        1
    ]
    assert bare.items_read_by_rollouts == at_7.items_read_by_rollouts
    assert np.isnan(bare.rollouts_read_by_items.value)


def test_the_trait_is_asked_of_statements_that_the_vector_has_not_seen(tmp_path):
    plan = Plan(TRAIT, planted_items(), CHOICES, {}, "text", None, None, 0)
    found = analyse_trait(ToyModel(), plan, tmp_path / "toy", progress=quiet)
    read = {row.chat.question for row in found.item_vector.gathered.rollouts}
    asked = [item for item in found.analysis.questionnaire.items if item.trait == RISES]
    assert len(asked) == 8 and not read & {item.question for item in asked}
    assert any("only the 8 others" in note for note in found.notes)
    told = trait_analysis_as_json(found)
    assert told["matrix"]["slopes"][0][0] == found.analysis.vectors[RISES].scores[RISES].response.slope.value
    again = replace(plan, vectors={RISES: found.item_vector.vectors_path})
    given_by_name = analyse_trait(ToyModel(), again, tmp_path / "toy", progress=quiet)
    assert len([item for item in given_by_name.analysis.questionnaire.items if item.trait == RISES]) == 8
    with pytest.raises(LayerError, match="no layer 40"):
        analyse_trait(ToyModel(), replace(again, layer=40), tmp_path / "toy", progress=quiet)


def test_too_few_statements_make_no_vector_and_say_so(tmp_path):
    plan = Plan(TRAIT, planted_items(6), CHOICES, {}, "text", None, None, 0)
    with pytest.raises(ContrastError, match="half of the statements of extraversion are 3"):
        analyse_trait(ToyModel(), plan, tmp_path / "toy", progress=quiet)
