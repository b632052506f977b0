"""From a chat to token ids, and where its reply lies in them.

A chat model's own template is used, probed rather than guessed: whether it takes a system turn, and
whether it has switches for thinking (turned off) and for the date (one fixed day). A base model gets a
plain question-and-answer frame. Token ids of prompt and reply are joined exactly where the model would start to write.

Knows tokenizers; knows nothing of weights.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from personascope.models.protocols import Chat

_MARKER = "zqxjk"
_DAY = datetime(2025, 1, 1, 12)
_SWITCHES: tuple[tuple[str, bool | str], ...] = (("enable_thinking", False), ("date_string", f"{_DAY:%d %b %Y}"))
"""Set where a template has them: no thinking, and one fixed day, so that prompts are the same tomorrow."""

_CLOCK = "strftime_now"
_CLOCK_CODES = ("%-d", "%-m", "%-H", "%-I", *(f"%{code}" for code in "aAbBcdDeFHIjmMpSTuUwWxXyYzZ"))
_STOPPED_CLOCK = (
    f"{{%- macro {_CLOCK}(format) %}}{{{{ format"
    + "".join(f" | replace('{code}', '{_DAY.strftime(code)}')" for code in _CLOCK_CODES)
    + " }}{% endmacro %}\n"
)
"""Put before a template that asks what day it is: a macro goes before the function of its name, which transformers
lets nobody hand in. The template's first line stays as it is: the line end after a block is dropped."""


@runtime_checkable
class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    chat_template: Any
    all_special_ids: Any

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
        """Token ids of a text."""
        ...

    def apply_chat_template(self, conversation: list[dict[str, str]], **settings: Any) -> Any:
        """A conversation as one text."""
        ...

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str:
        """The text of token ids."""
        ...


@dataclass(frozen=True)
class Tokens:
    """Token ids of a prompt and its reply; the reply lies in `ids[start:]`."""

    ids: list[int]
    start: int


@dataclass(frozen=True)
class ChatFormat:
    """How one model wants its chats written. Made by `chat_format`."""

    tokenizer: Tokenizer
    has_template: bool
    takes_system: bool
    settings: tuple[tuple[str, bool | str], ...]
    template: str | None = None
    """In place of the tokenizer's own, where that would tell the day."""
    n_end: int = 0
    """How many special tokens the tokenizer puts after every text."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results must know about the prompts."""
        if not self.has_template:
            return ("The model has no chat template: questions are put as plain text, 'Question: ... Answer:'.",)
        if not self.takes_system:
            return ("The chat template has no system turn: the instruction is put at the head of the user's turn.",)
        return ()

    @property
    def digest(self) -> str:
        """A short hash of the chat template; "" for raw text."""
        if not self.has_template:
            return ""
        rendered = self.text(Chat("question", "instruction")) + self.text(Chat("question"))
        return hashlib.sha256(rendered.encode()).hexdigest()[:12]

    def text(self, chat: Chat) -> str:
        """The prompt as one text, ending where the reply starts."""
        if chat.raw:
            return chat.question
        if not self.has_template:
            lead = f"{chat.instruction}\n\n" if chat.instruction else ""
            before = "".join(f"Question: {asked}\nAnswer:\n{reply}\n\n" for asked, reply in chat.earlier)
            return f"{lead}{before}Question: {chat.question}\nAnswer:\n"
        turns = _turns(chat, takes_system=self.takes_system)
        settings = dict(self.settings) | ({"chat_template": self.template} if self.template else {})
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **settings))

    def tokens(self, chat: Chat, reply: str = "") -> Tokens:
        """Token ids of the prompt, and of the reply if there is one.

        The joint text is tokenised where that leaves the prompt's ids alone; else the two are
        tokenised apart, as happens when the model itself writes on from the prompt's last token.
        """
        prompt = self.text(chat)
        adds_start = chat.raw or not self.has_template
        prompt_ids = self._ids(prompt, adds_start=adds_start)
        if not reply:
            return Tokens(prompt_ids, len(prompt_ids))
        joint = self._ids(prompt + reply, adds_start=adds_start)
        if joint[: len(prompt_ids)] == prompt_ids:
            return Tokens(joint, len(prompt_ids))
        return Tokens(prompt_ids + self._ids(reply, adds_start=False), len(prompt_ids))

    def reply_text(self, ids: list[int]) -> str:
        """The text of a reply's token ids, without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def _ids(self, text: str, *, adds_start: bool) -> list[int]:
        """With the tokenizer's start tokens, never with its end: a model that reads its own end begins anew."""
        ids = list(self.tokenizer(text, add_special_tokens=adds_start)["input_ids"])
        return ids[: len(ids) - self.n_end] if adds_start else ids


def chat_format(tokenizer: Tokenizer) -> ChatFormat:
    """What this tokenizer's chat template can do, found by rendering a marker through it."""
    templates = getattr(tokenizer, "chat_template", None)
    template = str(templates.get("default", "")) if isinstance(templates, dict) else templates
    return ChatFormat(
        tokenizer,
        has_template=bool(template),
        takes_system=bool(template) and _renders_system(tokenizer),
        settings=tuple((switch, value) for switch, value in _SWITCHES if template and switch in template),
        template=_STOPPED_CLOCK + template if template and _CLOCK in template else None,
        n_end=_n_end(tokenizer),
    )


def _turns(chat: Chat, *, takes_system: bool) -> list[dict[str, str]]:
    said = [turn for asked, reply in chat.earlier for turn in (("user", asked), ("assistant", reply))]
    said.append(("user", chat.question))
    if chat.instruction is not None:
        if takes_system:
            said.insert(0, ("system", chat.instruction))
        else:
            said[0] = ("user", f"{chat.instruction}\n\n{said[0][1]}")
    return [{"role": role, "content": content} for role, content in said]


def _n_end(tokenizer: Tokenizer) -> int:
    """How many tokens stand after a text that are not the text's own, found by tokenising a marker."""
    whole, own = (list(tokenizer(_MARKER, add_special_tokens=adds)["input_ids"]) for adds in (True, False))
    n_added = len(whole) - len(own)
    return next((n for n in range(n_added + 1) if whole[n_added - n : len(whole) - n] == own), 0)


def _renders_system(tokenizer: Tokenizer) -> bool:
    turns = _turns(Chat("hello", _MARKER), takes_system=True)
    try:
        rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception:  # noqa: BLE001 - a template may refuse a role with whatever its author chose to raise
        return False
    return _MARKER in str(rendered)
