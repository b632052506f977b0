"""One comparison, from opened models to what the terminal shows.

Apart from `compare`, so that help and mistakes need no torch.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personascope.artifacts import finite, model_in_file_names, write_json
from personascope.cli.bars import progress_bars
from personascope.cli.compare_options import Job
from personascope.cli.compare_tables import print_comparison
from personascope.cli.printing import Interrupted
from personascope.comparing import Comparison, compare
from personascope.comparing_persona import Persona, Plan, persona
from personascope.comparison_file import comparison_as_json
from personascope.errors import ModelError
from personascope.gathering import Progress
from personascope.models.adapters import find_adapter
from personascope.models.engine_choice import HF, EngineChoice
from personascope.models.huggingface import HuggingFaceModel
from personascope.models.opening import (
    check_hosted,
    check_is_there,
    open_model,
    open_tuned,
)
from personascope.models.precision import Precision, precision_named
from personascope.models.protocols import Engine
from personascope.models.quantising import Quantization, quantization_named
from personascope.models.toy import ToyModel
from personascope.models.toys import TRAINED_TOYS, trained_toy
from personascope.models.vllm.engine import VllmModel
from personascope.models.vllm.opening import How, open_vllm, tuned_vllm
from personascope.models.vllm.starting import Hosting
from personascope.report.compare_page import write_comparison_page, write_comparison_picture
from personascope.suggestions import did_you_mean

_Opened = HuggingFaceModel | ToyModel | VllmModel


@dataclass(frozen=True)
class Opening:
    """How models are opened."""

    precision: Precision
    trust_remote_code: bool
    quantize: Quantization | None
    on: EngineChoice = HF

    @property
    def here(self) -> dict[str, Any]:
        """What the Hugging Face engine is told."""
        return {"precision": self.precision, "trust_remote_code": self.trust_remote_code, "quantize": self.quantize}

    @property
    def hosted(self) -> How:
        """What vLLM is told."""
        return How(self.precision, self.trust_remote_code, hosting=Hosting(self.on.tensor_parallel))


def run_compare(job: Job, how: Opening, *, json_output: bool) -> None:
    """Compare the base with each tuned model, write the files, and print what came of it."""
    plan = Plan(job.traits, job.protocol, job.questionnaire, job.save_dir, job.seed)
    try:
        with progress_bars(leave=False) as progress:
            base = _base(job, how)
            each = [_ready(base, name, job, how) for name in job.tuned]
            known = persona(base, plan, reader=base, own_vectors=True, progress=progress)
        told = []
        for opened in each:
            with progress_bars(leave=False) as progress:
                found, files = _compared(base, known, opened(), plan, progress)
            if json_output:
                told.append(finite(comparison_as_json(found)))
            else:
                print_comparison(found, files)
        if json_output:
            print(json.dumps({"base": job.base, "comparisons": told}, indent=1, ensure_ascii=False))
    except KeyboardInterrupt as stop:
        raise Interrupted("vectors that were finished are kept, the same command goes on from there") from stop


def opening_named(precision: str, quantize: str | None, *, trust_remote_code: bool, on: EngineChoice = HF) -> Opening:
    """How models are opened, from the options. Raises ModelError for an unknown one."""
    return Opening(precision_named(precision), trust_remote_code, quantization_named(quantize), on)


def _base(job: Job, how: Opening) -> _Opened:
    if how.on.name == "vllm":
        for name in (job.base, *job.tuned):
            check_hosted(name, how.quantize)
        return open_vllm(job.base, how.hosted, beside=job.tuned)
    return trained_toy(job.base, job.traits) if job.base in TRAINED_TOYS else open_model(job.base, **how.here)


def _ready(base: _Opened, name: str, job: Job, how: Opening) -> Callable[[], _Opened]:
    """What gives a tuned model when its turn comes; a misspelt name or a misfit shows now, before hours of work.

    An adapter is put on at once. Of a whole checkpoint only the config is read, so that one at a time is in memory.
    """
    whole = isinstance(base, HuggingFaceModel) and name not in TRAINED_TOYS and find_adapter(name) is None
    if whole:
        check_is_there(name, trust_remote_code=how.trust_remote_code)
        return lambda: _tuned(base, name, job, how)
    tuned = _tuned(base, name, job, how)
    return lambda: tuned


def _tuned(base: _Opened, name: str, job: Job, how: Opening) -> _Opened:
    """The engine for a tuned model; an adapter shares the base's weights, a toy is compared with toys."""
    if isinstance(base, VllmModel):
        return tuned_vllm(base, name, how.hosted)
    if isinstance(base, HuggingFaceModel) and name not in TRAINED_TOYS:
        return open_tuned(base, name, **how.here)
    if isinstance(base, HuggingFaceModel) or name not in TRAINED_TOYS:
        raise ModelError(
            f"{name} cannot be compared with {job.base}: the toy is no language model",
            hint=f"{did_you_mean(name, TRAINED_TOYS)}compare toys with each other: {', '.join(TRAINED_TOYS)}",
        )
    return trained_toy(name, job.traits)


def _compared(
    base: Engine, known: Persona, tuned: Engine, plan: Plan, progress: Progress
) -> tuple[Comparison, Mapping[str, Path]]:
    """The comparison with one tuned model, and its files: what each is called and where it lies."""
    found = compare(base, known, tuned, plan, progress=progress)
    tick = progress("report", 1)
    files = write_comparison(found, plan.save_dir)
    tick(1)
    return found, files


def write_comparison(found: Comparison, folder: Path) -> Mapping[str, Path]:
    """Write numbers, picture and page; what each is called and where it lies."""
    names = [model_in_file_names(one.spec.name) for one in (found.base, found.tuned)]
    stem = folder / f"{names[0]}_vs_{names[1]}"
    files = {
        "numbers": stem.with_name(f"{stem.name}_compare.json"),
        "picture": stem.with_name(f"{stem.name}_compare.png"),
        "report": stem.with_name(f"{stem.name}_compare.html"),
    }
    write_json(files["numbers"], comparison_as_json(found))
    write_comparison_picture(files["picture"], found)
    write_comparison_page(files["report"], found)
    return files
