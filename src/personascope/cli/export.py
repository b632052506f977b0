"""`personascope export`: vectors in, a steered checkpoint out that needs no personascope."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    vectors: Annotated[Path, typer.Argument(help="The .npz that extract wrote; the original scripts' are read too.")],
    bake: Annotated[
        str,
        typer.Option(
            help="The model to bake them into: Hub name, folder, PEFT adapter (merged into its base) or smollm2-135m "
            "(default model). Its MLP must have biases, or be able to: Llama and its kin, GPT-2, GPT-NeoX, OPT."
        ),
    ],
    save_dir: Annotated[Path, typer.Option("--save-dir", "-o", help="A new folder for the checkpoint.")],
    strength: Annotated[str, typer.Option(help="How far, as 1.5 or -2; in persona gaps.")] = "1",
    unit: Annotated[
        str, typer.Option(help="Of the strength: gap, norm (rho: share of the residual norm) or unit-vector.")
    ] = "gap",
    layer: Annotated[
        str | None,
        typer.Option(help="17, or 15,16,17, or all (each adds what is new); the advised one if not given."),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option(help="Other vectors, baked in too: FILE:0.5; may be repeated.")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Bake vectors that were made on other weights too.")] = False,
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was done as one JSON object.")] = False,
) -> None:
    """Write a checkpoint in which the vectors, at one dose, are a part of the weights.

    Transformers, vLLM and others load the folder as any model, and run it steered at every token without a plugin.
    It is opened again and compared with the hook before it is put in place.
    """
    from personascope.cli.export_options import bake_asked

    asked = bake_asked(vectors, bake, (strength, unit, layer), also or (), save_dir, anyway=anyway)
    # Torch and transformers take seconds to import; help and mistakes should not.
    from personascope.cli.export_job import run_bake

    run_bake(asked, trust_remote_code=trust_remote_code, json_output=json_output)
