"""The report on a steering trial: its gates, the page's account and tables, and the sample texts."""

import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from made_up import alone, separation, with_chosen
from made_up_trials import GAPS_PER_RHO, NAN, TRAIT, calibration, proof, samples, text_of, trial, tried
from test_report import HOSTILE, Loads, report_input
from test_steered_replies import Spied, planted

from personascope.models.protocols import Reply
from personascope.report.page import page, write_picture
from personascope.report.steering_section import gate_rows, steering_section, steering_specs
from personascope.report.words import STEERING_GLOSSARY
from personascope.separation import Estimate
from personascope.steered_samples import PROMPTS, SampledDose, SteeredSamples, n_samples, sampled_rhos, steered_samples
from personascope.steering_proof import steering_word
from personascope.steering_words import steering_told
from personascope.text_measures import measure

FAULTS = [
    (0.9, {}, {}),
    (0.82, {}, {}),
    (0.65, {}, {}),
    (0.9, {"split_half_cosine": 0.6}, {}),
    (0.9, {"split_half_cosine": NAN, "pair_cosine_min": NAN}, {}),
    (0.9, {"pair_cosine_min": 0.0}, {}),
    (0.9, {}, {"slope": Estimate(0.0, -0.1, 0.1)}),
    (0.9, {}, {"slope": alone(NAN)}),
    *((0.9, {}, {f"p_{kind}": p}) for kind in ("shuffled", "random", "swapped") for p in (0.05, NAN)),
    *((0.9, {}, {f"p_{kind}_kl": p}) for kind in ("shuffled", "random") for p in (0.05, NAN)),
    (0.9, {}, {"both_signs": False}),
    (0.6, {"pair_cosine_min": -0.1}, {"p_random": 0.4, "both_signs": False}),
]


@pytest.mark.parametrize(("peak", "layer", "changes"), FAULTS)
def test_the_table_of_gates_agrees_with_the_word(peak, layer, changes):
    whole, proven = with_chosen(separation(peak), **layer), proof(**changes)
    word, failed = steering_word(whole, proven)
    shown = gate_rows(whole, proven)
    assert len([gate for gate in shown if not gate.passed]) == len(failed)
    assert all(gate.passed for gate in shown) == (word == "strong")
    assert "nan" not in " ".join(gate.found for gate in shown)


def test_a_missing_interval_of_the_reading_passes_no_gate():
    whole = replace(separation(0.9), nested_auc=alone(0.9))
    assert [gate.passed for gate in gate_rows(whole, proof())] == [False, *[True] * 9]


def test_the_gates_are_passed_at_their_limits():
    whole = with_chosen(replace(separation(0.9), nested_auc=Estimate(0.9, 0.8, 0.95)), split_half_cosine=0.7)
    assert all(gate.passed for gate in gate_rows(whole, proof())) and steering_word(whole, proof())[0] == "strong"


def test_the_page_tells_whether_the_vector_steers():
    told = report_input(separation(0.82), tried=tried())
    text = text_of(told)
    account = steering_told(tried())
    told_points = [part for point in account.points for part in (f"<strong>{point.lead}.</strong>", point.text)]
    for part in ("Does it steer? Verdict: usable", account.meaning, *told_points, *account.cautions, "not passed"):
        assert part in text
    assert all(f"<dt>{word}</dt>" in text for word, _ in STEERING_GLOSSARY)
    assert "−2.64 to +1.80" in text and "rho −0.22 to +0.15" in text
    assert "at most 1 nat." in text and "at most 0.25 nats" in text
    assert "nan" not in text.lower().split()
    for name in steering_specs(tried(), told.separation):
        assert f'id="{name}"' in text


def test_the_account_of_a_trial_is_four_short_points_with_their_numbers():
    told = {point.lead: point.text for point in steering_told(tried()).points}
    assert list(told) == ["What was tried", "Effect", "Controls", "Compared with an instruction"]
    assert "3 instruction pairs and 20 questions that nothing was chosen on" in told["What was tried"]
    assert "AUC 0.90 [0.84, 0.95] at layer 14" in told["What was tried"]
    assert "At rho +0.20 the high replies gain 0.20 [0.15, 0.25]" in told["Effect"]
    assert "p = 0.014 (70 from relabelled texts)" in told["Controls"]
    assert "by +0.05 [−0.04, 0.14] nats per token" in told["Compared with an instruction"]
    assert len(steering_told(tried(trial=trial(arms=None))).points) == 3


@pytest.mark.parametrize(
    ("safe", "begins"),
    [((-0.02, 0.03), "Even the smallest dose"), ((-0.02, 0.2), "Below 0 even"), ((-0.2, 0.0), "Above 0 even")],
)
def test_the_side_where_no_dose_is_safe_is_named(safe, begins):
    said = [one for one in steering_told(tried(calibration=calibration(safe=safe))).cautions if "smallest dose" in one]
    assert len(said) == 1 and said[0].startswith(begins)
    assert ("the other way" in said[0]) == (not said[0].startswith("Even"))


def written(rho: float, perplexity: float, *texts: str) -> SampledDose:
    replies = tuple(Reply(text, len(text.split()), ended=True) for text in texts or ("Yes.", "No."))
    return SampledDose(rho, GAPS_PER_RHO * rho, replies, measure([reply.text for reply in replies]), perplexity)


def cautions_of(*doses: SampledDose) -> str:
    return " ".join(
        steering_told(tried(samples=SteeredSamples(21, ("What now?", "And then?"), doses), failed=())).cautions
    )


