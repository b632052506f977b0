"""How a vector moves the likelihood of given replies, dose by dose: steering measured without a judge.

    S(dose) = mean over high replies of (logp_dose - logp_0) - mean over low replies of (logp_dose - logp_0)

logp is the mean over the tokens of a given reply to a held-out question, asked WITHOUT any instruction; S is in nats
per token. S > 0 at a positive dose: the vector makes high replies likelier, beside low replies to the same question.
A dose is rho, the length of what is added as a fraction of the residual norm. Questions, not replies, are the
independent units: every mean is one of question means.
Knows numbers only: who scores the replies and on what texts KL is measured is the caller's. What the numbers are
compared with, and the word for it all: `steering_proof`.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.stats import t

from personascope.errors import ContrastError, SteeringError
from personascope.separation import Estimate
from personascope.uncertainty import FEWEST_GROUPS

_UPPER = 0.975


def token_means(logp: Float[np.ndarray, "*set token"]) -> Float64[np.ndarray, "*set"]:
    """Mean over the tokens that are not NaN; NaN for a reply without any."""
    present = ~np.isnan(logp)
    total = np.where(present, logp, 0.0).sum(axis=-1, dtype=np.float64)
    n = present.sum(axis=-1)
    mean = np.full(n.shape, np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    return mean


def propensity(
    change: Float[np.ndarray, "dose sample"],
    high: Bool[np.ndarray, " sample"],
    question: Int[np.ndarray, " sample"],
) -> Float64[np.ndarray, "dose question"]:
    """S of each question: mean change of its high replies minus that of its low replies; questions by rising id.

    `change` is logp_dose - logp_0 in nats per token. A reply that is NaN at any dose is left out at all of them, so
    that doses compare the same replies; a question that lacks a pole is dropped. Raises ContrastError if none is left.
    """
    present = ~np.isnan(change).any(axis=0)
    ids, row = np.unique(question[present], return_inverse=True)
    of_question = row[:, None] == np.arange(len(ids))
    above = of_question & high[present, None]
    below = of_question & ~high[present, None]
    both = above.any(axis=0) & below.any(axis=0)
    if not both.any():
        found = f"none of {len(np.unique(question))} questions has a scored reply at both poles"
        raise ContrastError(
            found, hint="give replies of both poles, with at least one token each, to the same questions"
        )
    above, below = above[:, both], below[:, both]
    weights = above / above.sum(axis=0) - below / below.sum(axis=0)
    return np.asarray(change[:, present] @ weights, dtype=np.float64)


def propensity_curve(by_question: Float64[np.ndarray, "dose question"]) -> tuple[Estimate, ...]:
    """Mean over questions at each dose, with the t interval of question means."""
    return tuple(over_questions(values) for values in by_question)


def over_questions(values: Float64[np.ndarray, " question"]) -> Estimate:
    """Mean of question means with its 95 % t interval, n - 1 degrees of freedom.

    The ends are NaN with fewer than `FEWEST_GROUPS` questions and where all questions give the same number. Only exact
    zeros, as at dose 0, are 0 with both ends.
    """
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    if not values.any():
        return Estimate(0.0, 0.0, 0.0)
    value = float(values.mean())
    error = float(values.std(ddof=1)) / sqrt(len(values)) if len(values) >= FEWEST_GROUPS else np.nan
    if not error > 1e-9 * abs(value):
        return Estimate(value, np.nan, np.nan)
    reach = error * float(t.ppf(_UPPER, len(values) - 1))
    return Estimate(value, value - reach, value + reach)


def slope(
    doses: Float64[np.ndarray, " dose"], by_question: Float64[np.ndarray, "dose question"]
) -> Float64[np.ndarray, " question"]:
    """S per unit of rho, question by question: least squares through the origin, where S is 0 by definition.

    Raises SteeringError without a dose other than 0.
    """
    if not doses.any():
        raise SteeringError(no_dose(doses), hint="give doses on both sides of 0, for example -0.1 and 0.1")
    return np.asarray(doses @ by_question / (doses @ doses), dtype=np.float64)


def slope_estimate(doses: Float64[np.ndarray, " dose"], by_question: Float64[np.ndarray, "dose question"]) -> Estimate:
    """Mean slope over questions, nats per token and unit of rho, with the t interval of the questions' slopes."""
    return over_questions(slope(doses, by_question))


