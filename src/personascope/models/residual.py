"""Where a model's residual stream is: find the blocks, read after them, edit after them, prove it.

Layer k is the output of decoder block k, counted from 0. Edits at layer k change that output, the very
place that is read. Hooks live as long as a `with` and are taken back also when entering fails half-way.

Knows torch modules; knows nothing of chats, batches or stages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from personascope.errors import ModelError
from personascope.models.protocols import check_layers

Edit = Callable[[Tensor], Tensor]
"""From the residual stream [sample token width] to the edited one, same shape."""

Reader = Callable[[int, Tensor], None]
"""Called with the layer and its residual stream [sample token width]."""


class Enough(Exception):
    """Ends a forward pass after the deepest wanted block; caught by `stopping_early`."""


@contextmanager
def reading(blocks: Sequence[nn.Module], layers: Sequence[int], reader: Reader) -> Iterator[None]:
    """Call `reader` after each of `layers` while the `with` is open.

    Raises LayerError for a layer that the model does not have, ModelError if a layer was never reached.
    """
    check_layers(list(layers), len(blocks))
    idle = set(layers)

    def hook_for(layer: int) -> Callable[[nn.Module, object, object], None]:
        def hook(_block: nn.Module, _args: object, output: object) -> None:
            idle.discard(layer)
            reader(layer, stream_of(output))

        return hook

    with ExitStack() as undo:
        for layer in layers:
            undo.callback(blocks[layer].register_forward_hook(hook_for(layer)).remove)
        yield
    _require_ran(idle, "reading")


@contextmanager
def edited(blocks: Sequence[nn.Module], edits: Mapping[int, Edit]) -> Iterator[None]:
    """Rewrite the residual stream after the given blocks while the `with` is open.

    Raises LayerError for a layer that the model does not have, ModelError if an edit never ran.
    """
    if not edits:
        yield
        return
    check_layers(list(edits), len(blocks))
    idle = set(edits)

    def hook_for(layer: int) -> Callable[[nn.Module, object, object], object]:
        def hook(_block: nn.Module, _args: object, output: object) -> object:
            idle.discard(layer)
            return _with_stream(output, edits[layer](stream_of(output)))

        return hook

    with ExitStack() as undo:
        for layer in edits:
            undo.callback(blocks[layer].register_forward_hook(hook_for(layer)).remove)
        yield
    _require_ran(idle, "an edit")


@contextmanager
def resuming_after(blocks: Sequence[nn.Module], layer: int, stream: Tensor) -> Iterator[None]:
    """Within the `with`, a forward pass goes on from `stream` [sample token width] as the output of block `layer`.

    Blocks up to it run nothing; their hooks still do. Whether a model bears this is told by `bears_resuming`.
    """

    def give(*_args: object, **_settings: object) -> Tensor:
        return stream

    with ExitStack() as undo:
        for block in blocks[: layer + 1]:
            before = block.__dict__.get("forward")
            undo.callback(_put_back, block, before)
            block.forward = give
        yield


def _put_back(block: nn.Module, forward: object) -> None:
    if forward is None:
        del block.forward
    else:
        block.forward = forward  # type: ignore[assignment]


def bears_resuming(blocks: Sequence[nn.Module], logits: Callable[[], Tensor]) -> bool:
    """Whether a pass resumed in the middle ends in the same logits (not so where later blocks read earlier caches)."""
    streams, plain = _streams(blocks, logits)
    middle = len(blocks) // 2
    try:
        with resuming_after(blocks, middle, streams[middle]):
            again = logits()
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
        return False
    return torch.equal(again, plain)


@contextmanager
def stopping_after(block: nn.Module) -> Iterator[None]:
    """Within the `with`, a forward pass ends after `block`; call the model through `stopping_early`.

    Open it inside `reading`, so that the block is read before the pass ends.
    """

    def stop(_block: nn.Module, _args: object, _output: object) -> None:
        raise Enough

    handle = block.register_forward_hook(stop)
    try:
        yield
    finally:
        handle.remove()


def stopping_early(forward: Callable[[], object]) -> None:
    """Run a forward pass whose own output is not wanted, up to where a hook says it is enough."""
    try:
        forward()
    except Enough:
        return


def stream_of(output: object) -> Tensor:
    """The residual stream in a block's output: the tensor itself, or the first entry of a tuple."""
    stream = output[0] if isinstance(output, tuple) else output
    if not isinstance(stream, Tensor):
        raise ModelError(
            f"a decoder block returned {type(stream).__name__} where a tensor was expected",
            hint="please report the model's name; its blocks are built in a way not seen before",
        )
    return stream


