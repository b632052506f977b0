"""What the terminal shows: progress bars, errors, the table of layers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from personascope.errors import UserError
from personascope.gathering import Progress as StageProgress
from personascope.models.protocols import Tick
from personascope.report.verdict import verdict
from personascope.report.words import p_text, with_interval
from personascope.separation import Separation

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: UserError) -> None:
    """What was found, and the hint, on stderr."""
    errors.print(f"error: {error}", markup=False)
    errors.print(f"hint: {error.hint}", markup=False)


@contextmanager
def progress_bars() -> Iterator[StageProgress]:
    """A bar per stage with the time left, on stderr; silent where stderr is no terminal."""
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, disable=not sys.stderr.isatty()) as bars:

        def stage(what: str, total: int) -> Tick:
            task = bars.add_task(what, total=total)
            return lambda done: bars.advance(task, done)

        yield stage


def print_separation(separation: Separation) -> None:
    """The table of layers in the original toolkit's lines, with intervals, and the best vector's block."""
    for reading in separation.readings:
        arrow = "  ← Best layer" if reading.layer == separation.chosen_layer else ""
        print(
            f"Layer {reading.layer}: AUC = {reading.auc.value:.3f}, Separation = {reading.separation:.2f}"
            f"  [{reading.auc.low:.3f}, {reading.auc.high:.3f}]{arrow}"
        )


def print_best(separation: Separation, trait: str) -> None:
    """The block about the chosen layer, and what it means."""
    best = next(reading for reading in separation.readings if reading.layer == separation.chosen_layer)
    told = verdict(separation)
    print(f"\nBEST PERSONA VECTOR - {trait.upper()}")
    print(
        f"Best Layer: {best.layer}   (fixed depth 0.6: layer {separation.fixed_layer}, "
        f"AUC {with_interval(separation.fixed_auc)})"
    )
    print(f"AUC Score: {with_interval(separation.nested_auc, 4)}   held out, layer chosen inside each training part")
    print(f"Permutation p: {p_text(separation.p)}   corrected over layers, {separation.n_relabellings} relabellings")
    print(f"Separation: {best.separation:.4f}   Cohen's d {with_interval(best.cohens_d)}")
    print(
        f"Vector Magnitude: {best.vector_magnitude:.4f}   {best.relative_norm:.3f} of the residual's norm (rho at strength 1)"
    )
    for name, estimate in separation.baselines.items():
        print(f"  compare {name}: AUC {with_interval(estimate)}")
    print(f"\n{told.line}\n{told.paragraph}")
    for caution in told.cautions:
        print(f"! {caution}")
