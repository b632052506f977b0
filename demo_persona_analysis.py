"""The original toolkit's interactive demo, by its old name: the menu of `personascope demo`, with the same flags."""

import typer

from personascope.cli.app import run
from personascope.cli.demo import demo


def main() -> None:
    """Show the menu, or run the choice that the flags name."""
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    command.command()(demo)
    run(command)


if __name__ == "__main__":
    main()
