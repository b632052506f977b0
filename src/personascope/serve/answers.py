"""Answers in the form of OpenAI's protocol: whole, or in pieces while the replies are written.

Knows the desk; knows no engine and no server.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from personascope.errors import UserError
from personascope.models.protocols import Reply
from personascope.serve.desk import Desk, Hear, Order
from personascope.serve.refusals import told_of

_UNFINISHED = "\ufffd"
"""What stands for the first bytes of a character whose others are still to come."""
_LAST = "data: [DONE]\n\n"


@dataclass(frozen=True)
class Wanted:
    """The replies that one request wants. `n_prompt` tokens are counted for its prompt."""

    model: str
    orders: tuple[Order, ...]
    n_prompt: int
    counts_last: bool = False
    """Whether the last piece of a stream counts tokens."""


async def whole(desk: Desk, wanted: Wanted) -> dict[str, Any]:
    """The answer once all replies are written. Raises UserError where the engine could not write one."""
    waiting = [asyncio.wrap_future(desk.take(order)) for order in wanted.orders]
    replies = await asyncio.gather(*waiting)
    choices = [
        {
            "index": at,
            "message": {"role": "assistant", "content": reply.text},
            "logprobs": None,
            "finish_reason": _why_it_ended(reply),
        }
        for at, reply in enumerate(replies)
    ]
    return {**_head(wanted, "chat.completion"), "choices": choices, "usage": _usage(wanted, replies)}


async def pieces(desk: Desk, wanted: Wanted) -> AsyncIterator[str]:
    """The answer as server-sent events. A client that leaves takes back what was not begun."""
    head, loop = _head(wanted, "chat.completion.chunk"), asyncio.get_running_loop()
    news: asyncio.Queue[tuple[int, str | Future[Reply]]] = asyncio.Queue()

    def hear_of(at: int) -> Hear:
        def hear(text: str) -> None:
            loop.call_soon_threadsafe(news.put_nowait, (at, text))

        return hear

    orders = [replace(order, hear=hear_of(at)) for at, order in enumerate(wanted.orders)]
    growing, replies = [_Growing() for _ in orders], list[Reply]()
    try:
        for at, order in enumerate(orders):
            yield _event(head, at, {"role": "assistant", "content": ""})
            desk.take(order).add_done_callback(
                lambda done, at=at: loop.call_soon_threadsafe(news.put_nowait, (at, done))  # type: ignore[misc]
            )
        while len(replies) < len(orders):
            at, told = await news.get()
            if isinstance(told, str):
                ends = None
                text = growing[at].more(told)
            else:
                replies.append(told.result())
                ends = _why_it_ended(replies[-1])
                text = growing[at].rest(replies[-1].text)
            for piece in _pieces(head, at, text, ends):
                yield piece
    except UserError as error:
        yield _line({"error": {"message": told_of(error), "type": "invalid_request_error", "code": 400}})
    finally:
        for order in orders:
            order.reply.cancel()
    if wanted.counts_last and len(replies) == len(orders):
        yield _line({**head, "choices": [], "usage": _usage(wanted, replies)})
    yield _LAST


class _Growing:
    """What was sent of a text that grows at its end."""

    def __init__(self) -> None:
        self._sent = ""

    def more(self, text: str) -> str:
        """What is new, up to the last whole character; nothing while what was sent is not the beginning of it."""
        text = text.rstrip(_UNFINISHED)
        return self.rest(text) if text.startswith(self._sent) else ""

    def rest(self, text: str) -> str:
        """What is new, to the end."""
        alike = next((at for at, (a, b) in enumerate(zip(text, self._sent, strict=False)) if a != b), len(self._sent))
        new = text[alike:]
        self._sent = text
        return new


def _head(wanted: Wanted, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": wanted.model}


def _pieces(head: dict[str, Any], at: int, text: str, ends: str | None) -> Iterator[str]:
    if text:
        yield _event(head, at, {"content": text})
    if ends:
        yield _event(head, at, {}, ends)


def _event(head: dict[str, Any], at: int, delta: dict[str, str], ends: str | None = None) -> str:
    return _line({**head, "choices": [{"index": at, "delta": delta, "logprobs": None, "finish_reason": ends}]})


def _line(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told, ensure_ascii=False)}\n\n"


def _why_it_ended(reply: Reply) -> str:
    return "stop" if reply.ended else "length"


def _usage(wanted: Wanted, replies: list[Reply]) -> dict[str, int]:
    n_written = sum(reply.n_tokens for reply in replies)
    return {
        "prompt_tokens": wanted.n_prompt,
        "completion_tokens": n_written,
        "total_tokens": wanted.n_prompt + n_written,
    }
