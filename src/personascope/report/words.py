"""How a number is written, and the fixed plain-words texts of the report.

Knows the value types of `separation`; judges nothing (that is `verdict`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from personascope.separation import Estimate, LayerReading

ABSENT = "–"

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "AUC",
        "How often the vector ranks a reply of the high pole above a reply of the low pole. "
        "1.0 is always, 0.5 is a coin toss, below 0.5 is backwards. "
        "Held-out: measured only on replies that the vector was not made from.",
    ),
    (
        "Interval",
        "The 95 % range of the number if the study were repeated with other instructions and questions of the "
        "same kind (bootstrap over both). Grades go by its lower end.",
    ),
    (
        "Null",
        "What the same procedure gives on swapped labels: the poles of whole instruction pairs are swapped and "
        "everything is computed again. p is the share of such runs that do at least as well at their best layer. "
        "The dashed line is not the chance level (that is 0.5): where the trait is strong it rises too, because "
        "a relabelling that swaps few pairs keeps most of the trait.",
    ),
    (
        "Gap and strength",
        "The gap is mean(high) − mean(low) of the activations, in units of the residual stream: it is the vector. "
        "Strength 1.0 adds one whole gap when steering, −1.0 takes one away. Cohen's d is the gap along the vector "
        "measured in standard deviations.",
    ),
    ("Layer", "Layer k is the residual stream after decoder block k, counted from 0. The embeddings have no number."),
)


def decimals(value: float, places: int = 2) -> str:
    """The number with a fixed count of decimals and a real minus sign; a dash where there is none."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def with_interval(estimate: Estimate, places: int = 2) -> str:
    """Value and 95 % interval, as in `0.84 [0.77, 0.90]`."""
    low, high = decimals(estimate.low, places), decimals(estimate.high, places)
    return f"{decimals(estimate.value, places)} [{low}, {high}]"


def p_text(p: float) -> str:
    """A p-value to two decimals from 0.1 up, to three below, to two significant digits where that would say 0.000."""
    if 0 < p < 0.0005:
        return f"{p:.2g}"
    return decimals(p, 2 if p >= 0.1 else 3)


def joined(parts: list[str]) -> str:
    """The parts as an English list: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


@dataclass(frozen=True)
class Column:
    """One number of a layer as the tooltips and the table show it."""

    title: str
    meaning: str
    text: Callable[[LayerReading], str]


LAYER_COLUMNS: tuple[Column, ...] = (
    Column("layer", "residual stream after this decoder block, from 0", lambda r: str(r.layer)),
    Column("AUC, held out", "with its 95 % interval", lambda r: with_interval(r.auc)),
    Column("null, 95th pct.", "95th percentile of the AUC over relabellings", lambda r: decimals(r.null_auc_95)),
    Column("p, this layer", "permutation p at this layer alone", lambda r: p_text(r.p)),
    Column("p, corrected", "permutation p against the best layer of each relabelling", lambda r: p_text(r.p_max)),
    Column("Cohen's d", "held out, Hedges-corrected, with its 95 % interval", lambda r: with_interval(r.cohens_d)),
    Column(
        "separation",
        "mean high − mean low of the held-out projections, residual-stream units",
        lambda r: decimals(r.separation),
    ),
    Column(
        "reliability",
        "expected cosine with the direction of endless questions (cosine between halves of the questions)",
        lambda r: f"{decimals(r.reliability)} ({decimals(r.split_half_cosine)})",
    ),
    Column(
        "pair cosine",
        "mean (lowest) cosine between the directions of single instruction pairs",
        lambda r: f"{decimals(r.pair_cosine_mean)} ({decimals(r.pair_cosine_min)})",
    ),
    Column(
        "vector length",
        "in residual-stream units (rho at strength 1: as a share of a token's mean residual norm)",
        lambda r: f"{decimals(r.vector_magnitude)} ({decimals(r.relative_norm)})",
    ),
    Column(
        "dimensions",
        "effective dimension of the activations (share of the vector's energy in its largest dimension)",
        lambda r: f"{decimals(r.effective_dimension, 1)} ({decimals(r.top_dimension_energy)})",
    ),
    Column(
        "in-sample AUC",
        "on the replies the vector was made from (what pure noise would give)",
        lambda r: f"{decimals(r.in_sample_auc)} ({decimals(r.in_sample_null)})",
    ),
)
