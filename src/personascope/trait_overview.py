"""Several traits of one model side by side: what each one's analysis file tells, and how alike the directions are.

Rows come from the files alone, so that a trait that was finished earlier is told like one that was just run. All
directions are compared at one layer, fixed beforehand: the nearest to depth 0.6. Layer k is the output of decoder block
k, from 0. Knows analysis and vectors files; knows no engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from personascope.artifacts import Json, header, read_json, sha256
from personascope.errors import UserError
from personascope.likeness import ENDING, Likeness, likeness
from personascope.models.protocols import ModelSpec
from personascope.separation import Estimate
from personascope.traits import Trait
from personascope.vectors import read_vectors

KIND = "traits side by side"


@dataclass(frozen=True)
class SteeredRow:
    """What came of trying whether a trait's vector steers; `failed` are the gates of "strong" not passed."""

    word: str
    layer: int
    slope: Estimate
    """Of S by rho, nats per token."""
    safe_rho: tuple[float, float]
    safe_gaps: tuple[float, float]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class TraitRow:
    """One trait: how well its vector reads, what that means in words, and whether it steers (None: not tried)."""

    name: str
    label: str
    poles: tuple[str, str]
    """Words for the low and the high end."""
    layer: int
    auc: Estimate
    """Nested and held out."""
    p: float
    evidence: str
    line: str
    """The verdict in one line."""
    paragraph: str
    cautions: tuple[str, ...]
    steering: SteeredRow | None
    stem: str
    """What the names of its files begin with."""
    sha256: str
    """Of its analysis file."""

    @property
    def verdict(self) -> str:
        """Evidence and grade in a few words: the line up to its colon."""
        return self.line.partition(":")[0]


@dataclass(frozen=True)
class Failure:
    """A trait that nothing came of, and why; the hint says what to do about it."""

    trait: str
    found: str
    hint: str


@dataclass(frozen=True, eq=False)
class Overview:
    """All that were asked for; `alike` is None below two traits."""

    model: ModelSpec
    settings: Mapping[str, Json]
    rows: tuple[TraitRow, ...]
    failures: tuple[Failure, ...]
    alike: Likeness | None
    candidates: tuple[Likeness, ...]
    """The same at every layer in which the best one was sought."""
    by_layer: tuple[Likeness, ...]
    notes: tuple[str, ...]
    """What must be known of all of them."""


def overview(
    stems: Mapping[str, Path],
    traits: Iterable[Trait],
    *,
    failures: Mapping[str, UserError],
    settings: Mapping[str, Json],
) -> Overview:
    """The finished traits at `stems`, by their names, beside those that failed.

    Raises ArtifactError where a file cannot be read, UserError where no trait was finished.
    """
    failed = tuple(Failure(name, str(error), error.hint) for name, error in failures.items())
    if not stems:
        first = failed[0]
        raise UserError(f"no trait was finished; {first.trait}: {first.found}", hint=first.hint)
    told = {name: read_json(_beside(stem, "_analysis.json")) for name, stem in stems.items()}
    shared = [note for note in next(iter(told.values()))["notes"] if all(note in one["notes"] for one in told.values())]
    rows = tuple(_row(told[trait.name], trait, stems[trait.name], shared) for trait in traits if trait.name in stems)
    one = told[rows[0].name]
    first, last = one["candidate_window"]["layers"]
    layers = sorted(int(key.removeprefix("layer_")) for key in one if key.startswith("layer_"))
    named = {row.name: read_vectors(_beside(stems[row.name], ENDING)) for row in rows} if len(rows) > 1 else {}
    by_layer = tuple(likeness(named, layer) for layer in layers) if named else ()
    return Overview(
        model=ModelSpec(**one["model"]),
        settings=settings,
        rows=rows,
        failures=failed,
        alike=next((found for found in by_layer if found.layer == one["summary"]["fixed_layer"]), None),
        candidates=tuple(found for found in by_layer if first <= found.layer <= last),
        by_layer=by_layer,
        notes=(*shared, *((_OWN_ENGINES,) if len({str(each["model"]) for each in told.values()}) > 1 else ())),
    )


