"""The charts without a layer axis, and the picture that holds all charts.

A chart is defined once as altair: drawn into the picture and shown live on the page. Nothing here writes a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from jaxtyping import Bool, Float64

from personascope.evidence import chosen_reading
from personascope.report.dose_charts import kl_by_dose
from personascope.report.layer_charts import auc_by_layer, cohens_d_by_layer
from personascope.report.look import PAPER, Y_LABEL_ROOM, Look, Row, Width, auc_domain, chart_of, layered, styled
from personascope.report.steering_charts import dose_response
from personascope.separation import Estimate, Separation
from personascope.trying import Tried
from personascope.verdict import MUST_BEAT
from personascope.wording import ABSENT, gain_text, has_interval, signed, with_interval

KINDS = ("this vector", "other readers", "baseline")
_PLACES = {name: place for place, name in enumerate(MUST_BEAT)}


@dataclass(frozen=True)
class Rival:
    """One line of the comparison: a reader or baseline (`kind` is one of `KINDS`) and its held-out AUC."""

    name: str
    kind: str
    auc: Estimate
    ours_minus_it: Estimate | None = None


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

    The dotted line is the headline AUC. At the right of a baseline stands how far the vector is ahead of it.
    """
    rivals = comparison_rows(separation)
    rows = [_rival_row(rival) for rival in rivals]
    x = alt.X("auc:Q", title=["held-out AUC", "dotted: the vector; right: ours minus it"]).axis(tickCount=5)
    x = x.scale(domain=auc_domain([end for rival in rivals for end in (rival.auc.low, rival.auc.value)]), nice=False)
    y = alt.Y("name:N", sort=[rival.name for rival in rivals], title=None)
    y = y.axis(labelLimit=190, ticks=False, domain=False)
    colour = alt.Color("kind:N", legend=None).scale(domain=KINDS, range=[look.vector, look.muted, look.muted])
    tooltip = [alt.Tooltip("name:N", title="reader"), alt.Tooltip("said:N", title="held-out AUC")]
    base = chart_of(rows).encode(y=y, color=colour, tooltip=[*tooltip, alt.Tooltip("gain:N", title="ours minus it")])
    shape = alt.Shape("kind:N", legend=None).scale(domain=KINDS, range=["circle", "circle", "diamond"])
    ahead = base.mark_text(align="left", dx=6, fontSize=11).encode(x=alt.datum(1.0), text="ahead:N")
    parts = [
        chart_of([{"auc": 0.5}]).mark_rule(color=look.muted, opacity=0.8).encode(x=x),
        chart_of([{"auc": separation.nested_auc.value}]).mark_rule(color=look.vector, strokeDash=[2, 3]).encode(x=x),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q").transform_calculate(auc="datum.low"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, shape=shape),
        ahead,
    ]
    return layered(parts, width, 30 * len(rows))


def _rival_row(rival: Rival) -> Row:
    """A row of the comparison as chart data."""
    auc, gain = rival.auc, rival.ours_minus_it
    return {
        "name": rival.name,
        "kind": rival.kind,
        "auc": auc.value,
        "low": auc.low,
        "high": auc.high,
        "said": with_interval(auc),
        "gain": gain_text(gain) if gain else ABSENT,
        "ahead": signed(gain.value) if gain else "",
    }


def comparison_rows(separation: Separation) -> list[Rival]:
    """The vector, the other readers and the baselines, in order of showing."""
    rows = [
        Rival("layer chosen inside folds", KINDS[0], separation.nested_auc),
        Rival(f"fixed depth, layer {separation.fixed_layer}", KINDS[0], separation.fixed_auc),
    ]
    for name, estimate in separation.readers.items():
        kind = KINDS[0] if name == "difference of means" else KINDS[1]
        rows.append(Rival(f"{name}, layer {separation.chosen_layer}", kind, estimate))
    in_order = sorted(separation.baselines, key=lambda name: _PLACES.get(name, len(_PLACES)))
    rows.extend(Rival(name, KINDS[2], separation.baselines[name], separation.advantages.get(name)) for name in in_order)
    return rows


def picture(
    separation: Separation,
    high: Bool[np.ndarray, " sample"],
    *,
    title: str,
    subtitle: Sequence[str],
    tried: Tried | None = None,
) -> alt.VConcatChart:
    """The charts as one figure on white: AUC by layer, comparison, Cohen's d by layer, projections.

    Where the vector was tried out, also its dose-response and what doses change on neutral texts.
    """
    wide, narrow = 520, 360
    auc_panel = auc_by_layer(separation, PAPER, width=wide)
    rivals_panel = comparison(separation, PAPER, width=narrow - 130)
    d_panel = cohens_d_by_layer(separation, PAPER, width=wide)
    ends = ", 95 % interval" if has_interval(chosen_reading(separation).cohens_d) else ""
    projections_panel = projections(separation, high, look=PAPER, width=narrow)
    top = alt.HConcatChart(
        hconcat=[
            _panel(auc_panel, "A · Held-out AUC by layer"),
            _panel(rivals_panel, "B · What the vector is compared with"),
        ]
    )
    bottom = alt.HConcatChart(
        hconcat=[
            _panel(d_panel, f"C · Gap between the poles by layer{ends}"),
            _panel(projections_panel, "D · Held-out projections; lines are the means"),
        ]
    )
    own = alt.Resolve(scale=alt.ScaleResolveMap(color="independent", shape="independent", strokeDash="independent"))
    tried_row = [_tried_row(tried, wide, narrow)] if tried else []
    rows = [row.properties(spacing=36, resolve=own) for row in (top, bottom, *tried_row)]
    heading = alt.TitleParams(
        title, subtitle=list(subtitle), anchor="start", fontSize=19, subtitleFontSize=13, subtitlePadding=6, offset=20
    )
    whole = alt.VConcatChart(vconcat=rows, spacing=30, title=heading, padding=22, resolve=own)
    return styled(whole, PAPER)


def _tried_row(tried: Tried, wide: int, narrow: int) -> alt.HConcatChart:
    """What the vector does and what it costs, dose by dose."""
    response = dose_response(tried.trial, tried.calibration, PAPER, width=wide)
    cost = kl_by_dose(tried.calibration, PAPER, width=narrow, height=260)
    return alt.HConcatChart(
        hconcat=[
            _panel(response, f"E · Steering at layer {tried.trial.layer}: S by dose"),
            _panel(cost, "F · KL on neutral texts; safe minds likelihood too"),
        ]
    )


def _panel(chart: alt.LayerChart, title: str) -> alt.LayerChart:
    return chart.properties(title=alt.TitleParams(title, anchor="start", frame="bounds", fontSize=13, offset=8))
