"""What the terminal shows of a comparison: the verdict, a table of shifts, two replies, and what must be doubted."""

from collections.abc import Mapping
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
    "paired by question, with 95 % intervals. p: signs flipped by question, Holm over traits. p, relabelled: share of "
    "vectors without the trait that shift as much. P(high): change of the score on items."
)


def _tables(console: Console, found: Comparison) -> list[Table]:
    """One table, or two where the terminal is narrow."""
    whole = _table(found, shifts=True, rest=True)
    if Measurement.get(console, console.options.update(max_width=_ENDLESS), whole).maximum <= console.width:
        return [whole]
    return [_table(found, shifts=True, rest=False), _table(found, shifts=False, rest=True)]


def _table(found: Comparison, *, shifts: bool, rest: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("trait", no_wrap=True)
    others = [reading for reading in found.shifts if reading != found.headline]
    heads = (
        ["layer", f"shift in\n{READING_WORDS[found.headline].split(',')[0]}", "p,\nHolm", "p, rela-\nbelled", "moved"]
        if shifts
        else []
    )
    heads += [*(_SHORT[reading] for reading in others), "P(high)", "cosine\n(if same)"] if rest else []
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    (changes,) = found.answers.changes
    for name, one in headline(found).items():
        cells = (
            [str(one.layer), gain_text(one.shift), p_text(one.p_holm), p_text(one.p_shuffled), one.moved]
            if shifts
            else []
        )
        if rest:
            cells += [gain_text(found.shifts[reading][name].shift) for reading in others]
            cells += [gain_text(changes[name], 3) if name in changes else "", cosine_text(found, name)]
        table.add_row(name, *cells, style="bold" if one.moved != "not shown" else None)
    return table


_SHORT = {"replies": "own replies", "text": "as the base\nreads them", "prompt": "before the\nreply"}


def _print_example(console: Console, found: Comparison) -> None:
    told = [] if found.identical else examples(found)[:1]
    for one in told:
        console.print(f"\nFurthest apart in {one.trait}: {one.question}", soft_wrap=True)
        for who, reply in (("base", one.base), ("tuned", one.tuned)):
            short = " ".join(reply.split())
            console.print(f"  {who}: {short if len(short) <= _REPLY else short[:_REPLY] + ' …'}", soft_wrap=True)
