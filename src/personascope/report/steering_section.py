"""What the page's section on steering holds: the gates of "strong" one by one, its numbers as tables, its charts.

The charts are on the page by the ids of `steering_specs`; every number in them is in a table too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import altair as alt

from personascope.calibration import MOST_KL, MOST_NLL_RISE, DoseCost
from personascope.report.dose_charts import kl_by_dose, nll_by_dose, slope_by_layer
from personascope.report.look import PAGE
from personascope.report.steering_charts import arms_compared, arms_named, dose_response, unseen_named, unseen_texts
from personascope.separation import Estimate, Separation
from personascope.steered_samples import SteeredSamples
from personascope.steering_gates import ALPHA, STABLE_HALVES, STRONG_AUC, USABLE_AUC, Gate, GateName
from personascope.steering_proof import SteeringProof, gates
from personascope.steering_words import SteeringTold, gaps_at_rho_1, safe_text, steering_told
from personascope.trying import Tried
from personascope.wording import decimals, gain_text, p_text, signed, with_interval


@dataclass(frozen=True)
class GateRow:
    """One thing that the word "strong" asks for, what was found, and whether that is enough."""

    what: str
    asked: str
    found: str
    passed: bool


@dataclass(frozen=True)
class Table:
    """Headings, with units, and rows of text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class SteeringSection:
    """Everything that the section tells beside its charts."""

    word: str
    told: SteeringTold
    safe: str
    gates: tuple[GateRow, ...]
    doses: Table
    costs: Table
    layers: Table | None
    """None where the layer was not chosen by steering."""
    arms: Table | None
    unseen: Table
    looks: Table
    """What the example texts look like, by dose."""
    asked_of_usable: float = USABLE_AUC
    most_kl: float = MOST_KL
    most_nll_rise: float = MOST_NLL_RISE


def steering_section(tried: Tried, separation: Separation) -> SteeringSection:
    """The section of a finished trial."""
    return SteeringSection(
        word=tried.word,
        told=steering_told(tried),
        safe=safe_text(tried.calibration),
        gates=gate_rows(separation, tried.trial.proof),
        doses=_doses(tried),
        costs=_costs(tried),
        layers=_layers(tried) if tried.calibration.layers else None,
        arms=_arms(tried),
        unseen=_unseen(tried),
        looks=_looks(tried.samples),
    )


def steering_specs(tried: Tried, separation: Separation) -> dict[str, alt.LayerChart]:
    """The section's charts by the id of their place on the page."""
    trial, calibration = tried.trial, tried.calibration
    charts = {
        "dose": dose_response(trial, calibration, PAGE, width="container", height=300),
        "unseen": unseen_texts(tried.evaluation, PAGE, width="container"),
        "kl": kl_by_dose(calibration, PAGE, width="container"),
        "nll": nll_by_dose(calibration, PAGE, width="container"),
    }
    if trial.arms is not None:
        charts["arms"] = arms_compared(trial.arms, calibration, PAGE, width="container")
    if calibration.layers:
        charts["where"] = slope_by_layer(calibration, separation.chosen_layer, PAGE, width="container")
    return charts


def gate_rows(separation: Separation, proof: SteeringProof) -> tuple[GateRow, ...]:
    """The gates of "strong" as the page shows them."""
    return tuple(GateRow(*_asked(gate), _found(gate, proof.slope), gate.passed) for gate in gates(separation, proof))


def _asked(gate: Gate) -> tuple[str, str]:
    """What a gate is about, and what it asks for."""
    if gate.name in _AMONG:
        return f"steers: p {_AMONG[gate.name].format(n=gate.n)}", f"below {ALPHA:.2f}"
    return _ASKED[gate.name]


