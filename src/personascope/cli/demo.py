"""`personascope demo`: a menu that leads through the toolkit, telling each command before it runs it."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from personascope.cli.demo_choices import CHOICES, Made
from personascope.cli.demo_questions import (
    Answers,
    ask,
    file_to_write,
    folder_to_write,
    model_named,
    one_trait,
    protocol_of,
    several_traits,
    tell,
)
from personascope.cli.printing import Interrupted
from personascope.errors import UserError

EXIT = max(CHOICES) + 1
_ENDS = ("q", "quit", "exit", "/quit")


def demo(
    choice: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=EXIT,
            help="Run this one and ask nothing: 1 quick demo, 2 batch analysis, 3 test prompts, 4 guide, 5 exit.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Hub name, folder, smollm2-135m (default model) or toy.")] = Answers.model,
    traits: Annotated[
        str | None,
        typer.Option(help="Traits or YAML files with commas between them, or all; choice 1 takes a single one."),
    ] = None,
    save_dir: Annotated[
        Path, typer.Option("--save-dir", "-o", help="Where the files of choices 1 and 2 go.")
    ] = Answers.save_dir,
    protocol: Annotated[str, typer.Option(help="quick (a first look), standard or paper.")] = Answers.protocol,
    output: Annotated[Path, typer.Option(help="The file of test prompts that choice 3 writes.")] = Answers.output,
) -> None:
    """Lead through the toolkit by a menu: extract, talk to the steered model, several traits, prompts, a guide."""
    answers = Answers(
        model=model_named(model),
        protocol=protocol_of(protocol),
        save_dir=folder_to_write(str(save_dir)),
        output=file_to_write(str(output)),
    )
    if traits is not None:
        answers = _with_traits(answers, several_traits(traits), choice)
    if choice is not None:
        run_choice(choice, answers)
    elif at_terminal():
        menu(answers)
    else:
        print(menu_text())
        hint = "say it with flags: personascope demo --choice 2 --model smollm2-135m --traits openness,evil"
        raise UserError("this is no terminal, so that nothing can be asked", hint=hint)


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def run_choice(number: int, answers: Answers) -> None:
    """Do what a choice does, with no question asked."""
    made: Made = []
    if number == EXIT:
        return
    try:
        CHOICES[number].run(answers, made)
    except (KeyboardInterrupt, Interrupted) as stop:
        raise Interrupted(_stopped(stop, made)) from stop


def menu(answers: Answers) -> None:
    """Ask for a choice, do it, and ask again, until Exit or the end of input; then name what was made."""
    made: Made = []
    number = 1
    try:
        while (number := _next(number)) != EXIT:
            answers, number = _done(number, answers, made)
    except EOFError:
        print()
    except (KeyboardInterrupt, Interrupted) as stop:
        raise Interrupted(_stopped(stop, made)) from stop
    if made:
        print("\nMade here:\n" + "".join(f"  {path}\n" for path in dict.fromkeys(made)), end="")


def menu_text() -> str:
    """The menu's lines."""
    lines = [f"  {number}  {choice.told}" for number, choice in CHOICES.items()]
    return "\n".join(["PERSONASCOPE: find, prove and steer persona vectors", "", *lines, f"  {EXIT}  Exit"])


def _next(suggested: int) -> int:
    print(f"\n{menu_text()}\n\nEnter takes what stands in [brackets]; Ctrl-D ends, also within a choice.")
    return ask("Your choice", str(suggested), _choice)


def _done(number: int, answers: Answers, made: Made) -> tuple[Answers, int]:
    """Ask what a choice asks, and do it: the answers to go on with, and the choice to suggest next.

    What went wrong is told; then the answers stay as they were, and the same choice is suggested.
    """
    choice = CHOICES[number]
    try:
        asked = choice.ask(answers)
        choice.run(asked, made)
    except UserError as error:
        tell(f"\nThat did not work: {error}.\nWhat to do: {error.hint}.")
        return answers, number
    return replace(asked, overwrite=False), number + 1


def _choice(text: str) -> int:
    """The number of a choice. Raises UserError where it is none."""
    told = text.rstrip(".)").lower()
    if told in _ENDS:
        return EXIT
    if not told.isdecimal() or not 1 <= int(told) <= EXIT:
        raise UserError(f"{text!r} is no choice", hint=f"type a number from 1 to {EXIT}, or just press Enter")
    return int(told)


def _with_traits(answers: Answers, traits: tuple[str, ...], choice: int | None) -> Answers:
    """The answers with the traits that were named. Raises UserError where choice 1 is given several."""
    if choice == 1 and len(traits) > 1:
        hint = f"name one, such as --traits {traits[0]}, or run --choice 2"
        raise UserError(f"choice 1 takes a single trait, and {len(traits)} are named", hint=hint)
    return replace(answers, trait=one_trait(traits[0]), traits=traits)


def _stopped(stop: BaseException, made: Made) -> str:
    """What was left by what was stopped, and what was finished before."""
    finished = f"finished: {', '.join(map(str, dict.fromkeys(made)))}" if made else ""
    inside = str(stop) if isinstance(stop, Interrupted) else ""
    if finished and inside:
        return f"{inside}; {finished}"
    return finished or inside or "nothing was written"
