"""Two models compared: what a training did to the persona, in activations, in answers and in words.

    the base's vectors  -> how far the tuned model moved along each (shifts), read in three ways
    a questionnaire     -> how its answers changed, item by item (questionnaire/compared)
    its own vectors     -> is a trait still the same direction in it? (cosines, beside what noise alone would give)

The three readings: `replies` (each model reads its own replies), `text` (the base reads both models' replies: what
their words alone show) and `prompt` (the last token before the reply). Both models answer the same questions with the
same noise, so a model compared with itself gives exactly nothing. Layer k is the stream after decoder block k, from 0.

Knows the engine protocols, vectors and items; knows no engine and draws nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from personascope.comparing_persona import Persona, Plan, Spoken, persona
from personascope.control_directions import random_directions, traitless_directions
from personascope.directions import cosines_by_layer
from personascope.errors import ContrastError
from personascope.gathering import Progress
from personascope.models.protocols import Engine
from personascope.questionnaire.compared import Arm, Column, Compared, columns_of, compared
from personascope.questionnaire.profiling import choose_way
from personascope.shifts import Agreement, Ruler, Shift, agreement, shifts

Reading = Literal["replies", "text", "prompt"]
READINGS: tuple[Reading, ...] = ("replies", "text", "prompt")


@dataclass(frozen=True, eq=False)
class Cosines:
    """A trait's vector in the base and in the tuned model, layer by layer."""

    cosine: Float64[np.ndarray, " layer"]
    ceiling: Float64[np.ndarray, " layer"]
    """What two noisy vectors of one direction come to: the product of their reliabilities."""
    others: Float64[np.ndarray, " layer"]
    """Mean absolute cosine with the tuned model's vectors of the other traits; NaN where there are none."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A tuned model beside its base."""

    base: Persona
    tuned: Persona
    questions: tuple[tuple[str, str], ...]
    layers: tuple[int, ...]
    shifts: Mapping[Reading, Mapping[str, Shift]]
    by_question: Mapping[str, Float64[np.ndarray, " question"]]
    """By trait: each question's shift at the headline's layer and reading, persona gaps."""
    cosines: Mapping[str, Cosines]
    answers: Compared
    together: Agreement
    """Over the traits that were both read and asked: shift and change of P(high)."""
    notes: tuple[str, ...]
    seed: int

    @property
    def headline(self) -> Reading:
        """The reading that the verdict goes by: the models' own replies, or their text where widths differ."""
        return "replies" if "replies" in self.shifts else "text"

    @property
    def identical(self) -> bool:
        """Whether nothing at all differs: the same replies, the same stream, the same answers."""
        first, other = (column.profile.by_item for column in self.answers.columns)
        base, tuned = self.base.spoken, self.tuned.spoken
        pairs = [(getattr(base.residuals, at), getattr(tuned.residuals, at)) for at in ("reply_mean", "prompt_last")]
        same = [np.array_equal(one, two, equal_nan=True) for one, two in [*pairs, (first, other)]]
        return base.replies == tuned.replies and all(same)


def compare(base: Engine, known: Persona, tuned: Engine, plan: Plan, *, progress: Progress) -> Comparison:
    """The tuned model beside the base, of which `known` is known.

    Raises ContrastError where no trait has vectors in the base, ItemError where the items cannot be asked.
    """
    alike = (tuned.spec.width, tuned.spec.n_layers) == (base.spec.width, base.spec.n_layers)
    other = persona(tuned, plan, reader=base, own_vectors=alike, progress=progress)
    layers = tuple(range(base.spec.n_layers))
    rulers = rulers_of(known, seed=plan.seed)
    differences = _differences(known.spoken, other.spoken, alike)
    found = {reading: shifts(one, layers, rulers, seed=plan.seed) for reading, one in differences.items()}
    headline: Reading = "replies" if alike else "text"
    answers = _answers(base, tuned, plan, progress)
    return Comparison(
        base=known,
        tuned=other,
        questions=plan.questions,
        layers=layers,
        shifts=found,
        by_question={name: _by_question(differences[headline], layers, ruler) for name, ruler in rulers.items()},
        cosines={name: _cosines(name, known, other) for name in known.vectors if name in other.vectors},
        answers=answers,
        together=_together(found[headline], answers),
        notes=tuple(_notes(known, other, alike)),
        seed=plan.seed,
    )