_ASKED: dict[GateName, tuple[str, str]] = {
    "auc": ("reads: lower end of the nested held-out AUC", f"{STRONG_AUC:.2f} or more"),
    "halves": ("is stable: cosine between halves of the questions", f"{STABLE_HALVES:.2f} or more"),
    "pairs": ("is stable: lowest cosine between instruction pairs", "above 0"),
    "slope": ("steers: slope of S, nats per token and rho", "above 0"),
    "signs": ("turns round with the sign of the dose", "by the interval at every dose"),
}
_AMONG: dict[GateName, str] = {
    "shuffled": "among {n:,} shuffled-label vectors, equal norm",
    "random": "among {n:,} random vectors, equal norm",
    "swapped": "with the poles of whole instruction pairs swapped",
    "shuffled at equal KL": "among {n:,} shuffled-label vectors, equal KL",
    "random at equal KL": "among {n:,} random vectors, equal KL",
}


def _found(gate: Gate, slope: Estimate) -> str:
    if gate.name == "slope":
        return with_interval(slope)
    if gate.name == "signs":
        return "yes" if gate.passed else "no"
    return p_text(gate.value) if gate.name in _AMONG else decimals(gate.value, 3)


def _doses(tried: Tried) -> Table:
    """S at each dose, beside what 95 % of the controls would do there."""
    proof, per_rho = tried.trial.proof, gaps_at_rho_1(tried.calibration)
    columns = ("rho", "strength, gaps", "S [95 % interval], nats per token", "KL on these replies, nats per token")
    rows = [
        (signed(dose), signed(dose * per_rho), gain_text(point, 3), decimals(kl, 3), *_bands(tried, dose))
        for dose, point, kl in zip(proof.doses, proof.curve, tried.trial.kl, strict=True)
    ]
    return Table((*columns, "S of 95 % of shuffled-label vectors", "S of 95 % of random vectors"), tuple(rows))


def _bands(tried: Tried, dose: float) -> list[str]:
    ends = [sorted(slope * dose for slope in slopes) for slopes in tried.trial.bands]
    return [f"{signed(low, 3)} to {signed(high, 3)}" for low, high in ends]


def _costs(tried: Tried) -> Table:
    low, high = tried.calibration.safe
    columns = ("rho", "strength, gaps", "KL, mean", "KL, 95th percentile", "likelihood lost", "safe")
    told: Sequence[Callable[[DoseCost], str]] = (
        lambda cost: signed(cost.rho),
        lambda cost: signed(cost.strength),
        lambda cost: decimals(cost.kl_mean, 3),
        lambda cost: decimals(cost.kl_p95, 3),
        lambda cost: decimals(cost.nll_rise, 3),
        lambda cost: "yes" if low <= cost.rho <= high else "no",
    )
    return Table(columns, tuple(tuple(text(cost) for text in told) for cost in tried.calibration.costs))


def _layers(tried: Tried) -> Table:
    columns = (
        "layer",
        "slope per root-nat, nats per token and root-nat",
        "slope of S, nats per token and rho",
        "KL, nats per token and rho²",
    )
    rows = [
        (str(each.layer), decimals(each.per_root_nat, 3), decimals(each.slope, 3), decimals(each.kl_growth, 3))
        for each in tried.calibration.layers
    ]
    return Table(columns, tuple(rows))


def _arms(tried: Tried) -> Table | None:
    if tried.trial.arms is None:
        return None
    named = arms_named(tried.trial.arms, tried.calibration)
    return Table(
        ("what is added", "S [95 % interval], nats per token"),
        tuple((name, gain_text(point, 3)) for name, point in named.items()),
    )


def _unseen(tried: Tried) -> Table:
    rows = tuple((name, with_interval(auc)) for name, auc in unseen_named(tried.evaluation).items())
    return Table(("unseen texts", "AUC [95 % interval]"), rows)


def _looks(samples: SteeredSamples) -> Table:
    columns = ("rho", "strength, gaps", "perplexity", "repeated, %", "distinct pairs, %", "words a reply")
    rows = [
        (
            signed(dose.rho),
            signed(dose.strength),
            decimals(dose.perplexity, 1),
            decimals(100 * dose.measures.repetition, 0),
            decimals(100 * dose.measures.distinct_2, 0),
            decimals(dose.measures.words, 1),
        )
        for dose in samples.doses
    ]
    return Table(columns, tuple(rows))
