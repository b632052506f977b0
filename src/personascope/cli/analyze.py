"""`personascope analyze`: what a trait's vectors do to a model's scores on all traits, and what it costs."""

from pathlib import Path
from typing import Annotated

import typer

from personascope.cli.model_options import Engine, Quantize, TensorParallel


def analyze(
    model: Annotated[
        str, typer.Argument(help="Hub name, folder or PEFT adapter; smollm2-135m (default model) or toy.")
    ],
    trait: Annotated[str, typer.Option(help="A trait with items, by name, or its YAML file.")],
    vectors: Annotated[
        list[Path] | None,
        typer.Option(
            help="The .npz that extract wrote; repeat it for a matrix. If not given: those in the folder, else items'."
        ),
    ] = None,
    items: Annotated[str, typer.Option(help="own (shipped), a file, or a data set: hub:mirlab/TRAIT.")] = "own",
    max_items: Annotated[
        int | None, typer.Option(min=1, help="At most so many items of each trait; all if not given.")
    ] = None,
    ask: Annotated[
        str,
        typer.Option(help="auto (letters where they are reliable, else text), text, letters, published-1, -2 or -3."),
    ] = "auto",
    layer: Annotated[
        int | None,
        typer.Option(min=0, help="Where to steer; the layer that each file's analysis advises if not given."),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Layers of the vector from items, as 15,16,20-24; all if not given.")
    ] = None,
    choices: Annotated[
        Path | None, typer.Option(help="Two-choice questions that measure damage (JSONL); the shipped if not given.")
    ] = None,
    save_dir: Annotated[Path, typer.Option("--save-dir", "-o", help="Where the files go.")] = Path("persona_analysis"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of folds, intervals and controls.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    quantize: Quantize = None,
    engine: Engine = "hf",
    tensor_parallel: TensorParallel = 1,
    json_output: Annotated[bool, typer.Option("--json", help="Print the analysis as JSON.")] = False,
) -> None:
    """Steer with a trait's vectors and ask the items of all traits at each dose, beside controls and damage.

    Also makes a vector from the trait's items (the options as replies), held out by statement, and tells how it agrees
    with the vectors from rollouts.
    """
    from personascope.cli.analyze_options import Asked, Steered, plan_of, stem_of
    from personascope.models.engine_choice import engine_chosen, refuse_gradients

    refuse_gradients(engine_chosen(engine, tensor_parallel), "an analysis (its slopes at dose 0, beside controls)")

    asked, steered = Asked(items, max_items, ask, choices), Steered(tuple(vectors or ()), layer, layers)
    plan = plan_of(trait, asked, steered, seed=seed)
    # Torch and the libraries of charts take seconds to import; help and mistakes should not.
    from personascope.cli.analyze_job import run_analysis
    from personascope.models.opening import open_engine

    opened = open_engine(model, plan.trait, precision=dtype, trust_remote_code=trust_remote_code, quantize=quantize)
    run_analysis(opened, plan, stem_of(model, plan.trait.name, save_dir), json_output=json_output)
