"""The charts without a layer axis, and the picture that holds all charts.

A chart is defined once as altair: drawn into the picture and shown live on the page. Nothing here writes a file.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
from jaxtyping import Bool, Float64

from personascope.report.layer_charts import auc_by_layer, cohens_d_by_layer
from personascope.report.look import PAPER, Y_LABEL_ROOM, Look, Row, Width, auc_domain, chart_of, layered, styled
from personascope.report.verdict import MUST_BEAT
from personascope.report.words import with_interval
from personascope.separation import Estimate, Separation

KINDS = ("this vector", "other readers", "baseline")
_PLACES = {name: place for place, name in enumerate(MUST_BEAT)}


def projections(
    separation: Separation, high: Bool[np.ndarray, " sample"], *, look: Look, width: Width, height: int = 200
) -> alt.LayerChart:
    """Histogram of the held-out projections at the chosen layer, as shares of each pole, with the poles' means."""
    scores = separation.held_out_scores
    kept = np.isfinite(scores)
    poles = {"high pole": scores[kept & high], "low pole": scores[kept & ~high]}
    edges = np.histogram_bin_edges(scores[kept], bins=int(np.clip(np.sqrt(kept.sum()) * 1.5, 8, 32)))
    bars = [row for name, values in poles.items() for row in _bars(name, values, edges)]
    means: list[Row] = [{"pole": name, "from": float(values.mean())} for name, values in poles.items() if values.size]
    x = alt.X("from:Q", title=f"projection at layer {separation.chosen_layer} (residual-stream units)")
    x = x.scale(zero=False, nice=False).axis(tickCount=6, grid=False)
    y = alt.Y("share:Q", title="share of the pole's replies").axis(format="%", tickCount=5, minExtent=Y_LABEL_ROOM)
    colour = alt.Color("pole:N", legend=alt.Legend(orient="bottom", title=None, offset=8))
    colour = colour.scale(domain=list(poles), range=[look.high, look.low])
    tooltip = [alt.Tooltip("pole:N"), alt.Tooltip("range:N", title="projection"), alt.Tooltip("replies:Q")]
    blocks = chart_of(bars).mark_rect(opacity=0.5).encode(x=x, x2="to:Q", y=y, y2="floor:Q")
    rules = chart_of(means).mark_rule(strokeWidth=2).encode(x=x, color=colour)
    return layered([blocks.encode(color=colour, tooltip=tooltip), rules], width, height)


def _bars(pole: str, scores: Float64[np.ndarray, " kept"], edges: Float64[np.ndarray, " edge"]) -> list[Row]:
    """One row a bin: where it lies, how many replies of the pole fall into it, and their share."""
    counts, _ = np.histogram(scores, bins=edges)
    return [
        {
            "pole": pole,
            "from": float(start),
            "to": float(end),
            "range": f"{start:.3g} to {end:.3g}".replace("-", "−"),
            "replies": int(count),
            "floor": 0.0,
            "share": float(count / max(1, scores.size)),
        }
        for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def comparison(separation: Separation, look: Look, *, width: Width) -> alt.LayerChart:
    """The vector's AUC beside other readers of the same layer and the baselines, with intervals.

    The dotted line is the lower end of the headline interval: what lies right of it is not clearly beaten.
    """
    table = comparison_rows(separation)
    rows: list[Row] = [
        {"name": name, "kind": kind, "auc": e.value, "low": e.low, "high": e.high, "said": with_interval(e)}
        for name, kind, e in table
    ]
    x = alt.X("auc:Q", title=["held-out AUC", "dotted: lower end for the vector"]).axis(tickCount=5)
    x = x.scale(domain=auc_domain([estimate.low for _, _, estimate in table]), nice=False)
    y = alt.Y("name:N", sort=[name for name, _, _ in table], title=None).axis(labelLimit=190, ticks=False, domain=False)
    colour = alt.Color("kind:N", legend=None).scale(domain=KINDS, range=[look.vector, look.muted, look.muted])
    tooltip = [alt.Tooltip("name:N", title="reader"), alt.Tooltip("said:N", title="held-out AUC")]
    base = chart_of(rows).encode(y=y, color=colour, tooltip=tooltip)
    shape = alt.Shape("kind:N", legend=None).scale(domain=KINDS, range=["circle", "circle", "diamond"])
    parts = [
        chart_of([{"auc": 0.5}]).mark_rule(color=look.muted, opacity=0.8).encode(x=x),
        chart_of([{"auc": separation.nested_auc.low}]).mark_rule(color=look.vector, strokeDash=[2, 3]).encode(x=x),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q").transform_calculate(auc="datum.low"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, shape=shape),
    ]
    return layered(parts, width, 30 * len(rows))


def comparison_rows(separation: Separation) -> list[tuple[str, str, Estimate]]:
    """Name, kind (one of `KINDS`) and AUC of the vector, the other readers and the baselines, in order of showing."""
    rows = [
        ("layer chosen inside folds", KINDS[0], separation.nested_auc),
        (f"fixed depth, layer {separation.fixed_layer}", KINDS[0], separation.fixed_auc),
    ]
    for name, estimate in separation.readers.items():
        kind = KINDS[0] if name == "difference of means" else KINDS[1]
        rows.append((f"{name}, layer {separation.chosen_layer}", kind, estimate))
    in_order = sorted(separation.baselines, key=lambda name: _PLACES.get(name, len(_PLACES)))
    rows.extend((name, KINDS[2], separation.baselines[name]) for name in in_order)
    return rows


def picture(
    separation: Separation, high: Bool[np.ndarray, " sample"], *, title: str, subtitle: Sequence[str]
) -> alt.VConcatChart:
    """All charts as one figure on white: AUC by layer, comparison, Cohen's d by layer, projections."""
    wide, narrow = 520, 360
    auc_panel = auc_by_layer(separation, PAPER, width=wide)
    rivals_panel = comparison(separation, PAPER, width=narrow - 130)
    d_panel = cohens_d_by_layer(separation, PAPER, width=wide)
    projections_panel = projections(separation, high, look=PAPER, width=narrow)
    top = alt.HConcatChart(
        hconcat=[
            _panel(auc_panel, "A · Held-out AUC by layer"),
            _panel(rivals_panel, "B · What the vector is compared with"),
        ]
    )
    bottom = alt.HConcatChart(
        hconcat=[
            _panel(d_panel, "C · Gap between the poles by layer, 95 % interval"),
            _panel(projections_panel, "D · Held-out projections; lines are the means"),
        ]
    )
    own = alt.Resolve(scale=alt.ScaleResolveMap(color="independent", shape="independent", strokeDash="independent"))
    rows = [row.properties(spacing=36, resolve=own) for row in (top, bottom)]
    heading = alt.TitleParams(
        title, subtitle=list(subtitle), anchor="start", fontSize=19, subtitleFontSize=13, subtitlePadding=6, offset=20
    )
    whole = alt.VConcatChart(vconcat=rows, spacing=30, title=heading, padding=22, resolve=own)
    return styled(whole, PAPER)


def _panel(chart: alt.LayerChart, title: str) -> alt.LayerChart:
    return chart.properties(title=alt.TitleParams(title, anchor="start", frame="bounds", fontSize=13, offset=8))
