"""Draw docs/picture.svg from an analysis file: `python scripts/draw_picture.py FOLDER/MODEL_TRAIT_analysis.json`."""

import json
import sys
from pathlib import Path

import altair as alt
import vl_convert

PAGE = Path(__file__).parents[1] / "docs" / "picture.svg"
BLUE, GREY, ORANGE = "#2b6ca3", "#8a8f98", "#c8641b"
SIZE = {"width": 330, "height": 210}


def main() -> None:
    """Reading by layer on the left, steering by dose on the right."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    both = alt.hconcat(reading(told), steering(told), spacing=80, bounds="flush").configure(
        background="white", padding=12
    )
    both = both.configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal").configure_view(stroke=None)
    both = both.configure_title(fontSize=14, anchor="start", subtitleFontSize=12, subtitleColor="#444")
    PAGE.write_text(vl_convert.vegalite_to_svg(both.to_json()), encoding="utf-8")


def reading(told: dict) -> alt.LayerChart:
    """Held-out AUC by layer with its interval, and what noise reaches."""
    layers = sorted(int(key.removeprefix("layer_")) for key in told if key.startswith("layer_"))
    rows = [
        {
            "layer": layer,
            "value": told[f"layer_{layer}"]["auc"],
            "low": told[f"layer_{layer}"]["auc_interval"][0],
            "high": told[f"layer_{layer}"]["auc_interval"][1],
            "null": told[f"layer_{layer}"]["null_auc_95"],
        }
        for layer in layers
    ]
    chart = alt.Chart(alt.Data(values=rows)).encode(x=alt.X("layer:Q", title="layer"))
    scale = alt.Scale(domain=[0.4, 1], zero=False)
    band = chart.mark_area(opacity=0.2, color=BLUE).encode(
        y=alt.Y("low:Q", title="held-out AUC", scale=scale), y2="high:Q"
    )
    line = chart.mark_line(color=BLUE, strokeWidth=2.5).encode(y="value:Q")
    null = chart.mark_line(color=GREY, strokeDash=[5, 4]).encode(y="null:Q")
    title = alt.Title("Does it read?", subtitle="blue: the vector, 95 % interval; dashed: 95 % of runs without a trait")
    return alt.layer(band, line, null).properties(title=title, **SIZE)


def steering(told: dict) -> alt.LayerChart:
    """S by dose with its interval, over the range of vectors without the trait; the safe doses shaded."""
    trial, (low, high) = told["steering"]["trial"], told["steering"]["safe"]
    proof, band = trial["proof"], trial["bands"][0]
    rows = [
        {"rho": rho, **point, "least": min(rho * band[0], rho * band[1]), "most": max(rho * band[0], rho * band[1])}
        for rho, point in zip([*proof["doses"], 0.0], [*proof["curve"], {"value": 0, "low": 0, "high": 0}], strict=True)
    ]
    axis = alt.Axis(values=[-0.2, -0.1, 0, 0.1, 0.2])
    title = "dose: share of a token's residual norm (rho)"
    x = alt.X("rho:Q", title=title, axis=axis, scale=alt.Scale(domain=[-0.22, 0.22], nice=False))
    chart = alt.Chart(alt.Data(values=rows)).encode(x=x)
    safe = alt.Chart(alt.Data(values=[{"from": max(low, -0.22), "to": min(high, 0.22)}]))
    shade = safe.mark_rect(color="#e3efe3").encode(x="from:Q", x2="to:Q")
    others = chart.mark_area(opacity=0.35, color=GREY).encode(
        y=alt.Y("least:Q", title="S, nats per token"), y2="most:Q"
    )
    bars = chart.mark_rule(color=ORANGE, strokeWidth=2).encode(y="low:Q", y2="high:Q")
    line = chart.mark_line(color=ORANGE, strokeWidth=2.5, point=alt.OverlayMarkDef(color=ORANGE, size=45)).encode(
        y="value:Q"
    )
    title = alt.Title(
        "Does it steer?", subtitle="orange: the vector; grey: vectors without the trait; green: safe doses"
    )
    return alt.layer(shade, others, bars, line).properties(title=title, **SIZE)


if __name__ == "__main__":
    main()
