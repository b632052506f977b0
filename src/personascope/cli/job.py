"""One extraction, from the opened model to what the terminal shows.

Apart from `extract`, so that help and `traits` start without the numbers' and charts' libraries.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from personascope.cli.printing import errors
from personascope.contrast_files import contrast_from_file
from personascope.contrasts import SOURCES, Contrast
from personascope.errors import UserError
from personascope.extraction import Extraction
from personascope.extraction import extract as extract_vectors
from personascope.gathering import Progress as StageProgress
from personascope.models.opening import open_engine
from personascope.models.protocols import Tick
from personascope.prompts import PROTOCOLS, Protocol
from personascope.report.extraction import write_extraction_report
from personascope.report.verdict import verdict
from personascope.report.words import p_text, with_interval
from personascope.separation import Separation
from personascope.traits import Trait


@dataclass(frozen=True)
class Job:
    """What to extract and where to put it."""

    trait: Trait
    contrast: Contrast
    layers: Sequence[int] | None
    seed: int
    save_dir: Path


def run_job(
    model_name: str, job: Job, *, dtype: str = "auto", trust_remote_code: bool = False, quiet: bool = False
) -> Extraction:
    """Open the model, extract, write the report, and print what came of it."""
    engine = open_engine(model_name, job.trait, precision=dtype, trust_remote_code=trust_remote_code)
    layers = list(job.layers) if job.layers is not None else list(range(engine.spec.n_layers))
    stem = job.save_dir / f"{model_name.strip('./').replace('/', '_')}_{job.trait.name}"
    with progress_bars() as progress:
        extraction = extract_vectors(
            engine, job.trait, job.contrast, layers=layers, seed=job.seed, stem=stem, progress=progress
        )
        tick = progress("report", 1)
        told = write_extraction_report(extraction, job.trait, stem)
        tick(1)
    if not quiet:
        print_separation(extraction.separation)
        print_best(extraction.separation, job.trait.name)
        for note in told.notes:
            print(f"! {note}")
        print()
        for what, path in told.files.items():
            print(f"{what.capitalize()} saved to: {path}")
    return extraction


def protocol_named(name: str, max_new_tokens: int | None) -> Protocol:
    """A protocol, with another length of replies if given. Raises UserError for an unknown name."""
    found = PROTOCOLS.get(name)
    if found is None:
        raise UserError(f"there is no protocol {name!r}", hint=f"choose one of {', '.join(PROTOCOLS)}")
    return replace(found, max_new_tokens=max_new_tokens) if max_new_tokens else found


def contrast_named(trait: Trait, source: str, protocol: Protocol) -> Contrast:
    """A contrast of the catalogue by name, or of a user's file. Raises ContrastError where there is none."""
    if (make := SOURCES.get(source)) is not None:
        return make(trait, protocol)
    return contrast_from_file(Path(source))


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
        f"Vector Magnitude: {best.vector_magnitude:.4f}   "
        f"rho at strength 1: {best.relative_norm:.3f} of a token's residual norm"
    )
    for name, estimate in separation.baselines.items():
        print(f"  compare {name}: AUC {with_interval(estimate)}")
    print(f"\n{told.line}\n{told.paragraph}")
    for caution in told.cautions:
        print(f"! {caution}")
