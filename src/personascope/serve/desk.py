"""Where requests wait until the engine takes them, many in one batch, each with its own steering.

One thread runs the engine. What came while a batch was running makes up the next one, those of one sampling together;
a reply does not depend on who else is in its batch.

Knows the engine protocols; knows nothing of the web.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from personascope.errors import ModelError, UserError
from personascope.models.protocols import Chat, Generates, Reply, Sampling, Steered

_MOST_ROWS = 64
"""Rows of one batch: more make each of them wait for longer without being written faster."""

Hear = Callable[[str], None]
"""Called with the text of a reply so far, from the engine's thread."""


@dataclass(frozen=True, eq=False)
class Order:
    """One reply that is asked for. `hear` is told how it grows; `reply` is settled when it is whole."""

    chat: Chat
    sampling: Sampling
    seed: int
    steered: Steered
    hear: Hear | None = None
    reply: "Future[Reply]" = field(default_factory=Future)


class Desk:
    """The queue of one engine; `close` ends it."""

    def __init__(self, engine: Generates) -> None:
        self._engine = engine
        self._waiting: deque[Order] = deque()
        self._come = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._work, name="personascope-desk", daemon=True)
        self._thread.start()

    def take(self, order: Order) -> "Future[Reply]":
        """Put an order into the queue. Its reply may fail with UserError where the engine cannot write it."""
        with self._come:
            if not self._open:
                raise ModelError("the server is closing", hint="ask again once it is up")
            self._waiting.append(order)
            self._come.notify()
        return order.reply

    def close(self) -> None:
        """Let the batch that is running end; orders that still wait fail."""
        with self._come:
            self._open = False
            self._come.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            self._run(batch)

    def _next(self) -> list[Order]:
        """The oldest order and all that can be written with it; none once the desk is closed."""
        with self._come:
            self._come.wait_for(lambda: bool(self._waiting) or not self._open)
            if not self._open:
                for order in self._waiting:
                    if order.reply.set_running_or_notify_cancel():
                        order.reply.set_exception(ModelError("the server was closed", hint="ask again once it is up"))
                return []
            sampling = self._waiting[0].sampling
            batch = [order for order in self._waiting if order.sampling == sampling][:_MOST_ROWS]
            taken = {id(order) for order in batch}
            self._waiting = deque(order for order in self._waiting if id(order) not in taken)
        return [order for order in batch if order.reply.set_running_or_notify_cancel()] or self._next()

    def _run(self, batch: Sequence[Order]) -> None:
        def listen(row: int, text: str) -> None:
            if (hear := batch[row].hear) is not None:
                hear(text)

        try:
            made = self._engine.generate(
                [order.chat for order in batch],
                batch[0].sampling,
                seeds=[order.seed for order in batch],
                steering=[order.steered for order in batch],
                listen=listen if any(order.hear for order in batch) else None,
            )
        except UserError as error:
            if len(batch) == 1:
                batch[0].reply.set_exception(error)
            else:  # one of them cannot be written: the others must not suffer
                for order in batch:
                    self._run([order])
        except Exception as error:  # noqa: BLE001 - a bug ends this batch, not the server
            for order in batch:
                order.reply.set_exception(error)
        else:
            for order, reply in zip(batch, made.replies, strict=True):
                order.reply.set_result(reply)
