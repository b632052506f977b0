"""The table of all traits for docs/traits.md, from the analysis files of a folder: `tabulate_traits.py FOLDER ...`."""

import json
import sys
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
        print(f"\n{folder.name}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for name in catalogue_names():
            for path in sorted(folder.glob(f"*_{name}_analysis.json")):
                print(row(name, json.loads(path.read_text(encoding="utf-8"))))


def row(name: str, told: dict) -> str:
    """One trait's line."""
    whole, judged = told["summary"], told["verdict"]
    best = told[f"layer_{whole['chosen_layer']}"]
    unseen = told.get("evaluation")
    cells = (
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
    return f"| {' | '.join(cells)} |"


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
