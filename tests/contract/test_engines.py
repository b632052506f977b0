"""The laws that every engine keeps, whatever it computes."""

import numpy as np
import pytest
from asking import CHATS, GREEDY, ORDERS, REPLIES, SAMPLED, SEEDS, all_layers, at, generate, read, rows
from engines import ENGINES

from personascope.errors import LayerError
from personascope.models.protocols import Residuals, Sampling


def test_spec_says_which_model_it_is(engine):
    spec = engine.spec
    assert spec.name and spec.n_layers >= 3 and spec.width >= 1
    assert np.issubdtype(np.dtype(spec.dtype), np.floating)
    assert engine.spec == spec


@pytest.mark.parametrize("order", ORDERS)
def test_replies_know_nothing_of_their_batch(engine, same, order):
    together = generate(engine, layers=all_layers(engine))
    for picked in ORDERS[order]:
        apart = generate(engine, picked, layers=all_layers(engine))
        assert apart.replies == tuple(together.replies[i] for i in picked)
        same(apart.residuals, rows(together.residuals, picked))


@pytest.mark.parametrize("order", ORDERS)
def test_readings_know_nothing_of_their_batch(engine, same, order):
    together = read(engine)
    for picked in ORDERS[order]:
        same(read(engine, picked), rows(together, picked))


@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_capture_while_generating_is_the_reading_of_the_reply(engine, same, sampling):
    made = generate(engine, sampling=sampling, layers=all_layers(engine))
    texts = [reply.text for reply in made.replies]
    same(made.residuals, engine.residuals(CHATS, texts, layers=all_layers(engine)))


def test_capture_changes_no_reply(engine):
    plain = generate(engine)
    assert plain.residuals is None
    assert plain.replies == generate(engine, layers=[0]).replies


def test_fewer_layers_are_slices_of_all_in_the_order_given(engine, same):
    layers = [engine.spec.n_layers - 1, 0, 1]
    same(read(engine, layers=layers), at(read(engine), layers))
    same(read(engine, layers=[1]), at(read(engine), [1]))
    made, whole = generate(engine, layers=layers), generate(engine, layers=all_layers(engine))
    assert made.replies == whole.replies
    same(made.residuals, at(whole.residuals, layers))


@pytest.mark.parametrize("beyond", [-1, 0], ids=["negative", "one too deep"])
def test_a_layer_out_of_range_is_refused_and_leaves_no_trace(engine, same, beyond):
    before = read(engine)
    layers = [0, beyond if beyond < 0 else engine.spec.n_layers]
    with pytest.raises(LayerError) as refused:
        read(engine, layers=layers)
    assert refused.value.hint
    with pytest.raises(LayerError):
        generate(engine, layers=layers)
    with pytest.raises(LayerError):
        engine.residuals([], [], layers=layers)
    same(read(engine), before)


def test_the_seed_of_a_row_decides_its_reply(engine):
    first = generate(engine)
    assert generate(engine).replies == first.replies
    other = generate(engine, seeds=[seed + 100 for seed in SEEDS])
    assert [reply.text for reply in other.replies] != [reply.text for reply in first.replies]


def test_two_seeds_of_one_chat_give_two_replies(engine):
    replies = engine.generate([CHATS[0]] * 8, Sampling(max_new_tokens=12), seeds=range(8)).replies
    assert len({reply.text for reply in replies}) > 1


def test_the_same_model_opened_again_says_and_reads_the_same(name, engine, same):
    again = ENGINES[name]()
    assert again.spec == engine.spec
    assert generate(again).replies == generate(engine).replies
    same(read(again), read(engine))


def test_greedy_replies_need_no_seed(engine):
    replies = generate(engine, sampling=GREEDY).replies
    assert generate(engine, sampling=GREEDY, seeds=[seed + 100 for seed in SEEDS]).replies == replies
    assert generate(engine, [3], sampling=GREEDY).replies == replies[3:4]


