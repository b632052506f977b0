"""Messages are checked where requests are taken in: what the worker could not follow is refused there.

Given to vLLM as one of its `logits_processors`, whose `validate_params` runs in the front end for every request: a
ValueError from it refuses that request (over HTTP with 400), and the engine goes on. It changes no logits.

Knows vLLM's public interface of logits processors.
"""

import json
import os
from typing import Any

from vllm import SamplingParams
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SecondLogitsProcessor

from personascope.errors import UserError
from personascope.models.vllm.wire import CAPACITY, KEY, Capacity, message_in


class Admission(LogitsProcessor, SecondLogitsProcessor):  # type: ignore[misc]
    """Refuses requests with a message that cannot be followed; for both of vLLM's runners."""

    @classmethod
    def validate_params(cls, params: SamplingParams) -> None:
        """Raise ValueError unless the request's message, if it has one, can be followed."""
        if (params.extra_args or {}).get(KEY) is None:
            return
        told = os.environ.get(CAPACITY)
        if told is None:
            raise ValueError(f"{KEY}: the engine is still starting")
        try:
            message_in(params.extra_args, Capacity(**json.loads(told)))
        except UserError as error:
            raise ValueError(f"{KEY}: {error}. {error.hint}") from error

    def __init__(self, *_config: Any) -> None:
        pass

    def is_argmax_invariant(self) -> bool:
        """True: logits stay as they are, so greedy requests skip this one."""
        return True

    def update_state(self, batch_update: Any) -> None:
        """Nothing is kept of a batch."""

    def apply(self, logits: Any, *_context: Any) -> Any:
        """The logits as they are."""
        return logits
