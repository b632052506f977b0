"""The original toolkit's quick extraction, flag for flag, over personascope's main job.

`--n_samples N` is how many chats each instruction pair gets per pole, one a question; above the trait's 20 questions
the first ones are asked again. Layers are decoder blocks counted from 0.
"""

import argparse
from pathlib import Path

from personascope.cli.app import run
from personascope.cli.job import Job, run_job
from personascope.contrasts import from_rollouts
from personascope.prompts import with_samples
from personascope.traits import load_trait


def main() -> None:
    """Parse the original's flags and extract."""
    parser = argparse.ArgumentParser(description="Extract a trait's persona vectors from a model.")
    parser.add_argument("--model_name", required=True, help="Hub name, folder, smollm2-135m or toy")
    parser.add_argument("--trait", required=True, help="a trait of the catalogue or a YAML file")
    parser.add_argument("--layers", type=int, nargs="+", help="layers; wins over --layer_range")
    parser.add_argument(
        "--layer_range", type=int, nargs=2, default=[10, 20], help="first and last layer, both included"
    )
    parser.add_argument("--n_samples", type=int, default=5, help="questions per instruction pair and pole")
    parser.add_argument("--save_dir", type=Path, default=Path("persona_analysis"))
    asked = parser.parse_args()

    def job() -> None:
        trait = load_trait(asked.trait)
        first, last = asked.layer_range
        layers = asked.layers or list(range(first, last + 1))
        contrast = from_rollouts(trait, with_samples(asked.n_samples, trait))
        run_job(asked.model_name, Job(trait, contrast, layers, 0, asked.save_dir, trial=None))

    run(job)


if __name__ == "__main__":
    main()