@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY, Sampling(max_new_tokens=1)], ids=["sampled", "greedy", "one"])
def test_a_reply_is_ended_or_as_long_as_allowed(engine, sampling):
    made = generate(engine, sampling=sampling, layers=[0])
    for reply, counted in zip(made.replies, made.residuals.n_tokens, strict=True):
        assert 0 <= counted <= reply.n_tokens <= sampling.max_new_tokens
        assert reply.ended == (reply.n_tokens < sampling.max_new_tokens)
        assert reply.n_tokens > 0 or reply.text == ""


def test_an_empty_reply_has_no_mean_but_a_prompt(engine):
    found = read(engine)
    empty = np.array([not reply for reply in REPLIES])
    np.testing.assert_array_equal(found.n_tokens == 0, empty)
    np.testing.assert_array_equal(np.isnan(found.reply_mean).all(axis=(1, 2)), empty)
    assert np.isfinite(found.reply_mean[~empty]).all()
    assert np.isfinite(found.prompt_last).all()


def test_the_mean_norm_of_the_tokens_is_no_less_than_the_norm_of_their_mean(engine):
    for found in (read(engine), generate(engine, layers=all_layers(engine)).residuals):
        assert found.token_norm.dtype == np.float32
        assert found.token_norm.shape == found.reply_mean.shape[:2]
        empty = found.n_tokens == 0
        np.testing.assert_array_equal(
            np.isnan(found.token_norm), np.broadcast_to(empty[:, None], found.token_norm.shape)
        )
        of_mean = np.linalg.norm(found.reply_mean[~empty], axis=-1)
        assert np.all(found.token_norm[~empty] >= of_mean * (1 - 1e-5))


def test_the_end_of_the_prompt_knows_nothing_of_the_reply(engine, same):
    whole, bare = read(engine), engine.residuals(CHATS, [""] * len(CHATS), layers=all_layers(engine))
    same(
        Residuals(bare.reply_mean, whole.prompt_last, bare.token_norm, bare.n_tokens),
        bare,
    )


def test_the_instruction_and_the_question_are_read(engine):
    last = read(engine).prompt_last
    assert np.all(np.linalg.norm(last[0] - last[1], axis=-1) > 0)
    assert np.all(np.linalg.norm(last[1] - last[4], axis=-1) > 0)
    replies = engine.residuals(CHATS[:2], [REPLIES[0]] * 2, layers=all_layers(engine)).reply_mean
    assert np.all(np.linalg.norm(replies[0] - replies[1], axis=-1) > 0)


def test_arrays_are_float32_and_have_a_place_for_each_row_layer_and_dimension(engine):
    for found in (read(engine, layers=[2, 0]), generate(engine, layers=[2, 0]).residuals):
        for array in (found.reply_mean, found.prompt_last):
            assert array.dtype == np.float32
            assert array.shape == (len(CHATS), 2, engine.spec.width)
        assert found.n_tokens.dtype == np.int64
        assert found.n_tokens.shape == (len(CHATS),)


@pytest.mark.parametrize("layers", [None, [0, 2]], ids=["replies", "replies and residuals"])
def test_ticks_of_generating_sum_to_the_rows(engine, layers):
    ticks = []
    generate(engine, layers=layers, tick=ticks.append)
    assert min(ticks) >= 0
    assert sum(ticks) == pytest.approx(len(CHATS))


def test_ticks_of_reading_sum_to_the_rows(engine):
    ticks = []
    read(engine, tick=ticks.append)
    assert min(ticks) >= 0
    assert sum(ticks) == pytest.approx(len(CHATS))


def test_no_chats_give_no_rows(engine):
    made = engine.generate([], SAMPLED, seeds=[], layers=[0, 1])
    assert made.replies == ()
    assert engine.generate([], SAMPLED, seeds=[]).replies == ()
    for found in (made.residuals, engine.residuals([], [], layers=[0, 1])):
        for array in (found.reply_mean, found.prompt_last):
            assert array.shape == (0, 2, engine.spec.width)
            assert array.dtype == np.float32
        assert found.n_tokens.shape == (0,)


@pytest.mark.parametrize("sampling", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_a_seed_or_reply_too_few_is_refused(engine, sampling):
    with pytest.raises(ValueError):
        engine.generate(CHATS, sampling, seeds=SEEDS[:-1])
    with pytest.raises(ValueError):
        engine.residuals(CHATS, REPLIES[:-1], layers=[0])
