"""`personascope extract`: a model and a trait in, vectors and the proof of them out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from personascope.cli.model_options import Engine, Quantize, TensorParallel
from personascope.cli.spread_command import Ray, Workers
from personascope.cli.trait_names import is_batch, names_of, traits_named
from personascope.errors import LayerError
from personascope.models.engine_choice import engine_chosen
from personascope.spread.work import cluster_chosen

_NO_TRIAL = (
    "Calibration and the steering trial need gradients, which vLLM has not: they are left out. "
    "The same command without --engine goes on from these files and adds them."
)


def extract(
    model: Annotated[
        str, typer.Argument(help="Hub name, folder or PEFT adapter; smollm2-135m (default model) or toy.")
    ],
    trait: Annotated[
        list[str],
        typer.Option(
            metavar="NAME[,NAME...]",
            help="A trait of the catalogue (`personascope traits list`) or a YAML file; several, or all.",
        ),
    ],
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
    calibrate: Annotated[
        bool, typer.Option(help="Also read unseen texts, calibrate the dose and try whether the vector steers.")
    ] = True,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    quantize: Quantize = None,
    engine: Engine = "hf",
    tensor_parallel: TensorParallel = 1,
    ray: Ray = None,
    workers: Workers = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the analysis as JSON.")] = False,
) -> None:
    """Extract a trait's vectors from a model, with their held-out separation, a picture and a report.

    Of several traits each is extracted just as alone; a table, a heat map of their cosines and an index page follow.
    """
    on, cluster = engine_chosen(engine, tensor_parallel), cluster_chosen(ray, workers)
    names, wanted = names_of(trait), _layers(layers, layer_range)
    traits, refused = traits_named(names)
    if not traits:
        raise next(iter(refused.values()))
    if calibrate and on.name == "vllm":
        calibrate = False
        if not json_output:
            print(f"! {_NO_TRIAL}")
    # Torch and the libraries of charts and numbers take seconds to import; help and mistakes should not.
    from personascope.cli.job import Job, contrast_named, protocol_named, run_job

    asked = protocol_named(protocol, max_new_tokens)
    how: dict[str, Any] = {"dtype": dtype, "trust_remote_code": trust_remote_code, "quantize": quantize, "on": on}
    if is_batch(names):
        from personascope.cli.batch_job import Batch, run_batch

        batch = Batch(traits, refused, contrast, asked, wanted, seed, save_dir, calibrate)
        run_batch(model, batch, **how, cluster=cluster, quiet=json_output)
        return
    (loaded,) = traits
    chosen = contrast_named(loaded, contrast, asked)
    job = Job(loaded, chosen, wanted, seed, save_dir, trial=asked if calibrate else None)
    extraction = run_job(model, job, **how, cluster=cluster, quiet=json_output)
    if json_output:
        print(extraction.analysis_path.read_text(encoding="utf-8"), end="")


def parse_layers(text: str) -> list[int]:
    """Layers of a text such as 15,16,20-24. Raises LayerError where it is none."""
    try:
        found: list[int] = []
        for part in text.replace(",", " ").split():
            first, dash, last = part.partition("-")
            found += _span(int(first), int(last if dash else first))
    except ValueError as error:
        raise LayerError(f"{text!r} names no layers", hint="write them as 15,16,20-24, counted from 0") from error
    if not found:
        raise LayerError(f"{text!r} names no layers", hint="write them as 15,16,20-24, counted from 0")
    return sorted(set(found))


def _layers(layers: str | None, layer_range: tuple[int, int] | None) -> list[int] | None:
    if layers is not None and layer_range is not None:
        raise LayerError("both --layers and --layer-range are given", hint="give one of them")
    if layers is not None:
        return parse_layers(layers)
    return list(_span(*layer_range)) if layer_range else None


def _span(first: int, last: int) -> range:
    if first > last:
        raise LayerError(f"{first} is above {last}", hint=f"give the lower layer first: {last} and {first}")
    return range(first, last + 1)
