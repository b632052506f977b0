"""Two models compared, on the toy: the planted leaning is found, a model beside itself shows nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personascope.comparing import Comparison, compare, rulers_of
from personascope.comparing_persona import Plan, persona
from personascope.comparing_words import READING_WORDS, cautions, examples, verdict
from personascope.comparison_file import comparison_as_json
from personascope.contrasts import from_rollouts
from personascope.errors import ContrastError
from personascope.extraction import extract
from personascope.models.toy import ToyModel
from personascope.models.toy_stream import Planted
from personascope.models.toys import trained_toy
from personascope.prompts import PROTOCOLS
from personascope.questionnaire.item_files import load_items
from personascope.questionnaire.items import at_most
from personascope.report.compare_page import shift_table, subtitle
from personascope.shifts import shifts
from personascope.traits import load_trait

TRAITS = tuple(load_trait(name) for name in ("extraversion", "agreeableness", "evil", "narcissism", "neuroticism",
                                             "psychopathy", "sycophancy"))  # fmt: skip


def quiet(_what, _total):
    return lambda _done: None


def plan(folder: Path, *, seed: int = 0, traits=TRAITS) -> Plan:
    return Plan(traits, PROTOCOLS["quick"], at_most(load_items("own"), 6), folder, seed)


def compared(folder: Path, tuned: str) -> Comparison:
    """A trained toy beside the plain one."""
    base = trained_toy("toy", TRAITS)
    known = persona(base, plan(folder), reader=base, own_vectors=True, progress=quiet)
    return compare(base, known, trained_toy(tuned, TRAITS), plan(folder), progress=quiet)


@pytest.fixture(scope="module")
def raised(tmp_path_factory) -> Comparison:
    return compared(tmp_path_factory.mktemp("raised"), "toy-high")


def test_a_toy_trained_to_lean_is_raised_by_what_was_planted(raised):
    """The leaning goes from 0 to 0.5, a quarter of the way between the poles, along the planted direction."""
    toy = trained_toy("toy", TRAITS)
    at_truth = {name: one for name, one in raised.shifts["replies"].items() if one.layer == 7}
    assert len(at_truth) >= 5
    for name, one in at_truth.items():
        vector = raised.base.vectors[name].vectors.raw[7].astype(np.float64)
        expected = 0.25 * toy.gap(7) * (toy.planted_direction(7) @ vector) / (vector @ vector)
        assert one.shift.low - 0.05 <= expected <= one.shift.high + 0.05
        assert one.moved == "raised"
        assert raised.shifts["prompt"][name].shift.value == pytest.approx(expected, abs=0.02)


def test_the_other_pole_is_lowered(tmp_path):
    found = compared(tmp_path, "toy-low")
    assert {one.moved for one in found.shifts["replies"].values() if one.layer == 7} == {"lowered"}
    told = [sentence for sentence in verdict(found) if sentence.startswith("More ")]
    assert len(told) >= 4 and all(": −0." in sentence for sentence in told)


def test_a_copy_of_the_base_is_reported_as_unchanged(tmp_path):
    found = compared(tmp_path, "toy")
    assert found.identical
    (told,) = verdict(found)
    assert told.startswith("Nothing differs between toy and toy: the same replies to all 128 questions")
    assert all(not np.any(values) for values in found.by_question.values())
    assert set(found.shifts) == {"replies", "text", "prompt"}
    for shifts_read in found.shifts.values():
        assert all(not any(at.value for at in one.by_layer) for one in shifts_read.values())


def test_the_base_beside_itself_with_other_noise_shows_no_more_than_chance(raised, tmp_path):
    """Over 20 seeds: families with a finding at most 5 % and its error, intervals that hold 0 near 95 %."""
    toy, rulers = trained_toy("toy", TRAITS), rulers_of(raised.base, seed=0)
    families, moved, held = [], [], []
    for seed in range(20):
        one, other = (
            persona(
                toy, plan(tmp_path, seed=100 + 2 * seed + at), reader=toy, own_vectors=False, progress=quiet
            ).spoken.residuals
            for at in range(2)
        )
        difference = other.reply_mean.astype(np.float64) - one.reply_mean
        found = shifts(difference, range(toy.spec.n_layers), rulers, seed=seed).values()
        families.append(min(one.p_holm for one in found) <= 0.05)
        held += [one.shift.low <= 0 <= one.shift.high for one in found]
        moved.append(any(one.moved != "not shown" for one in found))
    assert sum(moved) <= sum(families) <= 3  # the toy's traits are one direction, and move together
    assert np.mean(held) >= 0.9


def test_a_run_of_the_same_plan_is_read_and_one_of_another_is_left_alone(tmp_path):
    """What `extract` left in the folder: the quick run of one trait, a longer one of the other."""
    traits, base = TRAITS[:2], trained_toy("toy", TRAITS[:2])
    for trait, protocol in zip(traits, ("quick", "standard"), strict=True):
        contrast = from_rollouts(trait, PROTOCOLS[protocol])
        extract(base, trait, contrast, layers=range(12), seed=0, stem=tmp_path / f"toy_{trait.name}", progress=quiet)
    left = {path: path.read_bytes() for path in tmp_path.glob("*_manifest.json")}
    known = persona(base, plan(tmp_path, traits=traits), reader=base, own_vectors=True, progress=quiet)
    assert [known.vectors[trait.name].gathered.reused for trait in traits] == [True, False]
    assert known.vectors[traits[1].name].vectors_path.parent.parent == tmp_path / "compared"
    other = persona(base, plan(tmp_path, traits=traits, seed=1), reader=base, own_vectors=True, progress=quiet)
    assert not any(one.gathered.reused for one in other.vectors.values())
    assert {path: path.read_bytes() for path in tmp_path.glob("*_manifest.json")} == left


def test_the_page_says_moved_of_the_reading_that_the_verdict_goes_by_only(raised):
    table = shift_table(raised)
    words = {(row[1], row[table.columns.index("moved")] != "") for row in table.rows}
    read = set(READING_WORDS.values())
    assert words == {(one, one == READING_WORDS[raised.headline]) for one in read}


def test_what_differs_most_is_shown_in_the_direction_of_the_shift(raised):
    shown = examples(raised)
    assert len(shown) == 3 * sum(one.moved != "not shown" for one in raised.shifts["replies"].values())
    first = [one.shift for one in shown[:3]]
    assert first == sorted(first, reverse=True)
    assert first[0] == max(raised.by_question[shown[0].trait])


def test_the_file_holds_every_number_and_every_reply(raised):
    told = comparison_as_json(raised)
    assert told["kind"] == "comparison"
    assert set(told["shifts"]) == {"replies", "text", "prompt"}
    assert told["shifts"]["replies"]["evil"]["moved"] == raised.shifts["replies"]["evil"].moved
    assert not any("moved" in told["shifts"][reading]["evil"] for reading in ("text", "prompt"))
    assert len(told["replies"]) == 128
    assert len(told["made_from"]) == 2 * len(TRAITS)


def test_the_picture_is_no_wider_for_a_long_verdict(raised):
    still = {name: replace(one, p_shuffled=0.5) for name, one in raised.shifts["replies"].items()}
    said = replace(raised, shifts={"replies": still})
    assert any(len(sentence) > 150 for sentence in verdict(said))
    assert max(map(len, subtitle(said))) <= 150


def test_models_of_another_width_are_compared_by_scores_and_texts(tmp_path):
    base = trained_toy("toy", TRAITS)
    known = persona(base, plan(tmp_path), reader=base, own_vectors=True, progress=quiet)
    wide = ToyModel(Planted(width=48), name="narrow")
    found = compare(base, known, wide, plan(tmp_path), progress=quiet)
    assert (found.headline, set(found.shifts), found.cosines) == ("text", {"text"}, {})
    assert any("Vectors cannot be shared: toy has 12 layers of width 64, narrow 12 of 48" in x for x in cautions(found))
    assert set(found.answers.changes[0]) >= {"openness", "psychopathy"}


def test_one_trait_has_too_few_controls_and_says_so(tmp_path):
    base = trained_toy("toy", TRAITS[:1])
    known = persona(base, plan(tmp_path, traits=TRAITS[:1]), reader=base, own_vectors=True, progress=quiet)
    found = compare(base, known, trained_toy("toy-high", TRAITS[:1]), plan(tmp_path, traits=TRAITS[:1]), progress=quiet)
    assert found.shifts["replies"]["extraversion"].moved == "not shown"
    assert any("too few to call anything shown" in line and "--protocol standard" in line for line in cautions(found))


def test_too_few_questions_are_an_error(tmp_path):
    toy = trained_toy("toy", ())
    with pytest.raises(ContrastError, match="too few to compare models on"):
        persona(toy, plan(tmp_path, traits=()), reader=toy, own_vectors=True, progress=quiet)
