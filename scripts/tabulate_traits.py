"""The table of all traits for docs/traits.md, from the analysis files of a folder: `tabulate_traits.py FOLDER ...`."""

import json
import sys
from pathlib import Path

from personascope.traits import catalogue_names


def main() -> None:
    """Print one table for each folder given."""
    for folder in map(Path, sys.argv[1:]):
        print(f"\n{folder.name}\n")
        print(
            "| trait | verdict | held-out AUC, layer nested | p | chosen layer | AUC at depth 0.6 | Cohen's d "
            "| rho at strength 1 | reliability | lowest pair cosine | words | length |"
        )
        print("|" + "---|" * 12)
        for name in catalogue_names():
            for path in sorted(folder.glob(f"*_{name}_analysis.json")):
                print(row(name, json.loads(path.read_text())))


def row(name: str, told: dict) -> str:
    """One trait's line."""
    whole = told["summary"]
    best = told[f"layer_{whole['chosen_layer']}"]
    cells = (
        name,
        told["grade"],
        interval(whole["nested_auc"]),
        f"{whole['p']:.3f}",
        str(whole["chosen_layer"]),
        interval(whole["fixed_auc"]),
        f"{best['cohens_d']:.2f}",
        f"{best['relative_norm']:.3f}",
        f"{best['reliability']:.2f}",
        "-" if best["pair_cosine_min"] is None else f"{best['pair_cosine_min']:.2f}",
        f"{whole['baselines']['bag of words']['value']:.2f}",
        f"{whole['baselines']['reply length']['value']:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def interval(estimate: dict) -> str:
    """Value and interval."""
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


if __name__ == "__main__":
    main()
