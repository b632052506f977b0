"""The map holds: imports point down the tiers, numbers need no torch, no forbidden names, sizes in bounds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import personascope

ROOT = Path(personascope.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))

TIERS = (
    {"errors", "traits", "neutral", "suggestions", "prompts", "models.protocols"},
    {
        "directions", "separation", "crossed", "layer_reading", "reading", "readers", "baselines", "uncertainty",
        "relabelling", "transfer",
        "text_measures", "wording", "evidence", "verdict", "window",
        "dose_response", "steering_gates", "steering_proof", "shifts",
        "questionnaire.scoring", "questionnaire.comparison",
    },
    {
        "artifacts", "rollouts", "activations", "contrasts", "contrast_files", "plans", "gathering", "vectors",
        "extraction", "evaluation", "steering", "steering_files", "steered_replies", "steered_samples", "calibration",
        "control_directions", "original_files", "proving", "trying", "steering_words", "self_check", "check_bench",
        "vectors_check", "likeness", "judging", "finished", "trait_overview", "overview_words",
        "projection", "projection_files", "projection_summary", "data_files", "data_columns",
        "comparing", "comparing_persona", "comparing_words", "comparison_file",
        "questionnaire",
    },
    {"models"},
    {"spread"},
    {"report", "serve", "cli", "__main__"},
)  # fmt: skip
FORBIDDEN = {"utils", "common", "core", "base", "misc", "helpers", "manager"}
NOT_A_TIER = {"", "__init__"}


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__").removesuffix("__init__")


def tier_of(name):
    ranks = [rank for rank, names in enumerate(TIERS) if any(name == n or name.startswith(f"{n}.") for n in names)]
    return min(ranks) if ranks else None


def imports_of(path):
    """Every module of ours that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "personascope":
            found = node.module.removeprefix("personascope").lstrip(".")
            for alias in node.names:
                inner = f"{found}.{alias.name}".lstrip(".")
                yield inner if (ROOT / Path(*inner.split("."))).with_suffix(".py").exists() else found
        elif isinstance(node, ast.Import):
            yield from (
                a.name.removeprefix("personascope").lstrip(".") for a in node.names if a.name.startswith("personascope")
            )


def test_every_module_has_a_tier():
    assert [name_of(p) for p in MODULES if name_of(p) not in NOT_A_TIER and tier_of(name_of(p)) is None] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    own = tier_of(name_of(path))
    if own is None:
        return
    up = [found for found in imports_of(path) if found not in NOT_A_TIER and (tier_of(found) or 0) > own]
    assert up == []


def test_there_is_no_import_cycle():
    graph = {name_of(path): {found for found in imports_of(path)} for path in MODULES}
    done, open_now = set(), []

    def visit(name):
        assert name not in open_now, f"cycle: {' -> '.join([*open_now, name])}"
        if name in done or name not in graph or name in NOT_A_TIER:
            return
        open_now.append(name)
        for found in graph[name]:
            visit(found)
        done.add(open_now.pop())

    for name in graph:
        visit(name)


@pytest.mark.parametrize("module", ["reading", "prompts", "traits", "extraction", "contrast_files", "cli.app"])
def test_what_stands_below_the_engines_starts_without_torch(module):
    code = f"import sys, personascope.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_file_has_a_name_that_says_nothing():
    assert [path.name for path in MODULES if path.stem in FORBIDDEN] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_keep_their_bounds(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            assert (node.end_lineno or 0) - body[0].lineno + 1 <= 40, node.name
        elif isinstance(node, ast.ClassDef):
            assert (node.end_lineno or 0) - node.lineno <= 150, node.name


def test_nothing_downloaded_is_ever_unpickled():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert "import pickle" not in text
        assert "allow_pickle=True" not in text and "weights_only=False" not in text
