"""What the terminal shows of a comparison: the verdict, a table of shifts, two replies, and what must be doubted."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from personascope.comparing import Comparison
from personascope.comparing_words import READING_WORDS, cautions, cosine_text, examples, headline, verdict
from personascope.wording import gain_text, p_text

_ENDLESS = 10_000
_REPLY = 300
"""Characters of a reply that the terminal shows."""


def print_comparison(found: Comparison, files: Mapping[str, Path]) -> None:
    """The verdict, the table, the reply that differs most, the cautions and the files."""
    console = Console(highlight=False, markup=False)
    console.print(f"\n{found.tuned.spec.name} against {found.base.spec.name}\n", soft_wrap=True)
    for line in verdict(found):
        console.print(line, soft_wrap=True)
    for table in _tables(console, found):
        console.print(table)
    console.print(KEY, soft_wrap=True)
    _print_example(console, found)
    console.print()
    for line in cautions(found):
        console.print(Text(f"! {line}", style="yellow"), soft_wrap=True)
    console.print()
    for what, path in files.items():
        console.print(f"{what.capitalize()} saved to: {path}", soft_wrap=True)


KEY = (
    "Shifts are tuned minus base in persona gaps (1: as far as the high instructions lie from the low ones), "
    "paired by question; 95 % intervals over questions, not over the vector's own error, which makes shifts too small. "
    "p: signs flipped by question, Holm over traits. p, relabelled: against "
    "vectors without the trait. P(high): change of the score on items."
)


Block = Callable[[Comparison, str], Mapping[str, str]]
"""Some columns of the table: heading and cell of a trait."""


def _headline(found: Comparison, trait: str) -> dict[str, str]:
    one = found.shifts[found.headline][trait]
    shift = f"shift in\n{READING_WORDS[found.headline].split(',')[0]}"
    told = {"layer": str(one.layer), shift: gain_text(one.shift), "moved": one.moved}
    return told | {"p,\nHolm": p_text(one.p_holm), "p, rela-\nbelled": p_text(one.p_shuffled)}


def _other_readings(found: Comparison, trait: str) -> dict[str, str]:
    return {
        _SHORT[reading]: gain_text(shifts[trait].shift)
        for reading, shifts in found.shifts.items()
        if reading != found.headline
    }


def _scores(found: Comparison, trait: str) -> dict[str, str]:
    (changes,) = found.answers.changes
    score = gain_text(changes[trait], 3) if trait in changes else "no items"
    return {"P(high)": score, "cosine\n(if same)": cosine_text(found, trait)}


_SHORT = {"replies": "own replies", "text": "as the base\nreads them", "prompt": "before the\nreply"}


def _tables(console: Console, found: Comparison) -> list[Table]:
    """One table, or several where the terminal is narrow."""
    blocks = (_headline, _other_readings, _scores)
    whole = _table(found, blocks)
    if Measurement.get(console, console.options.update(max_width=_ENDLESS), whole).maximum <= console.width:
        return [whole]
    return [_table(found, [block]) for block in blocks if block(found, next(iter(headline(found))))]


def _table(found: Comparison, blocks: Sequence[Block]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    rows = {name: {k: v for block in blocks for k, v in block(found, name).items()} for name in headline(found)}
    table.add_column("trait", no_wrap=True)
    for head in next(iter(rows.values())):
        table.add_column(head, justify="right", no_wrap=True)
    for name, cells in rows.items():
        moved = found.shifts[found.headline][name].moved
        table.add_row(name, *cells.values(), style="bold" if moved != "not shown" else None)
    return table


def _print_example(console: Console, found: Comparison) -> None:
    told = [] if found.identical else examples(found)[:1]
    for one in told:
        console.print(f"\nFurthest apart in {one.trait}: {one.question}", soft_wrap=True)
        for who, reply in (("base", one.base), ("tuned", one.tuned)):
            short = " ".join(reply.split())
            console.print(f"  {who}: {short if len(short) <= _REPLY else short[:_REPLY] + ' …'}", soft_wrap=True)
