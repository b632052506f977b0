"""A fixed dose as a part of the weights: block k puts out h + a v where its last projection has the bias a v.

    h = stream + W x          ->          h = stream + W x + b,   b = a v      at every token, prompt and reply alike

So any program that runs the architecture runs it steered, without a hook. True only where nothing follows the
projection in its block but the sum with the stream: that is tried on the model, not read off its name. A projection
has a bias by itself (GPT-2, GPT-NeoX, OPT) or by the config's `mlp_bias` (Llama and its kin); the biases that come with
the latter are zero but for those baked.

Knows torch modules and transformers' configs; knows no chats and no files of vectors.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from personascope.errors import ModelError, SteeringError
from personascope.models.protocols import Steered
from personascope.models.residual import reading

SWITCH = "mlp_bias"
"""The config's field that gives an architecture's MLP its biases."""
_AT_RUN_TIME = "steer this model at run time instead: personascope steer"
_EXACT = 1e-4
"""How far a block's output may move beside the vector, as a share of it: float32 sums round by less."""

Biases = Mapping[int, Float32[np.ndarray, " width"]]
"""What is added after each block, by layer, in units of the residual stream."""

Projections = Mapping[int, Any]
"""The last `Linear` or `Conv1D` of blocks, by layer."""


def biases_of(steered: Steered) -> dict[int, Float32[np.ndarray, " width"]]:
    """The sum of all edits at each layer, strength times direction.

    Raises SteeringError for what no bias can do, and where nothing would be added.
    """
    sums: dict[int, np.ndarray] = {}
    for edit in steered:
        if edit.mode != "add" or edit.positions != "all" or edit.condition is not None:
            raise SteeringError(
                f"mode {edit.mode} at positions {edit.positions} is no bias",
                hint="a bias adds the same to every token: mode add, positions all, no condition",
            )
        if edit.strength == 0:
            raise SteeringError("strength 0 bakes nothing", hint="give a strength above or below 0, as --strength 1")
        for layer, vector in edit.directions.items():
            sums[layer] = sums.get(layer, np.zeros_like(vector)) + np.float32(edit.strength) * vector
    if not any(bias.any() for bias in sums.values()):
        raise SteeringError(
            "the vectors cancel: nothing would be baked", hint="leave one of them out, or change its strength"
        )
    return sums


@torch.inference_mode()
def find_projections(blocks: Sequence[nn.Module], biases: Biases, logits: Callable[[], Tensor]) -> Projections:
    """The module of each layer whose bias moves the output of the block by just that bias.

    `logits` runs the model on a few tokens. Raises ModelError where a block has no such module.
    """
    found = {layer: _last_projection(blocks[layer], len(bias), logits) for layer, bias in biases.items()}
    for layer, projection in found.items():
        plain = _stream_after(blocks, layer, logits)
        push = torch.from_numpy(biases[layer]).to(plain.device, plain.dtype)
        handle = projection.register_forward_hook(lambda _module, _args, output, push=push: output + push)
        try:
            moved = _stream_after(blocks, layer, logits) - plain
        finally:
            handle.remove()
        # What is subtracted rounds by the stream's size, which the vector may be small beside.
        slack = _EXACT * float(push.norm()) + 1e-6 * float(plain.norm(dim=-1).max())
        if float((moved - push).norm(dim=-1).max()) > slack:
            raise ModelError(
                f"no bias of block {layer} is the same as adding to its output: something follows its last projection "
                "(a norm, a factor or experts)",
                hint=_AT_RUN_TIME,
            )
    return found


def _last_projection(block: nn.Module, width: int, logits: Callable[[], Tensor]) -> nn.Module:
    """The last module of a block to run that ends in a matrix with so many outputs."""
    ran: list[nn.Module] = []
    there = [module for module in block.modules() if _outputs(module) == width]
    handles = [module.register_forward_hook(lambda module, _args, _output: ran.append(module)) for module in there]
    try:
        logits()
    finally:
        for handle in handles:
            handle.remove()
    if not ran:
        raise ModelError("the blocks of this model end in no plain projection", hint=_AT_RUN_TIME)
    return ran[-1]


def _outputs(module: Any) -> int:
    """How many numbers a plain projection puts out; 0 for what is none. Subclasses may compute something else."""
    if type(module) is nn.Linear:
        return int(module.out_features)
    return int(module.nf) if type(module) is Conv1D else 0


def _stream_after(blocks: Sequence[nn.Module], layer: int, logits: Callable[[], Tensor]) -> Tensor:
    streams: list[Tensor] = []
    with reading(blocks, [layer], lambda _layer, stream: streams.append(stream.clone())):
        logits()
    return streams[0]


def make_room(model: Any, projections: Projections) -> None:
    """Give the projections a bias of zeros where they have none, as the architecture itself would have it.

    Raises ModelError where the architecture has no such bias, so that no program would load one.
    """
    if all(projection.bias is not None for projection in projections.values()):
        return
    config = copy.deepcopy(model.config)
    text_config = config.get_text_config(decoder=True)
    kind = type(model).__name__
    if getattr(text_config, SWITCH, None) is not False:
        raise ModelError(f"the MLP of {kind} has no bias, and its config cannot give it one", hint=_AT_RUN_TIME)
    setattr(text_config, SWITCH, True)
    with torch.device("meta"):
        wider = type(model)(config)
    own = {name for name, _ in model.named_parameters()}
    new = {name: weight.shape for name, weight in wider.named_parameters() if name not in own}
    modules = dict(model.named_modules())
    wanted = {f"{name}.bias" for name, module in modules.items() if any(module is p for p in projections.values())}
    if not wanted <= new.keys() or not all(name.endswith(".bias") for name in new):
        raise ModelError(f"{SWITCH} gives {kind} no bias at the end of its blocks", hint=_AT_RUN_TIME)
    for name, shape in new.items():
        module = modules[name.removesuffix(".bias")]
        module.bias = nn.Parameter(torch.zeros(shape, device=module.weight.device, dtype=module.weight.dtype))
    setattr(model.config.get_text_config(decoder=True), SWITCH, True)


@torch.no_grad()
def rounded(projections: Projections, biases: Biases, dtype: torch.dtype) -> Biases:
    """What each projection's bias will be larger by in a file of this precision, where the whole bias is rounded."""
    added: dict[int, np.ndarray] = {}
    for layer, projection in projections.items():
        before = projection.bias.float().cpu()
        after = (before + torch.from_numpy(biases[layer])).to(dtype).float()
        added[layer] = (after - before).numpy()
    return added


@torch.no_grad()
def bake(projections: Projections, added: Biases) -> None:
    """Add to each projection's bias."""
    for layer, projection in projections.items():
        projection.bias += torch.from_numpy(added[layer]).to(projection.bias.device)


def narrowest_dtype(model: nn.Module) -> torch.dtype:
    """The smallest of bfloat16, float16 and float32 that holds every weight exactly: that of the model's own files."""
    for dtype in (torch.bfloat16, torch.float16):
        if all(bool((weight.to(dtype) == weight).all()) for weight in model.parameters()):
            return dtype
    return torch.float32
