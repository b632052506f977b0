"""The index page of several traits, and what it says in words."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from test_report import Loads

from personascope.cli.batch_tables import overview_table
from personascope.likeness import Likeness
from personascope.models.protocols import ModelSpec
from personascope.overview_words import cautions, cells, conclusions, layer_told, several_told, steering_words
from personascope.report.traits_page import traits_page, write_traits_picture
from personascope.separation import Estimate
from personascope.trait_overview import Failure, Overview, SteeredRow, TraitRow, overview_as_json, pairs_by_cosine

NAN = math.nan
STEERED = SteeredRow("usable", 18, Estimate(1.1, 0.6, 1.6), (-0.2, 0.3), (-2.0, 3.0), ("split-half cosine too low",))
OPENNESS = TraitRow(
    "openness", "Openness", ("conventional", "curious"), 17, Estimate(0.92, 0.85, 0.97), 0.0078, "shown",
    "shown, excellent: nested held-out AUC 0.92", "Take one reply.", ("Mind this.",), STEERED, "a b_openness", "0f",
)  # fmt: skip
EVIL = replace(
    OPENNESS, name="evil", label="<b>Evil</b>", auc=Estimate(0.6, NAN, NAN), p=0.2, evidence="not shown",
    line="not shown: x", cautions=(), steering=None, stem="a b_evil",
)  # fmt: skip
WARMTH = replace(EVIL, name="warmth", label="Warmth")


def alike(layer, *, first=-0.4, second=0.1):
    cosines = np.array([[1.0, first, second], [first, 1.0, NAN], [second, NAN, 1.0]])
    return Likeness(layer, ("openness", "evil", "warmth"), cosines, 0.04)


def found(**other):
    by_layer = (alike(16, first=-0.1), alike(17), alike(18, second=-0.2))
    made = Overview(
        model=ModelSpec("a/b", 30, 576, "float32"),
        settings={
            "contrast": "rollouts", "seed": 0,
            "protocol": {"name": "quick", "pairs": 4, "questions": 10, "repeats": 1, "max_new_tokens": 48},
        },
        rows=(OPENNESS, EVIL, WARMTH),
        failures=(Failure("charm", "there is no <trait>", "choose another"),),
        alike=by_layer[1],
        candidates=by_layer[1:],
        by_layer=by_layer,
        notes=("A first look.",),
    )  # fmt: skip
    return replace(made, **other)


def test_pairs_come_by_size_with_their_range_over_the_candidates():
    pairs = pairs_by_cosine(found())
    assert [(pair.one, pair.other, pair.cosine) for pair in pairs] == [
        ("openness", "evil", -0.4),
        ("openness", "warmth", 0.1),
    ]
    assert (pairs[0].lowest, pairs[0].highest) == (-0.4, -0.4) and (pairs[1].lowest, pairs[1].highest) == (-0.2, 0.1)
    assert pairs_by_cosine(found(alike=None)) == []


def test_it_is_said_in_words_who_reads_who_steers_and_who_is_alike():
    told = " ".join(conclusions(found()))
    assert "Vectors of 3 traits: 1 shown to read their trait (openness); 2 not shown to read it (evil, warmth)." in told
    assert "Steering of 1 trait: 1 usable (openness)." in told
    assert "openness and evil: cosine −0.40 at layer 17. Of 2 pairs 1 is beyond 3 standard" in told and "±0.12" in told
    assert "Without a result: charm" in told
    alone = conclusions(found(rows=(EVIL,), failures=(), alike=None, candidates=(), by_layer=()))
    assert alone == ["Vectors of 1 trait: 1 not shown to read it (evil)."]


def test_many_ps_and_the_one_layer_are_told():
    assert "of 3 vectors without a trait about 0.2 would fall to 0.05 or below" in several_told(found())
    assert several_told(found(rows=(EVIL,))) == ""
    assert "All at layer 17" in layer_told(found()) and "fixed before any result" in layer_told(found())


def test_a_row_has_all_that_was_asked():
    assert cells(OPENNESS) == (
        "openness", "17", "0.92 [0.85, 0.97]", "0.008", "shown, excellent", "usable", "−2.00 to +3.00",
    )  # fmt: skip
    assert cells(EVIL)[2:] == ("0.60", "0.200", "not shown", "not tried", "–")
    assert "usable, S +1.10 [0.60, 1.60]" in steering_words(OPENNESS) and "not tried" in steering_words(EVIL)
    assert cautions(OPENNESS)[-1] == "Steering is not strong: split-half cosine too low." and cautions(EVIL) == ()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal_whole(width):
    console = Console(width=width)
    rows = (replace(OPENNESS, name="conscientiousness", steering=replace(STEERED, word="unsupported")), EVIL)
    with console.capture() as drawn:
        console.print(overview_table(found(rows=rows), narrow=width < 104))
    text = drawn.get()
    assert "…" not in text and max(map(len, text.splitlines())) <= width
    for word in ("conscientiousness", "[0.85, 0.97]", "excellent", "unsupported", "charm", "failed"):
        assert word in text


def test_the_page_loads_nothing_and_leads_to_each_report():
    html = traits_page(found())
    seen = Loads()
    seen.feed(html)
    assert set(seen.fetched) == {f"a href=a%20b_{name}_report.html" for name in ("openness", "evil")}
    assert seen.scripts == 2
    text = re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)
    assert "&lt;b&gt;Evil" in text and "<b>Evil" not in text and "there is no &lt;trait&gt;" in text
    for part in (
        "−2.00 to +3.00",
        "shown, excellent",
        'id="alike"',
        "at layer 17",
        "in layers 17 to 18",
        "A first look.",
    ):
        assert part in text
    alone = traits_page(found(rows=(EVIL,), alike=None, candidates=(), by_layer=()))
    assert 'id="alike"' not in alone


def test_the_picture_says_its_layer_and_needs_two_traits(tmp_path):
    write_traits_picture(tmp_path / "map.png", found())
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="one trait"):
        write_traits_picture(tmp_path / "no.png", found(alike=None))


def test_json_has_rows_failures_and_cosines_at_every_layer():
    told = overview_as_json(found())
    assert told["kind"] == "traits side by side" and told["made_from"]["a b_evil_analysis.json"] == "0f"
    assert (
        list(told["traits"]) == ["openness", "evil", "warmth"] and told["failed"]["charm"]["hint"] == "choose another"
    )
    assert told["likeness"]["layer"] == 17 and set(told["likeness"]["cosines_by_layer"]) == {"16", "17", "18"}
    assert "likeness" not in overview_as_json(found(alike=None))
