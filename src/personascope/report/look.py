"""How the charts look: colours, fonts, and rows of values as chart data.

Knows altair and nothing of separations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import altair as alt

Width = int | Literal["container"]
Row = dict[str, float | int | str]
Chart = TypeVar("Chart", alt.LayerChart, alt.VConcatChart)

Y_LABEL_ROOM = 34
"""Least room for the labels of a y-axis in pixels, so that frames above each other line up."""


@dataclass(frozen=True)
class Look:
    """Colours of the charts, as hex or as CSS variables; any colour vision tells `high`, `low` and `vector` apart."""

    ground: str
    ink: str
    muted: str
    faint: str
    vector: str
    high: str
    low: str


PAPER = Look("white", "#1f2328", "#59616b", "#e3e6ea", "#00785a", "#d55e00", "#0072b2")
# The page's style sheet sets these, so that one drawing follows dark mode and print.
PAGE = Look("transparent", "var(--ink)", "var(--muted)", "var(--faint)", "var(--vector)", "var(--high)", "var(--low)")


def chart_of(rows: Sequence[Row]) -> alt.Chart:
    """A chart over the rows; numbers that are not finite become missing, since JSON has no NaN."""
    kept = [{key: _finite_or_none(value) for key, value in row.items()} for row in rows]
    return alt.Chart(alt.InlineData(values=kept))


def layered(parts: Sequence[alt.Chart], width: Width, height: int) -> alt.LayerChart:
    """The parts drawn over each other, first at the bottom.

    An unseen text above the frame gives all charts the same headroom, so that titles in a row of panels line up.
    """
    headroom: alt.Chart = chart_of([{"text": "x"}]).mark_text(opacity=0).encode(text="text:N", y=alt.value(-8))
    return alt.LayerChart(layer=[*parts, headroom]).properties(width=width, height=height)


def styled(chart: Chart, look: Look) -> Chart:
    """The chart with the report's fonts and line weights, in the colours of `look`."""
    text: dict[str, Any] = {"labelColor": look.muted, "titleColor": look.ink, "labelFontSize": 11, "titleFontSize": 12}
    lines: dict[str, Any] = {"gridColor": look.faint, "domainColor": look.muted, "tickColor": look.muted}
    config = alt.Config(
        background=look.ground,
        font="system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif",
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(**text, **lines, titleFontWeight="normal", labelFlush=False),
        legend=alt.LegendConfig(**text, labelLimit=0),
        title=alt.TitleConfig(color=look.ink, subtitleColor=look.muted),
    )
    return chart.properties(config=config)


def auc_domain(values: Sequence[float]) -> list[float]:
    """From 0.3, or lower where a value is, up to 1: AUCs below 0.5 stay visible."""
    lowest = min([0.3, *(value for value in values if math.isfinite(value))])
    return [max(0.0, math.floor(10 * lowest + 1e-9) / 10), 1.0]


def _finite_or_none(value: float | int | str) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
