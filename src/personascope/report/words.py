"""The fixed plain-words texts of the report: glossary, and the columns of a layer.

Knows the value types of `separation`; judges nothing (that is `verdict`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from personascope.calibration import MOST_KL, MOST_NLL_RISE
from personascope.separation import LayerReading
from personascope.wording import decimals, p_text, with_interval

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
        "same kind (bootstrap over both). Grades go by its lower end. Not available from fewer than six instruction "
        "pairs (or six questions under a single pair), and where all bootstrap draws agree.",
    ),
    (
        "Evidence and grade",
        "Evidence says whether the separation is more than chance. Shown: p is at most 0.05 and the interval lies "
        "above 0.5. Not shown: the experiment was large enough, but one of the two fails. Undecided: the experiment is "
        "too small to say. The grade says how strong a separation is that is shown: excellent above 0.80, good above "
        "0.70, moderate above 0.60, else poor, by the lower end of the interval.",
    ),
    (
        "Null",
        "What the same procedure gives on swapped labels: the poles of whole instruction pairs are swapped (of single "
        "questions, where the replies were given or there is one pair) and everything is computed again. p is the "
        "share of such runs that do at least as well at their best layer. The dashed line is of the balanced runs, in "
        "which half of the labels agree with the poles, so that the trait cancels: at a single layer, 95 % of them "
        "stay below it. It does not rise with the trait; with few pairs it lies well above 0.5.",
    ),
    (
        "Ours minus it",
        "The vector's nested held-out AUC minus the AUC of a baseline on the same replies, with the 95 % interval of "
        "that difference. The vector is clearly ahead where the whole interval is above zero, also where the two AUCs' "
        "own intervals overlap.",
    ),
    (
        "Gap and strength",
        "The gap is mean(high) − mean(low) of the activations, in units of the residual stream: it is the vector. "
        "Strength 1.0 adds one whole gap when steering, −1.0 takes one away. Cohen's d is the gap along the vector "
        "measured in standard deviations.",
    ),
    ("Layer", "Layer k is the residual stream after decoder block k, counted from 0. The embeddings have no number."),
)

STEERING_GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "S",
        "How much likelier steering makes replies of the high pole beside those of the low pole, in nats per token: "
        "mean(change of log-likelihood, high) − mean(change, low). The replies were written under instructions; here "
        "their questions are asked without any, so that the vector alone can make the difference. No judge is needed.",
    ),
    (
        "Strength and rho",
        "Two units of one dose. Strength counts persona gaps. Rho is the length of what is added as a share of a "
        "token's mean residual norm at the layer; it compares over traits, layers and models.",
    ),
    (
        "KL",
        "How far steering moves the model's predictions for the next token, in nats; 0 is not at all. Its 95th "
        "percentile looks at the most disturbed tokens.",
    ),
    (
        "Safe",
        f"Doses at which the 95th percentile of KL on neutral replies is at most {MOST_KL:g} nat and plain passages "
        f"lose at most {MOST_NLL_RISE:g} nats per token of likelihood. It tells that neutral text is left alone; it "
        "says nothing of the trait.",
    ),
    (
        "Shuffled-label and random vectors",
        "Controls of the vector's length. Shuffled-label: made from the same texts with the poles of half of the "
        "instruction pairs swapped, so that the trait cancels. Random: any direction. A vector steers where its slope "
        "is clear of both.",
    ),
    (
        "Equal norm, equal KL",
        "Vectors of one length do not push equally hard. At equal norm slopes are compared per rho; at equal KL per "
        "root-nat, the square root of the KL that the same push costs.",
    ),
)


@dataclass(frozen=True)
class Column:
    """One number of a layer as the tooltips and the table show it."""

    title: str
    meaning: str
    text: Callable[[LayerReading], str]


LAYER_COLUMNS: tuple[Column, ...] = (
    Column("layer", "residual stream after this decoder block, from 0", lambda r: str(r.layer)),
    Column("AUC, held out", "with its 95 % interval, where there is one", lambda r: with_interval(r.auc)),
    Column(
        "null, trait cancelled",
        "95 % of the balanced relabellings stay below this AUC",
        lambda r: decimals(r.null_auc_95),
    ),
    Column("p, this layer", "permutation p at this layer alone", lambda r: p_text(r.p)),
    Column("p, corrected", "permutation p against the best layer of each relabelling", lambda r: p_text(r.p_max)),
    Column(
        "Cohen's d",
        "held out, Hedges-corrected, with its 95 % interval, where there is one",
        lambda r: with_interval(r.cohens_d),
    ),
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
