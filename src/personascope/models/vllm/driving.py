"""Requests through vLLM's engine, step by step, and calls to its workers.

What a run leaves undone (an error, Ctrl-C) is taken back, so that the engine can go on. After each run the workers are
asked whether they followed every message.

Knows vLLM's public engine; knows nothing of steerings or chats.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from personascope.errors import ModelError
from personascope.models.protocols import Sampling
from personascope.models.vllm.wire import CAPACITY, KEY, Capacity, Message
from personascope.models.vllm.wiring import Wired

_GREEDY = Sampling(max_new_tokens=1, temperature=0.0)
_SEEDS = 2**63


@dataclass(frozen=True)
class Request:
    """A text to be read, and written on from where it ends. `fresh`: run every token, whatever the prefix cache has."""

    ids: Sequence[int]
    wired: Wired
    sampling: Sampling = _GREEDY
    seed: int = 0
    fresh: bool = False


@dataclass(frozen=True)
class Written:
    """Token ids that were written, without the end token, and whether it came."""

    ids: tuple[int, ...]
    ended: bool


Heard = Callable[[int, Written, bool], None]
"""Called with a request's number, what it has so far, and whether it is finished."""


class Driver:
    """One engine of vLLM; made by `starting`."""

    def __init__(self, llm: Any, ends: Iterable[int], capacity: Capacity, lora: Any = None) -> None:
        self._llm, self._ends, self._lora = llm, sorted(ends), lora
        self._held, self._capacity = capacity, json.dumps(asdict(capacity))
        self._numbers = itertools.count()

    @property
    def llm(self) -> Any:
        """What vLLM itself calls `LLM`."""
        return self._llm

    def wearing(self, lora: Any) -> "Driver":
        """The same engine, with an adapter on every request."""
        worn = Driver(self._llm, self._ends, self._held, lora)
        worn._numbers = self._numbers
        return worn

    def run(self, requests: Sequence[Request], heard: Heard | None = None, *, growing: bool = False) -> list[Written]:
        """What each request writes. `heard` is told when one is finished, and with `growing` at each token.

        Raises ModelError where a worker did not follow a message.
        """
        os.environ[CAPACITY] = self._capacity  # admission reads it; another engine may have been opened since
        engine = self._llm.llm_engine
        written: list[Written] = [Written((), ended=False)] * len(requests)
        open_now: dict[str, int] = {}
        try:
            for at, request in enumerate(requests):
                name = f"personascope-{next(self._numbers)}"
                open_now[name] = at
                self._add(name, request, growing)
            while open_now:
                for output in engine.step():
                    at = open_now[output.request_id]
                    written[at] = self._written(output.outputs[0])
                    if heard:
                        heard(at, written[at], output.finished)
                    if output.finished:
                        del open_now[output.request_id]
        finally:
            if open_now:
                engine.abort_request(list(open_now))
        if told := next(filter(None, self.ask("refused")), None):
            raise ModelError(f"vLLM's worker ran a request unsteered or unread: {told[0]}", hint="report this as a bug")
        return written

    def ask(self, what: str, *args: Any) -> list[Any]:
        """What every worker answers, in the order of ranks."""
        answers: list[Any] = self._llm.collective_rpc(f"personascope_{what}", args=args)
        return answers

    def put(self, rows: list[int], vectors: np.ndarray) -> None:
        """Write vectors [row width] into every worker's bank."""
        self.ask("put", rows, np.ascontiguousarray(vectors, dtype=np.float32).tobytes())

    def _add(self, name: str, request: Request, growing: bool) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        message, sampling = request.wired.message, request.sampling
        told = {KEY: message.text()} if message != Message(message.start) else None
        params = SamplingParams(
            temperature=sampling.temperature,
            max_tokens=sampling.max_new_tokens,
            seed=None if sampling.temperature == 0 else request.seed % _SEEDS,
            stop_token_ids=self._ends,
            ignore_eos=True,
            detokenize=False,
            extra_args=told,
            skip_reading_prefix_cache=request.fresh,
            output_kind=RequestOutputKind.CUMULATIVE if growing else RequestOutputKind.FINAL_ONLY,
        )
        prompt: dict[str, Any] = {"prompt_token_ids": list(request.ids)}
        if request.wired.salt is not None:
            prompt["cache_salt"] = request.wired.salt
        self._llm.llm_engine.add_request(name, prompt, params, lora_request=self._lora)

    def _written(self, output: Any) -> Written:
        ids = tuple(output.token_ids)
        ended = bool(ids) and ids[-1] in self._ends
        return Written(ids[:-1] if ended else ids, ended)
