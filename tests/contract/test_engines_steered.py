"""The laws of steering that every engine keeps, whatever it computes."""

from dataclasses import replace

import numpy as np
import pytest
from asking import CHATS, EVERY, GREEDY, ORDERS, SAMPLED, all_layers, generate, read, rows, score, spoken
from engines import RELATIVE_TOLERANCE, hooks_on, streams_into

from personascope.errors import LayerError, SteeringError
from personascope.models.protocols import Chat, Condition, Sampling, Steering
from personascope.steering import MODES, POSITIONS

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


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("layer", [0, LAYER, -1], ids=["first", "inner", "last"])
def test_an_edit_moves_its_layer_by_exactly_the_vector_and_none_before(
    engine, plain, edit, close, vector, layer, positions
):
    layer %= engine.spec.n_layers
    found = read(engine, steering=everyone(edit(0.7, layer=layer, positions=positions)))
    push = 0.7 * vector(layer)
    has = spoken(plain)
    picked = np.flatnonzero(has)
    before = list(range(layer))
    close(found.prompt_last[:, before], plain.prompt_last[:, before], before)
    close(found.prompt_last[:, [layer]], plain.prompt_last[:, [layer]] + push, [layer])
    close(found.reply_mean[has][:, before], plain.reply_mean[has][:, before], before, picked)
    in_reply = push if positions != "prompt" else 0.0
    close(found.reply_mean[has][:, [layer]], plain.reply_mean[has][:, [layer]] + in_reply, [layer], picked)


def test_an_edit_reaches_later_layers(engine, plain, edit):
    found = read(engine, steering=everyone(edit(1.0, layer=0)))
    assert np.all(np.linalg.norm(found.prompt_last - plain.prompt_last, axis=-1) > 0)


@pytest.mark.parametrize(("positions", "untouched"), [("reply", "prompt"), ("prompt", "reply"), ("all", "none")])
def test_tokens_outside_the_positions_stay_as_they_were(engine, edit, vector, positions, untouched):
    def streams(steered):
        return streams_into(engine, LAYER + 1, lambda: read(engine, [0], layers=[LAYER + 1], steering=[steered]))

    if streams(()) is None:
        pytest.skip("this engine shows no stream of single tokens")
    pushed, plain = streams((edit(1.0, positions=positions),)), streams(())
    moved = np.concatenate(pushed, axis=1)[0] - np.concatenate(plain, axis=1)[0]
    n_reply = int(read(engine, [0], layers=[0]).n_tokens[0])
    in_reply = np.arange(len(moved)) >= len(moved) - n_reply - (untouched == "prompt")
    outside = {"prompt": ~in_reply, "reply": in_reply, "none": in_reply & ~in_reply}[untouched]
    assert np.all(moved[outside] == 0)
    length = np.linalg.norm(moved[~outside], axis=-1)
    np.testing.assert_allclose(length, np.linalg.norm(vector()), rtol=1e-4)


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_ablation_takes_its_share_of_the_projection(engine, plain, edit, vector, strength, name):
    found = read(engine, steering=everyone(edit(strength, "ablate", positions="all")))
    near = (RELATIVE_TOLERANCE[name] + ROUNDING) * np.nanmax(plain.token_norm[:, LAYER])
    for ours, theirs in zip(projections(found, vector()), projections(plain, vector()), strict=True):
        np.testing.assert_allclose(ours, (1 - strength) * theirs, atol=near)


def test_a_cap_is_never_passed_and_a_floor_never_left(engine, plain, edit, vector, name):
    near = (RELATIVE_TOLERANCE[name] + ROUNDING) * np.nanmax(plain.token_norm[:, LAYER])
    middle = float(np.median(projections(plain, vector())[1]))
    for mode, sign in (("cap", 1), ("floor", -1)):
        steered = replace(edit(1.0, mode, positions="all"), thresholds={LAYER: middle})
        found = read(engine, steering=everyone(steered))
        of_reply, of_prompt = projections(found, vector())
        assert np.all(sign * of_reply <= sign * middle + near)
        held = sign * np.minimum(sign * projections(plain, vector())[1], sign * middle)
        np.testing.assert_allclose(of_prompt, held, atol=near)
        assert np.linalg.norm(np.nan_to_num(found.reply_mean - plain.reply_mean)[:, LAYER], axis=-1).any()


