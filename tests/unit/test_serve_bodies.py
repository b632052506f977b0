"""What a request for a chat asks; what cannot be served is refused with its name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personascope.errors import UserError
from personascope.models.protocols import Chat, Sampling
from personascope.serve.bodies import chat_asked

HELLO = [{"role": "user", "content": "Hello"}]


def test_a_plain_request_draws_from_the_model_as_it_is():
    asked = chat_asked({"messages": HELLO})
    assert asked.chat == Chat("Hello")
    assert (asked.sampling, asked.n, asked.seed, asked.stream) == (Sampling(1024, 1.0), 1, None, False)


def test_turns_become_an_instruction_what_was_said_and_a_question():
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?"), ("user", "Bye")]
    asked = chat_asked({"messages": [{"role": role, "content": text} for role, text in turns]})
    assert asked.chat == Chat("Bye", "Be brief.", earlier=(("Hi", "Yes?"),))


def test_content_may_come_in_pieces_and_developers_are_systems():
    pieces = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": pieces}]
    assert chat_asked({"messages": messages}).chat == Chat("Hello", "Be brief.")


def test_wishes_that_ask_for_nothing_are_let_through():
    nothing = {"top_p": 1.0, "stop": None, "logprobs": False, "tools": [], "frequency_penalty": 0.0, "user": "me"}
    assert chat_asked({"messages": HELLO, **nothing}) == chat_asked({"messages": HELLO})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"top_p": 0.9}, "top_p is not served"),
        ({"stop": ["."]}, "stop is not served"),
        ({"logprobs": True}, "logprobs is not served"),
        ({"tools": [{"type": "function"}]}, "tools is not served"),
        ({"max_tokns": 3}, "no field 'max_tokns'"),
        ({"max_tokens": 0}, "max_tokens 0"),
        ({"max_tokens": True}, "max_tokens True"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "differ"),
        ({"temperature": 3}, "temperature 3"),
        ({"temperature": float("nan")}, "temperature nan"),
        ({"seed": -1}, "seed -1"),
        ({"n": 0}, "n 0"),
        ({"stream": 1}, "neither true nor false"),
        ({"messages": []}, "empty"),
        ({"messages": [{"role": "user"}]}, "no text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "no role 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "no text"),
        ({"messages": [*HELLO, *HELLO]}, "user, user"),
        ({"messages": [{"role": "system", "content": "x"}]}, "none but system"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "x"}]}, "user, assistant"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(more, told):
    with pytest.raises(UserError) as error:
        chat_asked({"messages": HELLO, **more})
    assert told in str(error.value) and error.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["messages", "max_tokens", "temperature", "seed", "n", "stream", "stream_options", "stop", "top_p", "logit_bias"]
)
ROLES = st.sampled_from(["system", "user", "assistant", "developer"])
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES | JSON, "content": JSON}), max_size=4)


@settings(max_examples=300, deadline=None)
@given(JSON | st.dictionaries(FIELDS, JSON | MESSAGES, max_size=5))
def test_whatever_comes_is_a_request_or_an_error_of_ours(body):
    try:
        chat_asked(body)
    except UserError as error:
        assert str(error) and error.hint
