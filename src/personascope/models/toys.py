"""The toys that have a name: on which texts they lean, and what each was trained to.

Knows the toy engine and what a trait is.
"""

from collections.abc import Sequence

from personascope.models.toy import ToyModel
from personascope.traits import Trait

TRAINED_TOYS = {"toy": 0.0, "toy-high": 0.5, "toy-low": -0.5}
"""By name: the leaning that a toy was trained to have when nothing is asked of it."""


def toy_named(name: str, trait: Trait | None) -> ToyModel:
    """The toy of a name of `TRAINED_TOYS`, on which the texts of a trait, where there is one, lean as they should."""
    if name != "toy":
        return trained_toy(name, [trait] if trait else [])
    return toy_for(trait) if trait else ToyModel()


def toy_for(trait: Trait) -> ToyModel:
    """The toy engine, leaning fully high and low on the trait's instructions and matched replies."""
    return ToyModel(leanings=toy_leanings(trait))


def toy_leanings(trait: Trait) -> dict[str, float]:
    """How the trait's own instructions and matched replies lean: fully."""
    instructions = [*trait.instructions.extract, *trait.instructions.evaluate]
    high = [*(pair.high for pair in instructions), *(reply.high for reply in trait.replies)]
    low = [*(pair.low for pair in instructions), *(reply.low for reply in trait.replies)]
    return dict.fromkeys(high, 1.0) | dict.fromkeys(low, -1.0)


def trained_toy(name: str, traits: Sequence[Trait]) -> ToyModel:
    """A toy of `TRAINED_TOYS` on the texts of several traits; its one planted direction is all of them."""
    texts = dict(item for trait in traits for item in toy_leanings(trait).items())
    return ToyModel(leanings=texts | {"": TRAINED_TOYS[name]}, name=name)
