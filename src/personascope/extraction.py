"""The main job: from a model and a contrast to vectors, their separation and the files that tell of them.

Layer k is the residual stream after decoder block k, from 0; directions point from low to high.
Knows the engine protocols, the numbers and the files; knows no engine and draws nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from personascope.activations import design_of
from personascope.artifacts import Json, header, sha256, write_json
from personascope.contrasts import Contrast
from personascope.crossed import crossed_folds
from personascope.directions import difference_of_means
from personascope.errors import ContrastError
from personascope.evidence import smallest_p
from personascope.gathering import Engine, Gathered, Progress, gather, without_empty
from personascope.models.protocols import ModelSpec, check_layers
from personascope.reading import check_design, separate
from personascope.separation import Separation
from personascope.traits import Trait, problems
from personascope.vectors import Vectors, unit, write_vectors
from personascope.verdict import verdict
from personascope.window import candidate_window


@dataclass(frozen=True)
class Extraction:
    """What came of it: the vectors, the table, the texts, and where they were written."""

    vectors: Vectors
    separation: Separation
    gathered: Gathered
    vectors_path: Path
    analysis_path: Path
    notes: tuple[str, ...]


def extract(
    engine: Engine,
    trait: Trait,
    contrast: Contrast,
    *,
    layers: Sequence[int],
    seed: int,
    stem: Path,
    progress: Progress,
) -> Extraction:
    """Vectors of a trait at `layers`, with their held-out separation; writes `<stem>_vectors.npz` and `_analysis.json`.

    Raises LayerError, ContrastError or ActivationError where there is nothing to be had.
    """
    spec = engine.spec
    check_layers(layers, spec.n_layers)
    check_contrast(contrast, seed)
    gathered, dropped = without_empty(
        gather(engine, contrast, layers=layers, seed=seed, stem=stem, progress=progress), contrast.position
    )
    notes = (*engine.notes, *contrast.notes, *_trait_notes(trait), *((dropped,) if dropped else ()))
    tick = progress("statistics", 1)
    separation = _separation(gathered, contrast, spec, seed)
    tick(1)
    vectors = _vectors(gathered, contrast, trait, separation, spec, seed)
    vectors_path = stem.with_name(f"{stem.name}_vectors.npz")
    analysis_path = stem.with_name(f"{stem.name}_analysis.json")
    write_vectors(vectors_path, vectors)
    write_json(analysis_path, _analysis(vectors, separation, sha256(vectors_path), notes))
    return Extraction(vectors, separation, gathered, vectors_path, analysis_path, notes)


def check_contrast(contrast: Contrast, seed: int) -> None:
    """Raise ContrastError, before anything is run, where nothing could be held out."""
    design = design_of(contrast.rows)
    one_sided = [pair for pair in np.unique(design.pair) if len(np.unique(design.high[design.pair == pair])) == 1]
    if one_sided:
        raise ContrastError(
            f"{len(one_sided)} instruction pairs of {contrast.source} have rows of one pole only",
            hint="a pair is a high and a low wording of one instruction; give both the same `pair`, or leave it out",
        )
    check_design(design, n_samples=len(contrast.rows), n_texts=len(contrast.rows))
    crossed_folds(design, seed=seed)


def _trait_notes(trait: Trait) -> tuple[str, ...]:
    broken = len(problems(trait))
    told = f"The trait breaks {broken} of the catalogue's rules; `personascope traits check` tells which."
    return (told,) if broken else ()


def _separation(gathered: Gathered, contrast: Contrast, spec: ModelSpec, seed: int) -> Separation:
    activations = gathered.activations
    texts = [row.chat.question if row.chat.raw else row.reply for row in gathered.rollouts]
    found = separate(
        activations.at(contrast.position),
        design_of(gathered.rollouts),
        layers=activations.layers,
        n_model_layers=spec.n_layers,
        texts=texts,
        seed=seed,
    )
    norms = _residual_norms(gathered, contrast)
    readings = tuple(
        replace(reading, relative_norm=reading.vector_magnitude / float(norm))
        for reading, norm in zip(found.readings, norms, strict=True)
    )
    return replace(found, readings=readings)


def _residual_norms(gathered: Gathered, contrast: Contrast) -> Float32[np.ndarray, " layer"]:
    """Mean norm of the residual of the tokens that were read, by layer."""
    residuals = gathered.activations.residuals
    if contrast.position == "prompt_last":
        return np.asarray(np.linalg.norm(residuals.prompt_last, axis=-1).mean(axis=0))
    return np.asarray(residuals.token_norm.mean(axis=0))


def _vectors(
    gathered: Gathered, contrast: Contrast, trait: Trait, separation: Separation, spec: ModelSpec, seed: int
) -> Vectors:
    pooled, high = gathered.activations.at(contrast.position), design_of(gathered.rollouts).high
    raw = difference_of_means(pooled, high).astype(np.float32)
    norms = _residual_norms(gathered, contrast)
    told = header(
        "persona vectors",
        model=spec,
        made_from={
            "rollouts": sha256(gathered.rollouts_path),
            "activations": sha256(gathered.activations_path),
            "trait": trait.digest,
        },
        settings={"contrast": contrast.source, "position": contrast.position, "seed": seed}
        | {"sampling": asdict(contrast.sampling) if contrast.sampling else None},
    )
    told |= {
        "trait": {"name": trait.name, "high": trait.poles.high.adjective, "low": trait.poles.low.adjective},
        "chosen_layer": separation.chosen_layer,
        "layers": {
            str(layer): {
                "residual_norm": float(norm),
                "vector_norm": float(np.linalg.norm(vector)),
                "projection_percentiles": _percentiles(pooled[:, at], vector),
            }
            for at, (layer, norm, vector) in enumerate(zip(gathered.activations.layers, norms, raw, strict=True))
        },
    }
    return Vectors(gathered.activations.layers, raw, told)


def _percentiles(
    pooled: Float32[np.ndarray, "sample width"], vector: Float32[np.ndarray, " width"]
) -> dict[str, float]:
    """Where the rows of both poles project on the unit direction, residual-stream units: thresholds for capping."""
    projections = pooled @ unit(vector)
    return {str(share): float(np.percentile(projections, share)) for share in (5, 25, 50, 75, 95)}


def _analysis(vectors: Vectors, separation: Separation, vectors_hash: str, notes: Sequence[str]) -> Json:
    """The original's keys by layer (`layer_<k>`: auc, separation, ...) with ours beside them, and the whole."""
    told = {key: vectors.metadata[key] for key in vectors.metadata if key not in ("kind", "layers", "made_from")}
    by_layer = {}
    for reading in separation.readings:
        fields = asdict(reading)
        auc, d = fields.pop("auc"), fields.pop("cohens_d")
        by_layer[f"layer_{reading.layer}"] = {
            "auc": auc["value"],
            "auc_interval": [auc["low"], auc["high"]],
            "cohens_d": d["value"],
            "cohens_d_interval": [d["low"], d["high"]],
            **fields,
        }
    whole = asdict(separation)
    del whole["readings"], whole["held_out_scores"]
    window = candidate_window(separation, vectors.metadata["model"]["n_layers"])
    return {
        "kind": "separation",
        **told,
        "made_from": {**vectors.metadata["made_from"], "vectors": vectors_hash},
        "verdict": asdict(verdict(separation)),
        "smallest_p": smallest_p(separation),
        "candidate_window": {
            "depths": window.depths,
            "layers": window.layers,
            "chosen_at_edge": window.chosen_at_edge,
        },
        "summary": whole,
        "notes": list(notes),
        **by_layer,
    }
