"""How an error, or a stop, is told in the terminal."""

from rich.console import Console

from personascope.errors import UserError


class Interrupted(Exception):
    """Ctrl-C in a command that has something to tell: what it left, and how to go on."""


errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: UserError) -> None:
    """What was found, and the hint, on stderr."""
    errors.print(f"error: {error}", markup=False)
    errors.print(f"hint: {error.hint}", markup=False)


def print_stopped(left: str) -> None:
    """What a command stopped by Ctrl-C left behind, on stderr."""
    errors.print(f"\nstopped; {left}", markup=False)
