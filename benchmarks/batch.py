"""What a further trait costs: `python benchmarks/batch.py [TRAIT TRAIT]`. Two commands; few traits, quick protocol.

`extract --trait a,b`, then `--trait b,a`, each a process of its own. The first trait of a command costs what it costs
alone: the process starts, the libraries and the model are loaded, and nothing is there to be shared. The same trait
as second one costs what a further trait costs. So each trait is measured both ways, and

    ratio for n traits = (first + (n - 1) * further) / (n * first)

Processor time is told beside the clock: on a machine with other jobs only the former compares.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MANY = 11
"""Traits of the catalogue."""
_FINISHED = re.compile(r"^(\w+) \(\d+ of \d+\): ")


@dataclass(frozen=True)
class Took:
    """What one trait took, in seconds."""

    trait: str
    place: int
    clock: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traits", nargs="*", default=["openness", "evil"])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--orders", type=int, default=2, help="how many of the orders to run")
    parser.add_argument("--max-new-tokens", type=int)
    parser.add_argument("--no-calibrate", action="store_true")
    asked = parser.parse_args()
    more = ["--no-calibrate"] if asked.no_calibrate else []
    more += ["--max-new-tokens", str(asked.max_new_tokens)] if asked.max_new_tokens else []
    print("| trait | place | seconds | processor seconds |\n|---|---|---|---|", flush=True)
    took = []
    for turn in range(min(asked.orders, len(asked.traits))):
        took += _run(asked.model, [*asked.traits[turn:], *asked.traits[:turn]], more)
    for what in ("clock", "processor"):
        first = statistics.mean(getattr(one, what) for one in took if one.place == 0)
        further = statistics.mean(getattr(one, what) for one in took if one.place > 0)
        ratios = (f"{(first + (n - 1) * further) / (n * first):.2f} for {n}" for n in (2, MANY))
        print(f"\n{what}: first {first:.0f} s, further {further:.0f} s; ratio {', '.join(ratios)}")


def _run(model: str, traits: list[str], more: list[str]) -> list[Took]:
    """One command, each trait timed by the line that tells that it is finished."""
    took: list[Took] = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "personascope", "extract", model, "--trait", ",".join(traits)]
        command += ["--protocol", "quick", "-o", folder, *more]
        start, before = time.perf_counter(), 0.0
        unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unbuffered)
        for line in running.stdout or ():
            if found := _FINISHED.match(line):
                now, used = time.perf_counter(), _processor_seconds(running.pid)
                took.append(Took(found[1], len(took), now - start, used - before))
                print(f"| {found[1]} | {len(took)} | {now - start:.1f} | {used - before:.1f} |", flush=True)
                start, before = now, used
        if running.wait():
            sys.exit(f"the command failed: {' '.join(command)}")
    return took


def _processor_seconds(pid: int) -> float:
    """What a process has used so far, of all its threads; Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