def _with_stream(output: object, stream: Tensor) -> object:
    return (stream, *output[1:]) if isinstance(output, tuple) else stream


def _require_ran(idle: set[int], what: str) -> None:
    if idle:
        raise ModelError(
            f"{what} at layer {', '.join(map(str, sorted(idle)))} never ran",
            hint="the model did not call these blocks; please report its name",
        )


def find_blocks(model: nn.Module, width: int, forward: Callable[[], object]) -> list[nn.Module]:
    """The decoder blocks in order, found by watching one forward pass of text.

    They are the longest list of modules that all ran once, one after another, and put out a tensor of the
    model's width. `forward` runs the model on a few tokens. Raises ModelError if there is no such list.
    """
    candidates = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    calls: list[nn.Module] = []

    def note(block: nn.Module, _args: object, output: object) -> None:
        stream = output[0] if isinstance(output, tuple) else output
        three_axes = 3
        if isinstance(stream, Tensor) and stream.ndim == three_axes and stream.shape[-1] == width:
            calls.append(block)

    with ExitStack() as undo:
        for block in {id(block): block for blocks in candidates for block in blocks}.values():
            undo.callback(block.register_forward_hook(note).remove)
        forward()
    running = [blocks for blocks in candidates if [b for b in calls if any(b is c for c in blocks)] == blocks]
    if not running:
        raise ModelError(
            "no decoder blocks were found in this model",
            hint="personascope reads decoder-only language models; an encoder or an image model will not do",
        )
    return max(running, key=len)


def prove_edits(blocks: Sequence[nn.Module], logits: Callable[[], Tensor]) -> None:
    """Check on a few tokens that an edit after a block reads back there, and there first, and moves the logits.

    Tried at the first, the middle and the last block. Raises ModelError where the proof fails.
    """
    plain, plain_logits = _streams(blocks, logits)
    for layer in sorted({0, len(blocks) // 2, len(blocks) - 1}):
        push = 0.5 * plain[layer].norm(dim=-1, keepdim=True) * _some_direction(plain[layer])

        def add(stream: Tensor, push: Tensor = push) -> Tensor:
            return stream + push

        with edited(blocks, {layer: add}):
            moved, moved_logits = _streams(blocks, logits)
        before_alike = all(torch.equal(moved[k], plain[k]) for k in range(layer))
        if not (before_alike and torch.equal(moved[layer], add(plain[layer]))):
            raise ModelError(
                f"an edit after block {layer} did not land there",
                hint="the blocks found are not the ones that carry the stream; please report the model's name",
            )
        if not bool((moved_logits - plain_logits).abs().max() > 0):
            raise ModelError(
                f"an edit after block {layer} does not reach the logits",
                hint="the blocks found are not the language model's own; please report the model's name",
            )


def _streams(blocks: Sequence[nn.Module], logits: Callable[[], Tensor]) -> tuple[dict[int, Tensor], Tensor]:
    streams: dict[int, Tensor] = {}

    def keep(layer: int, stream: Tensor) -> None:
        streams[layer] = stream.clone()

    with reading(blocks, range(len(blocks)), keep):
        final = logits()
    return streams, final


def _some_direction(stream: Tensor) -> Tensor:
    direction = torch.cos(torch.arange(stream.shape[-1], device=stream.device, dtype=torch.float32))
    unit: Tensor = (direction / direction.norm()).to(stream.dtype)
    return unit
