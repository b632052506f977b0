"""What the columns of a data set mean: from a row to the text that is read.

    prompt, reply [, instruction]   a chat: the reply is read, under the model's chat template
    messages                        turns with `role` and `content` (or `from` and `value`): the first exchange is read
    text                            a text as it stands, without a template, after its first word

Columns are found by their usual names, or named. Knows rows; knows no file and no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from personascope.artifacts import Json
from personascope.errors import DataError
from personascope.models.protocols import Chat
from personascope.projection import Text

Record = Mapping[str, Any]

_USUAL = {
    "messages": ("messages", "conversations", "conversation"),
    "prompt": ("prompt", "question", "query"),
    "reply": ("reply", "response", "completion", "answer", "output"),
    "text": ("text", "content"),
    "instruction": ("instruction", "system", "system_prompt"),
}
_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}
HINT = "name them: --columns prompt=NAME,reply=NAME[,instruction=NAME], or messages=NAME, or text=NAME"


@dataclass(frozen=True)
class Columns:
    """The names of the columns that are read: prompt and reply, or messages, or text."""

    prompt: str | None = None
    reply: str | None = None
    instruction: str | None = None
    messages: str | None = None
    text: str | None = None

    def as_json(self) -> dict[str, Json]:
        """Only those that are there."""
        return {what: name for what, name in asdict(self).items() if name}


def columns_named(named: str | None, first: Record) -> Columns:
    """The columns that a user names, else those with the usual names. Raises DataError where they make no text."""
    there = ", ".join(map(str, first))
    if named is None:
        found = _usual(first)
        if found is None:
            raise DataError(f"no column of {there} has a usual name", hint=HINT)
        return found
    given = dict(part.split("=", 1) for part in named.replace(" ", "").split(",") if "=" in part)
    if given.keys() - _USUAL.keys() or not _makes_text(given):
        raise DataError(f"--columns {named} names no text", hint=HINT)
    for what, name in given.items():
        if name not in first:
            raise DataError(f"there is no column {name!r} for {what}: there are {there}", hint=HINT)
    return Columns(**given)


def text_of(record: Record, columns: Columns) -> Text:
    """The text of a row. What it lacks is told as its problem: one bad row of a million ends nothing."""
    if columns.messages:
        return _exchange(record.get(columns.messages))
    if columns.text:
        return _plain(record.get(columns.text))
    prompt, reply = record.get(columns.prompt or ""), record.get(columns.reply or "")
    instruction = record.get(columns.instruction) if columns.instruction else None
    if not isinstance(prompt, str) or not prompt.strip():
        return _unread(f"no text in {columns.prompt}")
    if not isinstance(reply, str) or not reply.strip():
        return _unread(f"no text in {columns.reply}")
    told = instruction if isinstance(instruction, str) and instruction.strip() else None
    return Text(Chat(prompt, told), reply)


def _usual(first: Record) -> Columns | None:
    by_case = {str(name).lower(): str(name) for name in first}
    found = {what: next((by_case[name] for name in names if name in by_case), None) for what, names in _USUAL.items()}
    if found["messages"]:
        return Columns(messages=found["messages"])
    if found["prompt"] and found["reply"]:
        return Columns(found["prompt"], found["reply"], found["instruction"])
    return Columns(text=found["text"]) if found["text"] else None


def _makes_text(given: Mapping[str, str]) -> bool:
    return given.keys() in ({"messages"}, {"text"}, {"prompt", "reply"}, {"prompt", "reply", "instruction"})


def _unread(problem: str) -> Text:
    return Text(Chat(""), "", problem)


def _plain(text: Any) -> Text:
    """The first word is put as the prompt: the token at the very beginning of a text is never read."""
    if not isinstance(text, str) or not text.strip():
        return _unread("no text")
    words = text.strip().split(maxsplit=1)
    if len(words) == 1:
        return _unread("a single word")
    rest = text.strip()[len(words[0]) :]
    return Text(Chat(words[0], raw=True), rest)


def _exchange(turns: Any) -> Text:
    """The user's first turn, under the instruction before it, and the reply: what later turns follow from is long."""
    told = list(turns) if isinstance(turns, Sequence) and not isinstance(turns, str) else []
    said = [_turn(turn) for turn in told]
    instruction = said.pop(0)[1] if said and said[0][0] == "system" else None
    if [role for role, _ in said[:2]] != ["user", "assistant"]:
        return _unread("no turn of a user followed by an assistant's")
    prompt, reply = said[0][1], said[1][1]
    if not prompt.strip() or not reply.strip():
        return _unread("an empty turn")
    return Text(Chat(prompt, instruction or None), reply)


def _turn(turn: Any) -> tuple[str, str]:
    """Role and text of a turn; "" for what is no text, as pictures and calls of tools are none."""
    if not isinstance(turn, Mapping):
        return "", ""
    role = str(turn.get("role") or turn.get("from") or "").lower()
    content = turn.get("content", turn.get("value"))
    return _ROLES.get(role, role), content if isinstance(content, str) else ""
