"""Progress: in a terminal a bar per stage with the time left, in a log a line per stage that took its time."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from personascope.cli.printing import errors
from personascope.gathering import Progress as StageProgress
from personascope.models.protocols import Tick

_HAIR = 1e-6
"""Fractions of a row add up to so much less than the rows, at most: without it a stage would never end."""
_LONG = 10.0
"""Seconds from which a finished stage is told in a log."""


@contextmanager
def progress_bars(*, leave: bool = True) -> Iterator[StageProgress]:
    """Progress on stderr: bars in a terminal, which go when all is done without `leave`; else a line a long stage."""
    if in_terminal():
        with _bars(leave=leave) as stage:
            yield stage
    else:
        yield _logged


def in_terminal() -> bool:
    """Whether somebody watches stderr."""
    return sys.stderr.isatty()


@contextmanager
def _bars(*, leave: bool) -> Iterator[StageProgress]:
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=not leave) as bars:

        def stage(what: str, total: int) -> Tick:
            task, counted = bars.add_task(what, total=total), 0.0

            def tick(done: float | int) -> None:
                nonlocal counted
                counted += done
                bars.update(task, completed=total if counted > total - _HAIR else counted)

            return tick

        yield stage


def _logged(what: str, total: int) -> Tick:
    began, counted, told = time.monotonic(), 0.0, False

    def tick(done: float | int) -> None:
        nonlocal counted, told
        counted += done
        seconds = time.monotonic() - began
        if not told and seconds >= _LONG and counted > total - _HAIR:
            told = True
            errors.print(f"{what}: done in {seconds:.0f} s", markup=False)

    return tick
