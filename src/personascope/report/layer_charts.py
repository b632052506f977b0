"""The two charts with layers on the x-axis: held-out AUC over its null, and Cohen's d.

Defined once as altair; `charts` puts them into the picture, `page` shows them live.
"""

import math
from collections.abc import Sequence
from typing import Literal

import altair as alt

from personascope.evidence import why_no_interval
from personascope.report.look import Y_LABEL_ROOM, Look, Row, Width, auc_domain, chart_of, layered
from personascope.report.words import LAYER_COLUMNS
from personascope.separation import Estimate, Separation

HELD_OUT = "held-out AUC"
NULL = "null: 95 % of the relabellings that cancel the trait stay below"
FEW_LAYERS = 8
"""Up to here layers are drawn with whiskers; a band needs more of them to be seen."""


def auc_by_layer(separation: Separation, look: Look, *, width: Width, height: int = 260) -> alt.LayerChart:
    """Held-out AUC by layer over its null, with the chosen and the fixed-depth layer marked.

    The in-sample AUC is left out on purpose: beside these curves it would look like a result.
    """
    readings = separation.readings
    aucs = [reading.auc for reading in readings]
    nulls = [reading.null_auc_95 for reading in readings]
    domain = auc_domain([*nulls, *(auc.value for auc in aucs), *(auc.low for auc in aucs)])
    y = alt.Y("y:Q", scale=alt.Scale(domain=domain, nice=False), title="AUC (0.5 = coin toss)").axis(
        tickCount=7, minExtent=Y_LABEL_ROOM
    )
    parts = [
        _horizontal(0.5, y, look),
        *_layer_rules(separation, look),
        _intervals(separation, aucs, y=y, look=look),
        *_curve_and_null(separation, y, look),
        *_layer_labels(separation, look, height),
        *_pointer(separation, aucs, y=y, look=look, name="auc_pointer"),
    ]
    return layered(parts, width, height)


def cohens_d_by_layer(separation: Separation, look: Look, *, width: Width, height: int = 200) -> alt.LayerChart:
    """Held-out Cohen's d by layer with its interval: the gap between the poles in standard deviations."""
    ds = [reading.cohens_d for reading in separation.readings]
    y = alt.Y("y:Q", title="Cohen's d, held out").axis(tickCount=6, minExtent=Y_LABEL_ROOM)
    line = _rows(separation, [d.value for d in ds])
    parts = [
        _horizontal(0.0, y, look),
        *_layer_rules(separation, look),
        _intervals(separation, ds, y=y, look=look),
        chart_of(line).mark_line(color=look.vector, point=_points(look.vector, len(ds))).encode(x=_x(separation), y=y),
        *_pointer(separation, ds, y=y, look=look, name="d_pointer"),
    ]
    return layered(parts, width, height)


def has_null(separation: Separation) -> bool:
    """Whether any layer's null is there to be drawn."""
    return any(math.isfinite(reading.null_auc_95) for reading in separation.readings)


def _rows(separation: Separation, values: Sequence[float]) -> list[Row]:
    """One row a layer with its value as `y`."""
    return [{"layer": r.layer, "y": value} for r, value in zip(separation.readings, values, strict=True)]


def _few(separation: Separation) -> bool:
    return len(separation.readings) <= FEW_LAYERS


def _x(separation: Separation, field: str = "layer") -> alt.X:
    """The layer axis: half a layer of room at both ends, ticks at whole layers only."""
    layers = [reading.layer for reading in separation.readings]
    axis = alt.Axis(format="d", tickMinStep=1, grid=False)
    if _few(separation):
        axis = alt.Axis(format="d", values=layers, grid=False)
    return alt.X(f"{field}:Q", title="layer", axis=axis).scale(
        domain=[min(layers) - 0.5, max(layers) + 0.5], nice=False
    )


def _points(colour: str, n_layers: int) -> alt.OverlayMarkDef:
    return alt.OverlayMarkDef(color=colour, filled=True, size=60 if n_layers <= FEW_LAYERS else 16, strokeDash=[1, 0])


def _horizontal(level: float, y: alt.Y, look: Look) -> alt.Chart:
    """The line of no difference."""
    drawn: alt.Chart = chart_of([{"y": level}]).mark_rule(color=look.muted, opacity=0.8).encode(y=y)
    return drawn


def _intervals(separation: Separation, estimates: Sequence[Estimate], *, y: alt.Y, look: Look) -> alt.Chart:
    """The 95 % intervals: a band, or whiskers where there are few layers."""
    rows = [
        row | {"y": estimate.low, "high": estimate.high}
        for row, estimate in zip(_rows(separation, [e.value for e in estimates]), estimates, strict=True)
    ]
    chart = chart_of(rows)
    marked = (
        chart.mark_rule(color=look.vector, strokeWidth=2)
        if _few(separation)
        else chart.mark_area(color=look.vector, opacity=0.2)
    )
    drawn: alt.Chart = marked.encode(x=_x(separation), y=y, y2="high:Q")
    return drawn


