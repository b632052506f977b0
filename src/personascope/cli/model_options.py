"""Options of the verbs that open a model, said once."""

from typing import Annotated

import typer

Quantize = Annotated[
    str | None,
    typer.Option(
        "--quantize",
        help="8bit or 4bit: weights in less memory, and less exactly (needs personascope[quantize]).",
        rich_help_panel="Model",
    ),
]

Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="hf (Hugging Face) or vllm: faster with many replies, spreads over GPUs, has no gradients.",
        rich_help_panel="Model",
    ),
]
TensorParallel = Annotated[
    int,
    typer.Option(
        "--tensor-parallel", min=1, help="Spread the model over so many GPUs (vllm).", rich_help_panel="Model"
    ),
]
