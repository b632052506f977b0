"""What the terminal shows of several traits: a line as each is finished, and a table of all at the end."""

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personascope.cli.printing import errors
from personascope.errors import UserError
from personascope.overview_words import cells, conclusions, several_told
from personascope.trait_overview import Overview, row_of
from personascope.traits import Trait

_HEADS = ("trait", "best\nlayer", "held-out AUC\n[95 %]", "\np", "does it\nread?", "does it\nsteer?", "safe\ngaps")
_LEFT, _VERDICT = {_HEADS[0], *_HEADS[4:6]}, _HEADS[4]
_ROOMY = 104
"""Columns of the terminal in which a row fits on one line."""


def print_finished(trait: Trait, stem: Path, place: str, *, reused: bool) -> None:
    """One line: which trait, and what came of it."""
    row = row_of(trait, stem)
    steers = f"; steering {row.steering.word}" if row.steering else ""
    again = "; finished before, read and not run again" if reused else ""
    _line(Console(highlight=False, markup=False), f"{trait.name} ({place}): {row.line}{steers}{again}")


def print_failed(name: str, error: UserError) -> None:
    """What was found, and the hint, on stderr; the batch goes on."""
    errors.print(f"! {name} failed: {error}", markup=False)
    errors.print(f"  hint: {error.hint}", markup=False)


def print_overview(found: Overview, files: Mapping[str, Path]) -> None:
    """The table, what it comes to, what failed, and the files."""
    console = Console(highlight=False, markup=False)
    console.print()
    console.print(overview_table(found, narrow=console.width < _ROOMY))
    for sentence in conclusions(found):
        _line(console, sentence)
    for one in found.failures:
        _line(console, Text(f"! {one.trait} failed: {one.found}. Hint: {one.hint}", style="yellow"))
    for note in (*found.notes, several_told(found)):
        if note:
            _line(console, Text(f"! {note}", style="yellow"))
    console.print()
    for what, path in files.items():
        _line(console, f"{what.capitalize()} saved to: {path}")


def overview_table(found: Overview, *, narrow: bool) -> Table:
    """A row for each finished trait, and one for each that failed; `narrow` breaks its cells into two lines."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0))
    for head in _HEADS:
        table.add_column(head, justify="left" if head in _LEFT else "right", no_wrap=head != _VERDICT)
    for row in found.rows:
        table.add_row(*(_broken(cell) if narrow else cell for cell in cells(row)))
    for one in found.failures:
        table.add_row(one.trait, *[""] * 3, "failed", "", "", style="yellow")
    return table


def _broken(cell: str) -> str:
    """A value and its interval, or both ends of a range, on lines of their own."""
    return cell.replace(" [", "\n[").replace(" to ", "\nto ")


def _line(console: Console, text: str | Text) -> None:
    console.print(text, soft_wrap=True)
