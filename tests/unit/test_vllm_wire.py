"""What travels to vLLM's workers, and what their tables do with it, without vLLM."""

import json
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personascope.errors import ModelError, SteeringError
from personascope.models.engine_choice import engine_chosen
from personascope.models.protocols import Condition, Steering
from personascope.models.vllm.private_names import check_names, decoder_layers
from personascope.models.vllm.programs import regions
from personascope.models.vllm.reading import runs_of
from personascope.models.vllm.runtime import Place, Rows, Runtime
from personascope.models.vllm.wire import KEY, Capacity, Message, Pool, message_in
from personascope.models.vllm.wiring import Bank

CAPACITY = Capacity(n_layers=3, width=4, vectors=4, edits=2, conditions=1, pools=4, finals=8)
RAW = np.array([3.0, 0.0, 4.0, 0.0], dtype=np.float32)


def wired(*rows, capacity=CAPACITY, starts=None):
    sent = {}
    bank = Bank(capacity, lambda at, vectors: sent.update(zip(at, vectors, strict=True)))
    waves = [dict(wave) for wave in bank.waves(rows, starts or [2] * len(rows))]
    return waves, sent


def test_a_message_reads_back_as_it_was_written():
    when = Condition(0, RAW / 5, -np.inf)
    ((wave,), _) = wired((Steering({1: RAW, 2: RAW}, -0.5, "cap", "all", {1: 1.0, 2: 2.0}, when),))
    message = replace(wave[0].message, pools=(Pool(3, ((0, 2), (5, 6))),))
    assert message_in({KEY: message.text()}, CAPACITY) == message
    assert message_in({}, CAPACITY) is None
    assert message_in(None, CAPACITY) is None


FIELDS = st.sampled_from(["edits", "layer", "start", "pools", "place", "runs", "finals", "conditions"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner),
    max_leaves=6,
)


@given(JUNK)
def test_anything_else_is_refused_and_nothing_but_a_refusal_comes(junk):
    try:
        message_in({KEY: json.dumps(junk)}, CAPACITY)
    except SteeringError:
        return
    assert isinstance(junk, dict)


@pytest.mark.parametrize("strength", [10**400, 1e39, float("nan"), float("inf")])
def test_a_strength_that_no_float32_holds_is_refused(strength):
    ((wave,), _) = wired((Steering({1: RAW}, 1.0),))
    told = json.loads(wave[0].message.text())
    told["edits"][0]["strength"] = strength
    with pytest.raises(SteeringError, match="strength"):
        message_in({KEY: json.dumps(told)}, CAPACITY)


def test_vectors_are_sent_once_and_rows_wait_for_a_wave_that_has_room():
    one, other = RAW, 2 * RAW
    waves, sent = wired((Steering({0: one}),), (), (Steering({1: one}, 2.0),), (Steering({0: other}),))
    assert len(waves) == 1 and len(sent) == 2
    many = [(Steering({0: RAW * n}),) for n in range(1, 7)]
    waves, _ = wired(*many)
    assert [list(wave) for wave in waves] == [[0, 1, 2, 3], [4, 5]]


def test_the_salt_is_of_what_is_done_and_where_and_of_nothing_else():
    def salt(steered, start=2):
        ((wave,), _) = wired(steered, starts=[start])
        return wave[0].salt

    push = Steering({0: RAW}, 1.0)
    assert salt(()) is None
    assert salt((push,)) == salt((replace(push, directions={0: RAW.copy()}),))
    others = [replace(push, strength=2.0), replace(push, directions={1: RAW}), replace(push, directions={0: 2 * RAW})]
    others += [replace(push, positions="all"), replace(push, mode="ablate")]
    assert len({salt((push,)), salt((push,), 3), *(salt((other,)) for other in others)}) == 7
    assert salt((others[3],)) == salt((others[3],), 3), "where all is steered, where the reply starts decides nothing"


@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9))
def test_every_token_is_of_the_region_that_its_position_says(start, first, n):
    before, past = regions(start, first, n)
    told = [0] * before + [1] * (past - before) + [2] * (n - past)
    assert told == [(at >= start - 1) + (at >= start) for at in range(first, first + n)]


@given(st.sets(st.integers(0, 30), min_size=1))
def test_runs_hold_every_position_once(positions):
    runs = runs_of(sorted(positions))
    assert [at for first, end in runs for at in range(first, end)] == sorted(positions)
    assert all(end < after for (_, end), (after, _) in pairwise(runs))


