"""An engine that answers the same twice from memory: what is the same, and what is run all the same."""

import numpy as np
import pytest

from personascope.models.answered_once import AnsweredOnce
from personascope.models.protocols import Chat, Engine, Sampling, Steering
from personascope.models.toy import ToyModel

CHATS = (Chat("What is rain?"), Chat("Name a river."))
ASKED = Sampling(6)


@pytest.fixture
def toy():
    return ToyModel()


def test_it_is_an_engine_of_the_same_model(toy):
    once = AnsweredOnce(toy)
    assert isinstance(once, Engine) and once.spec == toy.spec and once.notes == toy.notes


def test_the_same_question_is_run_once_and_answered_alike_with_its_ticks(toy):
    once, ticks = AnsweredOnce(toy), []
    first = once.generate(CHATS, ASKED, seeds=[1, 2])
    run = toy.n_forwards
    again = once.generate(list(CHATS), Sampling(6), seeds=range(1, 3), tick=ticks.append)
    assert again == first == ToyModel().generate(CHATS, ASKED, seeds=[1, 2])
    assert toy.n_forwards == run > 0 and sum(ticks) == len(CHATS)


@pytest.mark.parametrize(
    "other",
    [
        {"seeds": [1, 3]},
        {"seeds": [1, 2], "layers": [0]},
        {"seeds": [1, 2], "steering": [(Steering({6: np.ones(64, np.float32)}),)] * 2},
        {"seeds": [1, 2], "listen": lambda _row, _text: None},
    ],
    ids=["seeds", "read", "steered", "heard"],
)
def test_what_is_asked_in_another_way_is_run(toy, other):
    once = AnsweredOnce(toy)
    once.generate(CHATS, ASKED, seeds=[1, 2])
    run = toy.n_forwards
    assert once.generate(CHATS, ASKED, **other).replies == ToyModel().generate(CHATS, ASKED, **other).replies
    assert toy.n_forwards > run


def test_what_is_read_and_scored_is_the_engines(toy):
    once, replies = AnsweredOnce(toy), ["a b", "c"]
    np.testing.assert_array_equal(
        once.residuals(CHATS, replies, layers=[3]).reply_mean, toy.residuals(CHATS, replies, layers=[3]).reply_mean
    )
    np.testing.assert_array_equal(
        once.score(CHATS, replies, steerings=[()]).logp, toy.score(CHATS, replies, steerings=[()]).logp
    )
    weights = np.array([1.0, -1.0], dtype=np.float32)
    np.testing.assert_array_equal(
        once.sensitivity(CHATS, replies, weights=weights, layers=[3]),
        toy.sensitivity(CHATS, replies, weights=weights, layers=[3]),
    )
