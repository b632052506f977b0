"""`personascope profile`: models in, their scores on all traits of a questionnaire out."""

from pathlib import Path
from typing import Annotated

import typer

from personascope.cli.model_options import Engine, Quantize, TensorParallel
from personascope.cli.spread_command import Ray, Workers
from personascope.errors import UserError


def profile(
    models: Annotated[
        list[str], typer.Argument(help="Hub names, folders or PEFT adapters; smollm2-135m (default model) or toy.")
    ],
    items: Annotated[str, typer.Option(help="own (shipped), a file, or a data set: hub:mirlab/TRAIT.")] = "own",
    traits: Annotated[str | None, typer.Option(help="Some traits, as openness,neuroticism; all if not given.")] = None,
    max_items: Annotated[
        int | None, typer.Option(min=1, help="At most so many items of each trait; all if not given.")
    ] = None,
    ask: Annotated[
        str,
        typer.Option(help="auto (letters where they are reliable, else text), text, letters, published-1, -2 or -3."),
    ] = "auto",
    vectors: Annotated[
        Path | None, typer.Option(help="Also profile the model steered by these vectors; with --strength.")
    ] = None,
    strength: Annotated[str | None, typer.Option(help="How far to steer, in persona gaps, as 1.5 or -2.")] = None,
    layer: Annotated[
        str | None, typer.Option(help="Where to steer, as 17 or 15,16,17 or all; the advised layer if not given.")
    ] = None,
    save_dir: Annotated[Path, typer.Option("--save-dir", "-o", help="Where the files go.")] = Path("persona_analysis"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals; the scores have no chance in them.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    quantize: Quantize = None,
    engine: Engine = "hf",
    tensor_parallel: TensorParallel = 1,
    ray: Ray = None,
    workers: Workers = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Ask a model the items of a questionnaire: its score on each trait, with interval, charts and a page.

    Several models are asked the same items in the same way and compared item by item; so is one model, plain and
    steered.
    """
    from personascope.cli.profile_options import Job, check_way, questionnaire_named, steering_asked, way_named
    from personascope.models.engine_choice import engine_chosen
    from personascope.spread.work import cluster_chosen

    asked, way = questionnaire_named(items, traits, max_items), way_named(ask)
    check_way(asked, way)
    job = Job(
        tuple(models),
        asked,
        way,
        steering_asked(models, vectors, strength, layer),
        save_dir,
        seed,
    )
    on, cluster = engine_chosen(engine, tensor_parallel), cluster_chosen(ray, workers)
    if cluster and job.steered:
        raise UserError("--ray asks several models, and one is to be steered", hint="leave out --ray")
    # Torch and transformers take seconds to import; help and mistakes should not.
    from personascope.cli.profile_job import Opening, run_profile

    opening = Opening(dtype, trust_remote_code, quantize, on)
    run_profile(job, opening, cluster=cluster, json_output=json_output)
