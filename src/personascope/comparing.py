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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64

from personascope.artifacts import digest, model_in_file_names
from personascope.contrasts import from_rollouts
from personascope.control_directions import random_directions, traitless_directions
from personascope.directions import cosines_by_layer
from personascope.errors import ArtifactError, ContrastError
from personascope.extraction import Extraction, extract
from personascope.gathering import Progress, is_gathered, row_seed
from personascope.models.protocols import Chat, Engine, ModelSpec, Reply, Residuals, Sampling
from personascope.prompts import Protocol
from personascope.questionnaire.compared import Arm, Column, Compared, columns_of, compared
from personascope.questionnaire.items import Questionnaire
from personascope.questionnaire.profiling import choose_way
from personascope.shifts import Agreement, Ruler, Shift, agreement, shifts
from personascope.traits import Trait

Reading = Literal["replies", "text", "prompt"]
READINGS: tuple[Reading, ...] = ("replies", "text", "prompt")

MOST_TOKENS = 64
"""Of a reply."""
FEWEST_QUESTIONS = 6
_SEED_STEP = 2_000_003
"""Replies share no noise with those that vectors were made from or tried on."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is compared, and how: traits, the protocol of the vectors, items, and where files go."""

    traits: tuple[Trait, ...]
    protocol: Protocol
    questionnaire: Questionnaire
    save_dir: Path
    seed: int

    @property
    def questions(self) -> tuple[tuple[str, str], ...]:
        """Trait and text of every evaluation question, each text once; none that a vector is made from."""
        asked = {question: trait.name for trait in reversed(self.traits) for question in trait.questions.evaluate}
        made_from = {question for trait in self.traits for question in trait.questions.extract}
        return tuple((name, question) for question, name in reversed(asked.items()) if question not in made_from)


@dataclass(frozen=True, eq=False)
class Spoken:
    """A model's own replies to the questions, and its stream at them."""

    replies: tuple[Reply, ...]
    residuals: Residuals


@dataclass(frozen=True, eq=False)
class Persona:
    """One model, before it is compared: its vectors by trait (none where they could not be shared) and its replies."""

    spec: ModelSpec
    notes: tuple[str, ...]
    vectors: Mapping[str, Extraction]
    failed: Mapping[str, str]
    """By trait: why it has no vectors."""
    spoken: Spoken


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


def persona(engine: Engine, plan: Plan, *, own_vectors: bool, progress: Progress) -> Persona:
    """A model's vectors (unless they are not wanted) and its replies to the evaluation questions.

    A trait whose vectors cannot be made is left out, with its reason. Raises ContrastError for too few questions.
    """
    if len(plan.questions) < FEWEST_QUESTIONS:
        raise ContrastError(
            f"{len(plan.questions)} evaluation questions are too few to compare models on",
            hint=f"compare more traits, or give them questions under `evaluate`; at least {FEWEST_QUESTIONS}",
        )
    vectors, failed = _vectors(engine, plan, progress) if own_vectors else ({}, {})
    return Persona(engine.spec, engine.notes, vectors, failed, _spoken(engine, plan, progress))


def compare(base: Engine, known: Persona, tuned: Engine, plan: Plan, *, progress: Progress) -> Comparison:
    """The tuned model beside the base, of which `known` is known.

    Raises ContrastError where no trait has vectors in the base, ItemError where the items cannot be asked.
    """
    alike = (tuned.spec.width, tuned.spec.n_layers) == (base.spec.width, base.spec.n_layers)
    other = persona(tuned, plan, own_vectors=alike, progress=progress)
    layers = tuple(range(base.spec.n_layers))
    tick = progress("reading the other's replies", len(plan.questions))
    chats = [Chat(question) for _, question in plan.questions]
    read = base.residuals(chats, [one.text for one in other.spoken.replies], layers=layers, tick=tick)
    rulers = rulers_of(known, seed=plan.seed)
    differences = _differences(known.spoken.residuals, other.spoken.residuals if alike else None, read)
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


def _vectors(engine: Engine, plan: Plan, progress: Progress) -> tuple[dict[str, Extraction], dict[str, str]]:
    found: dict[str, Extraction] = {}
    failed: dict[str, str] = {}
    for trait in plan.traits:
        try:
            found[trait.name] = _extracted(engine, trait, plan, progress)
        except ContrastError as error:
            failed[trait.name] = f"{error}. {error.hint}"
    return found, failed


def _extracted(engine: Engine, trait: Trait, plan: Plan, progress: Progress) -> Extraction:
    """A trait's vectors: of the very run that is in the folder, else in a folder of their own.

    So a run of another protocol that `extract` left is neither replaced nor in the way.
    """
    contrast, layers = from_rollouts(trait, plan.protocol), range(engine.spec.n_layers)
    stem = plan.save_dir / f"{model_in_file_names(engine.spec.name)}_{trait.name}"
    try:
        there = is_gathered(engine.spec, contrast, layers=layers, seed=plan.seed, stem=stem)
    except ArtifactError:  # a run of another plan
        there = False
    if not there:
        which = digest([asdict(engine.spec), plan.protocol.name, plan.seed])[:8]
        stem = plan.save_dir / "compared" / f"{model_in_file_names(engine.spec.name)}_{which}" / stem.name
    return extract(engine, trait, contrast, layers=layers, seed=plan.seed, stem=stem, progress=progress)


def _spoken(engine: Engine, plan: Plan, progress: Progress) -> Spoken:
    chats = [Chat(question) for _, question in plan.questions]
    seeds = [row_seed(plan.seed + _SEED_STEP, at) for at in range(len(chats))]
    made = engine.generate(
        chats,
        Sampling(min(MOST_TOKENS, plan.protocol.max_new_tokens)),
        seeds=seeds,
        layers=range(engine.spec.n_layers),
        tick=progress("answering questions", len(chats)),
    )
    assert made.residuals is not None
    return Spoken(made.replies, made.residuals)


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
    base: Residuals, tuned: Residuals | None, read: Residuals
) -> dict[Reading, Float64[np.ndarray, "question layer width"]]:
    """Tuned minus base in every reading that there is."""
    found: dict[Reading, np.ndarray] = {}
    if tuned is not None:
        found["replies"] = tuned.reply_mean.astype(np.float64) - base.reply_mean
    found["text"] = read.reply_mean.astype(np.float64) - base.reply_mean
    if tuned is not None:
        found["prompt"] = tuned.prompt_last.astype(np.float64) - base.prompt_last
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
