"""Prints, as markdown, the tables of docs/statistics.md: what the numbers come to when the truth is known.

    python scripts/simulate_statistics.py [--sets 200]

Seeded: the same tables each time. About half an hour on one thread.
"""

import argparse
from collections.abc import Callable

from simulated_intervals import advantage, coverage, frozen, recovery
from simulated_nulls import dimension, false_positives, in_sample, layer_choice, leakage, null_95, other_designs

TABLES: tuple[Callable[[int], None], ...] = (
    in_sample,
    leakage,
    dimension,
    false_positives,
    other_designs,
    null_95,
    coverage,
    advantage,
    frozen,
    layer_choice,
    recovery,
)


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sets", type=int, default=200, help="data sets per condition")
    parser.add_argument("--only", help="name of one table's function")
    arguments = parser.parse_args()
    for make in TABLES:
        if arguments.only in (None, make.__name__):
            make(arguments.sets)


if __name__ == "__main__":
    main()
