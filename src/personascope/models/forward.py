"""One forward pass of a model: to the logits, or only as far as its hooks want.

Knows how transformers' models are called; knows nothing of chats.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from transformers.cache_utils import Cache

from personascope.models.residual import stopping_after, stopping_early


class Forward:
    """Calls a model. `ids` and `positions` are [row token], `mask` is [row token] with what is cached before."""

    def __init__(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        self._model: Any = model
        self._blocks = blocks

    def logits(self, ids: Tensor, positions: Tensor, mask: Tensor, cache: Cache) -> Tensor:
        """Logits after the last token of each row, [row vocabulary]."""
        return self.last_logits(1, ids, positions, mask, cache)[:, -1]

    def last_logits(self, n: int, ids: Tensor, positions: Tensor, mask: Tensor, cache: Cache) -> Tensor:
        """Logits after each of the last `n` tokens of each row, [row n vocabulary]."""
        output = self._model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=n,
        )
        logits: Tensor = output.logits
        return logits

    def up_to(self, layer: int, ids: Tensor, positions: Tensor, mask: Tensor, cache: Cache | None) -> None:
        """Run the blocks up to and with `layer`, for what hooks and cache make of them."""
        with stopping_after(self._blocks[layer]):
            stopping_early(
                lambda: self._model(
                    input_ids=ids,
                    position_ids=positions,
                    attention_mask=mask,
                    past_key_values=cache,
                    use_cache=cache is not None,
                )
            )
