"""Options of the verbs whose work can be spread over workers, said once; `--ray` takes an address or none."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Spread over workers with Ray: of this machine, or of the cluster at HOST:PORT or auto (needs "
        "personascope[ray]).",
        rich_help_panel="Model",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="How many, with --ray; one a GPU or, without any, one a machine if not given.",
        rich_help_panel="Model",
    ),
]
_ADDRESS = re.compile(r"local|auto|ray://\S+|[\w.\-]+:\d+|\[[0-9a-fA-F:]+\]:\d+")


class SpreadCommand(TyperCommand):
    """Takes `--ray` alone as well as `--ray HOST:PORT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is left of the arguments after options were read."""
        rest: list[str] = super().parse_args(ctx, with_address(args))
        return rest


def with_address(args: Sequence[str]) -> list[str]:
    """The arguments with an address for every `--ray` that is followed by none: that of this machine."""
    told: list[str] = []
    for at, arg in enumerate(args):
        following = args[at + 1] if at + 1 < len(args) else ""
        alone = arg == "--ray" and not _ADDRESS.fullmatch(following) and "--" not in args[:at]
        told.append("--ray=local" if alone else arg)
    return told
