"""A finished steering trial, made up, and what is drawn and written of it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from made_up import alone

from personascope.activations import Activations
from personascope.calibration import Calibration, DoseCost, LayerEffect
from personascope.evaluation import Evaluation
from personascope.gathering import Gathered
from personascope.models.protocols import Reply, Residuals
from personascope.proving import Arms, Trial
from personascope.report.page import page
from personascope.separation import Estimate
from personascope.steered_samples import SampledDose, SteeredSamples
from personascope.steering_proof import SteeringProof
from personascope.text_measures import measure
from personascope.traits import load_trait
from personascope.trying import Tried

GAPS_PER_RHO = 12.0


DOSES = (-0.2, -0.1, 0.1, 0.2)


TRAIT = load_trait("openness")


NAN = float("nan")


def proof(**changes) -> SteeringProof:
    found = SteeringProof(
        doses=DOSES,
        curve=tuple(Estimate(dose, dose - 0.05, dose + 0.05) for dose in DOSES),
        slope=Estimate(1.0, 0.7, 1.3),
        slope_at_zero=1.02,
        p_shuffled=0.014,
        p_random=0.001,
        p_swapped=0.008,
        p_shuffled_kl=0.048,
        p_random_kl=0.048,
        monotone=True,
        both_signs=True,
        anti_steerable=0.1,
        n_questions=20,
        n_shuffled=70,
        n_random=1000,
        n_shuffled_kl=20,
        n_random_kl=20,
    )
    return replace(found, **changes)


def calibration(**changes) -> Calibration:
    rhos = (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4)
    costs = tuple(DoseCost(r, GAPS_PER_RHO * r, 6 * r * r, 20 * r * r, 5 * r * r) for r in rhos)
    layers = tuple(LayerEffect(layer, 1.5, 4.0, 0.75 + layer / 100) for layer in range(10, 24))
    return replace(Calibration(21, (-0.22, 0.15), costs, layers, 16, 8, "abc"), **changes)


def trial(**changes) -> Trial:
    arms = Arms(0.15, Estimate(0.05, -0.04, 0.14), Estimate(0.15, 0.01, 0.29), Estimate(0.2, 0.04, 0.35))
    return replace(Trial(21, proof(), (0.4, 0.1, 0.1, 0.4), ((-0.7, 0.6), (-0.2, 0.3)), arms), **changes)


def evaluation(**changes) -> Evaluation:
    found = Evaluation(
        14, Estimate(0.9, 0.84, 0.95), alone(1.8), {2: 0.91, 0: 0.77, 1: 0.92}, alone(0.46), 60, 60, n_questions=20
    )
    return replace(found, **changes)


def samples(*rhos: float, text: str = "I am fine.") -> SteeredSamples:
    reply = (Reply(text, 4, ended=True), Reply("And then I", 40, ended=False))
    doses = tuple(SampledDose(rho, GAPS_PER_RHO * rho, reply, measure([text]), 10 + rho) for rho in rhos)
    return SteeredSamples(21, ("How was your evening?", "What now?"), doses)


def nothing_gathered() -> Gathered:
    none = np.zeros((0, 1, 2), np.float32)
    residuals = Residuals(none, none, none[..., 0], np.zeros(0, np.int64))
    return Gathered((), Activations((0,), residuals), Path("rollouts"), Path("activations"), reused=False)


def tried(**changes) -> Tried:
    texts = samples(-0.2, -0.1, 0.0, 0.075, 0.15)
    failed = ("lower end of the held-out AUC 0.77, below 0.80",)
    made = Tried(evaluation(), nothing_gathered(), calibration(), trial(), texts, "usable", failed)
    return replace(made, **changes)


def text_of(told) -> str:
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", page(told), flags=re.DOTALL)


def drawn(chart) -> str:
    return json.dumps(chart.to_dict(), ensure_ascii=False, allow_nan=False)


def values_of(chart, *fields) -> list[dict]:
    """The rows of a chart's data that have these fields."""
    rows = [row for values in chart.to_dict()["datasets"].values() for row in values]
    return [row for row in rows if set(fields) <= set(row)]
