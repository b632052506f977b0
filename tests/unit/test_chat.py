"""Chats are written as the model's template wants them, and the reply's place among the tokens is exact."""

import tiny_models

from personascope.models.chat import chat_format
from personascope.models.protocols import Chat

CHAT = Chat("How are you?", "You are merry.")


def form(template=tiny_models.TEMPLATE):
    return chat_format(tiny_models.tokenizer(template))


def test_a_template_with_a_system_turn_gets_the_instruction_there():
    assert form().text(CHAT) == "<|system|>You are merry.<|user|>How are you?<|model|>"
    assert form().notes == ()


def test_without_a_system_turn_the_instruction_is_folded_into_the_users_and_said():
    folded = form(tiny_models.NO_SYSTEM)
    assert folded.text(CHAT) == "<|user|>You are merry.\n\nHow are you?<|model|>"
    assert "no system turn" in folded.notes[0]


def test_thinking_is_turned_off_where_the_template_has_the_switch():
    assert form(tiny_models.THINKING).text(Chat("Hi")).endswith("~")
    assert not form().text(Chat("Hi")).endswith("~")


def test_a_base_model_is_asked_in_plain_text():
    base = form(None)
    assert base.text(CHAT) == "You are merry.\n\nQuestion: How are you?\nAnswer:\n"
    assert base.digest == "" and "no chat template" in base.notes[0]


def test_raw_text_stays_as_it_is():
    assert form().text(Chat("Once upon", raw=True)) == "Once upon"


def test_the_reply_starts_where_the_prompt_ends():
    tokens = form().tokens(CHAT, "I am well.")
    assert form().reply_text(tokens.ids[tokens.start :]) == "I am well."
    assert tokens.ids[: tokens.start] == form().tokens(CHAT).ids


def test_the_reply_starts_exactly_although_joint_tokens_would_straddle():
    """A tokenizer that merges across the boundary must not move it: the two are then tokenised apart."""

    class Merging:
        chat_template = None
        all_special_ids = ()

        def __call__(self, text, *, add_special_tokens):
            return {"input_ids": [hash(part) for part in text.replace("\nw", "\0w").split("\0")]}

        def apply_chat_template(self, conversation, **settings):
            raise AssertionError("there is no template")

        def decode(self, token_ids, *, skip_special_tokens):
            return ""

    merging = chat_format(Merging())
    assert len(merging.tokens(Chat("a"), "w").ids) == 2
    assert merging.tokens(Chat("a"), "w").start == 1


def test_digests_tell_templates_apart():
    digests = {form(t).digest for t in (tiny_models.TEMPLATE, tiny_models.NO_SYSTEM, tiny_models.THINKING, None)}
    assert len(digests) == 4


def test_a_date_in_the_template_is_one_fixed_day():
    dated = "{{ date_string if date_string is defined else 'today' }}" + tiny_models.TEMPLATE
    assert form(dated).text(CHAT).startswith("01 Jan 2025<|system|>")
