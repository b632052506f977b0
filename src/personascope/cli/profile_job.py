"""One profile, from opened models to what the terminal shows.

Apart from `profile`, so that help and mistakes need no torch.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from personascope.artifacts import digest, finite, model_in_file_names, sha256, write_json
from personascope.cli.bars import progress_bars
from personascope.cli.profile_options import Job, SteeredBy
from personascope.cli.profile_tables import print_profile
from personascope.cli.steered_model import SteeredModel, open_steered
from personascope.cli.steering_options import Files
from personascope.cli.steering_tables import strength_text
from personascope.gathering import Progress
from personascope.models.engine_choice import HF, EngineChoice
from personascope.models.opening import open_engine
from personascope.models.protocols import ScoresReplies
from personascope.questionnaire.asking import WayName
from personascope.questionnaire.compared import Arm, Column, Compared, columns_of, compared, compared_as_json
from personascope.questionnaire.held_back import held_back, made_from, origin_doubt
from personascope.questionnaire.items import Questionnaire
from personascope.report.profile_page import write_profile_page, write_profile_picture
from personascope.spread.openings import Opening as NamedOpening
from personascope.spread.profiling_models import Asking, check_spreads, recorded_by_workers
from personascope.spread.work import Cluster
from personascope.wording import joined, signed


@dataclass(frozen=True)
class Opening:
    """How models are opened."""

    precision: str
    trust_remote_code: bool
    quantize: str | None = None
    on: EngineChoice = HF


class _Noted(ScoresReplies, Protocol):
    """An engine that scores, and tells what a reader must know of it."""

    @property
    def notes(self) -> tuple[str, ...]: ...


Engines = Callable[[str], _Noted]
"""By a model's name."""


@dataclass(frozen=True, eq=False)
class Asked:
    """The columns of one model, and what must be known about it."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]

    @property
    def way(self) -> WayName:
        """How it was asked."""
        return self.columns[0].profile.choice.way


def run_profile(job: Job, opening: Opening, *, cluster: Cluster | None = None, json_output: bool) -> None:
    """Ask the models, here or by a cluster's workers, write the files, and print what came of it."""
    folder = job.save_dir.resolve() / f"profile_answers_{digest([job.questionnaire.digest, *map(str, _how(opening))])}"
    with progress_bars(leave=False) as progress:
        found = profiled(job, opening, progress, (cluster, folder) if cluster else None)
        tick = progress("report", 1)
        files = write_profile(found, job.save_dir / stem_of(job))
        tick(1.0)
    shutil.rmtree(folder, ignore_errors=True)
    if json_output:
        print(json.dumps(finite(compared_as_json(found)), indent=1, ensure_ascii=False))
        return
    print_profile(found, files)


def profiled(job: Job, opening: Opening, progress: Progress, spread: tuple[Cluster, Path] | None = None) -> Compared:
    """All columns, asked in one way: by text where the letters of any model are not reliable.

    `spread` is the cluster that asks, and the folder where its workers leave the answers.
    """
    engines = _engines(job, job.models, job.way, opening, progress, spread)
    asked = [_asked(name, job, job.way, engines, opening, progress) for name in job.models]
    unable = [name for name, one in zip(job.models, asked, strict=True) if one.way == "text"]
    if 0 < len(unable) < len(asked):
        able = [name for name in job.models if name not in unable]
        engines = _engines(job, able, "text", opening, progress, spread)
        asked = [
            one if one.way == "text" else _asked_as(unable, one, _asked(name, job, "text", engines, opening, progress))
            for name, one in zip(job.models, asked, strict=True)
        ]
    columns = [column for one in asked for column in one.columns]
    notes = dict.fromkeys(note for one in asked for note in one.notes)
    return compared(columns, seed=job.seed, notes=list(notes))


