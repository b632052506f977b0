"""From last residuals to log-probabilities and divergences, on the device, a few hundred tokens at a time.

Knows tensors and an output head; knows nothing of vLLM.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

_AT_ONCE = 256
"""Tokens whose logits are held: 256 x 150,000 x 4 bytes = 150 MB, twice."""


def scores_of(
    head: Callable[[Tensor], Tensor | None],
    finals: Tensor,
    plain: Sequence[int],
    steered: Sequence[int],
    tokens: Sequence[int],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Log-probability of each token under `steered`, and KL(steered || plain) of what it was drawn from, in nats.

    `plain` and `steered` are rows of `finals` [place width]. None where the head's logits are on another worker.
    """
    logp, kl = np.empty(len(tokens), np.float32), np.empty(len(tokens), np.float32)
    for first in range(0, len(tokens), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        own, other = (_log_probabilities(head, finals, places[part]) for places in (steered, plain))
        if own is None or other is None:
            return None
        at = torch.tensor(tokens[part], device=own.device)[:, None]
        logp[part] = own.gather(1, at)[:, 0].cpu().numpy()
        kl[part] = (own.exp() * (own - other)).sum(-1).clamp(min=0).cpu().numpy()
    return logp, kl


def _log_probabilities(head: Callable[[Tensor], Tensor | None], finals: Tensor, places: Sequence[int]) -> Tensor | None:
    logits = head(finals[torch.tensor(places, device=finals.device)])
    return None if logits is None else torch.log_softmax(logits.float(), dim=-1)
