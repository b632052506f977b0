"""How a push at each layer would change the likelihood of given replies: every direction in one backward pass.

    g_k = d/dv sum_i weights[i] * (mean log-probability of reply i's tokens)       at v = 0

v is added at the output of block k, from 0, at the last prompt token and every token of the reply. A direction u then
has the slope <g_k, u> at dose 0, exactly: a thousand control vectors cost a thousand inner products.

Knows batches, caches and hooks; knows nothing of chats.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from personascope.models.batches import Layout, Row, by_token_budget, layout, run_halving
from personascope.models.cache import Prefixes, prefixed_cache
from personascope.models.chat import Tokens
from personascope.models.residual import Edit, edited
from personascope.models.running import Runner

_BACKWARD_SHARE = 8
"""A pass that keeps its activations for the way back holds so much less than one that does not."""


def sensitivity(
    runner: Runner,
    samples: Sequence[Tokens],
    weights: Float32[np.ndarray, " sample"],
    *,
    layers: Sequence[int],
    width: int,
) -> Float32[np.ndarray, "layer width"]:
    """The gradient of the weighted sum of mean log-probabilities, by layer; replies without tokens count nothing."""
    whole = torch.zeros(len(layers), width, dtype=torch.float32)
    rows = [Row(i, t, tuple(t.ids[: t.start - 1])) for i, t in enumerate(samples) if len(t.ids) > t.start]
    with torch.no_grad():
        prefixes = runner.run_prefixes(rows)

    def run(batch: Sequence[Row]) -> None:
        share = torch.tensor([float(weights[row.sample]) for row in batch], device=runner.device)
        whole.add_(_gradient(runner, layout(batch, runner.device), prefixes, share, layers, width).cpu())

    for batch in by_token_budget(rows, max(1, runner.limits.tokens // _BACKWARD_SHARE)):
        run_halving(batch, run)
    return whole.numpy()


def _gradient(
    runner: Runner,
    laid: Layout,
    prefixes: Prefixes,
    share: Float[Tensor, " row"],
    layers: Sequence[int],
    width: int,
) -> Float[Tensor, "layer width"]:
    pushes = torch.zeros(len(layers), width, dtype=torch.float32, device=runner.device, requires_grad=True)
    lengths = torch.tensor([row.length - row.tokens.start for row in laid.rows], device=runner.device)
    from_the_end = laid.ids.shape[1] - torch.arange(laid.ids.shape[1], device=runner.device)[None]
    reply = (from_the_end <= lengths[:, None])[..., None]
    pushed = (from_the_end <= lengths[:, None] + 1)[..., None]

    def push(slot: int) -> Edit:
        return lambda stream: (stream + pushed * pushes[slot]).to(stream.dtype)

    cache = prefixed_cache(len(runner.blocks), laid, prefixes, room=0)
    with torch.enable_grad(), edited(runner.blocks, {layer: push(slot) for slot, layer in enumerate(layers)}):
        logits = runner.forward.last_logits(laid.ids.shape[1], laid.ids, laid.positions, laid.mask, cache)
        targets = laid.ids[:, 1:, None]
        logp = torch.log_softmax(logits[:, :-1].float(), dim=-1).gather(-1, targets) * reply[:, 1:]
        means = logp.sum((1, 2)) / lengths
        (gradient,) = torch.autograd.grad((share * means).sum(), pushes)
    return gradient
