"""What is read while the model runs, summed on the device: residuals of pools of tokens, and last residuals.

A pool sums the residuals of its tokens and their norms, at every layer, in float32; only sums leave the worker. Places
of fixed buffers are filled by the forward pass itself; what nobody reads goes to one more, which is thrown away.

Knows tensors; knows nothing of vLLM.
"""

import torch
from torch import Tensor

from personascope.models.vllm.wire import Capacity


class Sums:
    """The buffers of a worker; made only where something is to be read."""

    def __init__(self, capacity: Capacity, n_tokens: int, dtype: torch.dtype, device: torch.device) -> None:
        layers, pools, finals, width = capacity.n_layers, capacity.pools, capacity.finals, capacity.width
        self._streams = torch.zeros(layers, pools + 1, width, dtype=torch.float32, device=device)
        self._norms = torch.zeros(layers, pools + 1, dtype=torch.float32, device=device)
        self.finals = torch.zeros(finals + 1, width, dtype=dtype, device=device)
        """The last residual of tokens, [place width], as the output head reads it."""
        self.no_pool, self.no_final = pools, finals
        self.pool = torch.full((n_tokens,), pools, dtype=torch.int64, device=device)
        self.final = torch.full((n_tokens,), finals, dtype=torch.int64, device=device)

    def add(self, layer: int, stream: Tensor) -> None:
        """Sum a layer's stream [token width], float32, after its edits."""
        pool = self.pool[: stream.shape[0]]
        self._streams[layer].index_add_(0, pool, stream)
        self._norms[layer].index_add_(0, pool, stream.norm(dim=-1))

    def keep(self, final: Tensor) -> None:
        """Keep the last residuals [token width]."""
        self.finals.index_copy_(0, self.final[: final.shape[0]], final)

    def clear(self, place: int) -> None:
        """Begin a pool anew."""
        self._streams[:, place] = 0
        self._norms[:, place] = 0

    def pooled(self, places: list[int]) -> tuple[Tensor, Tensor]:
        """Sums of the streams [pool layer width] and of their norms [pool layer], on the host."""
        at = torch.tensor(places, device=self._streams.device)
        return self._streams[:, at].transpose(0, 1).cpu(), self._norms[:, at].transpose(0, 1).cpu()
