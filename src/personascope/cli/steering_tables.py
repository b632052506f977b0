"""What the terminal, or a JSON reader, sees of steered replies: strengths side by side, and what each looks like."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personascope.artifacts import Json
from personascope.models.protocols import Reply
from personascope.steered_replies import Described, Description, Dial, Dose
from personascope.steering import rho
from personascope.wording import decimals, joined, signed

_NARROWEST = 26
"""Characters of a column; where strengths would get fewer, they stand one below the other."""
UNSAFE = "!"


@dataclass(frozen=True)
class Sweep:
    """Replies to prompts at several doses, by dose and prompt."""

    prompts: tuple[str, ...]
    doses: tuple[Dose, ...]
    replies: list[list[Reply]]
    description: Description


def print_sweep(console: Console, dial: Dial, sweep: Sweep) -> None:
    """A table for each prompt, the measures under it, and at the end what was unsafe."""
    for at, prompt in enumerate(sweep.prompts):
        console.print()
        console.print(Text.assemble(("Prompt: ", "bold"), prompt), soft_wrap=True)
        console.print(_replies(sweep, at, width=console.width))
        console.print(_measures(sweep.doses, [of_dose[at] for of_dose in sweep.description.by_reply]))
    if len(sweep.prompts) > 1:
        console.print(Text(f"\nAll {len(sweep.prompts)} prompts", style="bold"))
        console.print(_measures(sweep.doses, sweep.description.by_dose))
    for line in unsafe_lines(dial, sweep.doses):
        console.print(Text(f"\n{line}", style="yellow"), soft_wrap=True)


def unsafe_lines(dial: Dial, doses: Sequence[Dose]) -> list[str]:
    """One warning where doses lie outside the safe range; none where all are safe or no range is known."""
    outside = [strength_text(dose.strength) for dose in doses if dose.safe is False]
    if not outside or dial.safe is None:
        return []
    what = f"Strengths {joined(outside)} lie" if len(outside) > 1 else f"Strength {outside[0]} lies"
    return [f"! {what} outside the safe range {safe_text(dial)}: text may break."]


def safe_text(dial: Dial) -> str:
    """The safe range of a dial, as in `−1.9 .. +2.2 (rho −0.18 .. +0.21)`; empty where none is known."""
    if dial.safe is None:
        return ""
    per_gap = rho(dial.vectors, dial.layers[0], 1.0)
    low, high = dial.safe
    in_gaps = f"{signed(low / per_gap, 1)} .. {signed(high / per_gap, 1)}"
    return f"{in_gaps} (rho {signed(low)} .. {signed(high)})"


def strength_text(strength: float) -> str:
    """A strength with its sign, with one decimal where that says it all, else two."""
    return signed(strength, 1 if round(strength, 1) == round(strength, 6) else 2)


def dose_text(dose: Dose) -> str:
    """A dose as the head of a column: `+2.0  rho +0.20 !`, the mark where it is outside the safe range."""
    parts = [strength_text(dose.strength)]
    parts += [f"rho {signed(dose.rho)}"] if dose.rho is not None else []
    parts += [UNSAFE] if dose.safe is False else []
    return "  ".join(parts)


def sweep_as_json(sweep: Sweep) -> dict[str, Json]:
    """Doses with the measures of all their replies, and prompts with the reply at each dose."""
    doses = [
        {
            "strength": dose.strength,
            "amount": dose.amount,
            "rho": dose.rho,
            "safe": dose.safe,
            **_described_as_json(described),
        }
        for dose, described in zip(sweep.doses, sweep.description.by_dose, strict=True)
    ]
    prompts = [
        {
            "prompt": prompt,
            "replies": [
                {
                    "strength": dose.strength,
                    **asdict(sweep.replies[number][at]),
                    **_described_as_json(sweep.description.by_reply[number][at]),
                }
                for number, dose in enumerate(sweep.doses)
            ],
        }
        for at, prompt in enumerate(sweep.prompts)
    ]
    return {"doses": doses, "prompts": prompts}


def _described_as_json(described: Described) -> dict[str, Json]:
    return {**asdict(described.measures), "perplexity": described.perplexity}


def _replies(sweep: Sweep, at: int, *, width: int) -> Table:
    """The replies to one prompt: a column for each dose, or a block for each where columns would be narrow."""
    heads = [Text(dose_text(dose), style="yellow" if dose.safe is False else "bold") for dose in sweep.doses]
    texts = [Text(_told(of_dose[at])) for of_dose in sweep.replies]
    if width // len(heads) >= _NARROWEST:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
        for head in heads:
            table.add_column(head, ratio=1, overflow="fold")
        table.add_row(*texts)
        return table
    table = Table(box=None, show_header=False, padding=(0, 2, 1, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for head, text in zip(heads, texts, strict=True):
        table.add_row(Text("\n").join([Text(part, style=head.style) for part in head.plain.split("  ")]), text)
    return table


def _told(reply: Reply) -> str:
    """The text; three dots where it was cut at the longest reply."""
    text = reply.text.strip()
    return text if reply.ended or not text else f"{text} …"


def _measures(doses: Sequence[Dose], described: Sequence[Described]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim", style="dim")
    for name in ("strength", "rho", "distinct-2", "repetition", "words", "perplexity"):
        table.add_column(name, justify="right")
    for dose, of_dose in zip(doses, described, strict=True):
        measures = of_dose.measures
        table.add_row(
            strength_text(dose.strength),
            signed(dose.rho) if dose.rho is not None else "",
            decimals(measures.distinct_2),
            decimals(measures.repetition),
            decimals(measures.words, 0),
            decimals(of_dose.perplexity, 1),
        )
    return table
