"""What a comparison looks like: shifts with intervals over what relabelled vectors shift, by trait and by layer.

Defined once as altair, for the picture and the page. Layer k is the stream after decoder block k, from 0.
"""

from collections.abc import Sequence

import altair as alt

from personascope.comparing import Comparison, Reading
from personascope.comparing_words import READING_WORDS, headline
from personascope.report.look import PAPER, Look, Row, Width, chart_of, layered, styled
from personascope.report.profile_marks import placed
from personascope.wording import gain_text

_ROW = 34
_SHIFT, _COSINE, _SCORE = "shift in persona gaps, tuned minus base", "cosine, base with tuned", "change of P(high)"
"""Titles of axes; parts of a chart that share an axis must name it alike."""
_SHAPES: dict[Reading, str] = {"replies": "circle", "text": "square", "prompt": "triangle-up"}


def shifts_by_trait(found: Comparison, look: Look, *, width: Width) -> alt.LayerChart:
    """Each trait's shift in every reading, over the band that 95 % of vectors without a trait stay within."""
    names = list(headline(found))
    x = alt.X("value:Q", title=_SHIFT).axis(tickCount=6, format="+.2~r")
    y = alt.Y("trait:N", sort=names, title=None).axis(labelLimit=190, ticks=False, domain=False)
    bands: list[Row] = [
        {"trait": name, "low": -one.band, "high": one.band}
        for name, one in found.shifts[found.headline].items()
    ]  # fmt: skip
    rows = [row for reading in found.shifts for row in _shift_rows(found, reading)]
    readings = [READING_WORDS[reading] for reading in found.shifts]
    colours = [look.vector, look.high, look.low][: len(readings)]
    legend = alt.Legend(orient="bottom", direction="vertical", title=None, labelLimit=0)
    colour = alt.Color("reading:N", legend=legend).scale(domain=readings, range=colours)
    shape = alt.Shape("reading:N", legend=legend).scale(
        domain=readings, range=[_SHAPES[reading] for reading in found.shifts]
    )
    offset = alt.YOffset("reading:N", sort=readings)
    tips = ["trait:N", alt.Tooltip("reading:N", title="read in"), alt.Tooltip("said:N", title="shift [95 %]")]
    place = {"y": y, "yOffset": offset, "color": colour, "tooltip": tips}
    parts = [
        chart_of(bands)
        .mark_bar(color=look.faint, height=_ROW - 8)
        .encode(y=y, x=alt.X("low:Q", title=_SHIFT), x2="high:Q"),
        chart_of([{"value": 0.0}]).mark_rule(color=look.ink, strokeDash=[5, 3]).encode(x=x),
        chart_of(rows).transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", title=_SHIFT), x2="high:Q", **place
        ),
        chart_of(rows).mark_point(size=64, filled=True, opacity=1).encode(x=x, shape=shape, **place),
    ]  # fmt: skip
    return layered(parts, width, _ROW * len(names))


def shifts_by_layer(found: Comparison, look: Look, *, width: Width, height: int = 240) -> alt.LayerChart:
    """The headline's shift at every layer: the traits that moved in colour with their interval, the others thin."""
    shifts = headline(found)
    shown = [name for name, one in shifts.items() if one.moved != "not shown"][:3] or list(shifts)[:1]
    rows: list[Row] = [
        {"trait": name, "layer": layer, **placed(estimate), "said": gain_text(estimate)}
        for name, one in shifts.items()
        for layer, estimate in zip(found.layers, one.by_layer, strict=True)
    ]
    x = alt.X("layer:Q", title="layer (after block k, from 0)").axis(format="d", tickMinStep=1, grid=False)
    y = alt.Y("value:Q", title=_SHIFT).axis(tickCount=6, format="+.2~r")
    tips = ["trait:N", "layer:Q", alt.Tooltip("said:N", title="shift [95 %]")]
    colour = alt.Color("trait:N", legend=alt.Legend(orient="bottom", title=None)).scale(
        domain=shown, range=[look.vector, look.high, look.low][: len(shown)]
    )
    mine = [row for row in rows if row["trait"] in shown]
    rest = [row for row in rows if row["trait"] not in shown]
    parts = [
        chart_of([{"value": 0.0}]).mark_rule(color=look.ink, strokeDash=[5, 3]).encode(y=y),
        chart_of(rest or [{"trait": "", "layer": found.layers[0], "value": 0.0, "said": ""}])
        .mark_line(color=look.muted, opacity=0.45, strokeWidth=1)
        .encode(x=x, y=y, detail="trait:N", tooltip=tips),
        chart_of(mine).mark_area(opacity=0.18).encode(x=x, y=alt.Y("low:Q", title=_SHIFT), y2="high:Q", color=colour),
        chart_of(mine).mark_line(strokeWidth=2).encode(x=x, y=y, color=colour, tooltip=tips),
    ]
    return layered(parts, width, height)


