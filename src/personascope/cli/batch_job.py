"""Several traits of one model, from the opened model to what the terminal shows.

One trait after the other, each just as alone; the model is opened once, and what depends on no trait is run once. What
fails for one trait is told, and the others go on. A trait that is finished is not run again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from personascope.artifacts import Json, finite, model_in_file_names, write_json
from personascope.cli.bars import progress_bars
from personascope.cli.batch_tables import print_failed, print_finished, print_overview
from personascope.cli.job import (
    Job,
    contrast_named,
    evaluation_of,
    extracted,
    file_stem,
    layers_of,
    pieces_of,
    what_is_kept,
)
from personascope.cli.printing import Interrupted
from personascope.contrasts import SOURCES
from personascope.errors import ContrastError, UserError
from personascope.finished import Wanted, is_finished
from personascope.models.engine_choice import HF, EngineChoice
from personascope.models.opening import open_engines
from personascope.models.protocols import Engine, ModelSpec, check_layers
from personascope.prompts import Protocol
from personascope.report.traits_page import write_traits_page, write_traits_picture
from personascope.spread.gathering_parts import Piece, check_same_model, gather_parts
from personascope.spread.openings import Opening
from personascope.spread.work import Cluster
from personascope.trait_overview import Overview, overview, overview_as_json
from personascope.traits import Trait
from personascope.wording import counted, joined


@dataclass(frozen=True)
class Batch:
    """What to extract of one model; `refused` are names that no trait could be read for, with the reason."""

    traits: Sequence[Trait]
    refused: Mapping[str, UserError]
    source: str
    """Of the contrast: its name in the catalogue."""
    protocol: Protocol
    layers: Sequence[int] | None
    seed: int
    save_dir: Path
    calibrate: bool


@dataclass
class _Standing:
    """Where a batch stands: the files of the traits that are finished, and why others failed."""

    stems: dict[str, Path] = field(default_factory=dict)
    failures: dict[str, UserError] = field(default_factory=dict)


def run_batch(
    model_name: str,
    batch: Batch,
    *,
    dtype: str = "auto",
    trust_remote_code: bool = False,
    quantize: str | None = None,
    on: EngineChoice = HF,
    cluster: Cluster | None = None,
    quiet: bool = False,
) -> None:
    """Extract every trait, write the overview, and print it.

    Raises UserError where some trait failed, after everything was written; Interrupted on Ctrl-C.
    """
    check_source(batch)
    standing = _Standing(failures=dict(batch.refused))
    for name, error in batch.refused.items():
        print_failed(name, error)
    opening = Opening(model_name, dtype, trust_remote_code, quantize, on)
    made_with = _gathered_by(cluster, opening, batch) if cluster else {}
    engines = open_engines(model_name, precision=dtype, trust_remote_code=trust_remote_code, quantize=quantize, on=on)
    for trait in batch.traits:
        if (there := made_with.get(trait.name)) is not None:
            check_same_model(engines(trait).spec, there)
    if batch.layers is not None:
        check_layers(batch.layers, engines(batch.traits[0]).spec.n_layers)
    for number, trait in enumerate(batch.traits, 1):
        place = f"{number} of {len(batch.traits)}"
        _run_one(model_name, batch, trait, engines, standing, place if not quiet else "")
    found, files = _told(model_name, batch, standing)
    if quiet:
        print(json.dumps(finite(overview_as_json(found)), indent=1, ensure_ascii=False))
    else:
        print_overview(found, files)
    if standing.failures:
        n_wanted = len(found.rows) + len(standing.failures)
        raise UserError(
            f"{len(standing.failures)} of {counted(n_wanted, 'trait')} failed: {', '.join(standing.failures)}",
            hint="the reasons are above; once they are mended the same command runs only what is missing",
        )


def _gathered_by(cluster: Cluster, opening: Opening, batch: Batch) -> dict[str, ModelSpec]:
    """Let a cluster write and read the texts of all traits; which model each trait's were made with.

    What is wrong with one trait is told when its turn comes.
    """
    pieces: list[Piece] = []
    for trait in batch.traits:
        with suppress(UserError):
            stem = batch.save_dir / file_stem(opening.name, trait, batch.source)
            pieces += pieces_of(_job(batch, trait), stem)
    try:
        with progress_bars(leave=False) as progress:
            made_with = gather_parts(opening, pieces, cluster, progress)
    except KeyboardInterrupt as stop:
        raise Interrupted("finished parts are kept; the same command goes on from there") from stop
    return {piece.trait.name: made_with[piece.stem] for piece in pieces if piece.stem in made_with}


def _job(batch: Batch, trait: Trait) -> Job:
    """What is asked of one trait. Raises ContrastError where it has no texts."""
    contrast = contrast_named(trait, batch.source, batch.protocol)
    return Job(trait, contrast, batch.layers, batch.seed, batch.save_dir, batch.protocol if batch.calibrate else None)


def _told(model_name: str, batch: Batch, standing: _Standing) -> tuple[Overview, dict[str, Path]]:
    """The overview and its files."""
    try:
        found = overview(standing.stems, batch.traits, failures=standing.failures, settings=_settings(batch))
        return found, write_overview(found, batch.save_dir / _stem(model_name, batch))
    except KeyboardInterrupt as stop:
        raise Interrupted("all traits are finished; the same command tells of them side by side") from stop


def check_source(batch: Batch) -> None:
    """Raise ContrastError where there is no such contrast, and for a file: several traits need texts of their own."""
    source = batch.source
    if source not in SOURCES and (Path(source).suffix or Path(source).exists()):
        raise ContrastError(
            f"{source} holds the texts of one trait, and several traits are asked for",
            hint="extract from a file one trait at a time",
        )
    if source not in SOURCES:
        contrast_named(batch.traits[0], source, batch.protocol)


def write_overview(found: Overview, stem: Path) -> dict[str, Path]:
    """Write numbers, heat map and index page; what each is called and where it lies."""
    files = {"numbers": stem.with_name(f"{stem.name}.json")}
    write_json(files["numbers"], overview_as_json(found))
    if found.alike is not None:
        files["heat map"] = stem.with_name(f"{stem.name}_cosines.png")
        write_traits_picture(files["heat map"], found)
    files["index"] = stem.with_name(f"{stem.name}_index.html")
    write_traits_page(files["index"], found)
    return files


def _run_one(
    model_name: str, batch: Batch, trait: Trait, engines: Callable[[Trait], Engine], standing: _Standing, place: str
) -> None:
    """Run one trait, or find it finished; an error of its own is told and kept, and nothing of the others is lost."""
    stem = batch.save_dir / file_stem(model_name, trait, batch.source)
    try:
        job = _job(batch, trait)
        engine = engines(trait)
        reused = is_finished(_wanted(job, engine), engine.spec, stem)
        if not reused:
            with progress_bars(leave=False) as progress:
                extracted(engine, job, stem, progress)
    except UserError as error:
        standing.failures[trait.name] = error
        print_failed(trait.name, error)
        return
    except KeyboardInterrupt as stop:
        raise Interrupted(_left(trait, stem, stop, batch, standing)) from stop
    standing.stems[trait.name] = stem
    if place:
        print_finished(trait, stem, place, reused=reused)


def _wanted(job: Job, engine: Engine) -> Wanted:
    return Wanted(job.trait, job.contrast, evaluation_of(job), tuple(layers_of(job.layers, engine)), job.seed)


def _left(trait: Trait, stem: Path, stop: KeyboardInterrupt, batch: Batch, standing: _Standing) -> str:
    """What a stopped batch leaves: the finished traits, and how far the next one came."""
    done, kept = list(standing.stems), what_is_kept(stop, stem)
    told = [f"of {trait.name} {kept} are kept"] if kept else []
    if done:
        told.insert(0, f"{len(done)} of {counted(len(batch.traits), 'trait')} finished ({joined(done)})")
    return "; ".join([*told, "the same command goes on from there"]) if told else "nothing was written"


def _stem(model_name: str, batch: Batch) -> str:
    """What the overview's files begin with: the model, and the contrast if it is another than rollouts."""
    contrasted = () if batch.source == "rollouts" else (batch.source,)
    return "_".join((model_in_file_names(model_name), "traits", *contrasted))


def _settings(batch: Batch) -> dict[str, Json]:
    return {
        "traits": [trait.name for trait in batch.traits],
        "contrast": batch.source,
        "protocol": asdict(batch.protocol),
        "layers": list(batch.layers) if batch.layers is not None else None,
        "seed": batch.seed,
        "calibrate": batch.calibrate,
    }
