"""What a request for a chat completion asks, read from its body; what this server cannot do is refused, not ignored.

Knows the fields of OpenAI's protocol; knows no engine and no server.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personascope.errors import UserError
from personascope.models.protocols import Chat, Sampling
from personascope.serve.personas import KEY

_NO_WISH: dict[str, tuple[object, ...]] = {
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "echo": (False,),
    "stop": ([],),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
}
"""Fields of the protocol that are not served, with the values that ask for nothing; null asks for nothing anywhere."""
_UNHEARD = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
"""Fields that change no answer."""
_MOST_ANSWERS = 128
_MOST_TOKENS = 1024
"""Tokens of a reply where a request does not say."""


@dataclass(frozen=True)
class Asked:
    """One request: `n` replies to a chat. `wants_usage`: the last piece of a stream counts tokens."""

    chat: Chat
    sampling: Sampling
    seed: int | None
    n: int
    stream: bool
    wants_usage: bool
    persona: object
    model: str | None


def chat_asked(body: object) -> Asked:
    """What the body of `/v1/chat/completions` asks. Raises UserError where this server cannot do it."""
    if not isinstance(body, Mapping):
        raise UserError("the body is no JSON object", hint='send {"messages": [{"role": "user", "content": "Hello"}]}')
    known = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "seed", "n", "stream"}
    known |= {"stream_options", KEY, *_UNHEARD, *_NO_WISH}
    for name, value in body.items():
        if name not in known:
            raise UserError(f"there is no field {name!r}", hint=f"this server knows {', '.join(sorted(known))}")
        if name in _NO_WISH and value is not None and not _among(value, _NO_WISH[name]):
            raise UserError(f"{name} is not served", hint="leave it out: replies are drawn from the model as it is")
    options = body.get("stream_options") or {}
    if not isinstance(options, Mapping):
        raise UserError("stream_options is no object", hint='send {"include_usage": true}')
    return Asked(
        _chat(body.get("messages")),
        Sampling(_most_tokens(body), _temperature(body.get("temperature"))),
        _whole(body, "seed", None, 0, 2**63 - 1),
        _whole(body, "n", 1, 1, _MOST_ANSWERS) or 1,
        _flag(body, "stream"),
        _flag(options, "include_usage"),
        body.get(KEY),
        body.get("model"),
    )


def _chat(messages: object) -> Chat:
    """The conversation: an instruction or none, then user and assistant in turn, the user last."""
    shape = "begin with at most one system message, then user and assistant in turn; end with the user"
    if not isinstance(messages, list) or not messages:
        raise UserError("messages is no list, or empty", hint=shape)
    turns = [_turn(one) for one in messages]
    instruction = None
    if turns[0][0] == "system":
        (_, instruction), *turns = turns
    expected = ["user", "assistant"] * len(turns)
    if not turns or [role for role, _ in turns] != expected[: len(turns)] or turns[-1][0] != "user":
        raise UserError(f"the roles are {', '.join(role for role, _ in turns) or 'none but system'}", hint=shape)
    said = [text for _, text in turns]
    earlier = tuple(zip(said[:-1:2], said[1::2], strict=True))
    return Chat(said[-1], instruction, earlier=earlier)


def _turn(message: object) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise UserError("a message is no object", hint='write {"role": "user", "content": "Hello"}')
    role = {"developer": "system"}.get(str(message.get("role")), message.get("role"))
    if role not in ("system", "user", "assistant"):
        raise UserError(f"there is no role {role!r}", hint="choose one of system, user, assistant")
    content = message.get("content")
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    ):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise UserError(f"the content of a {role} message is no text", hint="this server reads text alone")
    if role == "user" and not content:
        raise UserError("a user message is empty", hint="give it some text")
    return str(role), content


def _most_tokens(body: Mapping[str, Any]) -> int:
    names = ("max_completion_tokens", "max_tokens")
    found = [_whole(body, name, None, 1, 2**31) for name in names if body.get(name) is not None]
    if len(set(found)) > 1:
        raise UserError("max_tokens and max_completion_tokens differ", hint="give one of them")
    return found[0] or _MOST_TOKENS if found else _MOST_TOKENS


def _temperature(value: object) -> float:
    if value is None:
        return 1.0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 2 or math.isnan(value):
        raise UserError(f"temperature {value!r} is no number from 0 to 2", hint="0 is greedy, 1 the model as it is")
    return float(value)


def _whole(body: Mapping[str, Any], name: str, default: int | None, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserError(
            f"{name} {value!r} is no whole number from {least} to {most}", hint=f"leave {name} out, or mend it"
        )
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise UserError(f"{name} {value!r} is neither true nor false", hint=f"leave {name} out, or mend it")
    return bool(value)


def _among(value: object, values: Sequence[object]) -> bool:
    """Whether it is one of the values; true is not 1 here."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)
