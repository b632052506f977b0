"""One model before it is compared: its vectors, and what it says to the questions that no vector was made from.

    evaluation questions -> replies, the model's own stream at them, and the base's stream at the same words

Vectors are made once: a run of the same plan in the folder is read. Layer k is the stream after block k, from 0.

Knows the engine protocols; knows no engine and compares nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from personascope.artifacts import digest, model_in_file_names
from personascope.contrasts import from_rollouts
from personascope.errors import ArtifactError, ContrastError
from personascope.extraction import Extraction, extract
from personascope.gathering import Progress, is_gathered, row_seed
from personascope.models.protocols import Chat, Engine, ModelSpec, Reply, Residuals, Sampling
from personascope.prompts import Protocol
from personascope.questionnaire.items import Questionnaire
from personascope.shifts import check_length
from personascope.traits import Trait

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
    """A model's own replies to the questions, and the streams at them."""

    replies: tuple[Reply, ...]
    residuals: Residuals
    """The model's own, captured while it wrote them."""
    as_text: Residuals
    """The base's, which reads the replies as finished texts: its own just as a tuned model's."""


@dataclass(frozen=True, eq=False)
class Persona:
    """One model, before it is compared: its vectors by trait (none where they could not be shared) and its replies."""

    spec: ModelSpec
    notes: tuple[str, ...]
    vectors: Mapping[str, Extraction]
    failed: Mapping[str, str]
    """By trait: why it has no vectors."""
    spoken: Spoken


def persona(engine: Engine, plan: Plan, *, reader: Engine, own_vectors: bool, progress: Progress) -> Persona:
    """A model's vectors (unless they are not wanted) and its replies to the evaluation questions.

    The replies' texts are read by `reader`: the base, of a tuned model and of itself.
    A trait whose vectors cannot be made is left out, with its reason. Raises ContrastError for too few questions.
    """
    if len(plan.questions) < FEWEST_QUESTIONS:
        raise ContrastError(
            f"{len(plan.questions)} evaluation questions are too few to compare models on",
            hint=f"compare more traits, or give them questions under `evaluate`; at least {FEWEST_QUESTIONS}",
        )
    vectors, failed = _vectors(engine, plan, progress) if own_vectors else ({}, {})
    return Persona(engine.spec, engine.notes, vectors, failed, _spoken(engine, reader, plan, progress))


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
    made = extract(engine, trait, contrast, layers=layers, seed=plan.seed, stem=stem, progress=progress)
    check_length(made.vectors.raw.astype(np.float64))
    return made


def _spoken(engine: Engine, reader: Engine, plan: Plan, progress: Progress) -> Spoken:
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
    tick = progress("reading the replies as text", len(chats))
    texts = [one.text for one in made.replies]
    as_text = reader.residuals(chats, texts, layers=range(reader.spec.n_layers), tick=tick)
    return Spoken(made.replies, made.residuals, as_text)
