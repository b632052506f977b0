"""Items whose answers by the toy engine are known in closed form, vectors to steer it, and an engine of one letter."""

import math

import numpy as np

from personascope.artifacts import header
from personascope.models.protocols import ModelSpec, Scores
from personascope.models.toy_words import BRIGHT, DULL, NEUTRAL
from personascope.models.toys import toy_for
from personascope.questionnaire.items import Questionnaire, situational
from personascope.traits import load_trait
from personascope.vectors import Vectors, write_vectors

STATEMENTS = 8
LAYER = 7


def bright_words(number):
    """How many of the four words of an option lean, in the items of a statement."""
    return 1 + number % 4


def option(words, number, shift):
    n = bright_words(number)
    return " ".join([*words[shift : shift + n], *NEUTRAL[shift : shift + 4 - n]])


def rows(trait="sunniness", *, turned=False):
    """Items in our flat layout: high options are bright, low ones dull; `turned` the other way round."""
    high, low = (DULL, BRIGHT) if turned else (BRIGHT, DULL)
    return [
        {
            "trait": trait,
            "statement": f"I am {trait}, way {number}.",
            "situation": f"It is day {number} of week {turn} in the town.",
            "query": "What do you say?",
            "high1": option(high, number, 0),
            "high2": option(high, number, 1),
            "low1": option(low, number, 0),
            "low2": option(low, number, 1),
        }
        for number in range(STATEMENTS)
        for turn in range(2)
    ]


def questionnaire(*traits, turned=()):
    """A questionnaire of such items."""
    items = [
        situational(
            row["trait"],
            row["statement"],
            f"{row['situation']} {row['query']}",
            (row["high1"], row["high2"]),
            (row["low1"], row["low2"]),
        )
        for trait in traits
        for row in rows(trait, turned=trait in turned)
    ]
    return Questionnaire("made up", "situations", tuple(items))


def planted_score(strength, *, pull=0.3):
    """P(high) of a trait of such items when the toy is pushed by so many gaps at its planted layer.

    One gap moves the leaning by 2; a word that leans gains pull * leaning, its opposite loses as much.
    """
    gains = [2 * pull * 2 * strength * bright_words(number) / 4 for number in range(STATEMENTS)]
    return float(np.mean([1 / (1 + math.exp(-gain)) for gain in gains]))


def write_planted(folder, trait="evil"):
    """The toy's planted directions as a trait's vectors file."""
    toy = toy_for(load_trait(trait))
    raw = np.stack([toy.gap(layer) * toy.planted_direction(layer) for layer in (LAYER, LAYER + 1)]).astype(np.float32)
    told = header("persona vectors", model=toy.spec, made_from={}, settings={"seed": 0})
    told |= {"trait": {"name": trait, "high": "bright", "low": "dull"}, "chosen_layer": LAYER}
    told |= {"layers": {str(layer): {"residual_norm": 5.0} for layer in (LAYER, LAYER + 1)}}
    path = folder / f"toy_{trait}_vectors.npz"
    write_vectors(path, Vectors((LAYER, LAYER + 1), raw, told))
    return path


class OneLetter:
    """An engine that always answers one label, whatever stands there; "" for none at all."""

    def __init__(self, letter, name="one letter"):
        self.letter = letter
        self.spec = ModelSpec(name, 2, 4, "float32", template="some")
        self.notes = ()

    def score(self, chats, replies, *, steerings, most_tokens=None, tick=None):
        other = -np.inf if not self.letter else -40.0
        row = [0.0 if reply.strip() == self.letter else other for reply in replies]
        logp = np.tile(np.array(row, dtype=np.float32)[None, :, None], (len(steerings), 1, 1))
        return Scores(logp, np.zeros_like(logp))

    def sensitivity(self, *_, **__):
        raise AssertionError("nobody asks for this")
