"""What steering costs in ordinary competence: the likelihood of plain factual text, and right choices among two.

A choice counts as right where the right answer's mean log-probability per token is above the wrong one's; both have the
same length and form. Knows the engine protocols; knows no engine. Doses are rho.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Float32, Float64

from personascope.dose_response import token_means
from personascope.errors import ItemError
from personascope.models.protocols import Chat, ScoresReplies, Steered, Tick
from personascope.neutral import neutral
from personascope.questionnaire.comparison import mean_estimate
from personascope.separation import Estimate
from personascope.uncertainty import draw_questions

_FORM = (
    'one JSON object a line: {"question": .., "right": .., "wrong": ..}, or PIQA\'s {"goal", "sol1", "sol2", "label"}'
)


@dataclass(frozen=True)
class TwoChoice:
    """A question of everyday knowledge with a right answer and a wrong one of the same form."""

    question: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Damage:
    """What one dose leaves of competence. Changes are against dose 0, on the same texts."""

    rho: float
    perplexity: float
    """Of the neutral passages, per token."""
    nll_rise: Estimate
    """Mean over passages, nats per token."""
    accuracy: Estimate
    """Share of right choices."""
    accuracy_change: Estimate


@cache
def own_choices() -> tuple[TwoChoice, ...]:
    """The two-choice questions that are shipped."""
    told = yaml.safe_load((resources.files(__package__) / "content" / "choices.yaml").read_text(encoding="utf-8"))
    return tuple(TwoChoice(**one) for one in told["items"])


def choices_from_file(path: Path) -> tuple[TwoChoice, ...]:
    """Two-choice questions of a user's JSONL file, ours or PIQA's layout (labels within, or in `<name>_labels.txt`).

    Raises ItemError, naming the line, where one cannot be used.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        beside = path.with_name(f"{path.stem}_labels.txt")
        labels = beside.read_text(encoding="utf-8-sig").split() if beside.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise ItemError(
            f"the choices in {path} cannot be read ({error})", hint=f"give a UTF-8 file, {_FORM}"
        ) from error
    if not lines:
        raise ItemError(f"{path} holds no choice", hint=f"write {_FORM}")
    return tuple(_choice(line, at, labels, path) for at, line in enumerate(lines))


def measure_damage(
    engine: ScoresReplies,
    steerings: Sequence[Mapping[float, Steered]],
    choices: Sequence[TwoChoice],
    *,
    seed: int,
    tick: Tick | None = None,
) -> tuple[tuple[Damage, ...], ...]:
    """What each dose of each vector costs, rising, dose 0 among them; all in one go. `tick` counts `n_damage`.

    `steerings` are the doses of each vector other than 0.
    """
    pushes: list[Steered] = [(), *(own[dose] for own in steerings for dose in sorted(own))]
    passages = neutral().passages
    texts = engine.score(
        [Chat(passage.question) for passage in passages],
        [passage.text for passage in passages],
        steerings=pushes,
        tick=tick,
    )
    right = _right(engine, choices, pushes, tick)
    told, first = [], 1
    for own in steerings:
        doses = sorted([0.0, *own])
        steered = iter(range(first, first + len(own)))
        rows = [0 if dose == 0 else next(steered) for dose in doses]
        told.append(_by_dose(doses, token_means(texts.logp[rows]), texts.logp[rows], right[rows], seed))
        first += len(own)
    return tuple(told)


def n_damage(choices: Sequence[TwoChoice], n_steered: int) -> int:
    """How many replies are scored with so many steerings other than none: the length of the progress bar."""
    return (2 * len(choices) + len(neutral().passages)) * (1 + n_steered)


def _by_dose(
    doses: Sequence[float],
    mean: Float64[np.ndarray, "dose passage"],
    logp: Float32[np.ndarray, "dose passage token"],
    right: Float64[np.ndarray, "dose choice"],
    seed: int,
) -> tuple[Damage, ...]:
    zero, nothing = doses.index(0.0), Estimate(0.0, 0.0, 0.0)
    over_passages = draw_questions(np.arange(mean.shape[1]), seed=seed)
    over_choices = draw_questions(np.arange(right.shape[1]), seed=seed)
    return tuple(
        Damage(
            dose,
            float(np.exp(-np.nanmean(logp[at]))),
            mean_estimate(mean[zero] - mean[at], over_passages) if dose else nothing,
            mean_estimate(right[at], over_choices),
            mean_estimate(right[at] - right[zero], over_choices) if dose else nothing,
        )
        for at, dose in enumerate(doses)
    )


def _right(
    engine: ScoresReplies, choices: Sequence[TwoChoice], pushes: Sequence[Steered], tick: Tick | None
) -> Float64[np.ndarray, "dose choice"]:
    """1 where the right answer is the likelier one, 0 where the wrong one is, one half for a tie."""
    chats = [Chat(choice.question) for choice in choices for _ in range(2)]
    replies = [text for choice in choices for text in (choice.right, choice.wrong)]
    mean = token_means(engine.score(chats, replies, steerings=pushes, tick=tick).logp)
    ahead = mean[:, 0::2] - mean[:, 1::2]
    return np.asarray((np.sign(ahead) + 1) / 2)


def _choice(line: str, at: int, labels: Sequence[str], path: Path) -> TwoChoice:
    where = f"line {at + 1} of {path}"
    try:
        told = json.loads(line)
    except ValueError as error:
        raise ItemError(f"{where} is not JSON ({error})", hint=f"write {_FORM}") from error
    if not isinstance(told, dict):
        raise ItemError(f"{where} is no JSON object", hint=f"write {_FORM}")
    if {"goal", "sol1", "sol2"} <= told.keys():
        label = str(told.get("label", labels[at] if at < len(labels) else ""))
        if label not in ("0", "1"):
            raise ItemError(
                f"{where} has no label 0 or 1", hint=f"add `label`, or put the labels in {path.stem}_labels.txt"
            )
        first, second = ("sol1", "sol2") if label == "0" else ("sol2", "sol1")
        told = {"question": told["goal"], "right": told[first], "wrong": told[second]}
    for field in ("question", "right", "wrong"):
        if not isinstance(told.get(field), str) or not told[field].strip():
            raise ItemError(f"{where} has no {field!r}", hint=f"write {_FORM}")
    return TwoChoice(told["question"], told["right"], told["wrong"])
