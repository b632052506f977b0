"""`personascope steer`: a model and its vectors in, replies at several strengths side by side out."""

from pathlib import Path
from typing import Annotated

import typer

from personascope.errors import SteeringError, UserError


def steer(
    model: Annotated[str, typer.Argument(help="Hub name, folder, smollm2-135m (default model) or toy.")],
    vectors: Annotated[Path, typer.Option(help="The .npz that extract wrote; the original scripts' are read too.")],
    also: Annotated[
        list[str] | None, typer.Option(help="Other vectors, held at a strength: FILE:0.5; may be repeated.")
    ] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="A prompt; may be repeated.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="A text file, one prompt a line.")] = None,
    interactive: Annotated[bool, typer.Option("--interactive", help="Talk to the steered model.")] = False,
    strengths: Annotated[
        str | None, typer.Option(help='In quotes, as "-2 -1 0 1 2" (the default; for other modes than add "0 1").')
    ] = None,
    unit: Annotated[
        str, typer.Option(help="gap (1 = one persona gap), norm (rho: share of the residual norm) or unit-vector.")
    ] = "gap",
    layer: Annotated[
        str | None, typer.Option(help="17, or 15,16,17, or all (each adds what is new); the advised one if not given.")
    ] = None,
    mode: Annotated[str, typer.Option(help="add, ablate, cap or floor.")] = "add",
    positions: Annotated[str, typer.Option(help="reply (with the last prompt token), prompt or all.")] = "reply",
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, max=100, help="0 takes the likeliest token.")] = 0.7,
    seed: Annotated[int, typer.Option(min=0, help="Every strength has the same noise.")] = 0,
    raw: Annotated[
        bool | None, typer.Option("--raw/--chat", help="Continue prompts as they stand, or use the chat template.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="First measure which layer and which doses are safe; keep the answer.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Write replies at several strengths of a trait's vectors, side by side, or talk to the steered model."""
    from personascope.cli.steering_options import (
        Asking,
        Files,
        parse_also,
        parse_strengths,
        prompts_from,
        setting,
    )
    from personascope.models.protocols import Sampling

    turned = setting(layer, mode, positions, unit)
    files = Files(vectors, tuple(map(parse_also, also or ())), calibrate=calibrate)
    asking = Asking(
        prompts_from(prompt or (), prompts, interactive=interactive),
        parse_strengths(strengths, turned.mode),
        Sampling(max_tokens, temperature),
        seed,
        raw,
    )
    _check(files.also, interactive=interactive, json_output=json_output)
    # Torch and transformers take seconds to import; help and mistakes should not.
    from personascope.cli.interactive import talk
    from personascope.cli.steered_model import open_steered
    from personascope.cli.steering_job import compare

    steered = open_steered(model, files, turned, precision=dtype, trust_remote_code=trust_remote_code)
    if interactive:
        talk(steered, asking)
    else:
        compare(steered, asking, json_output=json_output)


def _check(also: tuple[tuple[Path, float | None], ...], *, interactive: bool, json_output: bool) -> None:
    if interactive and json_output:
        raise UserError("a conversation has no JSON", hint="save it from within: /save FILE")
    missing = [path for path, strength in also if strength is None]
    if missing and not interactive:
        raise SteeringError(f"--also {missing[0]} has no strength", hint=f"write it as --also {missing[0]}:0.5")
