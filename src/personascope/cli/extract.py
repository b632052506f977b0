"""`personascope extract`: a model and a trait in, vectors and the proof of them out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from personascope.artifacts import finite, read_json
from personascope.cli.printing import print_best, print_separation, progress_bars
from personascope.contrast_files import contrast_from_file
from personascope.contrasts import SOURCES, Contrast
from personascope.errors import LayerError, UserError
from personascope.extraction import Extraction
from personascope.extraction import extract as extract_vectors
from personascope.prompts import PROTOCOLS, Protocol
from personascope.report.extraction import write_extraction_report
from personascope.traits import Trait, load_trait


@dataclass(frozen=True)
class Job:
    """What to extract and where to put it."""

    trait: Trait
    contrast: Contrast
    layers: Sequence[int] | None
    seed: int
    save_dir: Path


def extract(
    model: Annotated[str, typer.Argument(help="Hub name, folder, smollm2-135m (default model) or toy.")],
    trait: Annotated[str, typer.Option(help="A trait of the catalogue (`personascope traits list`) or a YAML file.")],
    layers: Annotated[str | None, typer.Option(help="Layers, as 15,16,20-24; all if not given.")] = None,
    layer_range: Annotated[
        tuple[int, int] | None, typer.Option(help="First and last layer, both included.", metavar="A B")
    ] = None,
    contrast: Annotated[
        str, typer.Option(help="rollouts, replies, prompts, or a JSONL, CSV or Parquet file (prompt, reply, pole).")
    ] = "rollouts",
    protocol: Annotated[str, typer.Option(help="quick (a first look), standard or paper.")] = "standard",
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Longest reply; the protocol's if not given.")
    ] = None,
    save_dir: Annotated[Path, typer.Option("--save-dir", "-o", help="Where the files go.")] = Path("persona_analysis"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampling, folds and intervals.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the analysis as JSON.")] = False,
) -> None:
    """Extract a trait's vectors from a model, with their held-out separation, a picture and a report."""
    loaded = load_trait(trait)
    chosen = _protocol(protocol, max_new_tokens)
    job = Job(loaded, _contrast(loaded, contrast, chosen), _layers(layers, layer_range), seed, save_dir)
    extraction = run_job(model, job, dtype=dtype, trust_remote_code=trust_remote_code, quiet=json_output)
    if json_output:
        print(json.dumps(finite(read_json(extraction.analysis_path)), ensure_ascii=False))


def run_job(
    model_name: str, job: Job, *, dtype: str = "auto", trust_remote_code: bool = False, quiet: bool = False
) -> Extraction:
    """Open the model, extract, write the report, and print what came of it."""
    from personascope.models.opening import open_engine

    engine = open_engine(model_name, job.trait, precision=dtype, trust_remote_code=trust_remote_code)
    layers = list(job.layers) if job.layers is not None else list(range(engine.spec.n_layers))
    stem = job.save_dir / f"{model_name.replace('/', '_')}_{job.trait.name}"
    with progress_bars() as progress:
        extraction = extract_vectors(
            engine, job.trait, job.contrast, layers=layers, seed=job.seed, stem=stem, progress=progress
        )
        tick = progress("report", 1)
        told = write_extraction_report(extraction, job.trait, notes=engine.notes, stem=stem)
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


def parse_layers(text: str) -> list[int]:
    """Layers of a text such as 15,16,20-24. Raises LayerError where it is none."""
    try:
        found: list[int] = []
        for part in text.replace(",", " ").split():
            first, dash, last = part.partition("-")
            found += range(int(first), int(last if dash else first) + 1)
    except ValueError as error:
        raise LayerError(f"{text!r} names no layers", hint="write them as 15,16,20-24, counted from 0") from error
    if not found:
        raise LayerError(f"{text!r} names no layers", hint="write them as 15,16,20-24, counted from 0")
    return sorted(set(found))


def _layers(layers: str | None, layer_range: tuple[int, int] | None) -> list[int] | None:
    if layers is not None:
        return parse_layers(layers)
    return parse_layers(f"{layer_range[0]}-{layer_range[1]}") if layer_range else None


def _protocol(name: str, max_new_tokens: int | None) -> Protocol:
    found = PROTOCOLS.get(name)
    if found is None:
        raise UserError(f"there is no protocol {name!r}", hint=f"choose one of {', '.join(PROTOCOLS)}")
    return replace(found, max_new_tokens=max_new_tokens) if max_new_tokens else found


def _contrast(trait: Trait, source: str, protocol: Protocol) -> Contrast:
    if (make := SOURCES.get(source)) is not None:
        return make(trait, protocol)
    return contrast_from_file(Path(source))