def write_profile(found: Compared, stem: Path) -> Mapping[str, Path]:
    """Write numbers, picture and page; what each is called and where it lies."""
    files = {
        "numbers": stem.with_name(f"{stem.name}.json"),
        "picture": stem.with_name(f"{stem.name}.png"),
        "report": stem.with_name(f"{stem.name}.html"),
    }
    write_json(files["numbers"], compared_as_json(found))
    write_profile_picture(files["picture"], found)
    write_profile_page(files["report"], found)
    return files


def stem_of(job: Job) -> str:
    """What the names of the files begin with: the model, where there is one, and the trait it is steered in."""
    if len(job.models) > 1:
        return "profile"
    steered = (job.steered.trait,) if job.steered else ()
    return "_".join((model_in_file_names(job.models[0]), *steered, "profile"))


def _engines(
    job: Job,
    names: Sequence[str],
    way: WayName | None,
    opening: Opening,
    progress: Progress,
    spread: tuple[Cluster, Path] | None,
) -> Engines:
    """What opens a model when its turn comes; with a cluster, all are asked now, and what comes is their answers."""
    how: dict[str, Any] = vars(opening)
    if spread is None:
        return lambda name: open_engine(name, None, **how)
    cluster, folder = spread
    openings = tuple(NamedOpening(name, *_how(opening)) for name in names)
    check_spreads(openings[0], len(openings))
    return recorded_by_workers(Asking(openings, job.questionnaire, way, folder), cluster, progress).__getitem__


def _how(opening: Opening) -> tuple[Any, ...]:
    return opening.precision, opening.trust_remote_code, opening.quantize, opening.on


def _asked(name: str, job: Job, way: WayName | None, engines: Engines, opening: Opening, progress: Progress) -> Asked:
    """Open a model and ask it, plain and, where that is wanted, steered."""
    how: dict[str, Any] = vars(opening)
    engine: ScoresReplies
    questionnaire = job.questionnaire
    if job.steered is None:
        plain = engines(name)
        engine, notes, arms = plain, plain.notes, [Arm(name)]
    else:
        model = open_steered(name, Files(job.steered.vectors), job.steered.setting, **how)
        engine, arms = model.engine, _arms(name, job.steered, model)
        questionnaire, told = _unseen(questionnaire, job.steered, model)
        notes = (*model.notes, *told)
    columns = columns_of(engine, questionnaire, arms, asked=way, seed=job.seed, progress=progress)
    return Asked(columns, tuple(notes))


def _unseen(
    questionnaire: Questionnaire, steered: SteeredBy, model: SteeredModel
) -> tuple[Questionnaire, tuple[str, ...]]:
    """The items that the vector was not made from, for both arms, and what must be known of that."""
    turned = model.turned[model.first]
    vectors = turned.dial.vectors
    left, told = held_back(questionnaire, made_from(vectors, steered.vectors, questionnaire), turned.trait)
    return left, tuple(filter(None, (told, origin_doubt(vectors, steered.vectors))))


def _arms(name: str, steered: SteeredBy, model: SteeredModel) -> list[Arm]:
    """The model as it is, and steered; what is told of the steering."""
    dial = model.turned[model.first].dial
    dose = dial.at(steered.strength)
    told = {
        "trait": model.first,
        "strength": dose.strength,
        "rho": dose.rho,
        "layers": list(dial.layers),
        "why": model.turned[model.first].advice.why,
        "safe": dose.safe,
        "file": str(steered.vectors),
        "sha256": sha256(steered.vectors),
    }
    rho = "" if dose.rho is None else f" (rho {signed(dose.rho)})"
    return [Arm(name), Arm(f"{name} at {model.first} {strength_text(dose.strength)}{rho}", dose.steered, told)]


def _asked_as(unable: Sequence[str], first: Asked, again: Asked) -> Asked:
    """The answers by text of a model that could be asked by letters, with the reason."""
    why = f"models are compared only where all are asked alike, and the letters of {joined(unable)} are not reliable"
    choice = replace(first.columns[0].profile.choice, way="text", why=why)
    columns = tuple(replace(one, profile=replace(one.profile, choice=choice)) for one in again.columns)
    return Asked(columns, again.notes)
