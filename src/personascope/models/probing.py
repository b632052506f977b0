"""What a model is asked when it is opened: a few tokens through it, and two texts in a batch and alone.

Knows engines and torch modules; knows nothing of names and files.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from personascope.errors import ModelError
from personascope.models.chat import Tokens
from personascope.models.huggingface import HuggingFaceModel


class Probe:
    """A forward pass over a few tokens, as `find_blocks` and `prove_edits` want it."""

    def __init__(self, model: Any, n: int = 5) -> None:
        self._model = model
        self.n_tokens: int = model.get_input_embeddings().weight.shape[0]
        self._ids = torch.tensor([self.numbers(n)], device=next(model.parameters()).device)

    def numbers(self, n: int) -> list[int]:
        """Ids of `n` tokens, spread over the vocabulary."""
        return [(7 + 31 * i) % self.n_tokens for i in range(n)]

    def logits(self) -> Tensor:
        """Of every token, [1 token vocabulary]."""
        output = self._model(input_ids=self._ids, use_cache=False)
        logits: Tensor = output.logits
        return logits


_LOOSEST = {"float32": 1e-3, "4bit-float32": 1e-3, "8bit": 0.25}
"""How far a text may read apart in a batch and alone, by precision; 0.1 in others, which round each sum.

In 8 bits an activation is rounded by the outliers of its whole batch, and turns with the last bit of a sum: 3 % of the
residual is usual on the default model, 9 % the most seen. What ignores positions reads apart by more than that.
"""


def prove_batches(engine: HuggingFaceModel, ids: list[int]) -> None:
    """Check that two texts of unlike length read the same in one batch with a shared prefix as each alone.

    Raises ModelError where they do not: a model that ignores position ids, or keeps more than keys and values.
    """
    texts = [Tokens(ids, len(ids) - 4), Tokens([*ids[:12], ids[1]], 12)]
    layers = list(range(engine.spec.n_layers))
    try:
        together = engine.read_tokens(texts, ["same", "same"], layers=layers).reply_mean
        alone = np.concatenate([engine.read_tokens([text], [None], layers=layers).reply_mean for text in texts])
    except (ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(
            f"texts of {engine.spec.name} cannot be run together ({error})",
            hint="recurrent and hybrid architectures are not supported yet; use a transformer decoder",
        ) from error
    gap = np.linalg.norm(together - alone, axis=-1) / np.linalg.norm(alone, axis=-1)
    dtype = engine.spec.dtype
    loosest = _LOOSEST.get(dtype) or _LOOSEST.get(dtype.partition("-")[0]) or 0.1
    if not gap.max() <= loosest:
        raise ModelError(
            f"a text of {engine.spec.name} reads differently in a batch (by {gap.max():.1%} of its residual)",
            hint="the model ignores position ids or attention masks; its numbers could not be trusted",
        )


def fingerprint(model: Any, dtype: torch.dtype | None = None) -> str:
    """A short hash of values spread over all weights: another training of the same model has another one.

    With `dtype`, that of the weights rounded to this precision: the hash that the same model has when opened in it.
    """
    hashed = hashlib.sha256()
    for name, weight in model.named_parameters():
        flat = weight.detach().flatten()
        some = flat[:: max(1, flat.numel() // _WEIGHTS_HASHED)].to(dtype).float().cpu().numpy()
        hashed.update(name.encode() + some.tobytes())
    return hashed.hexdigest()[:12]


_WEIGHTS_HASHED = 512
"""Of each tensor."""
