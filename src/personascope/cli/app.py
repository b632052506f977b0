"""The verbs together, and what becomes of errors: 0 done, 2 a user's error, 130 stopped, 1 a bug."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

import personascope
from personascope.cli import (
    analyze,
    check,
    compare,
    demo,
    export,
    extract,
    items,
    profile,
    project,
    serve,
    steer,
    traits,
)
from personascope.cli.printing import Interrupted, print_error, print_stopped
from personascope.cli.spread_command import SpreadCommand
from personascope.cli.steer_command import SteerCommand
from personascope.errors import UserError

STOPPED = 130
"""Exit code after Ctrl-C; typer turns a KeyboardInterrupt into it."""

app = typer.Typer(
    name="personascope",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Find, prove, steer and watch persona vectors in language models.",
)
app.command(name="demo")(demo.demo)
app.command(name="export")(export.export)
app.command(name="extract", cls=SpreadCommand)(extract.extract)
app.command(name="analyze")(analyze.analyze)
app.command(name="check")(check.check)
app.command(name="compare")(compare.compare)
app.command(name="profile", cls=SpreadCommand)(profile.profile)
app.command(name="project", cls=SpreadCommand)(project.project)
app.command(name="serve")(serve.serve)
app.command(name="steer", cls=SteerCommand)(steer.steer)
app.add_typer(traits.app, name="traits")
app.add_typer(items.app, name="items")


def _version(asked: bool) -> bool:
    if asked:
        print(f"personascope {personascope.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    run(app)


def run(command: Callable[[], object]) -> None:
    """Run a command; a UserError prints what was found and a hint, and exits 2; Ctrl-C prints what is left: 130."""
    try:
        command()
    except UserError as error:
        print_error(error)
        sys.exit(2)
    except Interrupted as stop:
        print_stopped(str(stop))
        sys.exit(STOPPED)
    except (KeyboardInterrupt, SystemExit) as stop:
        if not isinstance(stop, KeyboardInterrupt) and stop.code != STOPPED:
            raise
        print_stopped("nothing was written")
        sys.exit(STOPPED)
