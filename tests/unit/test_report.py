"""The report: verdict in words, picture and page, on made-up separations whose reading is known."""

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from personascope.report.charts import comparison_rows
from personascope.report.layer_charts import auc_by_layer
from personascope.report.look import PAPER, auc_domain
from personascope.report.page import Example, ReportInput, TraitWords, page, write_picture, write_report
from personascope.report.verdict import smallest_p, standing, verdict
from personascope.report.words import GLOSSARY, LAYER_COLUMNS, decimals, joined, p_text, with_interval
from personascope.separation import Estimate, LayerReading, Separation

N = 160
HIGH = np.repeat([True, False], N)
HOSTILE = "</script><script>alert('reply')</script><!-- & \"quoted\""


def around(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def reading(layer: int, auc: float, *, half: float = 0.05) -> LayerReading:
    d = 3.2 * (auc - 0.5)
    return LayerReading(
        layer=layer,
        auc=around(auc, half),
        cohens_d=Estimate(d, d - 0.4, d + 0.4),
        separation=4 * d,
        null_auc_95=0.61,
        p=1 / 128,
        p_max=1 / 128,
        in_sample_auc=min(1.0, auc + 0.07),
        in_sample_null=0.74,
        vector_magnitude=5.0,
        relative_norm=0.15,
        split_half_cosine=0.78,
        reliability=0.94,
        pair_cosine_mean=0.41,
        pair_cosine_min=0.12,
        effective_dimension=33.0,
        top_dimension_energy=0.06,
        proj_high_mean=2 * d,
        proj_low_mean=-2 * d,
        proj_high_std=4.0,
        proj_low_std=4.0,
    )


def separation(
    peak: float = 0.88, *, layers: Sequence[int] = range(30), half: float = 0.05, words: float = 0.62
) -> Separation:
    middle = (min(layers) + max(layers)) / 2
    spread = len(layers) / 3
    aucs = {k: 0.5 + (peak - 0.5) * float(np.exp(-(((k - middle) / spread) ** 2))) for k in layers}
    readings = tuple(reading(k, auc, half=half) for k, auc in aucs.items())
    best = max(readings, key=lambda one: one.auc.value)
    noise = np.random.default_rng(0).normal(0, 4, 2 * N)
    return Separation(
        readings=readings,
        chosen_layer=best.layer,
        nested_auc=around(peak, half),
        nested_layers=((best.layer, 32),),
        fixed_layer=layers[-1],
        fixed_auc=readings[-1].auc,
        p=1 / 128,
        n_relabellings=128,
        exhaustive=True,
        baselines={"reply length": around(0.52), "bag of words": around(words), "random direction": around(0.5)},
        readers={"difference of means": best.auc, "shrinkage LDA": around(peak), "logistic regression": around(peak)},
        held_out_scores=np.where(HIGH, best.proj_high_mean, best.proj_low_mean) + noise,
        n_high=N,
        n_low=N,
        n_pairs=8,
        n_questions=20,
    )


def with_chosen(whole: Separation, **changes: float) -> Separation:
    readings = [replace(r, **changes) if r.layer == whole.chosen_layer else r for r in whole.readings]
    return replace(whole, readings=tuple(readings))


def report_input(whole: Separation, **changes: object) -> ReportInput:
    told = ReportInput(
        trait=TraitWords("Openness", "Readiness for the new.", "curious", "down to earth"),
        model_name="toy/model-1",
        model={"width": "16"},
        separation=whole,
        high=HIGH,
        settings={"seed": "0"},
        examples=(Example("What now?", "You are curious.", "You are plain.", HOSTILE, "Nothing much."),),
        notes=("The instruction was folded into the user turn.",),
        files={"vectors": Path("out/model_openness_vectors.npz")},
        commands=("personascope steer --strength 1",),
    )
    return replace(told, **changes)


class Loads(HTMLParser):
    """Collects what a browser would fetch or run from elsewhere, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.fetched += [f"{tag} {name}={value}" for name, value in attrs if name in {"src", "href", "srcset", "data"}]


@pytest.fixture(scope="module")
def html() -> str:
    return page(report_input(separation()))


def test_a_strong_vector_is_called_excellent_and_beats_the_baselines():
    judged = verdict(separation(0.9))
    assert judged.grade == "excellent"
    assert judged.line == "excellent: nested held-out AUC 0.90 [0.85, 0.95], p = 0.008, layer 14"
    assert "90 times out of 100" in judged.paragraph
    assert "clearly beats counting words (bag of words), 0.62 [0.57, 0.67] and reply length alone" in judged.paragraph
    assert "the smallest p they can give is 0.008" in judged.paragraph
    assert judged.cautions == ()


def test_the_grade_goes_by_the_lower_end():
    assert verdict(separation(0.82, half=0.05)).grade == "good"
    assert verdict(separation(0.82, half=0.15)).grade == "moderate"


def test_a_poor_vector_is_not_to_be_used():
    judged = verdict(replace(separation(0.51, half=0.09), p=0.61))
    assert judged.grade == "poor"
    assert "a coin toss is not excluded" in judged.paragraph
    assert judged.cautions[0].startswith("Do not use this vector")
    assert any("p = 0.61" in caution for caution in judged.cautions)
    assert "not shown to beat" in judged.paragraph


def test_a_vector_that_points_backwards_is_said_to():
    judged = verdict(separation(0.35))
    assert "the wrong way" in judged.cautions[0]


def test_a_leaky_contrast_is_said_to_be_perhaps_wording():
    judged = verdict(separation(0.86, words=0.85))
    assert any("wording of the instructions" in caution for caution in judged.cautions)
    assert "clearly beats reply length alone" in judged.paragraph
    assert "not shown to beat counting words" in judged.paragraph


def test_a_leak_by_length_is_said():
    whole = separation(0.86)
    leaky = replace(whole, baselines=dict(whole.baselines) | {"reply length": around(0.9)})
    assert any("length of the reply" in caution for caution in verdict(leaky).cautions)


def test_a_baseline_that_knows_nothing_is_no_leak():
    assert not any("wording" in caution for caution in verdict(separation(0.53, words=0.52)).cautions)


def test_a_small_study_is_exploratory_and_its_floor_is_named():
    few = replace(separation(0.9), n_high=5, n_low=5, n_questions=5, n_pairs=1, n_relabellings=16, p=1 / 16)
    cautions = " ".join(verdict(few).cautions)
    assert "Exploratory: there are only 5 replies a pole" in cautions
    assert "With 16 relabellings no result could reach p = 0.05" in cautions
    assert "share one instruction pair" in cautions


def test_doubts_about_the_direction_itself_are_said():
    whole = separation()
    assert any("opposite ways" in c for c in verdict(with_chosen(whole, pair_cosine_min=-0.2)).cautions)
    assert any("one dimension" in c for c in verdict(with_chosen(whole, top_dimension_energy=0.8)).cautions)
    noisy = verdict(with_chosen(whole, reliability=0.3))
    assert "direction itself is noisy" in noisy.paragraph
    assert any("would steady it" in c for c in noisy.cautions)
    assert "fairly stable" in verdict(with_chosen(whole, reliability=0.7)).paragraph
    unknown = verdict(with_chosen(whole, reliability=float("nan"), pair_cosine_min=float("nan")))
    assert "could not be measured" in unknown.paragraph
    assert unknown.cautions == ()


def test_without_baselines_nothing_is_claimed_about_them():
    judged = verdict(replace(separation(), baselines={}))
    assert "was not compared" in judged.paragraph
    assert "beats" not in judged.paragraph
    assert judged.cautions == ()


def test_standing_wants_the_intervals_apart():
    vector = Estimate(0.8, 0.7, 0.9)
    assert standing(vector, Estimate(0.5, 0.4, 0.6)) == "clearly above"
    assert standing(vector, Estimate(0.65, 0.55, 0.75)) == "above"
    assert standing(vector, Estimate(0.75, 0.65, 0.85)) == "level"
    overlapping = replace(separation(0.8), baselines={"bag of words": Estimate(0.7, 0.6, 0.8)})
    assert "ahead of counting words" in verdict(overlapping).paragraph


def test_smallest_p_counts_the_observed_labelling_once():
    assert smallest_p(separation()) == 1 / 128
    assert smallest_p(replace(separation(), exhaustive=False, n_relabellings=999)) == 1 / 1000


def test_numbers_are_written_alike_everywhere():
    assert decimals(-0.004) == "0.00"
    assert decimals(-1.5) == "−1.50"
    assert decimals(float("nan")) == "–"
    assert with_interval(Estimate(0.8, -0.1, 1.0)) == "0.80 [−0.10, 1.00]"
    assert [p_text(p) for p in (0.61, 0.0625, 1 / 1001, 0.0001)] == ["0.61", "0.062", "0.001", "0.0001"]
    assert [joined(list(parts)) for parts in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]


def test_aucs_below_chance_stay_in_the_frame():
    assert auc_domain([0.6, 0.9]) == [0.3, 1.0]
    assert auc_domain([0.12, float("nan")]) == [0.1, 1.0]


def test_missing_numbers_do_not_break_the_chart():
    spec = auc_by_layer(with_chosen(separation(), null_auc_95=float("nan")), PAPER, width=300).to_dict()
    json.dumps(spec, allow_nan=False)


def test_the_marked_layers_are_named():
    def labels(whole: Separation) -> str:
        return json.dumps(auc_by_layer(whole, PAPER, width=300).to_dict())

    whole = separation()
    assert "layer 14: chosen" in labels(whole)
    assert "layer 29: fixed depth" in labels(whole)
    assert "layer 14: chosen, also the fixed depth" in labels(replace(whole, fixed_layer=14))
    assert "layer 17: the only one read" in labels(separation(layers=[17]))


def test_few_layers_have_whiskers_and_many_a_band():
    few, many = (auc_by_layer(separation(layers=layers), PAPER, width=300) for layers in ([3, 7, 9], range(20)))
    assert ["area" in json.dumps(chart.to_dict()["layer"]) for chart in (few, many)] == [False, True]


def test_the_in_sample_auc_is_not_drawn():
    whole = with_chosen(separation(), in_sample_auc=0.98765)
    drawn = json.dumps(auc_by_layer(whole, PAPER, width=300).to_dict())
    assert "0.98765" not in drawn
    assert "0.99 (0.74)" in drawn  # told in the tooltip, beside its null


def test_comparison_starts_with_the_headline_and_keeps_every_name():
    whole = separation()
    rows = comparison_rows(whole)
    assert rows[0][2] == whole.nested_auc
    assert [name for name, kind, _ in rows if kind == "baseline"] == [
        "bag of words",
        "reply length",
        "random direction",
    ]
    assert len(rows) == 2 + len(whole.readers) + len(whole.baselines)


def test_the_page_loads_nothing(html):
    found = Loads()
    found.feed(html)
    assert found.fetched == []
    assert found.scripts == 2
    assert "default-src 'none'" in html
    styles = " ".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles


def test_replies_are_escaped(html):
    assert "<script>alert(" not in html
    assert "&lt;script&gt;alert(" in html


def test_hostile_names_cannot_leave_the_chart_data():
    whole = separation()
    hostile = replace(whole, baselines={HOSTILE: around(0.5)})
    found = Loads()
    found.feed(page(report_input(hostile)))
    assert found.scripts == 2


def test_the_page_tells_what_it_must(html):
    whole = separation()
    text = re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)
    told = verdict(whole)
    for part in ("Openness in toy/model-1", told.paragraph, "folded into the user turn", "pure noise is expected"):
        assert part in text
    assert all(word in text for word, _ in GLOSSARY)
    assert all(f">{column.title}</th>" in text for column in LAYER_COLUMNS if "'" not in column.title)
    assert text.count("<tr><td>") + text.count('<tr class="chosen"><td>') == 30 + len(comparison_rows(whole))
    assert "np.load(&#34;out/model_openness_vectors.npz&#34;)" in text
    assert f"layer_{whole.chosen_layer}_vector" in text


def test_empty_parts_are_left_out():
    bare = report_input(separation(), examples=(), notes=(), files={}, commands=(), settings={})
    text = page(bare)
    for heading in ("What the model wrote", "Using the vector", "<h3>Settings", "<h3>Files"):
        assert heading not in text


def test_more_examples_are_folded_away():
    one = Example("Q?", "", "You are plain.", "high", "low")
    text = page(report_input(separation(), examples=(one,) * 5))
    assert "More examples (2)" in text
    assert '<p class="instruction">High</p>' in text
    assert '<p class="instruction">Low: You are plain.</p>' in text


def test_write_report_puts_one_whole_file(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, report_input(separation()))
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("layers", [[17], range(60)], ids=["one", "sixty"])
def test_the_picture_is_drawn_for_any_number_of_layers(tmp_path, layers):
    path = tmp_path / "picture.png"
    write_picture(path, report_input(separation(layers=layers)))
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert 1800 < width < 3200
    assert 1200 < height < 2600
    assert len(content) > 50_000
    assert content[-8:-4] == b"IEND"
    assert list(tmp_path.iterdir()) == [path]


def test_a_cautioned_picture_says_so(tmp_path):
    plain, cautioned = tmp_path / "plain.png", tmp_path / "cautioned.png"
    write_picture(plain, report_input(separation(0.9)))
    write_picture(cautioned, report_input(separation(0.9, words=0.9)))
    heights = [struct.unpack(">I", path.read_bytes()[20:24])[0] for path in (plain, cautioned)]
    assert heights[1] > heights[0]
