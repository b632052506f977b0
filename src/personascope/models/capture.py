"""Reading the residual stream of given texts: one forward pass for all layers, pooled inside the hook.

A pass ends after the deepest wanted block, so later blocks and the output head never run. Knows batches and hooks.
"""

from collections.abc import Sequence

from personascope.models.batches import Row, by_token_budget, layout, run_halving
from personascope.models.cache import prefixed_cache
from personascope.models.pooling import Pooling, empty_residuals, put
from personascope.models.protocols import Residuals, Steered, Tick
from personascope.models.residual import edited, reading
from personascope.models.running import Runner


def capture(
    runner: Runner,
    rows: Sequence[Row],
    *,
    layers: Sequence[int],
    width: int,
    steering: Sequence[Steered] | None,
    tick: Tick | None,
) -> Residuals:
    """The residuals of all rows at `layers`, each row under its steering; what is read is the stream after its edit."""
    whole = empty_residuals(len(rows), len(layers), width)
    prefixes = runner.run_prefixes(rows)

    def run(batch: Sequence[Row]) -> None:
        laid = layout(batch, runner.device)
        pooling = Pooling(laid, layers, runner.special)
        cache = prefixed_cache(len(runner.blocks), laid, prefixes, room=0) if laid.n_cached else None
        hooks = runner.edits(laid, steering).hooks(max(layers))
        with edited(runner.blocks, hooks), reading(runner.blocks, layers, pooling):
            runner.forward.up_to(max(layers), laid.ids, laid.positions, laid.mask, cache)
        put(whole, [row.sample for row in batch], pooling.residuals())
        if tick:
            tick(len(batch))

    for batch in by_token_budget(rows, runner.limits.tokens):
        run_halving(batch, run)
    return whole
