"""The table of all traits for docs/traits.md, from the analysis files of a folder: `tabulate_traits.py FOLDER ...`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from personascope.traits import catalogue_names

COLUMNS = (
    "trait",
    "evidence, grade",
    "held-out AUC, layer nested",
    "p",
    "unseen pairs and questions: AUC",
    "ahead of words by",
    "ahead of length by",
    "chosen layer",
    "AUC at depth 0.6",
    "Cohen's d",
    "rho at strength 1",
    "reliability",
    "lowest pair cosine",
)


def main() -> None:
    """Print one table for each folder given."""
    for folder in map(Path, sys.argv[1:]):
        paths = [(name, path) for name in catalogue_names() for path in sorted(folder.glob(f"*_{name}_analysis.json"))]
        rows = [row(name, json.loads(path.read_text(encoding="utf-8"))) for name, path in paths]
        told = [at for at in range(len(COLUMNS)) if any(cells[at] != "-" for cells in rows)]
        print(f"\n{folder.name}\n\n{line(COLUMNS, told)}\n|{'---|' * len(told)}")
        print("\n".join(line(cells, told) for cells in rows))


def line(cells: Sequence[str], told: Sequence[int]) -> str:
    """One line of markdown, of the columns in which anything is told."""
    return f"| {' | '.join(cells[at] for at in told)} |"


def row(name: str, told: dict) -> tuple[str, ...]:
    """One trait's cells."""
    whole, judged = told["summary"], told["verdict"]
    best = told[f"layer_{whole['chosen_layer']}"]
    unseen = told.get("evaluation")
    return (
        name,
        ", ".join(filter(None, (judged["evidence"], judged["grade"]))),
        interval(whole["nested_auc"]),
        f"{whole['p']:.3f}",
        interval(unseen["auc"]) if unseen else "-",
        interval(whole["advantages"]["bag of words"], sign="+"),
        interval(whole["advantages"]["reply length"], sign="+"),
        str(whole["chosen_layer"]),
        interval(whole["fixed_auc"]),
        number(best["cohens_d"]),
        number(best["relative_norm"], digits=3),
        number(best["reliability"]),
        number(best["pair_cosine_min"]),
    )


def interval(estimate: dict, sign: str = "") -> str:
    """Value and interval; the value alone where there is no interval."""
    if estimate["low"] is None:
        return number(estimate["value"], sign)
    return f"{number(estimate['value'], sign)} [{number(estimate['low'], sign)}, {number(estimate['high'], sign)}]"


def number(value: float | None, sign: str = "", *, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:{sign}.{digits}f}"


if __name__ == "__main__":
    main()
