"""What is special of vLLM: agreement with the reference under its ways of batching, its prefix cache, its admission."""

import numpy as np
import pytest
import tiny_vllm
from agreement import CHATS, GREEDY, TEXT, agree, reference, steerings

from personascope.errors import ModelError, SteeringError
from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Sampling, Steering
from personascope.models.vllm.engine import VllmModel
from personascope.models.vllm.self_test import prove_steering
from personascope.models.vllm.starting import Hosting
from personascope.models.vllm.wire import KEY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hf():
    return reference()


@pytest.fixture(scope="module")
def vllm():
    return tiny_vllm.engine("llama")


@pytest.mark.parametrize("architecture", tiny_vllm.CONFIGS)
def test_it_reads_writes_and_scores_as_the_reference_does(architecture):
    # Gemma2 caps its logits by a hyperbolic tangent, in attention too: 1.1e-3 nats was the most seen.
    near = 2e-3 if architecture == "gemma2" else 2e-4
    agree(tiny_vllm.engine(architecture), reference(architecture), near=near)


def test_it_is_the_same_model_to_the_files_that_are_made_with_it(vllm, hf):
    assert vllm.spec.weights == hf.spec.weights != ""
    assert (vllm.spec.template, vllm.spec.dtype, vllm.spec.n_layers) == (hf.spec.template, hf.spec.dtype, 4)


def test_prompts_in_pieces(hf):
    agree(tiny_vllm.engine("llama", max_num_batched_tokens=32, max_num_seqs=8), hf)


def test_rows_that_are_thrown_out_and_run_again(hf, monkeypatch):
    """Keys and values for two long rows, and six that grow: rows must be preempted, and count once all the same."""
    engine = tiny_vllm.engine("llama", num_gpu_blocks_override=5, max_model_len=512)
    scheduler = engine.served.driver.llm.llm_engine.engine_core.engine_core.scheduler
    thrown_out = []
    preempt = scheduler._preempt_request
    monkeypatch.setattr(
        scheduler,
        "_preempt_request",
        lambda row, *rest, **more: (thrown_out.append(row), preempt(row, *rest, **more))[1],
    )
    sampling, seeds, layers = Sampling(150, 0.0), range(len(CHATS)), range(4)
    steering = steerings(hf)
    ours, theirs = (
        one.generate(CHATS, sampling, seeds=seeds, layers=layers, steering=steering) for one in (engine, hf)
    )
    assert thrown_out
    assert ours.replies == theirs.replies
    np.testing.assert_allclose(ours.residuals.reply_mean, theirs.residuals.reply_mean, atol=1e-3)


LONG = Chat(6 * TEXT)
"""Longer than two blocks of the cache, 128 tokens each on a processor."""


@pytest.fixture
def push(hf):
    raw = np.random.default_rng(3).standard_normal(hf.spec.width).astype(np.float32)
    return (Steering({0: 4 * raw / np.linalg.norm(raw)}, 1.0, positions="all"),)


@pytest.mark.parametrize("first", ["steered", "plain"])
def test_a_steered_text_and_the_same_unsteered_leave_nothing_for_each_other_in_the_cache(hf, push, first):
    engine = tiny_vllm.engine("llama")
    order = [push, ()] if first == "steered" else [(), push]
    for steered in [*order, *order]:
        ours, theirs = (one.generate([LONG], GREEDY, seeds=[0], steering=[steered]) for one in (engine, hf))
        assert ours.replies == theirs.replies
    assert len({one.generate([LONG], GREEDY, seeds=[0], steering=[s]).replies for one in (hf,) for s in order}) == 2


def test_a_reply_that_becomes_a_prompt_is_steered_from_its_own_end_on(hf):
    """The same tokens under the same steering, but with the reply's start elsewhere: another text in the cache."""
    raw = np.random.default_rng(4).standard_normal(hf.spec.width).astype(np.float32)
    steered = (Steering({0: 40 * raw / np.linalg.norm(raw)}, 1.0),)
    engine = tiny_vllm.engine("llama")
    short, whole = Chat(TEXT, raw=True), Chat(6 * TEXT, raw=True)
    engine.residuals([short], [5 * TEXT], layers=[0], steering=[steered])
    ours, theirs = (one.generate([whole], GREEDY, seeds=[0], steering=[steered]) for one in (engine, hf))
    assert ours.replies == theirs.replies


def test_two_engines_of_unlike_models_are_each_held_to_their_own_buffers(hf):
    """Admission reads one place of the process; the engine that was opened last must not speak for the others."""
    first = tiny_vllm.engine("llama")
    tiny_vllm.engine("llama", hosting=Hosting(vectors=1, edits=1, conditions=0, memory_gib=0.125))
    steering = steerings(hf)
    ours, theirs = (one.generate(CHATS, GREEDY, seeds=range(len(CHATS)), steering=steering) for one in (first, hf))
    assert ours.replies == theirs.replies


def test_a_row_that_is_driven_out_of_all_numbers_leaves_its_neighbours_alone(hf):
    engine = tiny_vllm.engine("llama")
    far = (Steering({0: np.full(hf.spec.width, 3e38, dtype=np.float32)}, 3e38, positions="all"),)
    steering = [far if row % 2 else () for row in range(len(CHATS))]
    theirs = hf.generate(CHATS, GREEDY, seeds=range(len(CHATS))).replies
    for _ in range(2):
        ours = engine.generate(CHATS, GREEDY, seeds=range(len(CHATS)), steering=steering).replies
        assert ours[::2] == theirs[::2]
    assert engine.generate(CHATS, GREEDY, seeds=range(len(CHATS))).replies == theirs


