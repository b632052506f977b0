"""What an edit does to the stream, in every engine: where it lands, how far it goes, and how edits meet."""

from dataclasses import replace

import numpy as np
import pytest
from asking import all_layers, read, spoken
from engines import RELATIVE_TOLERANCE, streams_into
from steered_rows import LAYER, ROUNDING, everyone, projections, unit

from personascope.models.protocols import Condition, Steering
from personascope.steering import MODES, POSITIONS


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
