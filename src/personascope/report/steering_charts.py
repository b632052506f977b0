"""What a steering trial looks like: the dose-response over its controls, the arms, and the reading of unseen texts.

Defined once as altair, for the picture and the page. Doses are rho; strengths are persona gaps.
"""

from collections.abc import Sequence

import altair as alt

from personascope.calibration import Calibration
from personascope.evaluation import Evaluation
from personascope.proving import Arms, Trial
from personascope.report.dose_charts import dose_axis, dose_columns, dose_domain, safe_range
from personascope.report.look import Y_LABEL_ROOM, Look, Row, Width, auc_domain, chart_of, layered
from personascope.separation import Estimate
from personascope.steering_words import gaps_at_rho_1
from personascope.wording import counted, decimals, gain_text, has_interval, signed, with_interval

SHUFFLED = "95 % of shuffled-label vectors, by their slope"
RANDOM = "95 % of random vectors, by their slope"
ALL_PAIRS, REPLY_LENGTH = "all pairs together", "reply length alone"


def dose_response(
    trial: Trial, calibration: Calibration, look: Look, *, width: Width, height: int = 260
) -> alt.LayerChart:
    """S by dose with its interval, over the wedges that hold 95 % of the control vectors; the safe range is shaded.

    The wedges are the controls' slopes at dose 0 and at equal norm, times the dose.
    """
    doses, curve = trial.proof.doses, trial.proof.curve
    x = dose_axis(calibration, doses)
    y = alt.Y("y:Q", title="S, nats per token").axis(tickCount=7, minExtent=Y_LABEL_ROOM)
    rows = sorted(
        [_point(dose, point) for dose, point in zip(doses, curve, strict=True)]
        + [_point(0.0, Estimate(0.0, 0.0, 0.0))],
        key=lambda row: row["rho"],
    )
    band = chart_of([row | {"y": row["low"]} for row in rows]).mark_area(color=look.vector, opacity=0.2)
    dots = chart_of([row for row in rows if row["rho"] != 0]).mark_point(color=look.vector, filled=True, size=50)
    parts = [
        *safe_range(calibration, doses, look),
        *_wedges(trial, x=x, y=y, look=look),
        chart_of([{"y": 0.0}]).mark_rule(color=look.muted, opacity=0.8).encode(y=y),
        chart_of([{"rho": 0.0}]).mark_rule(color=look.muted, opacity=0.8).encode(x=x),
        band.encode(x=x, y=y, y2="high:Q"),
        _lines(trial, rows, x=x, y=y, look=look),
        dots.encode(x=x, y=y, opacity=alt.value(1)),
        dose_columns(calibration, doses, [_told(trial, at) for at in range(len(doses))]),
    ]
    return layered(parts, width, height)


def _point(dose: float, point: Estimate) -> Row:
    return {"rho": dose, "y": point.value, "low": point.low, "high": point.high}


def _wedges(trial: Trial, *, x: alt.X, y: alt.Y, look: Look) -> list[alt.Chart]:
    """Where the control vectors would lie at each dose, filled lightly; their edges are drawn with the curve."""
    return [
        chart_of(_wedge(trial, slopes)).mark_area(color=look.muted, opacity=0.14).encode(x=x, y=y, y2="high:Q")
        for slopes in trial.bands
    ]


def _wedge(trial: Trial, slopes: tuple[float, float]) -> list[Row]:
    """The lowest and the highest S of a family at the ends of the axis and at 0."""
    low, high = slopes
    ends = sorted({0.0, *dose_domain(trial.proof.doses)})
    return [{"rho": rho, "y": min(low * rho, high * rho), "high": max(low * rho, high * rho)} for rho in ends]


def _lines(trial: Trial, rows: Sequence[Row], *, x: alt.X, y: alt.Y, look: Look) -> alt.Chart:
    """The curve, and the edges of both wedges, under one legend."""
    measured = any(has_interval(point) for point in trial.proof.curve)
    why = f"interval not available ({counted(trial.proof.n_questions, 'question')})"
    names = [f"the vector, {'95 % interval' if measured else why}", SHUFFLED, RANDOM]
    edges: list[Row] = [
        {"rho": rho, "y": slope * rho, "what": name, "edge": at}
        for name, slopes in zip(names[1:], trial.bands, strict=True)
        for at, slope in enumerate(slopes)
        for rho in dose_domain(trial.proof.doses)
    ]
    legend = alt.Legend(
        orient="bottom", direction="vertical", title=None, symbolType="stroke", symbolSize=300, offset=8
    )
    colour = alt.Color("what:N", legend=legend).scale(domain=names, range=[look.vector, look.muted, look.muted])
    dash = alt.StrokeDash("what:N", legend=legend).scale(domain=names, range=[[1, 0], [5, 3], [2, 3]])
    curve = [row | {"what": names[0], "edge": 0} for row in rows]
    drawn: alt.Chart = (
        chart_of([*edges, *curve]).mark_line().encode(x=x, y=y, color=colour, strokeDash=dash, detail="edge:N")
    )
    return drawn


