"""The comparison as a file: every shift with its null, interval and controls, every reply, every score change.

Layer k is the stream after decoder block k, from 0; shifts are tuned minus base in persona gaps, positive towards the
high pole. Knows finished comparisons.
"""

from collections.abc import Mapping
from dataclasses import asdict

from personascope.artifacts import Json, header, sha256
from personascope.comparing import Comparison, Cosines
from personascope.comparing_persona import Persona
from personascope.comparing_words import verdict
from personascope.questionnaire.compared import compared_as_json
from personascope.shifts import Shift


def comparison_as_json(found: Comparison) -> dict[str, Json]:
    """The whole comparison as plain JSON."""
    settings = {"seed": found.seed, "headline": found.headline, "layers": list(found.layers)}
    return {
        **header("comparison", model=found.base.spec, made_from=_hashes(found), settings=settings),
        "tuned": asdict(found.tuned.spec),
        "verdict": list(verdict(found)),
        "identical": found.identical,
        "shifts": {
            reading: {trait: _shift(one, told=reading == found.headline) for trait, one in shifts.items()}
            for reading, shifts in found.shifts.items()
        },
        "scores": compared_as_json(found.answers),
        "shift_and_score": asdict(found.together),
        "cosines": {trait: _cosines(one) for trait, one in found.cosines.items()},
        "replies": _replies(found),
        "notes": list(found.notes),
    }


def _hashes(found: Comparison) -> dict[str, str]:
    return {
        str(extraction.vectors_path): sha256(extraction.vectors_path)
        for persona in (found.base, found.tuned)
        for extraction in persona.vectors.values()
    }


def _shift(one: Shift, *, told: bool) -> dict[str, Json]:
    """Every number of a shift; the word only of the reading that the verdict goes by."""
    return {"moved": one.moved} | asdict(one) if told else asdict(one)


def _cosines(one: Cosines) -> Mapping[str, Json]:
    return {name: values.tolist() for name, values in vars(one).items()}


def _replies(found: Comparison) -> list[dict[str, Json]]:
    """Both models' replies, with each trait's shift at that question."""

    def reply(persona: Persona, at: int) -> str:
        return persona.spoken.replies[at].text

    return [
        {
            "trait": trait,
            "question": question,
            "base": reply(found.base, at),
            "tuned": reply(found.tuned, at),
            "shift": {name: float(values[at]) for name, values in found.by_question.items()},
        }
        for at, (trait, question) in enumerate(found.questions)
    ]