def row_of(trait: Trait, stem: Path) -> TraitRow:
    """One finished trait. Raises ArtifactError where its analysis file cannot be read."""
    return _row(read_json(_beside(stem, "_analysis.json")), trait, stem, ())


_OWN_ENGINES = (
    "Each trait was read from an engine of its own, as the toy needs: cosines between their directions tell of the "
    "toy's planted one, and not of traits."
)


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}{ending}")


def _row(told: Json, trait: Trait, stem: Path, shared: Sequence[str]) -> TraitRow:
    summary, judged = told["summary"], told["verdict"]
    return TraitRow(
        name=trait.name,
        label=trait.label,
        poles=(trait.poles.low.adjective, trait.poles.high.adjective),
        layer=int(summary["chosen_layer"]),
        auc=_estimate(summary["nested_auc"]),
        p=_number(summary["p"]),
        evidence=judged["evidence"],
        line=judged["line"],
        paragraph=judged["paragraph"],
        cautions=(*judged["cautions"], *(note for note in told["notes"] if note not in shared)),
        steering=_steered(told["steering"]) if "steering" in told else None,
        stem=stem.name,
        sha256=sha256(_beside(stem, "_analysis.json")),
    )


def _steered(told: Json) -> SteeredRow:
    low, high = told["safe"]
    gaps_per_rho = told["costs"][-1]["strength"] / told["costs"][-1]["rho"]
    return SteeredRow(
        told["word"],
        int(told["layer"]),
        _estimate(told["trial"]["proof"]["slope"]),
        (float(low), float(high)),
        (low * gaps_per_rho, high * gaps_per_rho),
        tuple(told["failed"]),
    )


def _estimate(told: Json) -> Estimate:
    return Estimate(*(_number(told[end]) for end in ("value", "low", "high")))


def _number(told: float | None) -> float:
    """JSON has no NaN: what is missing there was not a number."""
    return float("nan") if told is None else float(told)


@dataclass(frozen=True)
class Pair:
    """Two traits: their cosine at the common layer, and the lowest and highest one among the candidate layers."""

    one: str
    other: str
    cosine: float
    lowest: float
    highest: float


def pairs_by_cosine(found: Overview) -> list[Pair]:
    """Every two traits, those furthest from right angles first; pairs without a cosine are left out."""
    if found.alike is None:
        return []
    names, at = found.alike.names, found.alike.cosines
    spread: Float64[np.ndarray, "layer trait trait"] = np.stack(
        [one.cosines for one in found.candidates or [found.alike]]
    )
    pairs = [
        Pair(names[i], names[j], float(at[i, j]), float(np.nanmin(spread[:, i, j])), float(np.nanmax(spread[:, i, j])))
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if np.isfinite(at[i, j])
    ]
    return sorted(pairs, key=lambda pair: -abs(pair.cosine))


def overview_as_json(found: Overview) -> Json:
    """All of it as plain JSON; cosines at every layer, in the order of `names`."""
    told = header(
        KIND,
        model=found.model,
        made_from={f"{row.stem}_analysis.json": row.sha256 for row in found.rows},
        settings=found.settings,
    )
    told["traits"] = {row.name: asdict(row) for row in found.rows}
    told["failed"] = {one.trait: {"found": one.found, "hint": one.hint} for one in found.failures}
    if found.alike is not None:
        told["likeness"] = {
            "layer": found.alike.layer,
            "why": "nearest to depth 0.6, fixed beforehand",
            "names": list(found.alike.names),
            "chance": found.alike.chance,
            "cosines": found.alike.cosines.tolist(),
            "cosines_by_layer": {str(one.layer): one.cosines.tolist() for one in found.by_layer},
        }
    return told | {"notes": list(found.notes)}
