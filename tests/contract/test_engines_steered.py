"""The laws of steering that every engine keeps: none is none, rows are alone, what cannot be placed is refused."""

from dataclasses import replace

import numpy as np
import pytest
from asking import CHATS, GREEDY, ORDERS, SAMPLED, all_layers, generate, read, rows, score
from engines import hooks_on
from steered_rows import LAYER, equal, everyone, unit

from personascope.errors import LayerError, SteeringError
from personascope.models.protocols import Chat, Condition, Sampling, Steering
from personascope.steering import MODES, POSITIONS


@pytest.mark.parametrize("positions", [None, *POSITIONS])
@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_no_strength_is_no_steering_bit_for_bit(engine, edit, plain, positions, sampling):
    steering = everyone() if positions is None else [(), *((edit(0.0, mode, positions=positions),) for mode in MODES)]
    equal(read(engine, steering=steering), plain)
    bare = generate(engine, sampling=sampling, layers=all_layers(engine))
    found = generate(engine, sampling=sampling, layers=all_layers(engine), steering=steering)
    assert found.replies == bare.replies
    equal(found.residuals, bare.residuals)
    assert generate(engine, sampling=sampling, steering=steering).replies == bare.replies


@pytest.mark.parametrize("positions", POSITIONS)
def test_no_strength_leaves_scores_bit_for_bit(engine, edit, positions):
    bare = score(engine, [()])
    found = score(engine, [(edit(0.0, mode, positions=positions),) for mode in MODES])
    for logp, kl in zip(found.logp, found.kl, strict=True):
        np.testing.assert_array_equal(logp, bare.logp[0])
        np.testing.assert_array_equal(kl, bare.kl[0])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_rows_of_one_batch_are_steered_as_if_alone(engine, same, mixed, order, sampling):
    asked = {"sampling": sampling, "layers": all_layers(engine)}
    together = generate(engine, steering=mixed, **asked)
    reading = read(engine, steering=mixed)
    for picked in ORDERS[order]:
        theirs = [mixed[i] for i in picked]
        apart = generate(engine, picked, steering=theirs, **asked)
        assert apart.replies == tuple(together.replies[i] for i in picked)
        same(apart.residuals, rows(together.residuals, picked))
        same(read(engine, picked, steering=theirs), rows(reading, picked))


def test_many_strengths_of_one_chat_are_separate_runs(engine, same, edit):
    strengths = (-1.0, -0.3, 0.0, 0.4, 1.2)
    steering = [(edit(strength),) for strength in strengths]
    together = engine.generate([CHATS[2]] * 5, SAMPLED, seeds=[7] * 5, layers=all_layers(engine), steering=steering)
    for i, steered in enumerate(steering):
        alone = engine.generate([CHATS[2]], SAMPLED, seeds=[7], layers=all_layers(engine), steering=[steered])
        assert alone.replies == together.replies[i : i + 1]
        same(alone.residuals, rows(together.residuals, [i]))
    assert engine.generate([CHATS[2]], SAMPLED, seeds=[7]).replies == together.replies[2:3]


@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_capture_while_generating_is_the_steered_reading_of_the_reply(engine, same, mixed, sampling):
    made = generate(engine, sampling=sampling, layers=all_layers(engine), steering=mixed)
    assert made.replies == generate(engine, sampling=sampling, steering=mixed).replies
    texts = [reply.text for reply in made.replies]
    same(made.residuals, engine.residuals(CHATS, texts, layers=all_layers(engine), steering=mixed))


