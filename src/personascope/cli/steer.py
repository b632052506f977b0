"""`personascope steer`: a model and its vectors in, replies at several strengths side by side out."""

from pathlib import Path
from typing import Annotated

import typer

from personascope.cli.model_options import Engine, Quantize, TensorParallel
from personascope.cli.steer_command import ASKED, DOSE, MODEL, OUTPUT
from personascope.errors import SteeringError, UserError
from personascope.judging import Judge


def steer(
    model: Annotated[
        str, typer.Argument(help="Hub name, folder or PEFT adapter; smollm2-135m (default model) or toy.")
    ],
    vectors: Annotated[
        Path,
        typer.Option(help="The .npz that extract wrote; the original scripts' are read too.", rich_help_panel=DOSE),
    ],
    also: Annotated[
        list[str] | None,
        typer.Option(help="Other vectors, held at a strength: FILE:0.5; may be repeated.", rich_help_panel=DOSE),
    ] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="A prompt; may be repeated.", rich_help_panel=ASKED)] = None,
    prompts: Annotated[Path | None, typer.Option(help="A text file, one prompt a line.", rich_help_panel=ASKED)] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Talk to the steered model.", rich_help_panel=ASKED)
    ] = False,
    strengths: Annotated[
        str | None,
        typer.Option(
            help="As -2 -1 0 1 2 (the default; of unit norm -0.2 -0.1 0 0.1 0.2, of other modes than add 0 1), in "
            "quotes or not. A conversation starts at the smallest above 0.",
            rich_help_panel=DOSE,
        ),
    ] = None,
    unit: Annotated[
        str,
        typer.Option(
            help="gap (1 = one persona gap), norm (rho: share of the residual norm) "
            "or unit-vector (needs --strengths).",
            rich_help_panel=DOSE,
        ),
    ] = "gap",
    layer: Annotated[
        str | None,
        typer.Option(
            help="17, or 15,16,17, or all (each adds what is new); the advised one if not given.", rich_help_panel=DOSE
        ),
    ] = None,
    mode: Annotated[str, typer.Option(help="add, ablate, cap or floor.", rich_help_panel=DOSE)] = "add",
    positions: Annotated[
        str, typer.Option(help="reply (with the last prompt token), prompt or all.", rich_help_panel=DOSE)
    ] = "reply",
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply.", rich_help_panel=ASKED)] = 100,
    temperature: Annotated[
        float, typer.Option(min=0, max=100, help="0 takes the likeliest token.", rich_help_panel=ASKED)
    ] = 0.7,
    seed: Annotated[int, typer.Option(min=0, help="Every strength has the same noise.", rich_help_panel=ASKED)] = 0,
    raw: Annotated[
        bool | None,
        typer.Option(
            "--raw/--chat", help="Continue prompts as they stand, or use the chat template.", rich_help_panel=ASKED
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="First measure which layer and which doses are safe; keep the answer.",
            rich_help_panel=DOSE,
        ),
    ] = False,
    judge_url: Annotated[
        str | None,
        typer.Option(
            help="An OpenAI-compatible endpoint that rates the replies, such as http://host/v1.", rich_help_panel=OUTPUT
        ),
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="Its model; the first it lists if not given.", rich_help_panel=OUTPUT)
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel=MODEL)] = "auto",
    trust_remote_code: Annotated[
        bool, typer.Option(help="Run code that comes with the model.", rich_help_panel=MODEL)
    ] = False,
    quantize: Quantize = None,
    engine: Engine = "hf",
    tensor_parallel: TensorParallel = 1,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print everything as one JSON object.", rich_help_panel=OUTPUT)
    ] = False,
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
    from personascope.models.engine_choice import engine_chosen, refuse_gradients
    from personascope.models.protocols import Sampling

    on = engine_chosen(engine, tensor_parallel)
    if calibrate:
        refuse_gradients(on, "--calibrate")
    turned = setting(layer, mode, positions, unit)
    files = Files(vectors, tuple(map(parse_also, also or ())), calibrate=calibrate)
    asking = Asking(
        prompts_from(prompt or (), prompts, interactive=interactive),
        parse_strengths(strengths, turned.mode, turned.unit),
        Sampling(max_tokens, temperature),
        seed,
        raw,
    )
    _check(files.also, interactive=interactive, json_output=json_output)
    judge = _judge(judge_url, judge_model, interactive=interactive)
    # Torch and transformers take seconds to import; help and mistakes should not.
    from personascope.cli.interactive import talk
    from personascope.cli.steered_model import open_steered
    from personascope.cli.steering_job import compare

    steered = open_steered(
        model, files, turned, precision=dtype, trust_remote_code=trust_remote_code, quantize=quantize, on=on
    )
    if interactive:
        talk(steered, asking)
    else:
        compare(steered, asking, judge=judge, json_output=json_output)


def _judge(url: str | None, model: str | None, *, interactive: bool) -> Judge | None:
    """The judge that was asked for, tried before anything is written."""
    if interactive and url is not None:
        raise UserError("a conversation has no judge", hint="leave out --interactive, or --judge-url")
    if url is None:
        if model is not None:
            raise UserError("--judge-model names a model but no endpoint", hint="add --judge-url URL")
        return None
    from personascope.models.judge import open_judge

    return open_judge(url, model)


def _check(also: tuple[tuple[Path, float | None], ...], *, interactive: bool, json_output: bool) -> None:
    if interactive and json_output:
        raise UserError("a conversation has no JSON", hint="save it from within: /save FILE")
    missing = [path for path, strength in also if strength is None]
    if missing and not interactive:
        raise SteeringError(f"--also {missing[0]} has no strength", hint=f"write it as --also {missing[0]}:0.5")
