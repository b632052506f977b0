"""What the terminal, or a JSON reader, sees of steered replies: strengths side by side, and what each looks like."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personascope.artifacts import Json
from personascope.judging import Judged, Judgement, account, mean_score
from personascope.models.protocols import Reply
from personascope.steered_replies import Described, Description, Dial, Dose
from personascope.steering import gaps
from personascope.wording import decimals, joined, rho_range, signed

_NARROWEST = 26
"""Characters of a column; where strengths would get fewer, they stand one below the other."""
UNSAFE = "!"
MEASURED = ("strength", "rho", "distinct-2", "repetition", "words", "perplexity")
RATED = ("trait", "coherence")
"""What a judge rates."""


@dataclass(frozen=True)
class Sweep:
    """Replies to prompts at several doses, by dose and prompt."""

    prompts: tuple[str, ...]
    doses: tuple[Dose, ...]
    replies: list[list[Reply]]
    description: Description
    judgement: Judgement | None = None


def print_sweep(console: Console, dial: Dial, sweep: Sweep) -> None:
    """A table for each prompt, the measures under it, and at the end what was unsafe."""
    for at, prompt in enumerate(sweep.prompts):
        console.print()
        console.print(Text.assemble(("Prompt: ", "bold"), prompt), soft_wrap=True)
        console.print(_replies(sweep, at, width=console.width))
        rated = [[of_dose[at]] for of_dose in sweep.judgement.by_reply] if sweep.judgement else None
        console.print(_measures(sweep.doses, [of_dose[at] for of_dose in sweep.description.by_reply], rated))
    if len(sweep.prompts) > 1:
        console.print(Text(f"\nAll {len(sweep.prompts)} prompts", style="bold"))
        rated = [list(of_dose) for of_dose in sweep.judgement.by_reply] if sweep.judgement else None
        console.print(_measures(sweep.doses, sweep.description.by_dose, rated))
    for line in account(sweep.judgement) if sweep.judgement else ():
        console.print(Text(f"\n{line}", style="yellow" if line.startswith(UNSAFE) else "dim"), soft_wrap=True)
    for line in unsafe_lines(dial, sweep.doses):
        console.print(Text(f"\n{line}", style="yellow"), soft_wrap=True)


def unsafe_lines(dial: Dial, doses: Sequence[Dose]) -> list[str]:
    """One warning where doses lie outside the safe range; none where all are safe or no range is known."""
    outside = [strength_text(dose.strength) for dose in doses if dose.safe is False]
    if not outside or dial.safe is None:
        return []
    what = f"Strengths {joined(outside)} lie" if len(outside) > 1 else f"Strength {outside[0]} lies"
    return [f"! {what} outside the safe range {dial_range(dial)}: text may break."]


def dial_range(dial: Dial) -> str:
    """The safe range of a dial, as in `−1.9 .. +2.2 (rho −0.18 .. +0.21)`; empty where none is known."""
    if dial.safe is None:
        return ""
    return rho_range(dial.safe, gaps(dial.vectors, dial.layers[0], 1.0, "norm"), places=1, to="..")


def strength_text(strength: float) -> str:
    """A strength with its sign, with one decimal where that says it all, else two."""
    return signed(strength, 1 if round(strength, 1) == round(strength, 6) else 2)


def layers_text(layers: Sequence[int]) -> str:
    """Layers with neighbours joined, as in `5-7,9`."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


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
            **_rated_as_json(sweep, number),
        }
        for number, (dose, described) in enumerate(zip(sweep.doses, sweep.description.by_dose, strict=True))
    ]
    prompts = [
        {
            "prompt": prompt,
            "replies": [
                {
                    "strength": dose.strength,
                    **asdict(sweep.replies[number][at]),
                    **_described_as_json(sweep.description.by_reply[number][at]),
                    **_rated_as_json(sweep, number, at),
                }
                for number, dose in enumerate(sweep.doses)
            ],
        }
        for at, prompt in enumerate(sweep.prompts)
    ]
    return {"doses": doses, "prompts": prompts}


def _described_as_json(described: Described) -> dict[str, Json]:
    return {**asdict(described.measures), "perplexity": described.perplexity}


def _rated_as_json(sweep: Sweep, number: int, at: int | None = None) -> dict[str, Json]:
    """What the judge says of the replies at a dose, or of one of them; nothing where there is no judge."""
    if sweep.judgement is None:
        return {}
    rated = sweep.judgement.by_reply[number]
    if at is not None:
        return {"judge": {**asdict(rated[at]), "model": sweep.judgement.model}}
    return {"judge": {name: {"mean": mean, "n": n} for name, (mean, n) in _means(rated).items()}}


def _means(rated: Sequence[Judged]) -> dict[str, tuple[float, int]]:
    """The mean of each score and how many replies have one."""
    return {name: mean_score([getattr(one, name) for one in rated]) for name in RATED}


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


def _measures(doses: Sequence[Dose], described: Sequence[Described], rated: Sequence[Sequence[Judged]] | None) -> Table:
    """What replies look like, a row for each dose; the judge's means of those that have a score, if one was asked."""
    apart = 2 if rated else 3  # eight columns fit a terminal of 80
    table = Table(box=None, pad_edge=False, padding=(0, apart, 0, 0), header_style="dim", style="dim")
    for name in (*MEASURED, *(RATED if rated else ())):
        table.add_column(name, justify="right")
    for number, (dose, of_dose) in enumerate(zip(doses, described, strict=True)):
        measures = of_dose.measures
        table.add_row(
            strength_text(dose.strength),
            signed(dose.rho) if dose.rho is not None else "",
            decimals(measures.distinct_2),
            decimals(measures.repetition),
            decimals(measures.words, 0),
            decimals(of_dose.perplexity, 1),
            *(decimals(mean, 0) for mean, _ in (_means(rated[number]) if rated else {}).values()),
        )
    return table
