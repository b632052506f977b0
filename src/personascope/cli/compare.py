"""`personascope compare`: a base and models trained from it in, what the training did to the persona out."""

from pathlib import Path
from typing import Annotated

import typer

from personascope.cli.model_options import Engine, Quantize, TensorParallel


def compare(
    base: Annotated[str, typer.Argument(help="Hub name, folder, smollm2-135m (default model) or toy.")],
    tuned: Annotated[
        list[str], typer.Argument(help="Models trained from it: PEFT adapters or checkpoints, by folder or Hub name.")
    ],
    traits: Annotated[
        str, typer.Option(help="all, or some, as openness,evil; names of the catalogue or YAML files.")
    ] = "all",
    protocol: Annotated[
        str,
        typer.Option(help="Of the vectors: quick, standard or paper. Runs that are there are read, not made again."),
    ] = "quick",
    items: Annotated[str, typer.Option(help="own (shipped), a file, or a data set: hub:mirlab/TRAIT.")] = "own",
    max_items: Annotated[
        int | None, typer.Option(min=1, help="At most so many items of each trait; all if not given.")
    ] = None,
    save_dir: Annotated[Path, typer.Option("--save-dir", "-o", help="Where the files go.")] = Path("persona_analysis"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampling and intervals.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    quantize: Quantize = None,
    engine: Engine = "hf",
    tensor_parallel: TensorParallel = 1,
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print everything as one JSON object: base and comparisons.")
    ] = False,
) -> None:
    """Compare a base with models trained from it: traits that moved, in activations, answers and replies.

    The base's vectors are made (or read from the folder), both models answer the same questions and items, and each
    trait's shift is told in persona gaps beside its null, its interval and vectors that stand for nothing.

    With quick, fewer than seven traits give too few vectors to compare with, and nothing can be called raised or
    lowered. Eight traits and one adapter take about ten minutes with the default model on two cores.
    """
    from personascope.cli.compare_options import job_asked
    from personascope.models.engine_choice import engine_chosen

    job = job_asked(base, tuned, traits, (items, max_items), protocol=protocol, save_dir=save_dir, seed=seed)
    on = engine_chosen(engine, tensor_parallel)
    # Torch and transformers take seconds to import; help and mistakes should not.
    from personascope.cli.compare_job import opening_named, run_compare

    how = opening_named(dtype, quantize, trust_remote_code=trust_remote_code, on=on)
    run_compare(job, how, json_output=json_output)
