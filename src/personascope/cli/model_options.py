"""Options of every verb that opens a model, said once."""

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
