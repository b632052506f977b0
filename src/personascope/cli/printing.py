"""How an error is told in the terminal."""

from rich.console import Console

from personascope.errors import UserError

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_error(error: UserError) -> None:
    """What was found, and the hint, on stderr."""
    errors.print(f"error: {error}", markup=False)
    errors.print(f"hint: {error.hint}", markup=False)
