"""Items that a vector was made from are not asked where it steers, and what is assumed of them is said to be."""

import shutil

import numpy as np
import pytest
from planted_items import RISES, items_of, planted_items

from personascope.cli.profile_job import Opening, profiled
from personascope.cli.profile_options import Job, SteeredBy
from personascope.cli.steering_options import Setting
from personascope.contrasts import Contrast
from personascope.errors import ItemError
from personascope.extraction import extract
from personascope.models.protocols import Chat
from personascope.models.toy import ToyModel
from personascope.questionnaire.damage import TwoChoice
from personascope.questionnaire.held_back import held_back, made_from, origin_doubt
from personascope.questionnaire.item_vectors import contrast_from_items, halves
from personascope.questionnaire.items import Questionnaire
from personascope.questionnaire.trait_analysis import Plan, analyse_trait
from personascope.rollouts import Rollout
from personascope.steering_files import load_vectors
from personascope.traits import load_trait

TRAIT = load_trait(RISES)
LATER = Questionnaire("later", "situations", tuple(items_of(RISES, 12)[1:]))
"""Without its first item, every second statement is another one."""


def quiet(_what, _total):
    return lambda _done: None


def extracted(contrast, stem):
    return extract(ToyModel(), TRAIT, contrast, layers=[6, 7], seed=0, stem=stem, progress=quiet)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    own, _ = halves(planted_items(12), RISES)
    return extracted(contrast_from_items(own, "planted"), tmp_path_factory.mktemp("made") / "toy_items")


def test_the_texts_beside_a_vector_tell_which_items_it_was_made_from(made):
    gone = made_from(made.vectors, made.vectors_path, LATER)
    assert [item.statement for item in gone] == [f"{RISES} {at}" for at in (2, 4, 6, 8, 10)]
    assert origin_doubt(made.vectors, made.vectors_path) == ""


def test_without_its_texts_the_items_are_assumed_and_said_to_be(made, tmp_path):
    lone = tmp_path / "lone_vectors.npz"
    shutil.copyfile(made.vectors_path, lone)
    assert made_from(made.vectors, lone, LATER) == halves(LATER, RISES)[0]
    assert "lone_vectors.npz do not lie beside it: it is assumed" in origin_doubt(made.vectors, lone)


def test_of_the_originals_files_nothing_is_known(tmp_path):
    path = tmp_path / f"persona_vectors_{RISES}.npz"
    np.savez(path, layer_7=np.ones(64, np.float32))
    vectors, _ = load_vectors(path, ToyModel().spec)
    assert made_from(vectors, path, LATER) == ()
    assert "may have been made from these very items" in origin_doubt(vectors, path)


def test_an_item_behind_two_vectors_is_counted_once():
    own, _ = halves(LATER, RISES)
    left, told = held_back(LATER, [*own, *own], RISES)
    assert len(left.items) == 5 and "made from 6 items of extraversion: only the 5 others" in told
    assert held_back(LATER, [], RISES) == (LATER, "")
    with pytest.raises(ItemError, match="every item of extraversion"):
        held_back(LATER, LATER.items, RISES)


def test_a_profile_asks_both_arms_only_what_the_vector_has_not_seen(made, tmp_path):
    steered = SteeredBy(made.vectors_path, RISES, 1.0, Setting("7"))
    job = Job(("toy",), planted_items(12), "text", steered, tmp_path, 0)
    found = profiled(job, Opening("auto", trust_remote_code=False), quiet)
    read = {row.chat.question for row in made.gathered.rollouts}
    for column in found.columns:
        asked = [item.question for item in column.profile.questionnaire.items if item.trait == RISES]
        assert len(asked) == 6 and not read & set(asked)
    assert len(found.questionnaire.items) == 30
    assert any("only the 6 others, of other statements, are asked" in note for note in found.notes)
    dose = found.columns[1].arm.told["rho"]
    assert found.columns[1].label == f"toy at {RISES} +1.0 (rho +{dose:.2f})"


def test_vectors_from_prompts_are_analysed_and_read_no_replies(tmp_path):
    """Their texts have no reply that the vector from items could read."""
    own = items_of(RISES, 8)
    rows = [
        Rollout(Chat(one.options[at], raw=True), "", ("high", "low")[at], 0, n)
        for n, one in enumerate(own)
        for at in (0, 1)
    ]
    rolled = extracted(Contrast("prompts", tuple(rows), "prompt_last", None), tmp_path / "toy")
    choices = [TwoChoice("What then?", "the sunny day", "the gloomy day")]
    plan = Plan(TRAIT, planted_items(8), choices, {RISES: rolled.vectors_path}, "text", 7, [7], 0)
    found = analyse_trait(ToyModel(), plan, tmp_path / "toy", progress=quiet)
    (layer,) = found.agreement[RISES]
    assert np.isfinite(layer.items_read_by_rollouts.value) and np.isnan(layer.rollouts_read_by_items.value)
    assert any("prompts without replies" in note for note in found.notes)