def beats(value: float, controls: Float64[np.ndarray, " control"]) -> tuple[float, float]:
    """Share of the controls below the value, and p = (1 + number of controls not below it) / (1 + number of controls).

    p is one-sided and never below 1 / (n + 1): fewer than 20 controls cannot bring it below 0.05. A control without
    a number counts as not below. Both are NaN for a value without one, the share also where there is no control.
    """
    if np.isnan(value):
        return np.nan, np.nan
    below = int((controls < value).sum())
    share = below / len(controls) if len(controls) else np.nan
    return share, (1 + len(controls) - below) / (1 + len(controls))


def kl_growth(doses: Float64[np.ndarray, " dose"], kl: Float64[np.ndarray, " dose"]) -> float:
    """How KL grows with the dose: c of KL = c rho^2, nats per token, as the sum of KL over the sum of rho^2.

    Raises SteeringError without a dose other than 0.
    """
    if not doses.any():
        raise SteeringError(no_dose(doses), hint="measure KL at doses on both sides of 0, for example -0.1 and 0.1")
    return float(kl.sum() / (doses @ doses))


def per_root_nat(
    slopes: Float64[np.ndarray, " vector"], growth: Float64[np.ndarray, " vector"]
) -> Float64[np.ndarray, " vector"]:
    """Slopes at matched KL: nats of S per token and square root of a nat of KL; NaN where KL did not grow.

    KL has its minimum, 0, at dose 0, so that it begins with the square of the dose, KL = c rho^2, while S = s rho. A
    budget of K nats buys the dose sqrt(K / c), which brings S = s sqrt(K / c): whatever K, vectors rank by s / sqrt(c).
    Holds for small doses only. Beyond them KL and S bend, each vector in its own way, and only runs at
    doses that were found to cost the same would compare them. c depends on the texts on which KL is measured.
    """
    at_unit = np.full(len(slopes), np.nan)
    np.divide(slopes, np.sqrt(np.maximum(growth, 0.0)), out=at_unit, where=growth > 0)
    return at_unit


def is_monotone(values: Float64[np.ndarray, " dose"]) -> bool:
    """Whether S, given in order of dose, rises from each dose to the next."""
    return bool((np.diff(values) > 0).all())


def reverses_sign(doses: Sequence[float], curve: Sequence[Estimate]) -> tuple[bool, bool]:
    """Whether S is below 0 at every negative and above 0 at every positive dose: by the intervals, and by the values.

    Both are False unless there are doses of either sign.
    """
    either = min(doses, default=0.0) < 0 < max(doses, default=0.0)
    steered = [(dose, estimate) for dose, estimate in zip(doses, curve, strict=True) if dose != 0]
    by_interval = all(point.low > 0 if dose > 0 else point.high < 0 for dose, point in steered)
    return either and by_interval, either and all(dose * point.value > 0 for dose, point in steered)


def anti_steerable(slopes: Float64[np.ndarray, " question"]) -> float:
    """Share of questions on which the vector steers the wrong way: a slope below 0. NaN without questions."""
    return float((slopes < 0).mean()) if len(slopes) else np.nan


def no_dose(doses: Float64[np.ndarray, " dose"]) -> str:
    """What is wrong with doses among which none makes a slope."""
    return f"no dose to make a slope of among [{listed(doses)}]"


def listed(doses: Float64[np.ndarray, " dose"]) -> str:
    """The doses as they are told to a user."""
    return ", ".join(f"{dose:g}" for dose in doses)
