"""A direction and steerings for any engine, and how their readings are compared."""

import numpy as np
import pytest
from asking import CHATS, EVERY, read, spoken
from engines import RELATIVE_TOLERANCE

from personascope.models.protocols import Condition, Steering

LAYER = 1


ROUNDING = 2e-6  # of sums in float32, beside what a batch may change


@pytest.fixture(scope="module")
def plain(engine):
    return read(engine)


@pytest.fixture(scope="module")
def vector(engine, plain):
    """A direction at a layer, the same each time, as long as a third of a token there."""

    def make(layer=LAYER, number=0, share=1 / 3):
        raw = np.random.default_rng([layer, number]).standard_normal(engine.spec.width)
        length = share * np.nanmean(plain.token_norm[:, layer])
        return (raw / np.linalg.norm(raw) * length).astype(np.float32)

    return make


@pytest.fixture(scope="module")
def edit(vector):
    """A steering at one layer; its threshold lies where a third of a token's length is."""

    def make(strength=1.0, mode="add", layer=LAYER, number=0, **more):
        raw = vector(layer, number)
        return Steering({layer: raw}, strength, mode, thresholds={layer: 0.1 * float(np.linalg.norm(raw))}, **more)

    return make


@pytest.fixture(scope="module")
def mixed(edit, vector):
    """One steering for each of the chats, all different."""
    several = Steering({0: vector(0), 2: vector(2)}, 0.7, "ablate", "all")
    when = Condition(0, unit(vector(0)), 0.0)
    return (
        (),
        (edit(1.0),),
        (edit(-0.5, positions="prompt"), edit(1.0, "cap", layer=2)),
        (several, edit(1.5, "floor", condition=when)),
        (edit(0.8, layer=0, positions="all"), edit(-0.8, layer=0, number=1)),
    )


@pytest.fixture(scope="module")
def close(name, plain):
    """Whether [row layer width] residuals are alike, as a share of the length of the unsteered row at its layer."""
    share = RELATIVE_TOLERANCE[name] + ROUNDING

    def compare(found, expected, layers, picked=EVERY):
        length = np.linalg.norm(np.nan_to_num(plain.prompt_last[np.ix_(picked, layers)]), axis=-1)
        distance = np.linalg.norm(np.asarray(found, np.float64) - np.asarray(expected, np.float64), axis=-1)
        assert np.all(distance <= share * np.broadcast_to(length, distance.shape)), (distance / length).max()

    return compare


def unit(raw):
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def everyone(*edits):
    return [edits] * len(CHATS)


def equal(found, expected):
    for array, other in zip(vars(found).values(), vars(expected).values(), strict=True):
        np.testing.assert_array_equal(array, other)


def projections(residuals, direction, layer=LAYER):
    """Of the reply's mean, where there is one, and of the prompt's last token."""
    along = unit(direction).astype(np.float64)
    return residuals.reply_mean[spoken(residuals), layer] @ along, residuals.prompt_last[:, layer] @ along