def test_one_way_to_open_it(hf):
    folder = tiny_vllm.folder("llama")
    engine = open_model(folder, engine=Hosting(edits=1, memory_gib=0.125), precision="float32")
    assert isinstance(engine, VllmModel) and engine.served.capacity.edits == 1
    ours, theirs = (one.generate(CHATS[:2], GREEDY, seeds=[0, 1]) for one in (engine, hf))
    assert ours.replies == theirs.replies
    with pytest.raises(ModelError, match="device and batches"):
        open_model(folder, engine="vllm", device="cpu")
    with pytest.raises(ModelError, match="quantises no weights"):
        open_model(folder, engine="vllm", quantize="8bit")
    assert isinstance(open_model(folder, engine="vllm", precision="float32"), VllmModel)


def test_replies_are_told_as_they_grow_where_someone_listens(vllm):
    told, done = [], []
    listen, tick = (lambda row, text: told.append((row, text))), done.append
    replies = vllm.generate(CHATS[:2], GREEDY, seeds=[0, 1], listen=listen, tick=tick).replies
    assert len(told) > 2 * len(CHATS[:2]) and sum(done) == len(CHATS[:2])
    assert [dict(told)[row] for row in (0, 1)] == [reply.text for reply in replies]
    done.clear()
    vllm.generate(CHATS[:2], GREEDY, seeds=[0, 1], tick=tick)
    assert sum(done) == len(CHATS[:2])


JUNK = [
    "",
    "no json",
    "[]",
    '{"edits":[{"layer":99,"vector":0,"mode":"add","positions":"all","strength":1}]}',
    '{"edits":[{"layer":0,"vector":5000,"mode":"add","positions":"all","strength":1}]}',
    '{"edits":[{"layer":0,"vector":0,"mode":"push","positions":"all","strength":1}]}',
    '{"edits":[{"layer":0,"vector":0,"mode":"add","positions":"all","strength":NaN}]}',
    '{"edits":[{"layer":0,"vector":0,"mode":"add","positions":"all","strength":1,"condition":0}]}',
    '{"edits":[{"layer":"0"}]}',
    '{"start":-1}',
    '{"pools":[{"place":100000,"runs":[[0,1]]}]}',
    '{"pools":[{"place":0,"runs":[[3,2]]}]}',
    '{"finals":{"place":100000,"first":0,"end":4}}',
]


@pytest.mark.parametrize("text", [*JUNK, 7, ["x"]])
def test_junk_is_refused_at_admission_and_the_engine_goes_on(vllm, hf, text):
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError

    engine = vllm.served.driver.llm.llm_engine
    with pytest.raises(VLLMValidationError, match=KEY):
        engine.add_request("junk", {"prompt_token_ids": [7, 8]}, SamplingParams(extra_args={KEY: text}))
    assert not engine.has_unfinished_requests()
    ours, theirs = (one.generate(CHATS[:1], GREEDY, seeds=[0]) for one in (vllm, hf))
    assert ours.replies == theirs.replies


def test_what_passes_admission_and_cannot_be_followed_fails_the_run_and_not_the_engine(vllm, hf, monkeypatch):
    """A worker's own last line of defence: the row is run, the call fails, the engine goes on."""
    from personascope.models.vllm.admission import Admission

    monkeypatch.setattr(Admission, "validate_params", classmethod(lambda _cls, _params: None))
    monkeypatch.setattr("personascope.models.vllm.wire.Message.text", lambda _message: "junk")
    with pytest.raises(ModelError, match="unsteered or unread"):
        vllm.residuals(CHATS[:1], ["so"], layers=[0])
    monkeypatch.undo()
    ours, theirs = (one.generate(CHATS[:1], GREEDY, seeds=[0]) for one in (vllm, hf))
    assert ours.replies == theirs.replies


def test_more_than_the_buffers_hold_is_refused_with_what_to_do(hf, push):
    engine = tiny_vllm.engine("llama", hosting=Hosting(vectors=2, edits=2, conditions=0, memory_gib=0.125))
    raw = push[0].directions[0]
    three = tuple(Steering({1: raw * n}, 1.0) for n in (1, 2, 3))
    for steered in (three, (Steering({0: raw, 1: 2 * raw, 2: 3 * raw}),)):
        with pytest.raises(SteeringError) as refused:
            engine.generate(CHATS[:1], GREEDY, seeds=[0], steering=[steered])
        assert "vLLM" in refused.value.hint
    many = [(Steering({1: raw * n}, 1.0),) for n in range(1, 7)]
    ours, theirs = (one.generate(CHATS, GREEDY, seeds=range(6), steering=many) for one in (engine, hf))
    assert ours.replies == theirs.replies, "six vectors through two rows of the bank, in waves"


def test_an_engine_that_writes_only_says_so():
    engine = tiny_vllm.engine("llama", hosting=Hosting(reads=False, memory_gib=0.125))
    assert engine.generate(CHATS[:2], GREEDY, seeds=[0, 1]).replies
    with pytest.raises(ModelError, match="write only"):
        engine.residuals(CHATS[:1], ["so"], layers=[0])


def test_the_self_test_notices_that_the_hooks_are_gone():
    engine = tiny_vllm.engine("llama")
    served, ids = engine.served, list(range(6, 30))
    prove_steering(served.driver, served.bank, served.capacity, ids, exact=True)
    served.driver.ask("unhook")
    with pytest.raises(ModelError, match="unsteered"):
        prove_steering(served.driver, served.bank, served.capacity, ids, exact=True)


def test_a_call_that_is_stopped_leaves_no_row_behind(vllm):
    def stop(_done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vllm.generate(CHATS, GREEDY, seeds=range(len(CHATS)), tick=stop)
    assert not vllm.served.driver.llm.llm_engine.has_unfinished_requests()