def test_broken_samples_within_the_safe_range_are_told_with_their_numbers_and_how_far_texts_hold():
    half = written(-0.1, 30.0), written(0.0, 10.0), written(0.1, 12.0)
    told = cautions_of(written(-0.2, 66.2), *half, written(0.2, 148.1))
    assert "those at strength −2.40 (rho −0.20) have perplexity 66.2" in told
    assert "those at strength +2.40 (rho +0.20) have perplexity 148.1, against perplexity 10.0 without a dose" in told
    assert "Read the sample texts, and keep to strengths −1.20 to +1.20 (rho −0.10 to +0.10)" in told
    assert cautions_of(written(-0.2, 30.0), *half, written(0.2, 29.9)) == ""


def test_only_doses_before_the_first_broken_one_are_recommended():
    told = cautions_of(
        written(-0.2, 11.0), written(-0.1, 31.0), written(0.0, 10.0), written(0.1, 12.0), written(0.2, 9.0)
    )
    assert "keep to strengths 0.00 to +2.40 (rho 0.00 to +0.20), the largest sampled before texts break; " in told
    assert "below 0 none of them is fine." in told and "above 0" not in told


def test_empty_replies_are_broken_unless_the_unsteered_ones_are_empty_too():
    told = cautions_of(
        written(-0.2, NAN, "", " "), written(0.0, 10.0), written(0.1, 8.0), written(0.2, 8.0, "Yes.", "")
    )
    assert "2 of 2 at strength −2.40 (rho −0.20) are empty" in told and "1 of 2 at strength +2.40" in told
    assert "keep to strengths 0.00 to +1.20" in told and "nan" not in told and "–" not in told
    assert cautions_of(written(0.0, 10.0, "Yes.", ""), written(0.2, 9.0, "", "No.")) == ""
    silent = cautions_of(written(0.0, NAN, "", ""), written(0.2, 9.0))
    assert "Without a dose the model writes nothing" in silent


def test_the_page_without_a_trial_does_not_speak_of_one():
    text = text_of(report_input(separation()))
    assert "Does it steer?" not in text and "must be measured by steering" in text
    assert "Equal norm, equal KL" not in text


def test_what_was_not_measured_is_left_out():
    bare = tried(calibration=calibration(layers=()), trial=trial(arms=None), samples=samples(0.0))
    text = text_of(report_input(separation(), tried=bare))
    for absent in ("Vector and instruction", 'id="arms"', 'id="where"', "What the model writes, by strength"):
        assert absent not in text
    assert "is the one that reads best" in text
    assert {"arms", "where"}.isdisjoint(steering_specs(bare, separation()))


def test_every_number_of_the_charts_is_in_a_table():
    section = steering_section(tried(), separation())
    assert section.doses.rows[0][:3] == ("−0.20", "−2.40", "−0.200 [−0.250, −0.150]")
    assert [row[-1] for row in section.costs.rows] == ["no", "yes", "yes", "yes", "no", "no"]
    assert section.layers is not None and len(section.layers.rows) == 14
    assert section.arms is not None
    assert section.arms.rows[1] == ("vector, strength +1.80", "+0.150 [0.010, 0.290]")
    assert len(section.unseen.rows) == 5
    for table in (section.doses, section.costs, section.layers, section.arms, section.unseen, section.looks):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_example_texts_stand_by_strength_and_are_escaped():
    made = tried(samples=samples(-0.2, 0.0, 0.1, text=HOSTILE))
    html = page(report_input(separation(), tried=made))
    assert "<script>alert(" not in html
    found = Loads()
    found.feed(html)
    assert found.fetched == [] and found.scripts == 2
    for part in (
        "−2.40 gaps, rho −0.20",
        "unsteered",
        "+1.20 gaps, rho +0.10",
        "And then I …",
        "How was your evening?",
    ):
        assert part in html
    assert "I am fine. …" not in text_of(report_input(separation(), tried=tried()))


def test_the_picture_has_a_third_row_where_the_vector_was_tried(tmp_path):
    plain, steered = tmp_path / "plain.png", tmp_path / "steered.png"
    write_picture(plain, report_input(separation()))
    write_picture(steered, report_input(separation(), tried=tried()))
    (width, low), (same, high) = (struct.unpack(">II", path.read_bytes()[16:24]) for path in (plain, steered))
    assert abs(same - width) < 100
    assert 1.35 * low < high < 1.8 * low


def test_the_texts_are_those_of_the_safe_range_written_in_one_call():
    toy = Spied()
    vectors = planted(toy)
    found = steered_samples(toy, TRAIT, vectors, calibration(layer=7), seed=3)
    ((chats, asked),) = toy.asked
    assert [chat.question for chat in chats] == list(TRAIT.questions.evaluate[:PROMPTS]) * 5
    assert asked["seeds"] == [3, 4] * 5
    assert [dose.rho for dose in found.doses] == [-0.22, -0.11, 0.0, 0.075, 0.15]
    lengths = {bool(row) for row in asked["steering"][4:6]}
    assert lengths == {False}
    assert found.prompts == TRAIT.questions.evaluate[:PROMPTS] and found.layer == 7
    for dose in found.doses:
        texts = [reply.text for reply in dose.replies]
        assert len(texts) == PROMPTS and dose.measures == measure(texts)
        assert math.isfinite(dose.perplexity)
        assert np.sign(dose.strength) == np.sign(dose.rho)


@pytest.mark.parametrize(
    ("safe", "rhos"),
    [((-0.2, 0.1), (-0.2, -0.1, 0, 0.05, 0.1)), ((0.0, 0.1), (0, 0.05, 0.1)), ((-0.0, 0.0), (0,))],
)
def test_no_dose_is_written_twice(safe, rhos):
    found = calibration(safe=safe)
    assert sampled_rhos(found) == rhos
    assert n_samples(TRAIT, found) == PROMPTS * len(rhos)
