"""What `compare` says of the default model beside itself, asked with other noise: it must find nothing.

    python scripts/compare_with_itself.py --model smollm2-135m -o persona_analysis

Twenty pairs of seeds, as many as asked for: in each, the model answers the evaluation questions twice, and the second
answers are taken for another model's. Printed for each pair: traits whose corrected p is at most 0.05, traits that are
called raised or lowered, and how many intervals hold 0. Vectors are read from the folder, or made.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from personascope.cli.bars import progress_bars
from personascope.cli.compare_options import ALL
from personascope.cli.profile_options import questionnaire_named
from personascope.comparing import rulers_of
from personascope.comparing_persona import Plan, persona
from personascope.models.opening import open_model
from personascope.models.toys import TRAINED_TOYS, trained_toy
from personascope.prompts import PROTOCOLS
from personascope.shifts import ALPHA, Shift, shifts
from personascope.traits import catalogue_names, load_trait


def main() -> None:
    """Read the options, compare, print."""
    asked = options()
    names = catalogue_names() if asked.traits == ALL else asked.traits.split(",")
    traits = tuple(load_trait(name) for name in names)
    plan = Plan(traits, PROTOCOLS["quick"], questionnaire_named("own", None, None), asked.save_dir, seed=0)
    engine = trained_toy(asked.model, traits) if asked.model in TRAINED_TOYS else open_model(asked.model)
    with progress_bars(leave=False) as progress:
        rulers = rulers_of(persona(engine, plan, reader=engine, own_vectors=True, progress=progress), seed=0)
    print(f"{engine.spec.name}, {len(plan.questions)} questions, {len(rulers)} traits")
    print("pair  p<=.05  moved  hold 0")
    rows = []
    for pair in range(asked.pairs):
        with progress_bars(leave=False) as progress:
            plans = [replace(plan, seed=1 + 2 * pair + which) for which in (0, 1)]
            first, other = (
                persona(engine, one, reader=engine, own_vectors=False, progress=progress).spoken.residuals.reply_mean
                for one in plans
            )
        difference = other.astype(np.float64) - first
        rows.append(counts(list(shifts(difference, range(engine.spec.n_layers), rulers, seed=pair).values())))
        print("{:>4}{:>8}{:>7}{:>8}".format(pair + 1, *rows[-1]), flush=True)
    found = np.array(rows)
    print(f"a corrected p of 0.05 or less in {(found[:, 0] > 0).sum()} of {len(found)} pairs")
    print(f"raised or lowered: {found[:, 1].sum()} of {len(found) * len(rulers)} traits")
    print(f"intervals that hold 0: {found[:, 2].sum()} of {len(found) * len(rulers)}")


def options() -> argparse.Namespace:
    """What is asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--traits", default=ALL, help="all, or some, as openness,evil")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("-o", "--save-dir", type=Path, default=Path("persona_analysis"))
    return parser.parse_args()


def counts(found: list[Shift]) -> tuple[int, int, int]:
    """Of the traits: how many have a corrected p of 0.05 or less, are said to have moved, have 0 in the interval."""
    return (
        sum(one.p_holm <= ALPHA for one in found),
        sum(one.moved != "not shown" for one in found),
        sum(one.shift.low <= 0 <= one.shift.high for one in found),
    )


if __name__ == "__main__":
    main()