def cosines_by_layer(found: Comparison, look: Look, *, width: Width, height: int = 240) -> alt.LayerChart:
    """Cosine of each trait's vectors in base and tuned model by layer; dashed: what noise alone would leave."""
    rows: list[Row] = [
        {"trait": name, "layer": layer, "value": float(one.cosine[at]), "ceiling": float(one.ceiling[at])}
        for name, one in found.cosines.items()
        for at, layer in enumerate(found.layers)
    ]
    x = alt.X("layer:Q", title="layer (after block k, from 0)").axis(format="d", tickMinStep=1, grid=False)
    y = alt.Y("value:Q", title=_COSINE).scale(zero=False).axis(tickCount=5)
    tips = [
        "trait:N",
        "layer:Q",
        alt.Tooltip("value:Q", format=".2f", title="cosine"),
        alt.Tooltip("ceiling:Q", format=".2f", title="if it were the same"),
    ]
    whole = chart_of(rows)
    parts = [
        whole.mark_line(color=look.muted, strokeDash=[4, 3]).encode(x=x, y=alt.Y("mean(ceiling):Q", title=_COSINE)),
        whole.mark_line(color=look.vector, opacity=0.55, strokeWidth=1.4).encode(
            x=x, y=y, detail="trait:N", tooltip=tips
        ),
    ]
    return layered(parts, width, height)


def shift_and_score(found: Comparison, look: Look, *, width: Width, height: int = 240) -> alt.LayerChart:
    """Each trait's shift beside the change of its score on the items, with both intervals."""
    (changes,) = found.answers.changes
    rows: list[Row] = [
        {
            "trait": name,
            "shift": one.shift.value,
            "left": one.shift.low,
            "right": one.shift.high,
            **placed(changes[name]),
        }
        for name, one in found.shifts[found.headline].items()
        if name in changes
    ]
    x = alt.X("shift:Q", title=_SHIFT).axis(tickCount=6, format="+.2~r", grid=True)
    y = alt.Y("value:Q", title=_SCORE).axis(tickCount=5, format="+.2~r")
    whole, tips = chart_of(rows), ["trait:N", "shift:Q", "value:Q"]
    parts = [
        whole.mark_rule(color=look.faint, strokeWidth=2).encode(x=alt.X("left:Q", title=_SHIFT), x2="right:Q", y=y),
        whole.mark_rule(color=look.faint, strokeWidth=2).encode(x=x, y=alt.Y("low:Q", title=_SCORE), y2="high:Q"),
        whole.mark_point(color=look.vector, filled=True, size=60, opacity=1).encode(x=x, y=y, tooltip=tips),
    ]
    parts += [
        chart_of(some).mark_text(color=look.ink, fontSize=11, dy=dy).encode(x=x, y=y, text="trait:N")
        for some, dy in zip(_above_and_below(rows), (-9, 13), strict=True)
        if some
    ]
    return layered(parts, width, height)


def _above_and_below(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows whose name stands above their mark, and below: neighbours from left to right take turns."""
    ordered = sorted(rows, key=lambda row: float(row["shift"]))
    return ordered[::2], ordered[1::2]


def charts(found: Comparison, look: Look, *, width: Width) -> dict[str, alt.LayerChart]:
    """The charts that there are, by the id of their place on the page."""
    made = {"shifts": shifts_by_trait(found, look, width=width), "layers": shifts_by_layer(found, look, width=width)}
    if any(name in found.answers.changes[0] for name in found.shifts[found.headline]):
        made["scores"] = shift_and_score(found, look, width=width)
    if found.cosines:
        made["cosines"] = cosines_by_layer(found, look, width=width)
    return made


TITLES = {
    "shifts": "How far the persona moved; grey: 95 % of vectors without a trait, in the first reading",
    "layers": "The first reading by layer",
    "scores": "Shift and change of score",
    "cosines": "Is it the same direction? Dashed: two noisy vectors of one direction",
}


def picture(found: Comparison, *, title: str, subtitle: Sequence[str]) -> alt.VConcatChart:
    """All charts on white, two in a row."""
    panels = [_panel(chart, TITLES[name]) for name, chart in charts(found, PAPER, width=430).items()]
    own = alt.Resolve(scale=alt.ScaleResolveMap(color="independent", shape="independent"))
    rows = [alt.HConcatChart(hconcat=panels[at : at + 2], spacing=44, resolve=own) for at in range(0, len(panels), 2)]
    heading = alt.TitleParams(
        title, subtitle=list(subtitle), anchor="start", fontSize=19, subtitleFontSize=13, subtitlePadding=6, offset=20
    )
    return styled(alt.VConcatChart(vconcat=rows, spacing=30, title=heading, padding=22, resolve=own), PAPER)


def _shift_rows(found: Comparison, reading: Reading) -> list[Row]:
    return [
        {"trait": name, "reading": READING_WORDS[reading], **placed(one.shift), "said": gain_text(one.shift)}
        for name, one in found.shifts[reading].items()
    ]


def _panel(chart: alt.LayerChart, title: str) -> alt.LayerChart:
    return chart.properties(title=alt.TitleParams(title, anchor="start", frame="bounds", fontSize=13, offset=8))
