"""What the terminal shows of several traits: a line as each is finished, and a table of all at the end."""

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personascope.cli.printing import errors
from personascope.errors import UserError
from personascope.overview_words import COLUMNS, cells, conclusions, several_told
from personascope.trait_overview import Overview, row_of
from personascope.traits import Trait

_LEFT = {"trait", "does it read?", "does it steer?"}


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
    console.print(overview_table(found))
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


def overview_table(found: Overview) -> Table:
    """A row for each finished trait, and one for each that failed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in _LEFT else "right", no_wrap=column == "trait")
    for row in found.rows:
        table.add_row(*cells(row))
    for one in found.failures:
        table.add_row(one.trait, *[""] * 3, "failed", "", "", style="yellow")
    return table


def _line(console: Console, text: str | Text) -> None:
    console.print(text, soft_wrap=True)
