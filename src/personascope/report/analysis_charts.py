"""What vectors do to scores: P(high) by dose for each trait, and the slopes of all traits beside their controls.

Defined once as altair, for the picture and the page. Doses are rho; strengths are persona gaps. Damage, agreement and
the matrix are in `analysis_more_charts`.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import altair as alt

from personascope.questionnaire.analysis import VectorAnalysis
from personascope.questionnaire.analysis_words import in_order, own_trait
from personascope.questionnaire.steered_scores import SteeredScore
from personascope.questionnaire.trait_analysis import TraitAnalysis
from personascope.report.look import Y_LABEL_ROOM, Look, Row, Width, chart_of, layered
from personascope.separation import Estimate
from personascope.steering import gaps_per_rho
from personascope.wording import gain_text, has_interval, p_text, signed, with_interval

RELABELLED, RANDOM = "95 % of relabelled vectors", "95 % of random vectors"
_MARGIN = 1.08
"""Room beyond the outermost doses, as a factor."""


def trait_panel(
    found: TraitAnalysis, name: str, trait: str, look: Look, *, width: Width, height: int = 130
) -> alt.LayerChart:
    """P(high) of one trait by dose with its interval, over the wedges that hold 95 % of the controls.

    Wedges are the controls' slopes at dose 0 times the dose, about the value there. The vector's own trait is in its
    colour; the safe doses are shaded where they were measured.
    """
    one = found.analysis.vectors[name]
    score, x = one.scores[trait], dose_axis(one)
    colour = look.vector if trait == own_trait(found, name) else look.ink
    y = alt.Y("y:Q", title=None).scale(domain=score_range(found, name), nice=False, clamp=True)
    y = y.axis(tickCount=4, minExtent=Y_LABEL_ROOM)
    rows: list[Row] = [
        {"rho": dose, "y": point.value, "low": end(point, point.low), "high": end(point, point.high)}
        for dose, point in zip(one.doses, score.response.curve, strict=True)
    ]
    band = chart_of([row | {"y": row["low"]} for row in rows]).mark_area(color=colour, opacity=0.2)
    line = chart_of(rows).mark_line(color=colour, point=alt.OverlayMarkDef(color=colour, filled=True, size=26))
    parts = [
        *safe_shade(one, look),
        *_wedges(one, score, x, y, look),
        chart_of([{"y": 0.5}]).mark_rule(color=look.muted, opacity=0.5).encode(y=y),
        chart_of([{"rho": 0.0}]).mark_rule(color=look.muted, opacity=0.6).encode(x=x),
        band.encode(x=x, y=y, y2="high:Q"),
        line.encode(x=x, y=y),
        dose_columns(one, [{"P(high)": with_interval(point, 3)} for point in score.response.curve]),
    ]
    return layered(parts, width, height)


def panel_title(found: TraitAnalysis, name: str, trait: str) -> str:
    """A trait and what became of its score."""
    return f"{trait}: {found.analysis.vectors[name].effect(trait)}"


def score_range(found: TraitAnalysis, name: str) -> list[float]:
    """The range of P(high) that all panels of a vector show: every interval, and a third of the scale at least."""
    scores = found.analysis.vectors[name].scores.values()
    points = [point for score in scores for point in score.response.curve]
    ends = [value for point in points for value in (point.value, point.low, point.high) if math.isfinite(value)]
    low, high = min([*ends, 0.5]), max([*ends, 0.5])
    room = max(0.0, 1 / 3 - (high - low)) / 2 + 0.02
    return [max(0.0, math.floor(20 * (low - room)) / 20), min(1.0, math.ceil(20 * (high + room)) / 20)]


def _wedges(one: VectorAnalysis, score: SteeredScore, x: alt.X, y: alt.Y, look: Look) -> list[alt.Chart]:
    """Where controls of equal norm would lie: relabelled ones filled, the edges of random ones dashed."""
    middle = score.response.curve[one.doses.index(0.0)].value
    first, last = dose_domain(one.doses)
    charts: list[alt.Chart] = []
    for band, filled in ((score.at_zero.band_shuffled, True), (score.at_zero.band_random, False)):
        if not math.isfinite(band[0] + middle):
            continue
        if filled:
            rows: list[Row] = [
                {
                    "rho": rho,
                    "y": middle + min(slope * rho for slope in band),
                    "high": middle + max(s * rho for s in band),
                }
                for rho in (first, 0.0, last)
            ]
            wedge = chart_of(rows).mark_area(color=look.muted, opacity=0.22, clip=True)
            charts.append(wedge.encode(x=x, y=y, y2="high:Q"))
        else:
            edges: list[Row] = [
                {"rho": rho, "y": middle + slope * rho, "edge": at}
                for at, slope in enumerate(band)
                for rho in (first, last)
            ]
            line = chart_of(edges).mark_line(color=look.muted, strokeDash=[3, 3], strokeWidth=1, clip=True)
            charts.append(line.encode(x=x, y=y, detail="edge:N"))
    return charts


def slopes(found: TraitAnalysis, name: str, look: Look, *, width: Width) -> alt.LayerChart:
    """The slope of every trait's score with its interval, over what 95 % of the controls reach at dose 0.

    A filled dot is an effect that is shown, a hollow one an effect that is not.
    """
    one, traits = found.analysis.vectors[name], in_order(found, name)
    rows = [_slope_row(found, name, trait) for trait in traits]
    y = alt.Y("trait:N", sort=list(traits), title=None).axis(labelLimit=190, ticks=False, domain=False)
    x = alt.X("x:Q", title="slope of P(high) by rho").axis(tickCount=7)
    told = [alt.Tooltip(f"{field}:N", title=title) for field, title in _SLOPE_TOLD.items()]
    own = alt.Color("kind:N", legend=None).scale(domain=["own", "other"], range=[look.vector, look.ink])
    base = chart_of(rows).encode(y=y, color=own, tooltip=told)
    dots = [
        base.transform_filter("datum.shown == 1").mark_point(filled=True, size=75, opacity=1).encode(x=x),
        base.transform_filter("datum.shown == 0")
        .mark_point(size=60, opacity=1, strokeWidth=2, fill=_ground(look))
        .encode(x=x),
    ]
    parts = [
        *_control_bars(one, traits, x, y, look),
        chart_of([{"x": 0.0}]).mark_rule(color=look.muted).encode(x=x),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q").transform_calculate(x="datum.low"),
        *dots,
    ]
    return layered(parts, width, 30 * len(traits))


_SLOPE_TOLD = {
    "trait": "trait",
    "said": "slope",
    "zero": "at dose 0",
    "p": "p against relabelled, random",
    "effect": "effect",
}


def _slope_row(found: TraitAnalysis, name: str, trait: str) -> Row:
    one = found.analysis.vectors[name]
    score, effect = one.scores[trait], one.effect(trait)
    slope, zero = score.response.slope, score.at_zero
    return {
        "trait": trait,
        "kind": "own" if trait == own_trait(found, name) else "other",
        "x": slope.value,
        "low": end(slope, slope.low),
        "high": end(slope, slope.high),
        "shown": int(effect != "not shown"),
        "said": gain_text(slope),
        "zero": gain_text(zero.slope),
        "p": f"{p_text(zero.p_shuffled)}, {p_text(zero.p_random)}",
        "effect": effect,
    }


def _control_bars(one: VectorAnalysis, traits: Sequence[str], x: alt.X, y: alt.Y, look: Look) -> list[alt.Chart]:
    """What 95 % of the controls reach: wide bars for relabelled ones, thin ones for random ones."""
    charts: list[alt.Chart] = []
    for what, height, opacity in ((RELABELLED, 20, 0.22), (RANDOM, 8, 0.3)):
        bands = {
            trait: (zero.band_shuffled if what == RELABELLED else zero.band_random)
            for trait, zero in ((trait, one.scores[trait].at_zero) for trait in traits)
        }
        rows: list[Row] = [
            {"trait": trait, "x": low, "high": high, "what": what}
            for trait, (low, high) in bands.items()
            if math.isfinite(low)
        ]
        if rows:
            bars = chart_of(rows).mark_bar(color=look.muted, opacity=opacity, height=height)
            charts.append(bars.encode(x=x, x2="high:Q", y=y))
    return charts


def dose_axis(one: VectorAnalysis, field: str = "rho") -> alt.X:
    """The axis of doses: rho above, persona gaps below."""
    both = f"[format(datum.value, '+.1f'), format(datum.value * {gaps_per_rho(one.doses, one.strengths):.8g}, '+.1f')]"
    axis = alt.Axis(
        values=[-0.2, -0.1, 0.0, 0.1, 0.2],
        grid=False,
        labelExpr=f"abs(datum.value) < 1e-9 ? ['0', '0'] : {both}",
        labelLineHeight=13,
        labelOverlap=False,
    )
    return alt.X(f"{field}:Q", title=None, axis=axis).scale(domain=dose_domain(one.doses), nice=False)


def dose_domain(doses: Sequence[float]) -> list[float]:
    """From a little below the lowest dose to a little above the highest."""
    return [min([0.0, *doses]) * _MARGIN, max([0.0, *doses]) * _MARGIN]


def safe_shade(one: VectorAnalysis, look: Look) -> list[alt.Chart]:
    """The safe doses shaded, where they were measured and there are any."""
    if one.safe is None or one.safe[1] - one.safe[0] <= 0:
        return []
    first, last = dose_domain(one.doses)
    rows: list[Row] = [{"from": max(one.safe[0], first), "to": min(one.safe[1], last)}]
    shade = chart_of(rows).mark_rect(color=look.faint, opacity=0.55)
    return [shade.encode(x=dose_axis(one, "from"), x2="to:Q")]


def dose_columns(one: VectorAnalysis, told: Sequence[dict[str, str]]) -> alt.Chart:
    """An unseen column at each dose that tells the dose in both units and what is `told` of it."""
    first, last = dose_domain(one.doses)
    edges = [first, *((a + b) / 2 for a, b in pairwise(one.doses)), last]
    texts = [
        {"rho": signed(dose), "strength": f"{signed(strength)} gaps"} | more
        for dose, strength, more in zip(one.doses, one.strengths, told, strict=True)
    ]
    rows: list[Row] = [
        {"from": start, "to": stop} | {f"c{i}": text for i, text in enumerate(each.values())}
        for each, (start, stop) in zip(texts, pairwise(edges), strict=True)
    ]
    tooltip = [alt.Tooltip(f"c{i}:N", title=title) for i, title in enumerate(texts[0])]
    columns = chart_of(rows).mark_rect(opacity=0)
    drawn: alt.Chart = columns.encode(x=dose_axis(one, "from"), x2="to:Q", tooltip=tooltip)
    return drawn


def end(estimate: Estimate, value: float) -> float:
    """An end of an interval; the value itself where there is none."""
    return value if has_interval(estimate) else estimate.value


def _ground(look: Look) -> str:
    """What fills a hollow mark on a ground that cannot."""
    return "var(--paper)" if look.ground == "transparent" else look.ground
