"""Did you mean: the known name nearest to one that is not known. Knows no names of its own."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The beginning of a hint with the nearest of the known names, `did you mean evil? `; "" where none is near."""
    by_lower = {word.lower(): word for word in known}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]}? " if near else ""
