"""The personas on offer, and what a request asks of them: `{"extraversion": 1.5, "openness": {"strength": -1}}`.

A persona is a trait's vectors with the layer that is advised for it. A number is a strength in persona gaps at that
layer, FROM low TO high; an object may name another layer, mode, positions or unit. Layer k is the stream after decoder
block k, from 0. The same for every engine.

Knows vectors and steerings; knows no engine and no protocol of the web.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from personascope.errors import ArtifactError, LayerError, SteeringError
from personascope.models.protocols import Mode, ModelSpec, Positions, ReadsResiduals, Steered
from personascope.steered_replies import Dial, Dose
from personascope.steering import MODES, POSITIONS, UNITS, Unit
from personascope.steering_files import Advice, advice, load_vectors, trait_told, with_residual_norms
from personascope.suggestions import did_you_mean
from personascope.vectors import Vectors

KEY = "persona"
"""Where a request's body says what it asks of the personas."""
_SHAPE = 'write {"persona": {"extraversion": 1.5}}, or {"extraversion": {"strength": 1.5, "layer": 17}}'
_MOST = 1000.0
"""How many times a token's own norm may be added."""
_NAMES: dict[str, tuple[str, ...]] = {"mode": MODES, "positions": POSITIONS, "unit": UNITS}


@dataclass(frozen=True)
class Persona:
    """A trait's vectors on offer; `advice` tells the layer where a request names none, and the safe doses there."""

    name: str
    vectors: Vectors
    advice: Advice

    def dose(self, asked: object) -> Dose:
        """The dose that a request asks of this persona. Raises SteeringError or LayerError where it is none."""
        told = self._fields(asked)
        strength, layer = told["strength"], told.get("layer", self.advice.layer)
        if not _is_number(strength):
            raise SteeringError(f"{self.name}: strength {strength!r} is no finite number", hint=_SHAPE)
        if not isinstance(layer, int) or isinstance(layer, bool) or layer not in self.vectors.layers:
            layers = self.vectors.layers
            raise LayerError(
                f"{self.name} has no layer {layer!r}", hint=f"it has {len(layers)}, from {layers[0]} to {layers[-1]}"
            )
        for key, known in _NAMES.items():
            if key in told and told[key] not in known:
                hint = f"{did_you_mean(str(told[key]), known)}choose one of {', '.join(known)}"
                raise SteeringError(f"{self.name}: there is no {key} {told[key]!r}", hint=hint)
        mode = cast(Mode, told.get("mode", "add"))
        positions = cast(Positions, told.get("positions", "reply"))
        measured = (layer, mode, positions) == (self.advice.layer, "add", "reply")
        safe = self.advice.safe if measured else None
        unit = cast(Unit, told.get("unit", "gap"))
        dose = Dial(self.vectors, (layer,), mode, positions, unit, safe=safe).at(float(cast(float, strength)))
        return self._bounded(dose)

    def _fields(self, asked: object) -> Mapping[str, object]:
        told = asked if isinstance(asked, Mapping) else {"strength": asked}
        known = ("strength", "layer", *_NAMES)
        for key in told:
            if key not in known:
                hint = f"{did_you_mean(str(key), known)}choose from {', '.join(known)}"
                raise SteeringError(f"{self.name}: there is no {key!r} to set", hint=hint)
        if "strength" not in told:
            raise SteeringError(f"{self.name} has no strength", hint=_SHAPE)
        return told

    def _bounded(self, dose: Dose) -> Dose:
        """The dose, unless it is so large that the stream's squares leave what numbers can hold."""
        size = abs(dose.strength if dose.rho is None else dose.rho)
        if not size <= _MOST:
            raise SteeringError(
                f"{self.name}: strength {dose.amount:g} is beyond anything that a model can go on from",
                hint="strength 1 is one persona gap; few vectors bear more than 5",
            )
        return dose


def persona_in(path: Path, spec: ModelSpec, engine: ReadsResiduals | None = None) -> tuple[Persona, tuple[str, ...]]:
    """The persona in a vectors file, and what must be known about it.

    Raises ArtifactError where it is none of this model, or tells no residual norms and no engine can measure them.
    """
    vectors, notes = load_vectors(path, spec)
    if engine is not None:
        vectors = with_residual_norms(engine, vectors)
    elif any("residual_norm" not in vectors.metadata["layers"][str(layer)] for layer in vectors.layers):
        raise ArtifactError(
            f"{path} does not tell how long the stream is, as files of the original scripts",
            hint="extract the vectors again, or serve them with --engine hf",
        )
    return Persona(trait_told(path), vectors, advice(vectors, path)), notes


def doses(personas: Mapping[str, Persona], asked: object) -> dict[str, Dose]:
    """The dose of every persona that a request names; none for None. Raises SteeringError or LayerError for junk."""
    if asked is None:
        return {}
    if not isinstance(asked, Mapping):
        raise SteeringError(f"{KEY} is {_kind(asked)}, not an object of names and strengths", hint=_SHAPE)
    for name in asked:
        if name not in personas:
            hint = f"{did_you_mean(str(name), personas)}this server offers {', '.join(personas) or 'none'}"
            raise SteeringError(f"there is no persona {name!r}", hint=hint)
    return {str(name): personas[name].dose(one) for name, one in asked.items()}


def steered(asked: Mapping[str, Dose]) -> Steered:
    """The edits of all doses, in the order of their names: who asks the same is answered the same."""
    return tuple(edit for _, dose in sorted(asked.items()) for edit in dose.steered if edit.strength)


def offered(persona: Persona) -> dict[str, Any]:
    """What a client may know of a persona: its poles, its layers, and which doses are safe at the advised one."""
    told = persona.vectors.metadata["trait"]
    dial = Dial(persona.vectors, (persona.advice.layer,))
    per_gap = dial.at(1.0).rho
    safe = persona.advice.safe
    return {
        "persona": persona.name,
        "low": told.get("low"),
        "high": told.get("high"),
        "layer": persona.advice.layer,
        "why": persona.advice.why,
        "layers": list(persona.vectors.layers),
        "rho_of_strength_1": per_gap,
        "safe_strengths": None if safe is None or not per_gap else [safe[0] / per_gap, safe[1] / per_gap],
    }


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def _kind(value: object) -> str:
    return {str: "a text", list: "a list", bool: "true or false"}.get(type(value), "a number")
