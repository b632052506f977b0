"""Evidence, grade and words of a verdict, and how its numbers are written, on separations whose reading is known."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import alone, around, quick, separation, with_chosen, without_intervals

from personascope.evidence import evidence, shortages, smallest_p, standing, why_no_interval
from personascope.separation import Estimate, grade
from personascope.verdict import verdict
from personascope.window import candidate_window
from personascope.wording import decimals, gain_text, joined, p_text, signed, with_interval


def test_a_strong_vector_is_shown_and_excellent_and_beats_the_baselines():
    judged = verdict(separation(0.9))
    assert (judged.evidence, judged.grade) == ("shown", "excellent")
    assert judged.line == "shown, excellent: nested held-out AUC 0.90 [0.85, 0.95], p = 0.008, layer 14"
    assert judged.heading == "shown, excellent"
    assert "90 times out of 100" in judged.paragraph
    assert "clearly beats word counts (AUC 0.62" in judged.paragraph
    assert "+0.28 [0.23, 0.33]" in judged.paragraph
    assert "the smallest p they can give is 0.008" in judged.paragraph
    assert judged.cautions == ()


def test_the_grade_goes_by_the_lower_end():
    assert verdict(separation(0.82, half=0.05)).grade == "good"
    assert verdict(separation(0.82, half=0.15)).grade == "moderate"


def test_without_an_interval_there_is_no_grade():
    assert grade(float("nan")) is None
    assert grade(0.0) == "poor"


def test_what_is_not_shown_is_not_graded_and_not_to_be_used():
    judged = verdict(replace(separation(0.51, half=0.09), p=0.61))
    assert (judged.evidence, judged.grade) == ("not shown", None)
    assert judged.line.startswith("not shown: nested held-out AUC 0.51 [0.42, 0.60], p = 0.61")
    assert "a coin toss is not excluded" in judged.paragraph and "p is above 0.05" in judged.paragraph
    assert judged.cautions[0].startswith("Do not use this vector")
    assert any("p = 0.61" in caution for caution in judged.cautions)
    assert "not shown to beat" in judged.paragraph


@pytest.mark.parametrize("changes", [{"p": 0.06}, {"nested_auc": Estimate(0.8, 0.5, 0.95)}], ids=["p", "interval"])
def test_evidence_wants_both_a_small_p_and_an_interval_above_a_coin_toss(changes):
    assert evidence(separation(0.8)) == "shown"
    assert evidence(replace(separation(0.8), **changes)) == "not shown"


def test_a_weak_vector_that_is_shown_is_poor_and_not_to_be_used():
    judged = verdict(separation(0.66, half=0.1))
    assert (judged.evidence, judged.grade) == ("shown", "poor")
    assert judged.heading == "shown, poor"
    assert judged.cautions[0].startswith("Do not use this vector") and "0.56" in judged.cautions[0]


def test_a_vector_that_points_backwards_is_said_to():
    judged = verdict(replace(separation(0.35), p=1.0))
    assert judged.evidence == "not shown"
    assert "the wrong way" in judged.cautions[0]
    assert "below a coin toss" in judged.paragraph and "reaches down" not in judged.paragraph


def test_a_small_experiment_is_undecided_and_says_what_to_run_next():
    judged = verdict(quick())
    assert (judged.evidence, judged.grade) == ("undecided", None)
    assert judged.line == (
        "undecided: nested held-out AUC 0.71, too few instruction pairs to tell (p cannot fall below 0.125)"
    )
    assert "interval not available (4 pairs)" in judged.paragraph and "too small to say" in judged.paragraph
    first = judged.cautions[0]
    assert "only 4 instruction pairs (at least 6 are needed)" in first and "no result could reach p = 0.05" in first
    assert "Run the standard protocol next" in first
    told = " ".join((judged.line, judged.paragraph, *judged.cautions))
    assert not any(word in told for word in ("Do not use", "excellent", "is good", "moderate", "poor", "–", "nan"))


@pytest.mark.parametrize(
    ("changes", "short"),
    [
        ({"n_pairs": 5}, ["instruction pairs"]),
        ({"n_questions": 9}, ["questions"]),
        ({"n_low": 19}, ["replies a pole"]),
        ({"n_pairs": 1}, []),
        ({"n_pairs": 2, "n_questions": 5, "n_high": 9}, ["instruction pairs", "questions", "replies a pole"]),
    ],
)
def test_what_there_is_too_little_of_leaves_it_undecided(changes, short):
    whole = replace(separation(0.9), **changes)
    assert [shortage.what for shortage in shortages(whole)] == short
    judged = verdict(whole)
    assert judged.evidence == ("undecided" if short else "shown")
    assert all(what in judged.line for what in short)


def test_a_floor_of_p_above_the_limit_leaves_it_undecided_even_without_a_shortage():
    judged = verdict(replace(separation(0.9), n_relabellings=16, p=1 / 16))
    assert judged.evidence == "undecided"
    assert "too few texts to tell (p cannot fall below 0.062)" in judged.line
    assert "With 16 relabellings no result could reach p = 0.05" in judged.cautions[0]


def test_a_single_pair_narrows_what_is_shown():
    judged = verdict(replace(separation(0.9), n_pairs=1))
    assert judged.heading == "shown within one pair, excellent"
    assert any("share one instruction pair" in caution for caution in judged.cautions)


def test_perfect_separation_of_a_large_experiment_is_shown_but_not_graded():
    perfect = replace(separation(0.9), nested_auc=alone(1.0))
    judged = verdict(perfect)
    assert (judged.evidence, judged.grade) == ("shown", None)
    assert "1.00, interval not available (all draws agree), p = 0.008" in judged.line
    assert judged.heading == "shown, not graded"
    assert evidence(replace(perfect, p=0.4)) == "not shown"


def test_why_there_is_no_interval():
    assert why_no_interval(separation()) == ""
    assert why_no_interval(quick()) == "4 pairs"
    assert why_no_interval(without_intervals(separation(), n_pairs=1, n_questions=5)) == "5 questions"
    assert why_no_interval(without_intervals(separation(), n_pairs=1, n_questions=20)) == "all draws agree"


def test_a_leaky_contrast_is_said_to_be_perhaps_wording():
    judged = verdict(separation(0.86, words=0.85))
    assert any("wording of the instructions" in caution for caution in judged.cautions)
    assert "clearly beats reply length alone" in judged.paragraph
    assert "ahead, but not clearly, of word counts" in judged.paragraph
    assert "not shown to beat word counts" in verdict(separation(0.86, words=0.87)).paragraph


def test_a_leak_by_length_is_said():
    whole = separation(0.86)
    leaky = replace(
        whole,
        baselines=dict(whole.baselines) | {"reply length": around(0.9)},
        advantages=dict(whole.advantages) | {"reply length": around(-0.04)},
    )
    assert any("length of the reply" in caution for caution in verdict(leaky).cautions)


def test_a_baseline_that_knows_nothing_is_no_leak():
    assert not any("wording" in caution for caution in verdict(separation(0.53, words=0.52)).cautions)


def test_the_difference_decides_where_intervals_overlap():
    """Both are read on the same texts: what makes a draw easy for one makes it easy for the other."""
    overlapping = replace(
        separation(0.8, half=0.1),
        baselines={"bag of words": around(0.7, 0.1)},
        advantages={"bag of words": around(0.1)},
    )
    judged = verdict(overlapping)
    assert "clearly beats word counts" in judged.paragraph
    assert not any("Counting words" in caution for caution in judged.cautions)


def test_standing_goes_by_the_difference():
    assert standing(Estimate(0.1, 0.02, 0.2)) == "clearly above"
    assert standing(Estimate(0.1, -0.02, 0.2)) == "above"
    assert standing(alone(0.1)) == "above"
    assert standing(Estimate(0.0, -0.1, 0.1)) == "level"
    assert standing(alone(-0.1)) == "level"


def test_doubts_about_the_direction_itself_are_said():
    whole = separation()
    assert any("do not point the same way" in c for c in verdict(with_chosen(whole, pair_cosine_min=-0.2)).cautions)
    assert any("one dimension" in c for c in verdict(with_chosen(whole, top_dimension_energy=0.8)).cautions)
    noisy = verdict(with_chosen(whole, reliability=0.3))
    assert "direction itself is noisy" in noisy.paragraph
    assert any("would steady it" in c for c in noisy.cautions)
    assert "fairly stable" in verdict(with_chosen(whole, reliability=0.7)).paragraph
    unknown = verdict(with_chosen(whole, reliability=float("nan"), pair_cosine_min=float("nan")))
    assert "could not be measured" in unknown.paragraph
    assert unknown.cautions == ()


def test_a_stable_direction_whose_pairs_disagree_is_not_praised_alone():
    apart = verdict(with_chosen(separation(), pair_cosine_min=-0.01)).paragraph
    assert "though some of its instruction pairs agree little (lowest cosine −0.01)" in apart
    assert "lowest cosine" not in verdict(with_chosen(separation(), pair_cosine_min=0.3)).paragraph


def test_without_baselines_nothing_is_claimed_about_them():
    judged = verdict(replace(separation(), baselines={}, advantages={}))
    assert "was not compared" in judged.paragraph
    assert "beats" not in judged.paragraph
    assert judged.cautions == ()


def test_a_verdict_can_be_written_as_json():
    assert set(json.loads(json.dumps(asdict(verdict(quick()))))) == {
        "grade", "evidence", "line", "paragraph", "cautions",
    }  # fmt: skip


@given(
    auc=st.floats(0, 1),
    half=st.floats(0, 0.5) | st.just(float("nan")),
    p=st.sampled_from([1 / 128, 0.05, 0.06, 1.0]),
    n_pairs=st.integers(1, 9),
    n_questions=st.integers(2, 30),
)
def test_only_what_is_shown_is_graded_and_only_a_large_experiment_decides(auc, half, p, n_pairs, n_questions):
    whole = replace(separation(layers=[3, 4]), p=p, n_pairs=n_pairs, n_questions=n_questions)
    judged = verdict(replace(whole, nested_auc=Estimate(auc, auc - half, auc + half)))
    assert (judged.evidence == "undecided") == (1 < n_pairs < 6 or n_questions < 10)
    assert judged.grade is None or judged.evidence == "shown"
    if judged.evidence == "shown":
        assert p <= 0.05 and auc > 0.5
    assert "nan" not in " ".join((judged.line, judged.paragraph, *judged.cautions))


def test_smallest_p_counts_the_observed_labelling_once():
    assert smallest_p(separation()) == 1 / 128
    assert smallest_p(replace(separation(), exhaustive=False, n_relabellings=999)) == 1 / 1000


@pytest.mark.parametrize(
    ("layers", "chosen", "told"),
    [
        (range(30), 23, "sought in layers 10-23; at the edge: later layers may read better"),
        (range(30), 10, "sought in layers 10-23; at the edge: earlier layers may read better"),
        (range(30), 17, "sought in layers 10-23"),
        ([26, 29], 29, "sought in layers 26-29"),
        ([26, 28], 28, "sought in layers 26-28; at the edge: later layers may read better"),
        ([17], 17, "the only candidate"),
    ],
)
def test_where_the_best_layer_was_sought_is_said(layers, chosen, told):
    window = candidate_window(replace(separation(layers=layers), chosen_layer=chosen), 30)
    assert window.told == told and window.chosen_at_edge == ("edge" in told)
    assert window.depths == (0.35, 0.8)


def test_the_fixed_layer_is_told_with_its_true_depth():
    assert candidate_window(replace(separation(), fixed_layer=17), 30).fixed_depth == 0.6
    assert candidate_window(replace(separation(layers=[2, 3]), fixed_layer=3), 8).fixed_depth == 0.5


def test_numbers_are_written_alike_everywhere():
    assert decimals(-0.004) == "0.00"
    assert decimals(-1.5) == "−1.50"
    assert decimals(float("nan")) == "–"
    assert with_interval(Estimate(0.8, -0.1, 1.0)) == "0.80 [−0.10, 1.00]"
    assert with_interval(alone(0.8)) == "0.80"
    assert with_interval(alone(0.8), lacking="3 pairs") == "0.80, interval not available (3 pairs)"
    assert gain_text(Estimate(0.17, 0.08, 0.26)) == "+0.17 [0.08, 0.26]"
    assert [signed(value) for value in (0.17, -0.17, 0.001, -0.001)] == ["+0.17", "−0.17", "0.00", "0.00"]
    assert gain_text(alone(0.17)) == "+0.17"
    assert [p_text(p) for p in (0.61, 0.125, 0.0625, 1 / 1001, 0.0001)] == ["0.61", "0.125", "0.062", "0.001", "0.0001"]
    assert [joined(list(parts)) for parts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