def test_a_cap_out_of_reach_changes_nothing(engine, plain, edit, same):
    far = 1e3 * float(np.nanmax(plain.token_norm))
    for mode, reach in (("cap", far), ("floor", -far)):
        same(read(engine, steering=everyone(replace(edit(1.0, mode), thresholds={LAYER: reach}))), plain)


def test_a_floor_is_the_cap_of_the_opposite_direction(engine, edit, vector, same):
    floor = edit(0.6, "floor")
    cap = Steering({LAYER: -vector()}, 0.6, "cap", thresholds={LAYER: -floor.thresholds[LAYER]})
    same(read(engine, steering=everyone(floor)), read(engine, steering=everyone(cap)))


@pytest.mark.parametrize("positions", POSITIONS)
def test_edits_add_up(engine, edit, vector, close, positions):
    both = Steering({LAYER: vector() + vector(number=1)}, 0.5, positions=positions)
    twice = Steering({LAYER: 0.25 * (vector() + vector(number=1))}, 2.0, positions=positions)
    apart = [edit(0.5, number=number, positions=positions) for number in (0, 1)]
    expected = read(engine, steering=everyone(both))
    has = np.flatnonzero(spoken(expected))
    for steering in (apart, apart[::-1], [twice]):
        found = read(engine, steering=everyone(*steering))
        close(found.prompt_last, expected.prompt_last, list(all_layers(engine)))
        close(found.reply_mean[has], expected.reply_mean[has], list(all_layers(engine)), has)


def test_several_layers_of_one_steering_are_several_steerings_of_one_layer(engine, edit, vector, same):
    for mode in ("add", "ablate"):
        together = Steering({2: vector(2), 0: vector(0)}, 0.5, mode)
        apart = (edit(0.5, mode, layer=2), edit(0.5, mode, layer=0))
        same(read(engine, steering=everyone(together)), read(engine, steering=everyone(*apart)))


def test_edits_of_one_layer_act_in_the_order_given(engine, edit, vector, name, plain):
    add, ablate = edit(1.0), edit(1.0, "ablate")
    near = (RELATIVE_TOLERANCE[name] + ROUNDING) * np.nanmax(plain.token_norm[:, LAYER])
    for steering, expected in (((add, ablate), 0.0), ((ablate, add), np.linalg.norm(vector()))):
        found = read(engine, steering=everyone(*steering))
        for along in projections(found, vector()):
            np.testing.assert_allclose(along, expected, atol=near)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("read_at", [0, LAYER])
def test_a_condition_never_met_is_no_steering_and_one_always_met_is_no_condition(
    engine, plain, edit, vector, same, mode, read_at
):
    never, always = (Condition(read_at, unit(vector(read_at)), above) for above in (np.inf, -np.inf))
    same(read(engine, steering=everyone(edit(0.9, mode, condition=never))), plain)
    whenever = read(engine, steering=everyone(edit(0.9, mode)))
    same(read(engine, steering=everyone(edit(0.9, mode, condition=always))), whenever)


@pytest.mark.parametrize("read_at", [0, LAYER])
def test_a_condition_steers_the_tokens_that_meet_it(engine, plain, edit, vector, close, read_at):
    along = projections(plain, vector(read_at), read_at)[1]
    above = float(np.sort(along)[2:4].mean())
    found = read(engine, steering=everyone(edit(1.0, condition=Condition(read_at, unit(vector(read_at)), above))))
    expected = plain.prompt_last[:, [LAYER]] + (along > above)[:, None, None] * vector()
    close(found.prompt_last[:, [LAYER]], expected, [LAYER])


def test_a_condition_looks_at_the_stream_before_the_edits_of_its_layer(engine, plain, edit, vector, close):
    push = edit(1.0)
    middle = float(np.sort(projections(plain, vector())[1])[2:4].mean())
    gated = edit(1.0, number=1, condition=Condition(LAYER, unit(vector()), middle))
    met = projections(plain, vector())[1] > middle
    found = read(engine, steering=everyone(push, gated))
    expected = plain.prompt_last[:, [LAYER]] + vector() + met[:, None, None] * vector(number=1)
    close(found.prompt_last[:, [LAYER]], expected, [LAYER])


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
