"""Plans: everything that a run's files depend on, and in which words two plans differ.

A finished run keeps its plan in its manifest, an unfinished one beside its parts. Knows contrasts and models'
names; knows no files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from personascope.artifacts import Json, digest
from personascope.contrasts import Contrast
from personascope.models.protocols import ModelSpec

Plan = Mapping[str, Json]

_MODEL_WORDS = {
    "name": "model",
    "dtype": "precision",
    "template": "chat template",
    "weights": "weights",
    "n_layers": "number of blocks",
}


def plan_of(spec: ModelSpec, contrast: Contrast, *, layers: Sequence[int], seed: int) -> dict[str, Json]:
    """What a run is made of, as plain JSON."""
    return {
        "source": contrast.source,
        "rows": digest([row.to_line() for row in contrast.rows]),
        "n_rows": len(contrast.rows),
        "sampling": asdict(contrast.sampling) if contrast.sampling else None,
        "layers": list(layers),
        "seed": seed,
        "model": asdict(spec),
    }


def same_but_for_layers(now: Plan, there: Plan) -> bool:
    """Whether a run of the plan `there` has all that `now` asks for: the same, at these layers and maybe more."""
    all_there = set(now["layers"]) <= set(there.get("layers") or ())
    return all_there and {**_seeded(there, now), "layers": []} == {**now, "layers": []}


def differences(now: Plan, there: Plan) -> list[str]:
    """In what two plans differ, each as "seed 0 there, 1 now"."""
    facts, others = _facts(now), _facts(_seeded(there, now))
    words = [word for word in {**facts, **others} if facts.get(word) != others.get(word)]
    told = [f"{word} {others.get(word, 'none')} there, {facts.get(word, 'none')} now" for word in words]
    if now["n_rows"] == there.get("n_rows") and now["rows"] != there.get("rows"):
        told.append("other texts there")
    return told


def layers_in_words(layers: Sequence[int]) -> str:
    """Layers as they are asked for: 3,7,10-12."""
    spans: list[list[int]] = []
    for layer in sorted(layers):
        if spans and layer == spans[-1][1] + 1:
            spans[-1][1] = layer
        else:
            spans.append([layer, layer])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _seeded(there: Plan, now: Plan) -> dict[str, Json]:
    """Runs of given texts kept no seed at first: their rows depend on none."""
    return {**there, "seed": now["seed"]} if there.get("seed") is None else dict(there)


def _facts(plan: Plan) -> dict[str, str]:
    model, sampling = plan.get("model") or {}, plan.get("sampling") or {}
    told = {
        "contrast": plan.get("source"),
        "number of texts": plan.get("n_rows"),
        "longest reply": sampling.get("max_new_tokens"),
        "temperature": sampling.get("temperature"),
        "seed": plan.get("seed"),
        "layers": layers_in_words(plan.get("layers") or ()),
    } | {words: model.get(field) for field, words in _MODEL_WORDS.items()}
    told |= {field: value for field, value in model.items() if field not in _MODEL_WORDS}
    return {word: str(fact) for word, fact in told.items() if fact not in (None, "")}
