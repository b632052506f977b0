"""`personascope traits`: look at the catalogue, start a trait of your own, check it."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from personascope.artifacts import write_whole
from personascope.errors import TraitError
from personascope.traits import Trait, catalogue_names, load_trait, problems, trait_file

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, check and start traits.")

_TRAIT = Annotated[str, typer.Argument(help="A name of the catalogue, or the path of a YAML file.")]


@app.command(name="list")
def list_traits() -> None:
    """List the traits of the catalogue."""
    table = Table(box=None, pad_edge=False)
    for column in ("name", "family", "low", "high"):
        table.add_column(column)
    for name in catalogue_names():
        trait = load_trait(name)
        table.add_row(name, trait.family, trait.poles.low.adjective, trait.poles.high.adjective)
    Console(highlight=False).print(table)


@app.command()
def show(trait: _TRAIT, yaml: Annotated[bool, typer.Option("--yaml", help="Print the whole file.")] = False) -> None:
    """Show what a trait is, and the texts that bring it out."""
    loaded = load_trait(trait)
    if yaml:
        print(trait_file(trait), end="")
    else:
        _print_trait(loaded)


@app.command()
def check(trait: _TRAIT) -> None:
    """Check a trait file against the catalogue's rules; exits 2 if it breaks one."""
    loaded = load_trait(trait)
    found = problems(loaded)
    for problem in found:
        print(f"- {problem}")
    if found:
        raise TraitError(
            f"{trait} breaks {len(found)} of the catalogue's rules",
            hint="it can be used all the same; its vectors will be the better for mending them",
        )
    print(f"{loaded.name}: nothing to mend")


@app.command()
def new(path: Annotated[Path, typer.Argument(help="Where to write the new YAML file.")]) -> None:
    """Start a trait of your own from a commented copy of a shipped one."""
    if path.exists() or path.suffix not in (".yaml", ".yml"):
        found = f"{path} is there already" if path.exists() else f"{path} has no ending .yaml"
        raise TraitError(found, hint="choose another name, such as mine.yaml")
    name = re.sub(r"[^\w-]+", "_", path.stem.lower())
    if name in catalogue_names():
        raise TraitError(f"{name} is a trait of the catalogue", hint=f"choose another name, such as my_{name}.yaml")
    lead = (
        "# A trait of your own. Change every text; keep the texts of a pair alike in all but the trait.\n"
        f"# Then: personascope traits check {path} && personascope extract MODEL --trait {path}\n"
    )
    text = lead + trait_file("extraversion").replace("name: extraversion", f"name: {name}", 1)
    write_whole(path, lambda part: _write(part, text))
    print(f"wrote {path}; now change its texts")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _print_trait(trait: Trait) -> None:
    print(f"{trait.label} ({trait.family})\n\n{trait.definition.strip()}\n\nSource: {trait.source.strip()}\n")
    for name, pole in (("high", trait.poles.high), ("low", trait.poles.low)):
        print(f"{name} = {pole.adjective}: {pole.looks_like.strip()}")
    print("\nInstruction pairs to extract (high / low)")
    for pair in trait.instructions.extract:
        print(f"+ {pair.high}\n- {pair.low}")
    print("\nQuestions to extract")
    for question in trait.questions.extract:
        print(f"  {question}")
    print(
        f"\nand {len(trait.instructions.evaluate)} unseen pairs and {len(trait.questions.evaluate)} unseen questions "
        f"to evaluate, {len(trait.replies)} matched replies, {len(trait.openers)} openers"
    )
