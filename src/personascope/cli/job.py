"""One extraction, from the opened model to what the terminal shows.

Apart from `extract`, so that help and `traits` start without the numbers' and charts' libraries.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from personascope.artifacts import model_in_file_names
from personascope.cli.bars import progress_bars
from personascope.cli.printing import Interrupted
from personascope.cli.telling import print_best, print_separation
from personascope.cli.telling_steering import print_tried
from personascope.contrast_files import contrast_from_file
from personascope.contrasts import SOURCES, Contrast
from personascope.errors import ContrastError, UserError
from personascope.extraction import Extraction
from personascope.extraction import extract as extract_vectors
from personascope.gathering import Gathered, Stopped, manifest_path
from personascope.gathering import Progress as StageProgress
from personascope.models.opening import open_engine
from personascope.models.protocols import Engine
from personascope.plans import layers_in_words
from personascope.prompts import PROTOCOLS, Protocol
from personascope.report.extraction import write_extraction_report
from personascope.suggestions import did_you_mean
from personascope.traits import Trait
from personascope.trying import Tried, try_out


@dataclass(frozen=True)
class Job:
    """What to extract and where to put it; how long evaluation replies may be (None: no steering trial)."""

    trait: Trait
    contrast: Contrast
    layers: Sequence[int] | None
    seed: int
    save_dir: Path
    trial: Protocol | None


def run_job(
    model_name: str,
    job: Job,
    *,
    dtype: str = "auto",
    trust_remote_code: bool = False,
    quantize: str | None = None,
    quiet: bool = False,
) -> Extraction:
    """Open the model, extract, write the report, and print what came of it."""
    engine = open_engine(model_name, job.trait, precision=dtype, trust_remote_code=trust_remote_code, quantize=quantize)
    layers = list(job.layers) if job.layers is not None else list(range(engine.spec.n_layers))
    stem = job.save_dir / file_stem(model_name, job.trait, job.contrast)
    with telling_what_is_left(stem), progress_bars() as progress:
        extraction = extract_vectors(
            engine, job.trait, job.contrast, layers=layers, seed=job.seed, stem=stem, progress=progress
        )
        tried, untried = _tried(engine, job, extraction, stem, progress)
        tick = progress("report", 1)
        told = write_extraction_report(extraction, job.trait, stem, tried=tried)
        tick(1)
    if not quiet:
        print_separation(extraction.separation)
        print_best(extraction.separation, told.window, job.trait.name)
        for note in (*told.notes, *untried):
            print(f"! {note}")
        print_reuse(extraction.gathered)
        print()
        for what, path in told.files.items():
            print(f"{what.capitalize()} saved to: {path}")
        if tried is not None:
            print_tried(tried, job.trait.name)
    return extraction


def _tried(
    engine: Engine, job: Job, extraction: Extraction, stem: Path, progress: StageProgress
) -> tuple[Tried | None, tuple[str, ...]]:
    """The steering trial, or why there is none."""
    if job.trial is None:
        return None, ()
    try:
        return try_out(engine, job.trait, extraction, job.trial, stem=stem, progress=progress), ()
    except ContrastError as error:
        return None, (f"Steering was not tried: {error}. {error.hint}",)


def file_stem(model_name: str, trait: Trait, contrast: Contrast) -> str:
    """What the names of all files of a run begin with: model, trait and, other than rollouts, the contrast."""
    model = model_in_file_names(model_name)
    contrasted = () if contrast.source == "rollouts" else (Path(contrast.source).stem,)
    return "_".join((model, trait.name, *contrasted))


@contextmanager
def telling_what_is_left(stem: Path) -> Iterator[None]:
    """Turns Ctrl-C into Interrupted, with the number of rows that the same command would go on from."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if isinstance(stop, Stopped) and stop.kept:
            kept = f"{stop.kept} of {stop.total} {stop.what}"
        elif manifest_path(stem).exists():
            kept = "all replies and activations"
        else:
            raise Interrupted("nothing was written") from stop
        raise Interrupted(f"{kept} are kept, the same command goes on from there") from stop


def print_reuse(gathered: Gathered) -> None:
    """Where replies and activations were there already: that they were, and what became of the other files."""
    if not gathered.reused:
        return
    print("! Replies and activations of the same run were there already; they were read, not made again.")
    here, there = gathered.activations.layers, gathered.layers_there
    if set(here) != set(there):
        print(
            f"! That run has layers {layers_in_words(there)}; vectors, numbers and report now tell of "
            f"{layers_in_words(here)} alone. Ask for all layers again to have them back."
        )


def protocol_named(name: str, max_new_tokens: int | None) -> Protocol:
    """A protocol, with another length of replies if given. Raises UserError for an unknown name."""
    found = PROTOCOLS.get(name)
    if found is None:
        hint = f"{did_you_mean(name, PROTOCOLS)}choose one of {', '.join(PROTOCOLS)}"
        raise UserError(f"there is no protocol {name!r}", hint=hint)
    return replace(found, max_new_tokens=max_new_tokens) if max_new_tokens else found


def contrast_named(trait: Trait, source: str, protocol: Protocol) -> Contrast:
    """A contrast of the catalogue by name, or of a user's file. Raises ContrastError where there is none."""
    if (make := SOURCES.get(source)) is not None:
        return make(trait, protocol)
    if not Path(source).suffix and not Path(source).exists():
        hint = f"{did_you_mean(source, SOURCES)}choose one of {', '.join(SOURCES)}, or give a file"
        raise ContrastError(f"there is no contrast {source!r}", hint=f"{hint} (.jsonl, .csv, .parquet)")
    return contrast_from_file(Path(source))
