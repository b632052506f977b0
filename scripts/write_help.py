"""Write every command's --help into docs/commands.md; `--check` tells whether the file is current (exit 1 if not)."""

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
VERBS = (
    [],
    ["demo"],
    ["extract"],
    ["steer"],
    ["export"],
    ["serve"],
    ["check"],
    ["compare"],
    ["profile"],
    ["project"],
    ["analyze"],
    ["traits"],
    ["traits", "list"],
    ["traits", "show"],
    ["traits", "check"],
    ["traits", "new"],
    ["items"],
    ["items", "list"],
    ["items", "show"],
    ["items", "check"],
)


def main() -> None:
    """Write or check the page."""
    text = page()
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")


def page() -> str:
    """The page as it should be."""
    parts = ["# Commands\n\nGenerated from `--help` by `make docs`.\n"]
    for verb in VERBS:
        told = subprocess.run(
            [sys.executable, "-m", "personascope", *verb, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100"},
        ).stdout
        told = told.replace("python -m personascope", "personascope")
        parts.append(f"## personascope {' '.join(verb)}".rstrip() + f"\n\n```text\n{told.rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
