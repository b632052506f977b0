"""Safe doses by interpolation, layers by effect at equal cost, replies that take turns."""

import numpy as np
import pytest

from personascope.calibration import (
    DOSES,
    DoseCost,
    LayerEffect,
    balanced,
    best_layer,
    safe_range,
    weights_of,
)
from personascope.errors import ContrastError
from personascope.models.protocols import Chat
from personascope.rollouts import Rollout


def cost(rho, *, p95=0.0, nll=0.0):
    return DoseCost(rho, strength=10 * rho, kl_mean=p95 / 4, kl_p95=p95, nll_rise=nll)


def quadratic(growth, *, nll=0.0):
    return [cost(rho, p95=growth * rho**2, nll=nll * abs(rho)) for rho in DOSES]


@pytest.mark.parametrize("growth", [9.0, 16.0, 36.0, 90.0])
def test_where_kl_is_quadratic_the_safe_dose_is_where_it_reaches_one_nat(growth):
    low, high = safe_range(quadratic(growth))
    assert high == pytest.approx(1 / np.sqrt(growth))
    assert low == pytest.approx(-high)


def test_the_likelihood_of_passages_may_bind_first():
    assert safe_range(quadratic(1.0, nll=2.5))[1] == pytest.approx(0.1)


def test_each_side_has_its_own_limit():
    costs = [cost(rho, p95=(30 if rho > 0 else 3) * rho**2) for rho in DOSES]
    low, high = safe_range(costs)
    assert low == -0.4
    assert high == pytest.approx(1 / np.sqrt(30))


def test_a_dose_beyond_an_unsafe_one_is_not_safe():
    dip = {0.1: 2.0, 0.2: 0.5}
    low, high = safe_range([cost(rho, p95=dip.get(rho, 0.0)) for rho in DOSES])
    assert 0.05 < high < 0.1
    assert low == -0.4


def test_not_a_number_is_not_safe():
    assert safe_range([cost(rho, p95=np.nan) for rho in DOSES]) == (0.0, 0.0)


def test_order_of_costs_does_not_matter():
    costs = quadratic(25.0)
    assert safe_range(costs[::-1]) == safe_range(costs)


def test_best_layer_moves_most_at_equal_cost_the_shallower_of_two():
    effects = [LayerEffect(3, 1.0, 4.0, 0.5), LayerEffect(5, 3.0, 4.0, 1.5), LayerEffect(7, 3.0, 4.0, 1.5)]
    assert best_layer(effects) == 5
    assert best_layer([LayerEffect(1, 1.0, 0.0, np.nan), *effects[:1]]) == 3


def rollout(pole, pair, question, reply="yes"):
    return Rollout(Chat(f"question {question}", f"{pole} {pair}"), reply, pole, pair, question)


def test_pairs_take_turns_and_poles_stay_together():
    rows = [rollout(pole, pair, question) for pair in range(3) for question in range(5) for pole in ("high", "low")]
    picked = balanced(rows, 4)
    assert [(row.question, row.pair, row.pole) for row in picked] == [
        (question, question % 3, pole) for question in range(4) for pole in ("high", "low")
    ]


def test_a_question_without_both_poles_is_left_out():
    rows = [rollout("high", 0, 0), rollout("low", 0, 0, reply="  "), rollout("high", 0, 1), rollout("low", 0, 1)]
    assert [row.question for row in balanced(rows, 9)] == [1, 1]
    with pytest.raises(ContrastError, match="both poles"):
        balanced(rows[:2], 9)


def test_weights_make_a_sum_of_scores_into_s():
    rows = [rollout(pole, 0, question) for question in range(3) for pole in ("high", "low")]
    scores = np.array([5.0, 1.0, 2.0, 2.5, 7.0, 3.0])
    assert weights_of(rows) @ scores == pytest.approx(np.mean([4.0, -0.5, 4.0]))
