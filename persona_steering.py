"""The original toolkit's steering, flag for flag, over personascope's stages.

`--target_layer layer_15` (or 15) names a key of the vectors file. Files of the original scripts are read at the layer
that they were made at; a layer that the file lacks is an error. Without a layer the analysis advises it.
"""

import argparse
from pathlib import Path

from personascope.cli.app import run
from personascope.cli.interactive import talk
from personascope.cli.steered_model import open_steered
from personascope.cli.steering_job import compare
from personascope.cli.steering_options import STRENGTHS, Asking, Files, Setting, parse_strength, read_prompts
from personascope.errors import UserError
from personascope.models.protocols import Sampling

PROMPTS = (
    "On a free afternoon I am most likely to",
    "The first thing I do with a hard problem is",
    "When plans fall through at the last minute, I",
    "What my friends would say about me is that",
    "If a stranger starts to talk to me on the train, I",
)


def main() -> None:
    """Parse the original's flags, then talk or compare."""
    parser = argparse.ArgumentParser(description="Steer a model with persona vectors.")
    parser.add_argument("--model_name", required=True, help="Hub name, folder, smollm2-135m or toy")
    parser.add_argument("--vector_file", required=True, type=Path, help="the .npz with the vectors")
    parser.add_argument("--analysis_file", type=Path, help="JSON whose best layer is steered at")
    parser.add_argument("--target_layer", help="layer_15 or 15, a key of the vectors file")
    parser.add_argument("--test_prompts", type=Path, default=Path("test_prompts.txt"), help="one prompt a line")
    parser.add_argument("--interactive", action="store_true", help="talk to the steered model")
    parser.add_argument("--batch_test", action="store_true", help="compare strengths on the test prompts")
    parser.add_argument("--max_tokens", type=int, default=100, help="longest reply")
    parser.add_argument("--steering_strengths", nargs="+", type=str, default=[str(strength) for strength in STRENGTHS])
    asked = parser.parse_args()
    run(lambda: steer(asked))


def steer(asked: argparse.Namespace) -> None:
    """What the flags ask for."""
    if asked.max_tokens < 1:
        raise UserError(f"--max_tokens {asked.max_tokens} leaves no room for a reply", hint="give at least 1")
    strengths = tuple(parse_strength(strength) for strength in asked.steering_strengths)
    prompts = None if asked.interactive else prompts_for(asked.test_prompts) if asked.batch_test else (one_prompt(),)
    layer = f"layer_{asked.target_layer.removeprefix('layer_')}" if asked.target_layer else None
    model = open_steered(asked.model_name, Files(asked.vector_file, analysis=asked.analysis_file), Setting(layer))
    asking = Asking(prompts, strengths, Sampling(asked.max_tokens, 0.7), seed=0)
    if asked.interactive:
        talk(model, asking)
    else:
        compare(model, asking)


def prompts_for(path: Path) -> tuple[str, ...]:
    """The prompts of a file; our own five where the default file is not there."""
    return PROMPTS if path == Path("test_prompts.txt") and not path.exists() else read_prompts(path)


def one_prompt() -> str:
    """A prompt typed now. Raises UserError at the end of input."""
    try:
        prompt = input("Prompt: ").strip()
    except EOFError:
        prompt = ""
    if not prompt:
        raise UserError("no prompt was given", hint="type one, or use --interactive or --batch_test")
    return prompt


if __name__ == "__main__":
    main()