def _curve_and_null(separation: Separation, y: alt.Y, look: Look) -> list[alt.Chart]:
    """Held-out AUC and its null under one legend; a single layer has no line to draw, so its null is a tick."""
    nulls = _rows(separation, [reading.null_auc_95 for reading in separation.readings])
    aucs = _rows(separation, [reading.auc.value for reading in separation.readings])
    legend = alt.Legend(
        orient="bottom", direction="vertical", title=None, symbolType="stroke", symbolSize=300, offset=8
    )
    why, x = why_no_interval(separation), _x(separation)
    held_out = f"{HELD_OUT}, interval not available ({why})" if why else f"{HELD_OUT}, 95 % interval"
    n_named = 2 if has_null(separation) else 1
    names = [held_out, NULL][:n_named]
    colour = alt.Color("what:N", legend=legend).scale(domain=names, range=[look.vector, look.muted][:n_named])
    dash = alt.StrokeDash("what:N", legend=legend).scale(domain=names, range=[[1, 0], [5, 3]][:n_named])
    rows = [row | {"what": NULL} for row in nulls if n_named == 2] + [row | {"what": held_out} for row in aucs]
    charts = [chart_of(rows).mark_line().encode(x=x, y=y, color=colour, strokeDash=dash)]
    if _few(separation):
        charts.append(chart_of(aucs).mark_point(filled=True, size=60, opacity=1, color=look.vector).encode(x=x, y=y))
    if len(nulls) == 1:
        tick = chart_of(nulls).mark_tick(orient="horizontal", size=26, thickness=2, color=look.muted)
        charts.append(tick.encode(x=x, y=y))
    return charts


def _layer_rules(separation: Separation, look: Look) -> list[alt.Chart]:
    """A rule through the chosen layer and a dotted one through the fixed-depth layer, where there is a choice."""
    if len(separation.readings) == 1:
        return []
    chosen = chart_of([{"layer": separation.chosen_layer}]).mark_rule(color=look.muted)
    fixed = chart_of([{"layer": separation.fixed_layer}]).mark_rule(color=look.muted, strokeDash=[2, 3])
    rules = [chosen] if separation.chosen_layer == separation.fixed_layer else [chosen, fixed]
    return [rule.encode(x=_x(separation)) for rule in rules]


def _layer_labels(separation: Separation, look: Look, height: int) -> list[alt.Chart]:
    """Names of the two marked layers: the chosen one above the frame, the other at its foot, so they never meet."""
    chosen, fixed = separation.chosen_layer, separation.fixed_layer
    if len(separation.readings) == 1:
        return [_label(separation, chosen, f"layer {chosen}: the only one read", look=look, y=-8)]
    if chosen == fixed:
        return [_label(separation, chosen, f"layer {chosen}: chosen, also the fixed depth", look=look, y=-8)]
    return [
        _label(separation, chosen, f"layer {chosen}: chosen", look=look, y=-8),
        _label(separation, fixed, f"layer {fixed}: fixed depth", look=look, y=height - 9),
    ]


def _label(separation: Separation, layer: int, text: str, *, look: Look, y: int) -> alt.Chart:
    """A text at a layer, on the side of it that has more room."""
    layers = [reading.layer for reading in separation.readings]
    align: Literal["left", "center", "right"] = "left" if 2 * layer < min(layers) + max(layers) else "right"
    if len(layers) == 1:
        align = "center"
    mark = chart_of([{"layer": layer, "text": text}]).mark_text(
        align=align, dx={"left": 4, "center": 0, "right": -4}[align], color=look.ink, fontSize=11
    )
    drawn: alt.Chart = mark.encode(x=_x(separation), y=alt.value(y), text="text:N")
    return drawn


def _pointer(
    separation: Separation, estimates: Sequence[Estimate], *, y: alt.Y, look: Look, name: str
) -> list[alt.Chart]:
    """A dot on the curve under the mouse or finger, and an unseen column a layer that tells all its numbers.

    Columns, since `nearest` of Vega-Lite 6.4 shows "undefined" in tooltips of text fields.
    """
    rows = _rows(separation, [estimate.value for estimate in estimates])
    columns = [
        {"layer": r.layer, "from": r.layer - 0.5, "to": r.layer + 0.5}
        | {f"c{i}": column.text(r) for i, column in enumerate(LAYER_COLUMNS)}
        for r in separation.readings
    ]
    under = alt.selection_point(name=name, on="pointerover", clear="pointerout", fields=["layer"], empty=False)
    tooltip = [alt.Tooltip(f"c{i}:N", title=column.title) for i, column in enumerate(LAYER_COLUMNS)]
    shown = alt.when(under).then(alt.value(1)).otherwise(alt.value(0))
    dot = chart_of(rows).mark_point(filled=True, size=90, color=look.vector)
    column = chart_of(columns).mark_rect(opacity=0).encode(x=_x(separation, "from"), x2="to:Q", tooltip=tooltip)
    return [dot.encode(x=_x(separation), y=y, opacity=shown), column.add_params(under)]
