"""The model card of a baked checkpoint, and the same for programs: what was baked, how far it is safe, how it agrees.

Knows what was done; touches no model.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import personascope
from personascope.artifacts import CONVENTION, Json, digest, header
from personascope.models.baked_checkpoint import Baked
from personascope.models.protocols import ModelSpec
from personascope.wording import rho_range, signed

RECORD = "personascope_baked.json"
CARD = "README.md"
KIND = "baked model"


@dataclass(frozen=True)
class Push:
    """What is added at one layer: in persona gaps, and as a signed share of a token's mean residual norm (rho)."""

    layer: int
    strength: float
    rho: float


@dataclass(frozen=True)
class Ingredient:
    """One vectors file that was baked: its trait, its hash, where it pushes, and its safe doses, if known.

    `safe` are the lowest and highest safe rho at `safe_layer`, measured with the vector added at replies;
    `gaps_per_rho` is how many persona gaps rho 1 is there.
    """

    trait: str
    file: str
    sha256: str
    pushes: tuple[Push, ...]
    safe_layer: int
    safe: tuple[float, float] | None
    gaps_per_rho: float

    @property
    def cautions(self) -> tuple[str, ...]:
        """What is not known about the dose, or speaks against it."""
        elsewhere = [push.layer for push in self.pushes] != [self.safe_layer]
        if self.safe is None or elsewhere:
            why = f"it was measured at layer {self.safe_layer} alone" if self.safe else "it was not measured"
            return (f"No safe range of {self.trait} is known for this: {why} (steer --calibrate measures it).",)
        low, high = self.safe
        told = rho_range(self.safe, self.gaps_per_rho)
        if not low <= self.pushes[0].rho <= high:
            return (f"The dose of {self.trait} is outside its safe range, {told}: text may break.",)
        return (f"The safe range of {self.trait}, {told}, is of replies; baked, the vector acts on prompts too.",)


def record(
    baked: Baked, base: ModelSpec, ingredients: Sequence[Ingredient], cautions: Sequence[str]
) -> dict[str, Json]:
    """Everything about a baked checkpoint, with the header of all artifacts of personascope."""
    told = header(
        KIND,
        model=baked.spec,
        made_from={one.file: one.sha256 for one in ingredients},
        settings={"mode": "add", "positions": "all"},
    )
    return told | {
        "model_digest": digest(asdict(baked.spec)),
        "base": asdict(base),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "architecture": baked.architecture,
        "dtype": baked.dtype,
        "baked": [asdict(one) for one in ingredients],
        "bias_rounding": baked.rounding,
        "agreement": asdict(baked.agreement),
        "cautions": list(cautions),
    }


def card(baked: Baked, base: ModelSpec, ingredients: Sequence[Ingredient], cautions: Sequence[str]) -> str:
    """The README.md of the folder, with the fields that the Hub reads."""
    rows = [
        f"| {one.trait} | {push.layer} | {signed(push.strength)} | {signed(push.rho)} | {_safe(one)} "
        f"| `{one.file}` | `{one.sha256[:12]}` |"
        for one in ingredients
        for push in one.pushes
    ]
    traits = " and ".join(one.trait for one in ingredients)
    parts = [
        f"---\nbase_model: {base.name}\nlibrary_name: transformers\npipeline_tag: text-generation\n"
        "tags: [persona-vector, steering, personascope]\n---",
        f"# {base.name}, steered: {traits}",
        f"A copy of {base.name} in which persona vectors are biases of the MLPs: it is steered at this one dose, at "
        "every token of prompts and replies, by any program that loads it. Nothing else of the weights was changed.",
        "| trait | layer | strength (persona gaps) | rho | safe range | vectors file | sha256 |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows),
        f"Convention: {CONVENTION}. rho is the dose as a share of a token's mean residual norm.",
        "\n".join(f"- {one}" for one in cautions),
        "## Proof\n\n" + agreement_told(baked),
        f"Made by personascope {personascope.__version__} on {datetime.now(UTC):%Y-%m-%d}; base weights "
        f"{base.weights}, these weights {baked.spec.weights}. All of it for programs: `{RECORD}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def agreement_told(baked: Baked) -> str:
    """How the checkpoint agrees with the hook, in whole sentences."""
    found = baked.agreement
    rounding = (
        f" Kept in {baked.dtype}, the biases are off by up to {baked.rounding:.1e} of their largest number, "
        f"which moves logits by up to {found.rounding:.1e}."
    )
    return (
        f"Opened again and run in float32, it says what the base says with a hook adding the same: "
        f"{found.n_same_replies} of {found.n_prompts} greedy replies and {found.n_same_tokens} of {found.n_tokens} "
        f"next tokens are the same, and no logit differs by more than {found.logit_gap:.1e} "
        f"(the vector moves them by up to {found.effect:.2g})."
    ) + (rounding if baked.rounding else "")


def _safe(one: Ingredient) -> str:
    return f"layer {one.safe_layer}: {rho_range(one.safe, one.gaps_per_rho)}" if one.safe else "not measured"
