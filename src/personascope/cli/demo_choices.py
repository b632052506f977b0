"""What the demo's choices do. Work is done by command lines of personascope, each told before it is run."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from personascope.artifacts import model_in_file_names, write_whole
from personascope.cli.demo_guide import guide
from personascope.cli.demo_questions import (
    Answers,
    ask_for_one,
    ask_for_prompts,
    ask_for_several,
    ask_nothing,
    tell,
)
from personascope.cli.extract import extract
from personascope.cli.starters import starters_of
from personascope.cli.steer import steer
from personascope.cli.steer_command import SteerCommand
from personascope.errors import ArtifactError
from personascope.traits import load_trait

Made = list[Path]
"""Files that are finished, to be named at the end; choices add to it."""


@dataclass(frozen=True)
class Choice:
    """A line of the menu: what it says, what it asks first, and what it then does."""

    told: str
    ask: Callable[[Answers], Answers]
    run: Callable[[Answers, Made], None]


def _tool() -> Any:
    """The verbs that choices run; a class of click or, in later versions, a private one of typer."""
    verbs = typer.Typer(add_completion=False, rich_markup_mode=None)
    verbs.command(name="extract")(extract)
    verbs.command(name="steer", cls=SteerCommand)(steer)
    return typer.main.get_command(verbs)


def run_line(*arguments: str) -> None:
    """Tell a command line of personascope, then run just that; what it raises comes through."""
    print(f"\n$ {command_line(*arguments)}\n", flush=True)
    tool = _tool()
    with tool.make_context("personascope", list(arguments)) as context:
        tool.invoke(context)


def command_line(*arguments: str) -> str:
    """The line as it is typed in a shell."""
    return shlex.join(("personascope", *arguments))


def quick_demo(answers: Answers, made: Made) -> None:
    """Extract one trait's vectors, then talk to the steered model until /quit."""
    _tell_texts(answers.trait)
    tell("\nSTEP 1 OF 2: EXTRACT. Replies are written and read, then the vector is tried on texts it has not seen.")
    tell(f"Files go to {answers.save_dir}/. {_duration(answers)} Ctrl-C stops; what is whole is kept.")
    _extract(answers.model, answers.trait, answers.save_dir, answers.protocol)
    made += _files(answers, answers.trait)
    tell(
        "\nSTEP 2 OF 2: TALK TO THE STEERED MODEL. Type a number for a prompt below, or a prompt of your own; then "
        "/strength -2 or /strength 2, and the same number again; /compare -2 0 2 shows them side by side; "
        "/quit comes back here."
    )
    vectors = _stem(answers, answers.trait, "vectors.npz")
    run_line("steer", answers.model, "--vectors", str(vectors), "--interactive")


def batch(answers: Answers, made: Made) -> None:
    """Extract the vectors of several traits in one go; raises UserError if some came to nothing."""
    tell(f"\n{len(answers.traits)} traits, one after the other: {', '.join(answers.traits)}.")
    tell(f"Files go to {answers.save_dir}/. {_duration(answers)} Ctrl-C stops; what is whole is kept.")
    try:
        _extract(answers.model, ",".join(answers.traits), answers.save_dir, answers.protocol)
    finally:
        made += [file for trait in answers.traits for file in _files(answers, trait) if file.exists()]


def write_prompts(answers: Answers, made: Made) -> None:
    """Write the traits' starter prompts, one a line, and show them. Raises ArtifactError where the file is there."""
    if answers.output.exists() and not answers.overwrite:
        raise ArtifactError(f"{answers.output} is there already", hint="name another with --output, or remove it")
    blocks = [starters_of(load_trait(trait)) for trait in answers.traits]
    text = "\n".join("".join(f"{prompt}\n" for prompt in block) for block in blocks)
    print(f"\nThe same without questions: {command_line(*_prompts_line(answers))}\n")
    write_whole(answers.output, lambda part: _write(part, text))
    made.append(answers.output)
    for trait, block in zip(answers.traits, blocks, strict=True):
        print(f"{load_trait(trait).name}:")
        print("".join(f"  {prompt}\n" for prompt in block), end="")
    print(f"\n{sum(map(len, blocks))} prompts written to: {answers.output}")
    print("One a line; blank lines do not count. Change, add or delete what you like.")
    files = [_stem(answers, trait, "vectors.npz") for trait in answers.traits]
    vectors = next((path for path in files if path.exists()), files[0])
    print("They are asked by:" if vectors.exists() else "Once there are vectors (choice 1 or 2), they are asked by:")
    print(f"  {command_line('steer', answers.model, '--vectors', str(vectors), '--prompts', str(answers.output))}")


def tell_guide(answers: Answers, _made: Made) -> None:
    """Print the five steps with the commands for the model and trait at hand."""
    print(guide(answers.model, answers.trait, load_trait(answers.trait).name))


CHOICES: dict[int, Choice] = {
    1: Choice("Quick demo: extract one trait's vectors, then talk to the steered model", ask_for_one, quick_demo),
    2: Choice("Batch analysis: the vectors of several traits, one after the other", ask_for_several, batch),
    3: Choice("Test prompts: a file of prompts to steer with", ask_for_prompts, write_prompts),
    4: Choice("Guide: the five steps and the words, on one screen", ask_nothing, tell_guide),
}


def _extract(model: str, trait: str, save_dir: Path, protocol: str) -> None:
    run_line("extract", model, "--trait", trait, "--protocol", protocol, "--save-dir", str(save_dir))


def _tell_texts(name: str) -> None:
    """What the model will be asked, by one example of each."""
    trait = load_trait(name)
    pair = trait.instructions.extract[0]
    print("\nThe model answers everyday questions under instructions of both poles, such as")
    print(f"  +  {pair.high}\n  -  {pair.low}\n  ?  {trait.questions.extract[0]}")
    print(f"All of them: {command_line('traits', 'show', name)}")


def _duration(answers: Answers) -> str:
    if answers.model == "toy":
        return "The toy takes seconds a trait."
    return "A small model takes minutes a trait without a GPU; bars tell what is left."


def _stem(answers: Answers, trait: str, ending: str) -> Path:
    """Where extract puts a file of a trait."""
    return answers.save_dir / f"{model_in_file_names(answers.model)}_{load_trait(trait).name}_{ending}"


def _files(answers: Answers, trait: str) -> list[Path]:
    return [_stem(answers, trait, ending) for ending in ("vectors.npz", "report.html")]


def _prompts_line(answers: Answers) -> tuple[str, ...]:
    return ("demo", "--choice", "3", "--traits", ",".join(answers.traits), "--output", str(answers.output))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
