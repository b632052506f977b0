"""`personascope check`: whether reading and steering can be trusted on a model, and whether vectors fit it."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personascope.cli.model_options import Quantize
from personascope.errors import UserError
from personascope.traits import Trait, catalogue_names, load_trait

if TYPE_CHECKING:
    from personascope.check_bench import Check

_WORDS = {True: "pass", False: "FAIL", None: "-"}


def check(
    model: Annotated[
        str, typer.Argument(help="Hub name, folder or PEFT adapter; smollm2-135m (default model) or toy.")
    ],
    vectors: Annotated[Path | None, typer.Option(help="A vectors file, to be checked against the model.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    quantize: Quantize = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check that steering does on this model what it says, and that a vectors file fits it; exit 2 where not."""
    # Torch and the libraries of numbers take seconds to import; help and mistakes should not.
    from personascope.check_bench import bench_for
    from personascope.models.opening import open_engine
    from personascope.self_check import engine_checks
    from personascope.vectors_check import file_checks

    engine = open_engine(
        model, _trait_behind(vectors), precision=dtype, trust_remote_code=trust_remote_code, quantize=quantize
    )
    bench = bench_for(engine)
    done = _told(engine_checks(bench), quiet=json_output)
    done += _told(file_checks(vectors, bench), quiet=json_output) if vectors else []
    failed = [one for one in done if one.passed is False]
    if json_output:
        told = [asdict(one) if not one.passed else {**asdict(one), "hint": ""} for one in done]
        print(json.dumps({"model": engine.spec.name, "passed": not failed, "checks": told}, indent=1))
    if failed:
        names = "; ".join(one.name for one in failed)
        raise UserError(
            f"{len(failed)} of {len(done)} checks failed on {engine.spec.name}: {names}", hint=failed[0].hint
        )


def _told(checks: "Iterable[Check]", *, quiet: bool) -> "list[Check]":
    """The checks, each printed as soon as it is done."""
    done: list[Check] = []
    for one in checks:
        done.append(one)
        if not quiet:
            print(f"{_WORDS[one.passed]:<6}{one.name:<33}{one.measured}", flush=True)
    return done


def _trait_behind(vectors: Path | None) -> Trait:
    """The trait of a vectors file, where the catalogue has it; only the toy leans by its texts."""
    from personascope.steering_files import trait_told

    known = catalogue_names()
    told = trait_told(vectors) if vectors else known[0]
    return load_trait(told if told in known else known[0])