def runtime(eager):
    place = Place(n_tokens=8, n_requests=3, dtype=torch.float32, device=torch.device("cpu"), eager=eager)
    made = Runtime(CAPACITY, place)
    layers = [torch.nn.Identity() for _ in range(3)]
    model = torch.nn.Sequential(*layers)
    made.install(layers, model)
    return made, model


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "as compiled"])
def test_tokens_are_steered_and_summed_by_row_and_nobodys_tokens_come_out_bit_for_bit(eager):
    made, model = runtime(eager)
    ((wave,), sent) = wired((Steering({1: RAW}, 2.0),), (Steering({0: RAW}, 1.0, "ablate", "all"),))
    made.programs.put(list(sent), np.stack(list(sent.values())))
    pool = Pool(1, ((1, 3),))
    extras = {
        "a": {KEY: replace(wave[0].message, pools=(pool,)).text()},
        "b": {KEY: wave[1].message.text()},
        "c": None,
    }
    rows = [Rows("a", 0, 3, 0), Rows("b", 3, 2, 0), Rows("c", 5, 2, 0)]
    stream = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    made.aim(rows, extras.get)
    out = model(stream)
    raw, unit = torch.from_numpy(RAW), torch.from_numpy(RAW / 5)
    assert torch.equal(out[[0, 5, 6, 7]], stream[[0, 5, 6, 7]])
    torch.testing.assert_close(out[1:3], stream[1:3] + 2 * raw)
    torch.testing.assert_close(out[3:5], stream[3:5] - (stream[3:5] @ unit)[:, None] * unit)
    sums, norms = made.sums.pooled([1])
    torch.testing.assert_close(sums[0, 2], out[1:3].sum(0))
    torch.testing.assert_close(norms[0, 0], stream[1:3].norm(dim=-1).sum())
    made.rest()
    assert torch.equal(model(stream), stream), "afterwards nobody is steered"


STEERINGS = (
    (Steering({0: RAW, 1: RAW}, 2.0),),
    (Steering({1: RAW}, -1.0, "add", "all"), Steering({1: RAW[::-1].copy()}, 0.5)),
    (Steering({1: RAW}, 1.0, "ablate", "all"),),
    (Steering({2: RAW}, 1.0, "add", "all", condition=Condition(0, RAW / 5, 0.1)),),
)


@given(
    steps=st.lists(st.lists(st.sampled_from([None, 0, 1, 2, 3]), min_size=1, max_size=3), min_size=1, max_size=6),
    changed=st.sets(st.integers(1, 5), max_size=2),
)
def test_what_is_kept_between_steps_changes_nothing(steps, changed):
    """Step by step the same numbers as operations that keep nothing, also after a vector's row was written anew."""
    eager, whole = runtime(eager=True), runtime(eager=False)
    ((wave,), sent) = wired(*STEERINGS)
    extras = {f"{at} {row}": {KEY: one.message.text()} for at, one in wave.items() for row in range(3)}
    drawn = torch.Generator().manual_seed(0)
    for number, step in enumerate(steps):
        stream = torch.randn(8, 4, generator=drawn)
        rows = [Rows(f"{which} {at}", 2 * at, 2, 4) for at, which in enumerate(step)]
        outs = []
        for made, model in (eager, whole):
            if not number or number in changed:
                made.programs.put(list(sent), (1 + number) * np.stack(list(sent.values())))
            made.aim(rows, extras.get)
            outs.append(model(stream))
            made.rest()
        assert torch.equal(*outs)


def test_a_row_that_runs_again_is_counted_once():
    made, model = runtime(eager=True)
    extras = {"a": {KEY: Message(pools=(Pool(0, ((1, 5),)),)).text()}}
    stream = torch.ones(8, 4)
    for first, n in ((0, 2), (2, 2), (0, 4), (4, 2)):  # thrown out after four tokens, and run again from the first
        made.aim([Rows("a", 0, n, first)], extras.get)
        model(stream[:n])
    assert made.counts == {0: 4}
    torch.testing.assert_close(made.sums.pooled([0])[0][0, 0], torch.full((4,), 4.0))


def test_a_message_that_cannot_be_followed_is_noted_and_nothing_dies():
    made, model = runtime(eager=True)
    made.aim([Rows("a", 0, 2, 0)], {"a": {KEY: "junk"}}.get)
    assert torch.equal(model(torch.ones(2, 4)), torch.ones(2, 4))
    assert len(made.refused) == 1


def test_a_runner_without_a_name_that_is_used_is_refused_by_name():
    class Runner:
        def _model_forward(self):
            """As V1 has it."""

    with pytest.raises(ModelError, match=r"input_batch") as refused:
        check_names(Runner())
    assert "0.32" in refused.value.hint


def test_layers_are_found_by_their_place_in_the_largest_stack():
    model = torch.nn.Module()
    model.layers = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(3))
    model.vision = torch.nn.Module()
    model.vision.layers = torch.nn.ModuleList(torch.nn.Linear(1, 1) for _ in range(5))
    assert decoder_layers(model) == list(model.layers)
    with pytest.raises(ModelError):
        decoder_layers(torch.nn.Linear(1, 1))


def test_the_capacity_travels_as_json():
    assert Capacity(**json.loads(json.dumps(asdict(CAPACITY)))) == CAPACITY


def test_an_engine_is_chosen_by_name():
    with pytest.raises(Exception, match="no engine 'vlm'"):
        engine_chosen("vlm")
    with pytest.raises(Exception, match="no --tensor-parallel"):
        engine_chosen("hf", 2)
