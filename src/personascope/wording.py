"""How a number and a list are written, everywhere alike.

Knows the value types of `separation`; judges nothing (that is `verdict`).
"""

import math
from collections.abc import Sequence

from personascope.separation import Estimate

ABSENT = "–"


def decimals(value: float, places: int = 2) -> str:
    """The number with a fixed count of decimals and a real minus sign; a dash where there is none."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def signed(value: float, places: int = 2) -> str:
    """The number with its sign, plus included, as in `+0.17`; zero has none."""
    text = decimals(value, places)
    return f"+{text}" if math.isfinite(value) and float(f"{value:.{places}f}") > 0 else text


def has_interval(estimate: Estimate) -> bool:
    """Whether both ends are there."""
    return math.isfinite(estimate.low) and math.isfinite(estimate.high)


def interval_text(estimate: Estimate, places: int = 2) -> str:
    """The 95 % interval, as in `[0.77, 0.90]`; nothing where there is none."""
    if not has_interval(estimate):
        return ""
    return f"[{decimals(estimate.low, places)}, {decimals(estimate.high, places)}]"


def with_interval(estimate: Estimate, places: int = 2, *, lacking: str = "") -> str:
    """Value and 95 % interval, as in `0.84 [0.77, 0.90]`.

    Without an interval: the value alone or, with the reason for that, `0.84, interval not available (3 pairs)`.
    """
    value = decimals(estimate.value, places)
    if has_interval(estimate):
        return f"{value} {interval_text(estimate, places)}"
    return f"{value}, interval not available ({lacking})" if lacking else value


def gain_text(gain: Estimate, places: int = 2) -> str:
    """A difference with its sign and its interval, as in `+0.17 [0.08, 0.26]`."""
    return f"{signed(gain.value, places)} {interval_text(gain, places)}".rstrip()


def p_text(p: float) -> str:
    """A p-value to two decimals from 0.2 up, to three below, to two significant digits where that would say 0.000."""
    if 0 < p < 0.0005:
        return f"{p:.2g}"
    return decimals(p, 2 if p >= 0.2 else 3)


def rho_range(ends: tuple[float, float], gaps_per_rho: float, *, places: int = 2, to: str = "to") -> str:
    """A range of doses in persona gaps and in rho, as in `−2.93 to +2.23 (rho −0.24 to +0.18)`.

    `places` are the decimals of gaps; rho has two.
    """
    low, high = ends
    in_gaps = f"{signed(low * gaps_per_rho, places)} {to} {signed(high * gaps_per_rho, places)}"
    return f"{in_gaps} (rho {signed(low)} {to} {signed(high)})"


def joined(parts: Sequence[str]) -> str:
    """The parts as an English list: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def counted(number: int, what: str) -> str:
    """A count and its noun, as in `1 question` and `1,000 questions`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
