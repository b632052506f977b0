"""Capture against the bare forward pass and against peers, in one run: `python benchmarks/capture.py`.

Each tool has a process and, for peers, an environment of its own (made under --envs on first use). Rounds take
the tools in turn; the table gives medians and the median of the round-by-round ratios. Run it alone.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from personascope.models.default_model import default_model_source

HERE = Path(__file__).parent
PEERS = {
    "repeng": [["repeng==0.4.0"]],
    # Declares transformers < 5, runs under it all the same.
    "steering-vectors": [["transformers==5.23.0", "tqdm", "scikit-learn"], ["--no-deps", "steering-vectors==0.12.2"]],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--envs", type=Path, default=Path("/tmp/personascope-peers"))
    asked = parser.parse_args()
    asked.envs.mkdir(parents=True, exist_ok=True)
    pythons = {"personascope": sys.executable, "bare": sys.executable}
    pythons |= {name: _environment(asked.envs / name, installs) for name, installs in PEERS.items()}
    subprocess.run([sys.executable, HERE / "texts.py", asked.envs, str(asked.texts)], check=True)
    for which in ("mixed", "job"):
        found = {name: [] for name in pythons}
        for _ in range(asked.rounds):
            for name, python in pythons.items():
                found[name].append(_run(python, name, asked.envs / "texts.json", which))
        _print(which, found)


def _environment(folder: Path, installs: list[list[str]]) -> str:
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for packages in (["torch==2.13.0"], *installs):
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return str(python)


def _run(python: str, tool: str, texts: Path, which: str) -> dict[str, float]:
    command = [python, str(HERE / "capture_worker.py"), tool, default_model_source(), str(texts), which]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{tool} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _print(which: str, found: dict[str, list[dict[str, float]]]) -> None:
    ours = [run["tokens"] / run["seconds"] for run in found["personascope"]]
    print(f"\n{which} texts\n| tool | tokens/s (median) | ours / theirs | peak memory MB |\n|---|---|---|---|")
    for name, runs in found.items():
        rates = [run["tokens"] / run["seconds"] for run in runs]
        ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, rates, strict=True))
        peak = statistics.median(run["peak_mb"] for run in runs)
        print(f"| {name} | {statistics.median(rates):.0f} | {ratio:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
