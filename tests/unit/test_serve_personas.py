"""What a request may ask of personas: numbers and objects become edits, junk an error with a hint."""

import numpy as np
import pytest
import tiny_models
import tiny_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from personascope.errors import LayerError, SteeringError, UserError
from personascope.models.vllm.wire import Capacity, message_in
from personascope.serve.personas import doses, offered, persona_in, steered
from personascope.serve.stock import Stock, n_rows

SPEC = tiny_models.engine("llama").spec


@pytest.fixture(scope="module")
def personas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    evil = tiny_vectors.written(folder / "evil_vectors.npz", SPEC, safe=(-0.2, 0.3))
    openness = tiny_vectors.written(folder / "openness_vectors.npz", SPEC, trait="openness", seed=3, layer=2)
    return {one.name: one for one, _ in (persona_in(evil, SPEC), persona_in(openness, SPEC))}


def edits(personas, asked):
    return [
        (edit.mode, edit.positions, list(edit.directions), edit.strength) for edit in steered(doses(personas, asked))
    ]


def test_a_number_is_a_strength_at_the_advised_layer(personas):
    assert edits(personas, {"evil": 1.5}) == [("add", "reply", [1], 1.5)]
    (edit,) = steered(doses(personas, {"evil": -2}))
    np.testing.assert_array_equal(edit.directions[1], personas["evil"].vectors.raw[1])


def test_an_object_names_layer_mode_positions_and_unit(personas):
    asked = {"strength": 0.5, "layer": 3, "mode": "ablate", "positions": "all"}
    assert edits(personas, {"openness": asked}) == [("ablate", "all", [3], 0.5)]
    (edit,) = steered(doses(personas, {"evil": {"strength": 0.1, "unit": "norm"}}))
    assert edit.strength * np.linalg.norm(edit.directions[1]) == pytest.approx(0.1 * 10.0)


def test_the_order_of_names_changes_nothing_and_zero_asks_for_nothing(personas):
    asked = {"openness": 1, "evil": 2}
    assert edits(personas, asked) == edits(personas, dict(reversed(asked.items())))
    assert edits(personas, {"evil": 0, "openness": 0.0}) == edits(personas, None) == edits(personas, {}) == []


@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        ({"evli": 1}, SteeringError, "did you mean evil"),
        ({"evil": True}, SteeringError, "no finite number"),
        ({"evil": float("nan")}, SteeringError, "no finite number"),
        ({"evil": 10**400}, SteeringError, "no finite number"),
        ({"evil": 1e30}, SteeringError, "beyond"),
        ({"evil": "1"}, SteeringError, "no finite number"),
        ({"evil": {"layer": 1}}, SteeringError, "has no strength"),
        ({"evil": {"strength": 1, "layer": 4}}, LayerError, "from 0 to 3"),
        ({"evil": {"strength": 1, "layer": True}}, LayerError, "no layer True"),
        ({"evil": {"strength": 1, "layr": 1}}, SteeringError, "did you mean layer"),
        ({"evil": {"strength": 1, "mode": "abate"}}, SteeringError, "did you mean ablate"),
        ({"evil": {"strength": 1, "mode": []}}, SteeringError, "no mode"),
        (["evil"], SteeringError, "a list"),
        ("evil", SteeringError, "a text"),
    ],
)
def test_junk_is_told_with_a_hint(personas, asked, error, told):
    with pytest.raises(error) as found:
        doses(personas, asked)
    assert told in f"{found.value} {found.value.hint}"


NAMES = st.sampled_from(["evil", "openness", "x"]) | st.text(max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["strength", "layer", "mode", "positions", "unit"]) | st.text(max_size=3), inner, max_size=4
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(VALUES | st.dictionaries(NAMES, VALUES, max_size=3))
def test_whatever_is_asked_is_edits_that_a_worker_can_follow_or_an_error_of_ours(personas, asked):
    try:
        found = steered(doses(personas, asked))
    except UserError:
        return
    stock = stocked(personas)
    message = stock.wired(found, "").message
    assert message_in({"personascope": message.text()}, stock.capacity) == message


def test_what_is_offered_tells_poles_layers_and_the_safe_strengths(personas):
    told = offered(personas["evil"])
    assert (told["persona"], told["low"], told["high"], told["layer"]) == ("evil", "kind", "evil", 1)
    per_gap = float(np.linalg.norm(personas["evil"].vectors.raw[1])) / 10
    assert told["rho_of_strength_1"] == pytest.approx(per_gap)
    assert told["safe_strengths"] == pytest.approx([-0.2 / per_gap, 0.3 / per_gap])
    assert offered(personas["openness"])["safe_strengths"] is None


def stocked(personas):
    return Stock(personas, Capacity(SPEC.n_layers, SPEC.width, n_rows([*personas.values()]), 8, 1, 0, 0))


def test_two_processes_lay_out_the_same_rows_and_every_edit_names_its_own(personas):
    one, other = stocked(personas), stocked(personas)
    np.testing.assert_array_equal(one.vectors, other.vectors)
    asked = {"evil": {"strength": 2, "layer": 3}, "openness": {"strength": 1, "mode": "ablate"}}
    message = one.wired(steered(doses(personas, asked)), "").message
    added, ablated = (one.vectors[edit.vector] for edit in message.edits)
    raw = personas["openness"].vectors.raw[2]
    np.testing.assert_array_equal(added, personas["evil"].vectors.raw[3])
    np.testing.assert_allclose(ablated, raw / np.linalg.norm(raw), rtol=1e-6)
    assert message.start is None


def test_only_the_same_edits_of_the_same_tokens_share_a_cache(personas):
    stock = stocked(personas)

    def salt(asked, prompt="a"):
        return stock.wired(steered(doses(personas, asked)), prompt).salt

    everywhere = {"evil": {"strength": 1, "positions": "all"}}
    assert salt(None) is None and salt({"evil": 0}) is None
    assert salt({"evil": 1}) == salt({"evil": 1.0}) != salt({"evil": 2})
    assert salt({"evil": 1}) != salt({"evil": {"strength": 1, "layer": 2}})
    assert salt({"evil": 1}, "a") != salt({"evil": 1}, "b")  # the reply starts elsewhere
    assert salt(everywhere, "a") == salt(everywhere, "b") != salt({"evil": 1}, "a")
