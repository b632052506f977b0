"""Reads the fenced examples of the pages, and runs their commands as they stand.

A page's `bash` blocks are commands of one session: they run in their order in one folder. A `text` block right after
one is what its last command prints; `...` in it stands for anything, a line `...` for any number of lines.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
LOOPED = "extraversion"
"""What the variable of a loop is: a loop runs once."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_HERE = re.compile(r"cat > (?P<name>\S+) <<'(?P<end>\w+)'\n(?P<text>.*?\n)(?P=end)$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and what stands in the `text` block right after it."""

    page: str
    line: int
    language: str
    text: str
    printed: str | None


@dataclass(frozen=True)
class Command:
    """One command as words; `wrote` is what it puts into the file named by its last word."""

    words: tuple[str, ...]
    wrote: str | None = None

    def __str__(self) -> str:
        return shlex.join(self.words)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, without the `text` blocks that belong to one before."""
    content, found, end = page.read_text(encoding="utf-8"), [], None
    fences = list(_FENCE.finditer(content))
    for at, fence in enumerate(fences):
        if fence["language"] == "text" and found and not content[end : fence.start()].strip():
            continue
        after = fences[at + 1] if at + 1 < len(fences) else None
        belongs = after and after["language"] == "text" and not content[fence.end() : after.start()].strip()
        line = content.count("\n", 0, fence.start()) + 1
        printed = after["text"] if after and belongs else None
        found.append(Block(page.name, line, fence["language"], fence["text"], printed))
        end = fence.end()
    return found


def commands(text: str) -> list[Command]:
    """The commands of a `bash` block: continued lines joined, comments left out, a loop's body once."""
    written = {here["name"]: here["text"] for here in _HERE.finditer(text)}
    text = _HERE.sub(lambda here: f"cat > {here['name']}", text).replace("\\\n", " ")
    found, variables = [], {}
    for line in text.splitlines():
        for part in re.split(r";\s+", re.sub(r"(^|\s)#.*", "", line)):
            bare = part.strip().removeprefix("do ").strip()
            if loop := re.match(r"for (\w+) in ", bare):
                variables[loop[1]] = LOOPED
            elif bare not in ("", "do", "done"):
                for name, value in variables.items():
                    bare = bare.replace(f"${{{name}}}", value).replace(f"${name}", value)
                words = tuple(shlex.split(bare))
                found.append(Command(words, written.get(words[-1]) if words[0] == "cat" else None))
    return found


def agrees(printed: str, expected: str) -> bool:
    """Whether what was printed is what a page says, with `...` for anything; spaces at line ends do not count."""
    lines = [line.rstrip() for line in expected.strip("\n").splitlines()]
    parts = ["(?:.*\n)*?" if line == "..." else ".*?".join(map(re.escape, line.split("..."))) + "\n" for line in lines]
    shown = "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch("".join(parts), shown) is not None
