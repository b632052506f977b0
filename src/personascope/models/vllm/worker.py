"""vLLM's worker with our steering and reading in its model: given to vLLM by name, as `worker_cls`.

Installed right after the weights are loaded, before memory is measured, code compiled or graphs recorded. Its methods
starting with `personascope_` are called by `collective_rpc`; they take and give numbers, texts and bytes only.

Knows vLLM's workers; what is private of them is in `private_names`.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file
from vllm.platforms import current_platform

from personascope.models.vllm.private_names import decoder_layers, plain_head, wrap
from personascope.models.vllm.runtime import Place, Runtime
from personascope.models.vllm.scored import scores_of
from personascope.models.vllm.wire import STOCK, Capacity

if current_platform.is_cpu():
    from vllm.v1.worker.cpu_worker import CPUWorker as _Worker
else:
    from vllm.v1.worker.gpu_worker import Worker as _Worker


class PersonaWorker(_Worker):  # type: ignore[misc]
    """A worker that steers and reads what requests ask for."""

    def load_model(self, *args: Any, **settings: Any) -> Any:
        """Load the weights, then put the buffers and hooks in."""
        loaded = super().load_model(*args, **settings)
        runner = self.model_runner
        model, config = runner.get_model(), self.vllm_config
        layers = decoder_layers(model)
        told = dict((config.additional_config or {})["personascope"])
        stock = told.pop(STOCK, None)
        capacity = Capacity(n_layers=len(layers), width=config.model_config.get_hidden_size(), **told)
        place = Place(
            n_tokens=runner.max_num_tokens,
            n_requests=runner.max_num_reqs,
            dtype=config.model_config.dtype,
            device=torch.device(runner.device),
            eager=config.model_config.enforce_eager,
        )
        self._runtime = Runtime(capacity, place)
        self._hooks = self._runtime.install(layers, model)
        wrap(runner, self._runtime)
        if stock is not None:
            vectors = load_file(stock)["vectors"]
            self._runtime.programs.put(range(len(vectors)), vectors)
        return loaded

    def personascope_capacity(self) -> dict[str, int]:
        """How much the buffers hold."""
        return asdict(self._runtime.capacity)

    def personascope_put(self, rows: list[int], vectors: bytes) -> None:
        """Write vectors, float32 [row width], into rows of the bank."""
        width = self._runtime.capacity.width
        self._runtime.programs.put(rows, np.frombuffer(vectors, dtype=np.float32).reshape(len(rows), width))

    def personascope_refused(self) -> list[str]:
        """Why messages were not followed since the last question."""
        told, self._runtime.refused = self._runtime.refused, []
        return told

    def personascope_pooled(self, places: list[int]) -> tuple[bytes, bytes, list[int]]:
        """Sums [pool layer width] and norms [pool layer], float32, and how many tokens each pool summed."""
        sums = self._runtime.sums
        if sums is None:
            raise RuntimeError("this worker was started without buffers to read into")
        streams, norms = sums.pooled(places)
        return streams.numpy().tobytes(), norms.numpy().tobytes(), [self._runtime.counts.pop(at, 0) for at in places]

    def personascope_kept(self, first: int, end: int) -> bool:
        """Whether every place of last residuals from `first` up to before `end` was filled once."""
        return all(self._runtime.kept.pop(at, 0) == 1 for at in range(first, end))

    def personascope_scores(
        self, plain: list[int], steered: list[int], tokens: list[int]
    ) -> tuple[bytes, bytes] | None:
        """Log-probability of tokens after last residuals, and KL(steered || plain) there, float32; None but on rank 0.

        `plain` and `steered` are places of last residuals; all three lists are of one length.
        """
        sums = self._runtime.sums
        if sums is None:
            raise RuntimeError("this worker was started without buffers to read into")
        with plain_head(self.model_runner.get_model()) as head:
            found = scores_of(head, sums.finals, plain, steered, tokens)
        return None if found is None else (found[0].tobytes(), found[1].tobytes())

    def personascope_unhook(self) -> None:
        """Take the hooks off: for the test that the self-test notices."""
        for handle in self._hooks:
            handle.remove()
