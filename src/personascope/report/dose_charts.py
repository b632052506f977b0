"""What a dose costs and where it is given: KL and likelihood on neutral texts by dose, and the slope by layer.

Also the dose axis that `steering_charts` shares: rho, with the strength in persona gaps below it. Defined once as
altair, for the picture and the page.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import altair as alt

from personascope.calibration import MOST_KL, MOST_NLL_RISE, Calibration, LayerEffect
from personascope.report.look import Y_LABEL_ROOM, Look, Row, Width, chart_of, layered
from personascope.steering_words import gaps_at_rho_1
from personascope.wording import decimals, signed

KL_MEAN, KL_P95 = "mean of all tokens", "95th percentile of tokens"
_KL_TICKS = (0.0, 0.25, 1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 32.0)
_MARGIN = 1.08
"""Room beyond the outermost doses, as a factor."""


def kl_by_dose(calibration: Calibration, look: Look, *, width: Width, height: int = 200) -> alt.LayerChart:
    """KL(steered || unsteered) on neutral replies by dose, with its limit and the safe range.

    Drawn on a square-root scale: KL begins with the square of the dose, and the safe range is interpolated so.
    """
    names = [KL_P95, KL_MEAN]
    values = {KL_P95: [cost.kl_p95 for cost in calibration.costs], KL_MEAN: [c.kl_mean for c in calibration.costs]}
    top = max([MOST_KL, *(value for line in values.values() for value in line if math.isfinite(value))]) * _MARGIN
    y = alt.Y("y:Q", title="KL, nats per token").scale(type="sqrt", domain=[0, top], nice=False)
    y = y.axis(values=[tick for tick in _KL_TICKS if tick <= top], format="~g", minExtent=Y_LABEL_ROOM)
    legend = alt.Legend(orient="bottom", direction="vertical", title=None, symbolType="stroke", symbolSize=300)
    colour = alt.Color("what:N", legend=legend).scale(domain=names, range=[look.vector, look.muted])
    rows = [row | {"what": name} for name in names for row in _with_origin(calibration, values[name])]
    parts = _cost_parts(calibration, rows, y=y, colour=colour, limit=MOST_KL, look=look)
    return layered(parts, width, height)


def nll_by_dose(calibration: Calibration, look: Look, *, width: Width, height: int = 200) -> alt.LayerChart:
    """How much likelihood factual passages lose by dose, with the limit and the safe range."""
    name = "mean of the passages"
    rises = [cost.nll_rise for cost in calibration.costs]
    finite = [rise for rise in rises if math.isfinite(rise)]
    domain = [min([0.0, *finite]) * _MARGIN, max([MOST_NLL_RISE, *finite]) * _MARGIN]
    y = alt.Y("y:Q", title="likelihood lost, nats per token").scale(domain=domain, nice=False)
    y = y.axis(tickCount=5, minExtent=Y_LABEL_ROOM)
    legend = alt.Legend(orient="bottom", direction="vertical", title=None, symbolType="stroke", symbolSize=300)
    colour = alt.Color("what:N", legend=legend).scale(domain=[name], range=[look.vector])
    rows = [row | {"what": name} for row in _with_origin(calibration, rises)]
    parts = _cost_parts(calibration, rows, y=y, colour=colour, limit=MOST_NLL_RISE, look=look)
    return layered(parts, width, height)


def _with_origin(calibration: Calibration, values: Sequence[float]) -> list[Row]:
    """One row a dose, and the dose 0, which costs nothing."""
    rows: list[Row] = [{"rho": cost.rho, "y": value} for cost, value in zip(calibration.costs, values, strict=True)]
    return sorted([*rows, {"rho": 0.0, "y": 0.0}], key=lambda row: row["rho"])


def _cost_parts(
    calibration: Calibration, rows: Sequence[Row], *, y: alt.Y, colour: alt.Color, limit: float, look: Look
) -> list[alt.Chart]:
    """Lines of cost over the safe range, the limit, and a column a dose that tells all its numbers."""
    doses = [cost.rho for cost in calibration.costs]
    x = dose_axis(calibration, doses)
    named: list[Row] = [{"y": limit, "text": f"limit {limit:g} {'nat' if limit == 1 else 'nats'}"}]
    rule = chart_of(named).mark_rule(color=look.ink, strokeDash=[6, 3]).encode(y=y)
    label = chart_of(named).mark_text(align="center", dy=-7, fontSize=11, color=look.ink)
    lines = chart_of(rows).mark_line(point=alt.OverlayMarkDef(filled=True, size=20)).encode(x=x, y=y, color=colour)
    told = [
        {
            "KL, mean": f"{decimals(cost.kl_mean, 3)} nats per token",
            "KL, 95th percentile": f"{decimals(cost.kl_p95, 3)} nats",
            "likelihood lost": f"{decimals(cost.nll_rise, 3)} nats per token",
        }
        for cost in calibration.costs
    ]
    return [
        *safe_range(calibration, doses, look),
        rule,
        lines,
        label.encode(x=alt.datum(0.0), y=y, text="text:N"),
        dose_columns(calibration, doses, told),
    ]


def dose_axis(calibration: Calibration, doses: Sequence[float], field: str = "rho") -> alt.X:
    """The x-axis of doses: labels in rho and, below, in persona gaps."""
    per_rho = gaps_at_rho_1(calibration)
    both = f"[format(datum.value, '+.1f'), format(datum.value * {per_rho:.8g}, '+.1f')]"
    axis = alt.Axis(
        values=_ticks(doses),
        grid=False,
        labelExpr=f"abs(datum.value) < 1e-9 ? ['0', '0'] : {both}",
        labelLineHeight=14,
        labelOverlap=False,
    )
    title = ["upper: rho, share of a token's norm", "lower: strength in persona gaps"]
    return alt.X(f"{field}:Q", title=title, axis=axis).scale(domain=dose_domain(doses), nice=False)


def _ticks(doses: Sequence[float]) -> list[float]:
    """Whole tenths within the doses, five or so of them."""
    reach = max(abs(dose) for dose in doses)
    step = 0.1 if reach < 0.25 else 0.2 if reach < 0.5 else 0.1 * math.ceil(reach / 0.2)
    return [at * step for at in range(math.ceil(min(doses) / step), math.floor(max(doses) / step + 1e-9) + 1)]


def dose_domain(doses: Sequence[float]) -> list[float]:
    """From a little below the lowest dose to a little above the highest."""
    return [min([0.0, *doses]) * _MARGIN, max([0.0, *doses]) * _MARGIN]


def safe_range(calibration: Calibration, doses: Sequence[float], look: Look) -> list[alt.Chart]:
    """The safe doses shaded, with their ends where these lie within the axis; named above the frame."""
    (first, last), (low, high) = dose_domain(doses), calibration.safe
    x = dose_axis(calibration, doses, "from")
    label = chart_of([{"text": safe_label(calibration)}]).mark_text(fontSize=11, color=look.ink)
    named = label.encode(x=alt.datum(0.0), y=alt.value(-8), text="text:N")
    if high - low <= 0:
        return [named]
    shade = chart_of([{"from": max(low, first), "to": min(high, last)}]).mark_rect(color=look.faint, opacity=0.55)
    ends = chart_of([{"from": end} for end in (low, high) if first < end < last]).mark_rule(color=look.muted)
    return [shade.encode(x=x, x2="to:Q"), ends.encode(x=x), named]


def safe_label(calibration: Calibration) -> str:
    """The safe range as the charts name it, in persona gaps."""
    low, high = (signed(end * gaps_at_rho_1(calibration)) for end in calibration.safe)
    return "no dose is safe" if low == high else f"shaded: safe strength, {low} to {high}"


def dose_columns(calibration: Calibration, doses: Sequence[float], told: Sequence[dict[str, str]]) -> alt.Chart:
    """An unseen column at each dose, by rising dose, that tells the dose in both units and what is `told` of it."""
    first, last = dose_domain(doses)
    edges = [first, *((a + b) / 2 for a, b in pairwise(doses)), last]
    texts = [_both_units(calibration, dose, more) for dose, more in zip(doses, told, strict=True)]
    rows: list[Row] = [
        {"from": start, "to": end} | {f"c{i}": text for i, text in enumerate(each.values())}
        for each, (start, end) in zip(texts, pairwise(edges), strict=True)
    ]
    tooltip = [alt.Tooltip(f"c{i}:N", title=title) for i, title in enumerate(texts[0])]
    columns = chart_of(rows).mark_rect(opacity=0)
    drawn: alt.Chart = columns.encode(x=dose_axis(calibration, doses, "from"), x2="to:Q", tooltip=tooltip)
    return drawn


def _both_units(calibration: Calibration, dose: float, told: dict[str, str]) -> dict[str, str]:
    return {"rho": signed(dose), "strength": f"{signed(dose * gaps_at_rho_1(calibration))} gaps"} | told


def slope_by_layer(
    calibration: Calibration, reading_layer: int, look: Look, *, width: Width, height: int = 200
) -> alt.LayerChart:
    """How much a push moves replies at equal cost, layer by layer, with the layers of steering and of reading."""
    layers = [effect.layer for effect in calibration.layers]
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    x = alt.X("layer:Q", title="layer", axis=axis).scale(domain=[min(layers) - 0.5, max(layers) + 0.5], nice=False)
    y = alt.Y("y:Q", title="S per root-nat, nats per token").axis(tickCount=5, minExtent=Y_LABEL_ROOM)
    rows: list[Row] = [{"layer": e.layer, "y": e.per_root_nat} | _effect_told(e) for e in calibration.layers]
    tooltip = [alt.Tooltip(f"{name}:N") for name in _effect_told(calibration.layers[0])]
    line = chart_of(rows).mark_line(color=look.vector).encode(x=x, y=y)
    dots = chart_of(rows).mark_point(color=look.vector, filled=True, size=45, opacity=1)
    parts = [
        chart_of([{"y": 0.0}]).mark_rule(color=look.muted, opacity=0.8).encode(y=y),
        *_marked_layers(calibration.layer, reading_layer, layers, x=x, look=look, height=height),
        line,
        dots.encode(x=x, y=y, tooltip=tooltip),
    ]
    return layered(parts, width, height)


def _effect_told(effect: LayerEffect) -> dict[str, str]:
    """A layer's numbers as its tooltip shows them."""
    return {
        "at layer": str(effect.layer),
        "slope per root-nat": f"{decimals(effect.per_root_nat)} nats per token and root-nat",
        "slope of S": f"{decimals(effect.slope)} nats per token and rho",
        "KL": f"{decimals(effect.kl_growth)} rho² nats per token",
    }


def _marked_layers(
    steering: int, reading: int, layers: Sequence[int], *, x: alt.X, look: Look, height: int
) -> list[alt.Chart]:
    """Rules and names: steering above the frame, reading at its foot, so that they never meet."""
    marks = [(steering, f"layer {steering}: steering", -8, [1, 0])]
    if reading == steering:
        marks = [(steering, f"layer {steering}: steering and reading", -8, [1, 0])]
    elif min(layers) <= reading <= max(layers):
        marks.append((reading, f"layer {reading}: reading", height - 9, [2, 3]))
    charts: list[alt.Chart] = []
    for layer, text, at, dash in marks:
        align: Literal["left", "right"] = "left" if 2 * layer < min(layers) + max(layers) else "right"
        charts.append(chart_of([{"layer": layer}]).mark_rule(color=look.muted, strokeDash=dash).encode(x=x))
        label = chart_of([{"layer": layer, "text": text}]).mark_text(
            align=align, dx=4 if align == "left" else -4, color=look.ink, fontSize=11
        )
        charts.append(label.encode(x=x, y=alt.value(at), text="text:N"))
    return charts