def _told(trial: Trial, at: int) -> dict[str, str]:
    """What a dose's tooltip tells beside the dose."""
    dose, point = trial.proof.doses[at], trial.proof.curve[at]
    shuffled, random = (sorted(slope * dose for slope in slopes) for slopes in trial.bands)
    return {
        "S": f"{gain_text(point, 3)} nats per token",
        "KL on these replies": f"{decimals(trial.kl[at], 3)} nats per token",
        "95 % of shuffled-label": f"{signed(shuffled[0], 3)} to {signed(shuffled[1], 3)}",
        "95 % of random": f"{signed(random[0], 3)} to {signed(random[1], 3)}",
    }


def arms_compared(arms: Arms, calibration: Calibration, look: Look, *, width: Width) -> alt.LayerChart:
    """S of an unseen instruction, of the vector and of both together, with intervals, about 0."""
    rows = [
        _dot(name, "arm", point, said=f"{gain_text(point, 3)} nats per token")
        for name, point in arms_named(arms, calibration).items()
    ]
    x = alt.X("x:Q", title="S, nats per token").axis(tickCount=5).scale(zero=True)
    return layered(_dot_plot(rows, x, zero=0.0, tooltip="S", look=look), width, 34 * len(rows))


def arms_named(arms: Arms, calibration: Calibration) -> dict[str, Estimate]:
    """The arms by what is done in them."""
    strength = signed(arms.rho * gaps_at_rho_1(calibration))
    return {
        "instruction": arms.instruction,
        f"vector, strength {strength}": arms.vector,
        "both together": arms.both,
    }


def unseen_texts(evaluation: Evaluation, look: Look, *, width: Width) -> alt.LayerChart:
    """AUC of the frozen vector on unseen texts: all together, pair by pair, and that of reply length beside it."""
    named = unseen_named(evaluation)
    rows = [
        _dot(name, "length" if name == REPLY_LENGTH else "vector", auc, said=with_interval(auc))
        for name, auc in named.items()
    ]
    ends = [end for auc in named.values() for end in (auc.value, auc.low)]
    x = alt.X("x:Q", title="AUC of the frozen vector").axis(tickCount=5).scale(domain=auc_domain(ends), nice=False)
    return layered(_dot_plot(rows, x, zero=0.5, tooltip="AUC", look=look), width, 30 * len(rows))


def unseen_named(evaluation: Evaluation) -> dict[str, Estimate]:
    """What was read and how well; a single pair has no interval."""
    nan = float("nan")
    n = len(evaluation.pair_aucs_from_0)
    pairs = {
        f"pair {at} of {n}": Estimate(value, nan, nan)
        for at, (_, value) in enumerate(sorted(evaluation.pair_aucs_from_0.items()), 1)
    }
    return {ALL_PAIRS: evaluation.auc, **pairs, REPLY_LENGTH: evaluation.reply_length}


def _dot(name: str, kind: str, point: Estimate, *, said: str) -> Row:
    return {"name": name, "kind": kind, "x": point.value, "low": point.low, "high": point.high, "said": said}


def _dot_plot(rows: Sequence[Row], x: alt.X, *, zero: float, tooltip: str, look: Look) -> list[alt.Chart]:
    """A dot and its interval a row, about a line of no effect."""
    kinds = ["arm", "vector", "length"]
    y = alt.Y("name:N", sort=[str(row["name"]) for row in rows], title=None)
    y = y.axis(labelLimit=190, ticks=False, domain=False)
    colour = alt.Color("kind:N", legend=None).scale(domain=kinds, range=[look.vector, look.vector, look.muted])
    shape = alt.Shape("kind:N", legend=None).scale(domain=kinds, range=["circle", "circle", "diamond"])
    told = [alt.Tooltip("name:N", title="what"), alt.Tooltip("said:N", title=tooltip)]
    base = chart_of(rows).encode(y=y, color=colour, tooltip=told)
    return [
        chart_of([{"x": zero}]).mark_rule(color=look.muted, opacity=0.8).encode(x=x),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q").transform_calculate(x="datum.low"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, shape=shape),
    ]
