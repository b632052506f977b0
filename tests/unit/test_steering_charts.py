"""The charts of a steering trial: doses, controls, costs, layers and unseen texts."""

from dataclasses import replace

import pytest
from made_up import alone
from made_up_trials import DOSES, NAN, calibration, drawn, evaluation, proof, trial, values_of

from personascope.report.dose_charts import kl_by_dose, nll_by_dose, safe_label, slope_by_layer
from personascope.report.look import PAPER
from personascope.report.steering_charts import RANDOM, SHUFFLED, dose_response, unseen_texts


def test_the_wedges_are_the_slopes_of_the_controls_times_the_dose():
    chart = dose_response(trial(), calibration(), PAPER, width=400)
    edges = [row for row in values_of(chart, "what", "edge") if row["what"] in (SHUFFLED, RANDOM)]
    slopes = {(row["what"], round(row["y"] / row["rho"], 9)) for row in edges}
    assert slopes == {(SHUFFLED, -0.7), (SHUFFLED, 0.6), (RANDOM, -0.2), (RANDOM, 0.3)}
    assert sorted({row["rho"] for row in edges}) == pytest.approx([-0.216, 0.216])
    fills = [row for row in values_of(chart, "rho", "high") if "low" not in row]
    assert len(fills) == 6 and all(row["y"] <= row["high"] for row in fills)


def test_a_dose_is_told_in_both_units_with_all_that_is_known_of_it():
    chart = dose_response(trial(), calibration(), PAPER, width=400)
    told = values_of(chart, "c0", "from")
    assert [(row["c0"], row["c1"]) for row in told] == [
        ("−0.20", "−2.40 gaps"), ("−0.10", "−1.20 gaps"), ("+0.10", "+1.20 gaps"), ("+0.20", "+2.40 gaps"),
    ]  # fmt: skip
    assert told[0]["c2"] == "−0.200 [−0.250, −0.150] nats per token"
    assert told[0]["c4"] == "−0.120 to +0.140"
    assert [row["from"] for row in told[1:]] == [row["to"] for row in told[:-1]]
    assert (told[0]["from"], told[-1]["to"]) == pytest.approx((-0.216, 0.216))
    assert told[0]["c3"] == "0.400 nats per token"


def test_a_curve_without_intervals_says_so():
    few = proof(curve=tuple(alone(dose) for dose in DOSES), n_questions=4)
    chart = drawn(dose_response(trial(proof=few), calibration(), PAPER, width=400))
    assert "interval not available (4 questions)" in chart and "95 % interval" not in chart


def test_the_safe_range_is_shaded_within_the_axis_and_named_in_gaps():
    chart = dose_response(trial(), calibration(), PAPER, width=400)
    (shade,) = (row for row in values_of(chart, "from", "to") if "c0" not in row)
    assert shade == pytest.approx({"from": -0.216, "to": 0.15})
    (end,) = (row for row in values_of(chart, "from") if "to" not in row)
    assert end == {"from": 0.15}
    assert safe_label(calibration()) == "shaded: safe strength, −2.64 to +1.80"
    none = calibration(safe=(-0.0, 0.0))
    assert safe_label(none) == "no dose is safe"
    assert "no dose is safe" in drawn(kl_by_dose(none, PAPER, width=300))
    assert not [row for row in values_of(kl_by_dose(none, PAPER, width=300), "from") if "c0" not in row]


def test_the_limits_are_within_the_frame_where_every_dose_is_cheap():
    costs = tuple(replace(cost, kl_mean=0.01, kl_p95=0.02, nll_rise=-0.01) for cost in calibration().costs)
    for chart, limit in ((kl_by_dose, 1.0), (nll_by_dose, 0.25)):
        layers = chart(calibration(costs=costs), PAPER, width=300).to_dict()["layer"]
        scales = [layer["encoding"].get("y", {}).get("scale") for layer in layers]
        tops = [scale["domain"][1] for scale in scales if scale]
        assert tops and min(tops) > limit


def test_the_cost_charts_show_their_limits_and_survive_missing_numbers():
    costs = tuple(replace(cost, kl_mean=NAN, kl_p95=NAN, nll_rise=NAN) for cost in calibration().costs[:1])
    broken = calibration(costs=costs + calibration().costs[1:])
    assert "limit 1 nat" in drawn(kl_by_dose(broken, PAPER, width=300))
    assert "limit 0.25 nats" in drawn(nll_by_dose(broken, PAPER, width=300))


@pytest.mark.parametrize(
    ("reading", "labels"),
    [
        (14, ["layer 21: steering", "layer 14: reading"]),
        (21, ["layer 21: steering and reading"]),
        (3, ["layer 21: steering"]),
    ],
)
def test_the_layers_of_steering_and_of_reading_are_marked(reading, labels):
    chart = slope_by_layer(calibration(), reading, PAPER, width=400)
    assert [row["text"] for row in values_of(chart, "text", "layer")] == labels


def test_pairs_of_unseen_texts_stand_in_order_and_without_interval():
    rows = {row["name"]: row for row in values_of(unseen_texts(evaluation(), PAPER, width=300), "name")}
    assert list(rows) == ["all pairs together", "pair 1 of 3", "pair 2 of 3", "pair 3 of 3", "reply length alone"]
    assert [rows[f"pair {at} of 3"]["x"] for at in (1, 2, 3)] == [0.77, 0.92, 0.91]
    assert rows["pair 1 of 3"]["low"] is None and rows["all pairs together"]["said"] == "0.90 [0.84, 0.95]"
