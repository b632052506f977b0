"""The command line: verbs are the user's tasks; each parses, calls one function and prints."""

from personascope.cli.app import main

__all__ = ["main"]
