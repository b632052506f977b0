"""`personascope serve`: a model and vectors in, an OpenAI-compatible server with a persona for each request out."""

from pathlib import Path
from typing import Annotated

import typer

from personascope.cli.model_options import Engine, Quantize, TensorParallel


def serve(
    model: Annotated[str, typer.Argument(help="Hub name, folder, smollm2-135m (default model) or toy.")],
    vectors: Annotated[
        list[Path], typer.Option("--vectors", help="The .npz that extract wrote, a persona each; may be repeated.")
    ],
    host: Annotated[str, typer.Option(help="Where to listen: 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8000,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    quantize: Quantize = None,
    engine: Engine = "hf",
    tensor_parallel: TensorParallel = 1,
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
) -> None:
    """Serve a model over OpenAI's protocol; each request says how much of which persona it wants.

    POST /v1/chat/completions with `"persona": {"extraversion": 1.5}` beside the messages; strength 1 is one persona
    gap, at the layer that extract advised. GET /v1/personas tells what is on offer and how far is safe.
    """
    from personascope.cli.serve_options import job_asked

    job = job_asked(model, vectors, (host, port))
    # Torch and transformers take seconds to import; help and mistakes should not.
    from personascope.cli.serve_job import run_serve
    from personascope.models.engine_choice import engine_chosen

    on = engine_chosen(engine, tensor_parallel)
    run_serve(job, on=on, precision=dtype, quantize=quantize, trust_remote_code=trust_remote_code)
