"""Replies at several strengths, from the opened model to what the terminal shows.

Apart from `steer`, so that help and mistakes need no torch.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from personascope.artifacts import Json, finite, header, sha256
from personascope.cli.bars import progress_bars
from personascope.cli.steered_model import SteeredModel, Turned, held_edits, is_raw, openers_of
from personascope.cli.steering_options import Asking
from personascope.cli.steering_tables import Sweep, print_sweep, strength_text, sweep_as_json
from personascope.gathering import Progress
from personascope.models.protocols import Chat
from personascope.steered_replies import Dial, describe, steered_replies
from personascope.steering import rho
from personascope.wording import signed


def swept(
    model: SteeredModel,
    trait: str,
    asking: Asking,
    prompts: Sequence[str],
    *,
    held: Mapping[str, float],
    progress: Progress,
) -> Sweep:
    """Replies to prompts at all strengths of a trait, the other traits held, and what they look like."""
    dial = model.turned[trait].dial
    doses = [dial.at(amount) for amount in asking.strengths]
    others = held_edits(model, trait, held)
    chats = [Chat(prompt, raw=is_raw(model, asking.raw)) for prompt in prompts]
    tick = progress("writing replies", len(doses) * len(chats))
    steered = [(*dose.steered, *others) for dose in doses]
    replies = steered_replies(model.engine, chats, steered, asking.sampling, seed=asking.seed, tick=tick)
    tick = progress("reading them", len(doses) * len(chats))
    return Sweep(tuple(prompts), tuple(doses), replies, describe(model.engine, chats, replies, tick=tick))


def compare(model: SteeredModel, asking: Asking, *, json_output: bool = False) -> None:
    """Write replies at all strengths and print them side by side, or as one JSON object."""
    prompts, chosen = (asking.prompts, "") if asking.prompts else openers_of(model.first)
    with progress_bars(leave=False) as progress:
        sweep = swept(model, model.first, asking, prompts, held=model.held, progress=progress)
    if json_output:
        print(json.dumps(finite(_as_json(model, asking, sweep)), indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, markup=False)
    for line in told_of(model, asking):
        console.print(line, soft_wrap=True)
    if chosen:
        console.print(f"! No prompt was given: these are {chosen}.", soft_wrap=True)
    print_sweep(console, model.turned[model.first].dial, sweep)


def told_of(model: SteeredModel, asking: Asking) -> list[str]:
    """What is turned and how, and what must be known about it."""
    turned = model.turned[model.first]
    dial, trait = turned.dial, turned.dial.vectors.metadata["trait"]
    lines = [
        f"{model.first}: {trait['low']} (−) to {trait['high']} (+), on {model.engine.spec.name}, {where_text(turned)}",
        _unit_text(dial),
        f"At most {asking.sampling.max_new_tokens} tokens at temperature {asking.sampling.temperature:g}, "
        f"seed {asking.seed}: the same noise at every strength.",
    ]
    lines += [
        f"{name} is held at {strength_text(amount)}, {where_text(model.turned[name])}"
        for name, amount in model.held.items()
    ]
    return lines + [f"! {note}" for note in model.notes]


def where_text(turned: Turned) -> str:
    """The layers of a dial and, where they were advised, why."""
    dial = turned.dial
    if dial.every_layer:
        return f"layers {dial.layers[0]}-{dial.layers[-1]}, each adding what the one before did not"
    layers = ", ".join(map(str, dial.layers))
    if dial.layers == (turned.advice.layer,):
        return f"layer {layers} ({turned.advice.why})"
    return f"layer{'s' if len(dial.layers) > 1 else ''} {layers}"


def _unit_text(dial: Dial) -> str:
    if dial.mode != "add":
        return f"Mode {dial.mode}: strength 1 makes the whole edit."
    layer = dial.layers[0]
    told = f"Strength 1 is one persona gap, rho {signed(rho(dial.vectors, layer, 1.0), 3)} of a token's residual norm"
    return f"{told} at layer {layer}." if len(dial.layers) > 1 else f"{told}."


def _as_json(model: SteeredModel, asking: Asking, sweep: Sweep) -> dict[str, Json]:
    turned = model.turned[model.first]
    dial = turned.dial
    settings = {
        "layers": dial.layers,
        "why": turned.advice.why,
        "mode": dial.mode,
        "positions": dial.positions,
        "unit": dial.unit,
        "every_layer": dial.every_layer,
        "held": dict(model.held),
        "sampling": asdict(asking.sampling),
        "seed": asking.seed,
        "raw": is_raw(model, asking.raw),
    }
    made_from = {str(one.path): sha256(one.path) for one in model.turned.values()}
    told = header("steered replies", model=model.engine.spec, made_from=made_from, settings=settings)
    return {
        **told,
        "trait": dial.vectors.metadata["trait"],
        "safe_rho": dial.safe,
        "notes": model.notes,
        **sweep_as_json(sweep),
    }
