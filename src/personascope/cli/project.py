"""`personascope project`: a data set and vectors in, how far each text goes along each vector out."""

from pathlib import Path
from typing import Annotated

import typer

from personascope.cli.model_options import Engine, Quantize, TensorParallel
from personascope.cli.spread_command import Ray, Workers


def project(
    model: Annotated[
        str, typer.Argument(help="Hub name, folder or PEFT adapter; smollm2-135m (default model) or toy.")
    ],
    data: Annotated[Path, typer.Argument(help="Texts, as .jsonl or .parquet.")],
    vectors: Annotated[
        list[Path], typer.Option(help="A vectors file that extract wrote; several: give the option again.")
    ],
    save_dir: Annotated[Path, typer.Option("--save-dir", "-o", help="The folder for the projections.")],
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT=NAME,...",
            help="prompt=NAME,reply=NAME[,instruction=NAME], or messages=NAME, or text=NAME; by their usual names if "
            "not given.",
        ),
    ] = None,
    layer: Annotated[
        int | None, typer.Option(min=0, help="Where texts are read; where each file advises to steer if not given.")
    ] = None,
    block_rows: Annotated[int, typer.Option(min=1, help="Rows of a block, the unit of work and of resuming.")] = 256,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    quantize: Quantize = None,
    engine: Engine = "hf",
    tensor_parallel: TensorParallel = 1,
    ray: Ray = None,
    workers: Workers = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Project every text of a data set on persona vectors, in persona gaps, block by block.

    A row each goes to FOLDER/projections; the same command again goes on from the blocks that are finished. 0 is no
    neutral text: compare texts with texts, or with the replies that the vector was made from.
    """
    from personascope.models.engine_choice import engine_chosen
    from personascope.spread.work import cluster_chosen

    on, cluster = engine_chosen(engine, tensor_parallel), cluster_chosen(ray, workers)
    # The libraries of numbers take seconds to import; help and mistakes should not.
    from personascope.cli.project_job import Asked, run_project
    from personascope.spread.openings import Opening

    opening = Opening(model, dtype, trust_remote_code, quantize, on)
    asked = Asked(data, tuple(vectors), columns, layer, block_rows, save_dir)
    run_project(opening, asked, cluster, json_output=json_output)
