"""Draw what a command shows in a terminal, as docs/images/NAME.svg.

    python scripts/draw_terminal.py menu --enter 5 -- personascope demo

The command runs in a pseudo-terminal of 100 columns; each `--enter` is typed, with Return, at the question after it.
"""

import argparse
import io
import os
import pty
import re
import select
import subprocess
from pathlib import Path

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parents[1] / "docs" / "images"
COLUMNS = 100
QUIET = 5.0
"""Seconds without a new letter after which a command waits for an answer."""


def main() -> None:
    """Run the command and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--enter", action="append", default=[], help="an answer, in the order of the questions")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    shown = f"$ {' '.join(asked.command)}\n" + run(asked.command, asked.enter)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{asked.name}.svg").write_text(drawn(shown, asked.command[0]), encoding="utf-8")


def run(command: list[str], answers: list[str]) -> str:
    """What the command shows in a terminal, the answers that are typed included."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=settings)
    os.close(theirs)
    shown, left = b"", list(answers)
    while True:
        ready, _, _ = select.select([ours], [], [], QUIET)
        if ready:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        elif running.poll() is not None:
            break
        elif left and shown.rstrip(b" ").endswith(b":"):
            os.write(ours, left.pop(0).encode() + b"\n")
    if running.wait() != 0:
        raise SystemExit(f"exit {running.returncode}:\n{shown.decode()}")
    return shown.decode().replace("\r\n", "\n")


def drawn(shown: str, title: str) -> str:
    """The text as a picture; it fetches no font."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in shown.rstrip().split("\n"):
        console.print(Text.from_ansi(line.rsplit("\r", 1)[-1]), soft_wrap=True)
    return re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title=title), flags=re.DOTALL)


if __name__ == "__main__":
    main()