def rulers_of(known: Persona, *, seed: int) -> dict[str, Ruler]:
    """Every trait's vector with its controls: the traitless vectors of all traits, read at its layer.

    Raises ContrastError where no trait has vectors.
    """
    if not known.vectors:
        reasons = "; ".join(f"{name}: {why}" for name, why in known.failed.items())
        raise ContrastError(f"no trait has vectors in {known.spec.name} ({reasons})", hint="choose other --traits")
    random = random_directions(known.spec.width, seed=seed)
    rulers = {}
    for name, one in known.vectors.items():
        layer = one.separation.chosen_layer
        families = [
            traitless_directions(other.gathered, layer, "reply_mean", seed=seed) for other in known.vectors.values()
        ]
        rulers[name] = Ruler(layer, one.vectors.raw.astype(np.float64), np.concatenate(families), random)
    return rulers


def _differences(
    base: Spoken, tuned: Spoken, alike: bool
) -> dict[Reading, Float64[np.ndarray, "question layer width"]]:
    """Tuned minus base in every reading that there is; the text is read by the base on either side."""
    found: dict[Reading, np.ndarray] = {}
    if alike:
        found["replies"] = tuned.residuals.reply_mean.astype(np.float64) - base.residuals.reply_mean
    found["text"] = tuned.as_text.reply_mean.astype(np.float64) - base.as_text.reply_mean
    if alike:
        found["prompt"] = tuned.residuals.prompt_last.astype(np.float64) - base.residuals.prompt_last
    return found


def _by_question(
    difference: Float64[np.ndarray, "question layer width"], layers: Sequence[int], ruler: Ruler
) -> Float64[np.ndarray, " question"]:
    at = list(layers).index(ruler.layer)
    raw = ruler.raw[at]
    return np.asarray(difference[:, at] @ raw / (raw @ raw))


def _cosines(name: str, base: Persona, tuned: Persona) -> Cosines:
    one, other = base.vectors[name], tuned.vectors[name]
    reliabilities = [
        np.array([reading.reliability for reading in extraction.separation.readings]) for extraction in (one, other)
    ]
    rest = [
        np.abs(cosines_by_layer(one.vectors.raw, extraction.vectors.raw))
        for trait, extraction in tuned.vectors.items()
        if trait != name
    ]
    cosine = cosines_by_layer(one.vectors.raw, other.vectors.raw)
    others = np.mean(rest, axis=0) if rest else np.full(len(cosine), np.nan)
    return Cosines(cosine, reliabilities[0] * reliabilities[1], others)


def _answers(base: Engine, tuned: Engine, plan: Plan, progress: Progress) -> Compared:
    """Both models asked the same items in one way: by text unless both answer letters reliably."""
    ways = {choose_way(engine, plan.questionnaire, None).way for engine in (base, tuned)}
    way = ways.pop() if len(ways) == 1 else "text"
    columns: list[Column] = []
    for engine in (base, tuned):
        arm = [Arm(engine.spec.name)]
        columns += columns_of(engine, plan.questionnaire, arm, asked=way, seed=plan.seed, progress=progress)
    return compared(columns, seed=plan.seed)


def _together(found: Mapping[str, Shift], answers: Compared) -> Agreement:
    (changes,) = answers.changes
    both = [name for name in found if name in changes]
    return agreement(
        np.array([found[name].shift.value for name in both]), np.array([changes[name].value for name in both])
    )


def _notes(base: Persona, tuned: Persona, alike: bool) -> list[str]:
    notes = [*dict.fromkeys((*base.notes, *tuned.notes))]
    if not alike:
        notes.append(
            f"Vectors cannot be shared: {base.spec.name} has {base.spec.n_layers} layers of width {base.spec.width}, "
            f"{tuned.spec.name} {tuned.spec.n_layers} of {tuned.spec.width}. Scores are compared, and both models' "
            "replies as the base reads them."
        )
    notes += [f"{name} was left out: {why}" for name, why in base.failed.items()]
    notes += [f"{name} has no vector in {tuned.spec.name}, so no cosine: {why}" for name, why in tuned.failed.items()]
    return notes
