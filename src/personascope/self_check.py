"""Whether reading and steering can be trusted on one model: the laws of every engine, tried on this very one.

Strength 0 is no steering, an edit lands at the block it names and is heard in the reply, and batches, shared prompts
and other rows change nothing. Layer k is after decoder block k, from 0.

Knows the engine protocols; knows no engine and prints nothing.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from personascope.activations import joined
from personascope.check_bench import (
    CHATS,
    COARSE,
    PUSH,
    REPLIES,
    Bench,
    Check,
    at_layers,
    distance,
    hooks_on,
    identical,
    nats_apart,
    of_rows,
)
from personascope.errors import LayerError, UserError
from personascope.models.protocols import Condition, Sampling, Steered, Steering
from personascope.steering import MODES
from personascope.vectors import unit
from personascope.wording import decimals

NEW_TOKENS = 4
"""Of the replies that are written or scored."""
_FEW_CHATS, _FEW_REPLIES = CHATS[::2], REPLIES[::2]
"""Where many steerings are tried: the whole should take seconds."""
_STRONG = 10.0


def engine_checks(bench: Bench) -> Iterator[Check]:
    """One law after another, as it is tried. An error that a law meets is a law that does not hold."""
    for name, hint, law in LAWS:
        try:
            passed, measured = law(bench)
            yield Check(name, passed, measured, hint)
        except UserError as error:
            yield Check(name, False, str(error), error.hint)


def strength_zero(bench: Bench) -> tuple[bool, str]:
    """Whether strength 0 of every mode gives the same replies and residuals as no steering, bit for bit."""
    idle = [(bench.push(bench.middle, 0.0, mode=MODES[at % len(MODES)]),) for at in range(len(CHATS))]
    sampling, seeds = Sampling(NEW_TOKENS), range(len(CHATS))
    bare = bench.engine.generate(CHATS, sampling, seeds=seeds)
    found = bench.engine.generate(CHATS, sampling, seeds=seeds, steering=idle)
    n_other = sum(ours != theirs for ours, theirs in zip(found.replies, bare.replies, strict=True))
    read = bench.read(steering=idle)
    if not n_other and identical(read, bench.plain):
        return True, f"{len(CHATS)} replies and {len(bench.layers)} layers are the same bit for bit"
    return False, f"{n_other} of {len(CHATS)} replies differ, residuals by {tiny(distance(read, bench.plain))}"


def edit_lands(bench: Bench) -> tuple[bool, str]:
    """Whether an added vector moves its layer by just itself, no earlier layer at all, and the next one somehow."""
    landings = [_landing(bench, layer) for layer in bench.spread]
    off, early = (max(landing[at] for landing in landings) for at in (0, 1))
    stuck = [layer for layer, (_, _, later) in zip(bench.spread, landings, strict=True) if later == 0]
    told = (
        f"layers {', '.join(map(str, bench.spread))}: off by {tiny(off)} of a residual, earlier layers by {tiny(early)}"
    )
    told += f"; from {stuck[0]} on nothing moves" if stuck else ""
    return off <= bench.rounding.edit and early == 0 and not stuck, told


def _landing(bench: Bench, layer: int) -> tuple[float, float, float]:
    """How far an edit at a layer is from adding its vector there; how far it moves earlier layers, and the next."""
    until = range(min(layer + 2, len(bench.layers)))
    push, plain = bench.push(layer), at_layers(bench.plain, until)
    found = bench.read(layers=until, steering=[(push,)] * len(CHATS))
    moved = np.zeros((len(until), bench.engine.spec.width), dtype=np.float32)
    moved[layer] = push.directions[layer]
    expected = replace(plain, reply_mean=plain.reply_mean + moved, prompt_last=plain.prompt_last + moved)
    here, before, after = [layer], range(layer), until[layer + 1 :]
    return (
        distance(at_layers(found, here), at_layers(expected, here)),
        distance(at_layers(found, before), at_layers(plain, before)),
        distance(at_layers(found, after), at_layers(plain, after)) if after else math.inf,
    )


def batches(bench: Bench) -> tuple[bool, str]:
    """Whether a text reads the same in a batch, padded and with a shared beginning, as alone."""
    alone = [bench.engine.residuals([c], [r], layers=bench.layers) for c, r in zip(CHATS, REPLIES, strict=True)]
    gap = distance(bench.plain, joined(alone))
    return gap <= bench.rounding.batch, f"{len(CHATS)} texts together and alone differ by {tiny(gap)} at most"


def second_reading(bench: Bench) -> tuple[bool, str]:
    """Whether what is read while a reply is written is what a second pass over it reads, steered or not.

    A reply whose text reads back as another number of tokens is another text, and left out.
    """
    push = bench.push(bench.middle)
    steering: list[Steered] = [(push,) if at % 2 else () for at in range(len(CHATS))]
    sampling, seeds = Sampling(NEW_TOKENS, 0.0), range(len(CHATS))
    made = bench.engine.generate(CHATS, sampling, seeds=seeds, layers=bench.layers, steering=steering)
    texts = [reply.text for reply in made.replies]
    again = bench.engine.residuals(CHATS, texts, layers=bench.layers, steering=steering)
    if made.residuals is None:
        return False, "no residuals came with the replies"
    there = np.flatnonzero(made.residuals.n_tokens == again.n_tokens).tolist()
    gap = distance(of_rows(made.residuals, there), of_rows(again, there))
    told = f"{len(there)} of {len(CHATS)} replies, read twice, differ by {tiny(gap)} at most"
    return bool(there) and gap <= bench.rounding.batch, told


def rows_apart(bench: Bench) -> tuple[bool, str]:
    """Whether rows of one batch, each at its own strength, are what separate runs give."""
    engine = bench.engine
    middle, last = bench.middle, bench.spread[-1]
    steering = [(bench.push(middle, -1.0),), (), (bench.push(middle, 0.5),), (bench.push(last),)]
    n, sampling, chat, reply = len(steering), Sampling(NEW_TOKENS), CHATS[0], REPLIES[0]
    together = engine.residuals([chat] * n, [reply] * n, layers=bench.layers, steering=steering)
    alone = [engine.residuals([chat], [reply], layers=bench.layers, steering=[steered]) for steered in steering]
    gap = distance(together, joined(alone))
    said = engine.generate([chat] * n, sampling, seeds=[1] * n, steering=steering).replies
    apart = [engine.generate([chat], sampling, seeds=[1], steering=[steered]).replies[0] for steered in steering]
    alike = sum(ours == theirs for ours, theirs in zip(said, apart, strict=True))
    # Where rounding alone may turn a word, the residuals decide.
    passed = gap <= bench.rounding.batch and (alike == n or bench.kept_in in COARSE)
    return passed, f"{alike} of {n} replies are the same, residuals differ by {tiny(gap)} at most"


def prompt_once(bench: Bench) -> tuple[bool, str]:
    """Whether scores over a prompt that is run once for all strengths are those of whole passes.

    An edit at layer 0 that waits for what no token meets changes no number, but as it reaches for every token of the
    prompt, nothing can be shared.
    """
    edits = [bench.push(layer, by) for layer, by in zip(bench.spread, (-1.0, 0.5, 1.0), strict=False)]
    push = bench.push(0)
    idle = replace(push, positions="all", condition=Condition(0, unit(push.directions[0]), math.inf))
    score, most = bench.engine.score, NEW_TOKENS
    found = score(_FEW_CHATS, _FEW_REPLIES, steerings=[(edit,) for edit in edits], most_tokens=most)
    whole = score(_FEW_CHATS, _FEW_REPLIES, steerings=[(edit, idle) for edit in edits], most_tokens=most)
    gap = max(nats_apart(found.logp, whole.logp), nats_apart(found.kl, whole.kl))
    told = f"{len(edits)} steerings of {len(_FEW_CHATS)} replies differ by {tiny(gap)} nats at most"
    return gap <= bench.rounding.nats, told


def reaches_replies(bench: Bench) -> tuple[bool, str]:
    """Whether a strong push turns what is written and what is scored: no way of asking runs silently unsteered."""
    steering = [(bench.push(bench.middle, sign * _STRONG),) for sign in (-1.0, 1.0)]
    n, sampling = len(_FEW_CHATS), Sampling(NEW_TOKENS, 0.0)
    rows: list[Steered] = [steered for steered in ((), *steering) for _ in _FEW_CHATS]
    said = bench.engine.generate(_FEW_CHATS * 3, sampling, seeds=[*range(n)] * 3, steering=rows).replies
    turned = [sum(said[at] != said[arm * n + at] for at in range(n)) for arm in (1, 2)]
    kl = bench.engine.score(_FEW_CHATS, _FEW_REPLIES, steerings=steering, most_tokens=1).kl
    told = f"{turned[0]} and {turned[1]} of {n} replies turn at rho {PUSH * _STRONG:g}, KL {decimals(float(kl.min()))}"
    return min(turned) > 0 and bool(kl.min() > 0), f"{told} to {decimals(float(kl.max()))} nats"


def no_trace(bench: Bench) -> tuple[bool, str]:
    """Whether a refused steering, and all that was tried before, leave the model as it was."""
    n = len(bench.layers)
    beyond = Steering({n: bench.push(0).directions[0]})
    try:
        bench.read(steering=[*[()] * (len(CHATS) - 1), (beyond,)])
        return False, f"a steering at layer {n} was taken; the last layer is {n - 1}"
    except LayerError:
        same, now = identical(bench.read(), bench.plain), hooks_on(bench.engine)
    told = "texts read as at first, bit for bit" if same else "texts do not read as at first"
    if now is None or bench.n_hooks is None:
        return same, told
    return same and now == bench.n_hooks, f"{told}; {now - bench.n_hooks} hooks more than at first"


Law = Callable[[Bench], tuple[bool, str]]
_REPORT = "do not trust steered numbers of this model; please report its name and these lines"
_ROUNDED = "try --dtype float32; if that fails too, please report the model's name and these lines"
LAWS: tuple[tuple[str, str, Law], ...] = (
    ("strength 0 is no steering", _REPORT, strength_zero),
    ("an edit lands at its block", _REPORT, edit_lands),
    ("batches change no reading", _ROUNDED, batches),
    ("replies read twice are the same", _ROUNDED, second_reading),
    ("each row has its own strength", _ROUNDED, rows_apart),
    ("one prompt serves all strengths", _ROUNDED, prompt_once),
    ("steering reaches the replies", _REPORT, reaches_replies),
    ("nothing is left behind", _REPORT, no_trace),
)
"""What is shown, what to do where it fails, and how it is tried."""


def tiny(share: float) -> str:
    """A small number in two digits; plain 0 where it is none."""
    return f"{share:.1e}" if share else "0"
