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
from personascope.evaluation import evaluation_contrast, evaluation_seed
from personascope.extraction import Extraction
from personascope.extraction import extract as extract_vectors
from personascope.gathering import Gathered, Stopped, manifest_path
from personascope.gathering import Progress as StageProgress
from personascope.models.engine_choice import HF, EngineChoice
from personascope.models.protocols import Engine
from personascope.plans import layers_in_words
from personascope.prompts import PROTOCOLS, Protocol
from personascope.report.extraction import write_extraction_report
from personascope.report.page import ReportInput
from personascope.spread.gathering_parts import Piece, check_same_model, gather_parts
from personascope.spread.openings import Opening
from personascope.spread.work import Cluster
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


@dataclass(frozen=True)
class Done:
    """What came of a job, with the notes on what could not be tried."""

    extraction: Extraction
    tried: Tried | None
    untried: tuple[str, ...]
    told: ReportInput


def run_job(
    model_name: str,
    job: Job,
    *,
    dtype: str = "auto",
    trust_remote_code: bool = False,
    quantize: str | None = None,
    on: EngineChoice = HF,
    cluster: Cluster | None = None,
    quiet: bool = False,
) -> Extraction:
    """Open the model, extract, write the report, and print what came of it; a cluster writes and reads the texts."""
    opening = Opening(model_name, dtype, trust_remote_code, quantize, on)
    stem = job.save_dir / file_stem(model_name, job.trait, job.contrast.source)
    with telling_what_is_left(stem), progress_bars() as progress:
        made_with = gather_parts(opening, pieces_of(job, stem), cluster, progress) if cluster else {}
        engine = opening.engine(job.trait)
        for there in made_with.values():
            check_same_model(engine.spec, there)
        done = extracted(engine, job, stem, progress)
    if not quiet:
        print_done(done, job.trait.name)
    return done.extraction


def pieces_of(job: Job, stem: Path) -> list[Piece]:
    """What a job gathers: its contrast and, where there is a steering trial, the texts of that."""
    layers = None if job.layers is None else tuple(job.layers)
    pieces = [Piece(job.trait, job.contrast, layers, job.seed, stem.resolve())]
    if (evaluation := evaluation_of(job)) is not None:
        at = stem.with_name(f"{stem.name}_evaluation").resolve()
        pieces.append(Piece(job.trait, evaluation, layers, evaluation_seed(job.seed), at))
    return pieces


def evaluation_of(job: Job) -> Contrast | None:
    """The texts of the steering trial; None without a trial, and for a trait that has none, as alone."""
    if job.trial is None:
        return None
    try:
        return evaluation_contrast(job.trait, job.trial)
    except ContrastError:
        return None


def extracted(engine: Engine, job: Job, stem: Path, progress: StageProgress) -> Done:
    """Extract, try the vectors out, and write all files of a job."""
    layers = layers_of(job.layers, engine)
    extraction = extract_vectors(
        engine, job.trait, job.contrast, layers=layers, seed=job.seed, stem=stem, progress=progress
    )
    tried, untried = _tried(engine, job, extraction, stem, progress)
    tick = progress("report", 1)
    told = write_extraction_report(extraction, job.trait, stem, tried=tried)
    tick(1)
    return Done(extraction, tried, untried, told)


def layers_of(asked: Sequence[int] | None, engine: Engine) -> list[int]:
    """The layers asked for; all of the model, if None."""
    return list(asked) if asked is not None else list(range(engine.spec.n_layers))


def print_done(done: Done, trait: str) -> None:
    """The table of layers, the best one and what it means, the files, and whether it steers."""
    extraction, told = done.extraction, done.told
    print_separation(extraction.separation)
    print_best(extraction.separation, told.window, trait)
    for note in (*told.notes, *done.untried):
        print(f"! {note}")
    print_reuse(extraction.gathered)
    print()
    for what, path in told.files.items():
        print(f"{what.capitalize()} saved to: {path}")
    if done.tried is not None:
        print_tried(done.tried, trait)


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


def file_stem(model_name: str, trait: Trait, source: str) -> str:
    """What the names of all files of a run begin with: model, trait and, other than rollouts, the contrast."""
    model = model_in_file_names(model_name)
    contrasted = () if source == "rollouts" else (Path(source).stem,)
    return "_".join((model, trait.name, *contrasted))


@contextmanager
def telling_what_is_left(stem: Path) -> Iterator[None]:
    """Turns Ctrl-C into Interrupted, with the number of rows that the same command would go on from."""
    try:
        yield
    except KeyboardInterrupt as stop:
        kept = what_is_kept(stop, stem)
        if not kept:
            raise Interrupted("nothing was written") from stop
        raise Interrupted(f"{kept} are kept, the same command goes on from there") from stop


def what_is_kept(stop: KeyboardInterrupt, stem: Path) -> str:
    """What a stopped run leaves to go on from, as in `128 of 320 replies`; nothing where it leaves nothing."""
    if isinstance(stop, Stopped) and stop.kept:
        return f"{stop.kept} of {stop.total} {stop.what}"
    return "all replies and activations" if manifest_path(stem).exists() else ""


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
