"""Every private name of vLLM that is used, in one place: which layers a model has, and which request a row is of.

These names change between minor versions. They are checked when a worker installs itself; a missing one is told before
anything runs. Both runners: V1 (`gpu_model_runner`, `cpu_model_runner`) and V2 (`worker/gpu/model_runner`).

Knows the inside of vLLM's runners (0.32); imports nothing of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from personascope.errors import ModelError
from personascope.models.vllm.runtime import Rows, Runtime

BOTH = ("model", "model_config", "max_num_tokens", "max_num_reqs", "device", "get_model")
V1 = ("_model_forward", "input_batch", "requests", "query_start_loc")
V1_BATCH = ("req_ids", "num_computed_tokens_cpu", "num_prompt_tokens")
V2 = ("add_requests", "prepare_inputs", "execute_model")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)$")


def check_names(runner: object) -> bool:
    """Whether the runner is a V2 one. Raises ModelError where it lacks a name that we use."""
    is_v2 = not hasattr(runner, "_model_forward") and hasattr(runner, "prepare_inputs")
    missing = [name for name in (*BOTH, *(V2 if is_v2 else V1)) if not hasattr(runner, name)]
    if not is_v2 and not missing:
        missing = [f"input_batch.{name}" for name in V1_BATCH if not hasattr(runner.input_batch, name)]  # type: ignore[attr-defined]
    if missing:
        raise ModelError(
            f"this vLLM's runner ({type(runner).__module__}) has no {', '.join(missing)}",
            hint="personascope steers vLLM 0.32: install that version, or use --engine hf",
        )
    return is_v2


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The decoder layers in order, of whatever architecture. Raises ModelError where there are none, or not all."""
    groups: dict[str, dict[int, nn.Module]] = {}
    for name, module in model.named_modules():
        if (found := _LAYER.search(name)) and "vision" not in name and "visual" not in name:
            groups.setdefault(name[: found.start()], {})[int(found[1])] = module
    layers = max(groups.values(), key=len, default={})
    missing = [at for at in range(len(layers)) if at not in layers or type(layers[at]).__name__.startswith("PPMissing")]
    if not layers or missing:
        raise ModelError(
            "the decoder layers of vLLM's model are not all on this worker",
            hint="leave out pipeline parallelism; tensor parallelism is fine",
        )
    return [layers[at] for at in range(len(layers))]


@contextmanager
def plain_head(model: Any) -> Iterator[Callable[[Tensor], Tensor | None]]:
    """The output head without an adapter's part, which would look for requests of the step that is over.

    Adapters on the head itself are refused when they are opened.
    """
    worn = getattr(model, "logits_processor", None)
    bare = getattr(worn, "base_layer", None)
    if bare is None:
        yield model.compute_logits
        return
    model.logits_processor = bare
    try:
        yield model.compute_logits
    finally:
        model.logits_processor = worn


def wrap(runner: Any, runtime: Runtime) -> None:
    """From now on the runtime is told before every forward pass whose tokens are in it."""
    (_wrap_v2 if check_names(runner) else _wrap_v1)(runner, runtime)


def _wrap_v1(runner: Any, runtime: Runtime) -> None:
    """`_model_forward` runs after a batch is prepared and outside compiled code; trial passes go past it."""
    forward: Callable[..., Any] = runner._model_forward

    def extra_of(request: str) -> Mapping[str, Any] | None:
        sampling = runner.requests[request].sampling_params
        return sampling.extra_args if sampling else None

    def told(*args: Any, **settings: Any) -> Any:
        batch, starts = runner.input_batch, runner.query_start_loc.np
        runtime.forget([request for request in runtime.known if request not in runner.requests])
        runtime.aim(_rows(batch.req_ids, starts, batch.num_computed_tokens_cpu, batch.num_prompt_tokens), extra_of)
        try:
            return forward(*args, **settings)
        finally:
            runtime.rest()

    runner._model_forward = told


def _wrap_v2(runner: Any, runtime: Runtime) -> None:
    """V2 keeps no sampling parameters: they are caught as requests come, rows as inputs are prepared.

    A preempted request comes again as new; what is known of it (how far it was counted) must outlive that.
    """
    add, prepare, execute = runner.add_requests, runner.prepare_inputs, runner.execute_model
    extras: dict[str, Mapping[str, Any] | None] = {}
    prompts: dict[str, int] = {}

    def add_requests(scheduled: Any, *args: Any, **settings: Any) -> Any:
        finished = list(scheduled.finished_req_ids)
        runtime.forget(finished)
        for request in finished:
            extras.pop(request, None)
            prompts.pop(request, None)
        for new in scheduled.scheduled_new_reqs:
            extras[new.req_id] = new.sampling_params.extra_args if new.sampling_params else None
            prompts.setdefault(new.req_id, len(new.prompt_token_ids or ()))
        return add(scheduled, *args, **settings)

    def prepare_inputs(*args: Any, **settings: Any) -> Any:
        batch = prepare(*args, **settings)
        n_prompt = [prompts.get(request, 0) for request in batch.req_ids]
        rows = _rows(batch.req_ids, batch.query_start_loc_np, batch.num_computed_tokens_np, n_prompt)
        runtime.aim(rows, extras.get)
        return batch

    def execute_model(*args: Any, **settings: Any) -> Any:
        runtime.rest()
        try:
            return execute(*args, **settings)
        finally:
            runtime.rest()

    runner.add_requests, runner.prepare_inputs, runner.execute_model = add_requests, prepare_inputs, execute_model


def _rows(requests: Sequence[str], starts: Any, computed: Any, prompts: Any) -> list[Rows]:
    return [
        Rows(request, int(starts[at]), int(starts[at + 1] - starts[at]), int(computed[at]), int(prompts[at]))
        for at, request in enumerate(requests)
    ]
