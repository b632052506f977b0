"""What a freshly started engine must show before it is handed out: that steering steers, and that reading reads.

An engine that runs unsteered in silence is worse than none. Knows the engine's own parts; nothing of chats.
"""

import numpy as np

from personascope.errors import ModelError
from personascope.models.chat import Tokens
from personascope.models.protocols import Sampling, Steered, Steering
from personascope.models.vllm.driving import Driver, Request
from personascope.models.vllm.reading import read_texts
from personascope.models.vllm.wire import Capacity
from personascope.models.vllm.wiring import Bank

_N = 9
_FAR = 1e4
"""So long a push at the last layer that, after the final norm, nothing else is left to decide the next token."""
_NEAR = {True: 1e-3, False: 0.1}
"""How far a moved stream may lie from where it should, as a share of the push, in float32 and in others."""


def prove_steering(driver: Driver, bank: Bank, capacity: Capacity, ids: list[int], *, exact: bool) -> None:
    """Raise ModelError unless a steered prompt runs steered beside an unsteered one; `ids` are some tokens."""
    text = Tokens(ids[:_N], _N - 4)
    _prove_replies(driver, bank, capacity, text)
    if capacity.pools:
        _prove_readings(driver, bank, capacity, text, exact=exact)


def _prove_replies(driver: Driver, bank: Bank, capacity: Capacity, text: Tokens) -> None:
    """Pushed far one way, the other way, and not at all, the model must say three things, and twice the last."""
    raw = _direction(capacity, _FAR)
    last = capacity.n_layers - 1
    steering: list[Steered] = [(), (Steering({last: raw}, 1.0),), (Steering({last: raw}, -1.0),), ()]
    (wave,) = bank.waves(steering, [_N] * len(steering))
    said = driver.run([Request(text.ids, wave[row], Sampling(4, 0.0)) for row in wave])
    if said[0] != said[3] or said[1] in (said[0], said[2]) or said[2] == said[0]:
        raise _failed("a prompt that is steered and one that is not are answered alike")


def _prove_readings(driver: Driver, bank: Bank, capacity: Capacity, text: Tokens, *, exact: bool) -> None:
    """A push in the middle must move its layer by itself, none before, and all after."""
    layers, middle = list(range(capacity.n_layers)), capacity.n_layers // 2
    plain = read_texts(driver, bank, capacity, [text], [()], layers=layers, special=(), tick=None)
    raw = _direction(capacity, float(plain.token_norm[0, middle]))
    push: Steered = (Steering({middle: raw}, 0.5),)
    both = read_texts(driver, bank, capacity, [text, text], [(), push], layers=layers, special=(), tick=None)
    moved = both.reply_mean[1] - plain.reply_mean[0]
    near = _NEAR[exact] * float(np.linalg.norm(0.5 * raw))
    if np.linalg.norm(both.reply_mean[0] - plain.reply_mean[0], axis=-1).max() > near:
        raise _failed("an unsteered text reads otherwise beside a steered one")
    if (
        np.linalg.norm(moved[middle] - 0.5 * raw) > near
        or np.linalg.norm(moved[:middle], axis=-1).max(initial=0) > near
    ):
        raise _failed("a push does not move the stream of its own layer by itself, and of none before")
    if np.linalg.norm(moved[middle:], axis=-1).min() == 0:
        raise _failed("a push does not reach the layers after it")


def _direction(capacity: Capacity, length: float) -> np.ndarray:
    raw = np.random.default_rng(1).standard_normal(capacity.width)
    return np.asarray(raw / np.linalg.norm(raw) * length, dtype=np.float32)


def _failed(found: str) -> ModelError:
    return ModelError(
        f"vLLM runs this model unsteered: {found}",
        hint="its numbers could not be trusted; use --engine hf, and report vLLM's version and the model",
    )
