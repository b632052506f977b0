"""Chats are written as the model's template wants them, and the reply's place among the tokens is exact."""

import pytest
import tiny_models
from tokenizers.processors import TemplateProcessing

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


TODAY = "{{ strftime_now('%d %B %Y, a %A') }}"
SAID = "01 January 2025, a Wednesday"


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (TODAY, SAID),
        ("{% if strftime_now is defined %}" + TODAY + "{% endif %}", SAID),
        ("{% set day = strftime_now('%Y-%m-%d') %}{{ day }}", "2025-01-01"),
        ("{% set date_string = strftime_now('%b %-d') %}{{ date_string }}", "Jan 1"),
        ("{% macro dated() %}" + TODAY + "{% endmacro %}{{ dated() }}", SAID),
        ("{% for m in messages %}{{ strftime_now(format='%H:%M') }}{% endfor %}", "12:00" * 2),
        ("\n " + TODAY, "\n " + SAID),
    ],
)
def test_a_template_that_asks_for_the_day_is_told_one_fixed_day(head, wanted):
    assert (
        form(head + tiny_models.TEMPLATE).text(CHAT) == wanted + "<|system|>You are merry.<|user|>How are you?<|model|>"
    )


def test_a_template_among_several_is_frozen_too():
    several = {"default": TODAY + tiny_models.TEMPLATE, "tool_use": "tools"}
    assert form(several).text(CHAT).startswith(SAID)


def test_a_template_without_a_date_is_rendered_as_it_is():
    assert form().template is None


def ending(template=None):
    """A tokenizer that begins and ends every text, as with add_eos_token."""
    made = tiny_models.tokenizer(template)
    made._tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return made


@pytest.mark.parametrize("chat", [Chat("Once upon", raw=True), CHAT])
def test_no_end_stands_between_a_raw_prompt_and_what_follows(chat):
    """A model shown its own end token would start another text."""
    ended, plain = chat_format(ending()), form(None)
    begun = [1, *plain.tokens(chat).ids]
    assert ended.tokens(chat).ids == begun
    both = ended.tokens(chat, " a time")
    assert both.ids == [1, *plain.tokens(chat, " a time").ids] and both.start == len(begun)


def test_an_end_that_the_text_itself_has_stays():
    assert chat_format(ending()).tokens(Chat("So be it.</s>", raw=True)).ids[-1] == 2
