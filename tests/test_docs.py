"""Docs cannot rot: help is generated, changelog and version agree, links and commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import personascope

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_pages_of_commands_are_what_help_says():
    done = subprocess.run([sys.executable, "scripts/write_help.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run `make docs`"


def test_changelog_and_version_agree():
    newest = re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest and newest[1] == personascope.__version__


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_flag_in_the_readme_exists():
    told = (ROOT / "docs" / "commands.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for line in re.findall(r"^\.?\S*personascope .*$", readme, re.MULTILINE):
        for flag in re.findall(r" (--[a-z-]+)", line.split("#")[0]):
            assert flag in told, f"{flag} in {line}"
    scripts = ("quick_persona_extract.py", "persona_steering.py", "persona_vector_analysis.py")
    script = "".join((ROOT / name).read_text() for name in scripts)
    for flag in re.findall(r"`?(--[a-z]+_[a-z_]+)", readme):
        assert f'"{flag}"' in script, flag


def test_messages_quoted_in_troubleshooting_are_ours():
    """A quoted message, `...` for what differs: each part of it stands in the code."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    code = re.sub(r'"\s+f?"', "", code)
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r'"`([^`]+)`"', page) + re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    parts = [part.strip(" :'") for message in quoted for part in message.split("...")]
    assert len(quoted) > 20
    assert [part for part in parts if part and part not in code] == []