def forced(steering, **fields):
    """The same steering with fields that its types forbid, as a caller who checks no types would give them."""
    made = replace(steering)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def bad_steerings(engine, vector):
    good, deep = vector(), engine.spec.n_layers
    when = Condition(2, unit(good), 0.0)
    return {
        "one layer too deep": (LayerError, Steering({0: good, deep: good})),
        "negative layer": (LayerError, Steering({-1: good})),
        "no layer": (SteeringError, Steering({})),
        "strength not a number": (SteeringError, Steering({LAYER: good}, float("nan"))),
        "strength without end": (SteeringError, Steering({LAYER: good}, float("inf"))),
        "too narrow": (SteeringError, Steering({LAYER: good[:-1]})),
        "two vectors": (SteeringError, forced(Steering({LAYER: good}), directions={LAYER: np.stack([good, good])})),
        "zero": (SteeringError, Steering({LAYER: 0 * good})),
        "not finite": (SteeringError, Steering({LAYER: np.full_like(good, np.nan)})),
        "unknown mode": (SteeringError, forced(Steering({LAYER: good}), mode="push")),
        "unknown positions": (SteeringError, forced(Steering({LAYER: good}), positions="answer")),
        "no threshold": (SteeringError, Steering({LAYER: good}, 1.0, "cap", thresholds={0: 1.0})),
        "condition after the edit": (SteeringError, Steering({LAYER: good}, condition=when)),
        "condition at no layer": (LayerError, Steering({LAYER: good}, condition=replace(when, layer=deep))),
        "condition not a number": (
            SteeringError,
            Steering({LAYER: good}, condition=replace(when, layer=0, above=float("nan"))),
        ),
        "condition too narrow": (
            SteeringError,
            Steering({LAYER: good}, condition=replace(when, layer=0, direction=good[:-1])),
        ),
    }


def test_a_steering_that_cannot_be_placed_is_refused_and_leaves_no_trace(engine, vector, plain):
    hooks = hooks_on(engine)
    for kind, bad in bad_steerings(engine, vector).values():
        steering = [(), (), (), (), (bad,)]
        with pytest.raises(kind) as refused:
            read(engine, steering=steering)
        assert refused.value.hint
        with pytest.raises(kind):
            generate(engine, steering=steering)
        with pytest.raises(kind):
            score(engine, steering)
    assert hooks_on(engine) == hooks
    equal(read(engine), plain)


def test_no_hook_is_left_after_steering(engine, mixed):
    hooks = hooks_on(engine)
    read(engine, steering=mixed), generate(engine, steering=mixed, layers=[0]), score(engine, mixed)
    assert hooks_on(engine) == hooks


def test_a_steering_too_few_or_too_many_is_refused(engine, mixed):
    for steering in (mixed[:-1], [*mixed, ()], []):
        with pytest.raises(SteeringError):
            generate(engine, steering=steering)
        with pytest.raises(SteeringError):
            read(engine, steering=steering)


def test_the_same_seed_has_the_same_noise_at_every_strength(engine, edit):
    tiny = [(edit(strength),) for strength in (-1e-8, 0.0, 1e-8)]  # far too weak to move a word, were the noise alike
    for chat, seed in zip(CHATS, (21, 22, 23, 24, 25), strict=True):
        replies = engine.generate([chat] * 4, SAMPLED, seeds=[seed] * 4, steering=[(), *tiny]).replies
        assert len(set(replies)) == 1


def test_ticks_sum_to_the_rows_also_when_steered(engine, mixed):
    for ask in (generate, read):
        ticks = []
        ask(engine, steering=mixed, tick=ticks.append)
        assert sum(ticks) == pytest.approx(len(CHATS))


def test_no_chats_need_no_steering(engine):
    assert engine.generate([], SAMPLED, seeds=[], steering=[]).replies == ()
    assert engine.residuals([], [], layers=[0], steering=[]).n_tokens.shape == (0,)


def test_an_edit_may_change_what_is_said(engine, vector):
    replies = set()
    for strength in (-6.0, 0.0, 6.0):
        last = engine.spec.n_layers - 1
        steering = everyone(Steering({last: vector(last)}, strength, positions="all"))
        replies.add(tuple(reply.text for reply in generate(engine, sampling=GREEDY, steering=steering).replies))
    assert len(replies) == 3


def test_what_is_likeliest_when_steered_is_what_is_said_when_steered(engine, vector):
    chat, last = Chat("Tell me about the road."), engine.spec.n_layers - 1
    steerings = [(), *[(Steering({last: vector(last, number)}, 4.0),) for number in range(4)]]
    said = engine.generate([chat] * 5, Sampling(1, 0.0), seeds=range(5), steering=steerings).replies
    texts = [reply.text for reply in said]
    found = engine.score([chat] * 5, texts, steerings=steerings).logp[:, :, 0]
    for own, text in enumerate(texts):
        if text:
            assert found[own, own] >= np.nanmax(found[own]) - 1e-5
