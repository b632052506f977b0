"""Many models asked the items of a questionnaire, a model a job; what comes back is what their engines scored.

A recording holds an engine's answers by what was asked, so that the profile is made of it by the same code as of the
engine itself. Knows engines' names and the stage; knows no Ray.
"""

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from personascope.artifacts import digest, model_in_file_names
from personascope.errors import ArtifactError, ModelError
from personascope.gathering import Progress
from personascope.models.protocols import Chat, Engine, ModelSpec, Scores, Steered, Tick
from personascope.questionnaire.asking import WayName
from personascope.questionnaire.compared import Arm, columns_of
from personascope.questionnaire.items import Questionnaire
from personascope.spread.doing import done
from personascope.spread.openings import Opening
from personascope.spread.work import Cluster, Done, Job
from personascope.vectors import write_arrays


@dataclass
class Recorded:
    """An engine that scores what it has scored before from memory; without an engine it knows nothing else."""

    spec: ModelSpec
    notes: tuple[str, ...]
    scores: dict[str, np.ndarray]
    engine: Engine | None = None

    def score(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        steerings: Sequence[Steered],
        most_tokens: int | None = None,
        tick: Tick | None = None,
    ) -> Scores:
        """Every reply, unsteered. Raises ModelError for what neither memory nor an engine knows."""
        asked = digest([[asdict(chat) for chat in chats], list(replies), most_tokens, len(steerings)])
        if asked not in self.scores:
            if self.engine is None or any(steerings):
                raise ModelError("the recorded answers are to other items", hint="delete them and run again")
            found = self.engine.score(chats, replies, steerings=steerings, most_tokens=most_tokens, tick=tick)
            self.scores[asked] = np.stack([found.logp, found.kl])
        elif tick:
            tick(len(chats) * len(steerings))
        return Scores(*self.scores[asked])

    def sensitivity(
        self,
        chats: Sequence[Chat],
        replies: Sequence[str],
        *,
        weights: Float32[np.ndarray, " sample"],
        layers: Sequence[int],
        most_tokens: int | None = None,
    ) -> Float32[np.ndarray, "layer width"]:
        """Nothing: no gradient is recorded. Raises ModelError."""
        raise ModelError("recorded answers have no gradients", hint="open the model")


@dataclass(frozen=True)
class Asking:
    """Which items the models are asked, in which way (None: each as it can), and where recordings go."""

    openings: tuple[Opening, ...]
    questionnaire: Questionnaire
    way: WayName | None
    folder: Path

    @property
    def gpus(self) -> int:
        """How many GPUs one worker takes."""
        return max(opening.gpus for opening in self.openings)

    def opened(self) -> Callable[[Job], Done]:
        """What asks one model; each is opened with its own job, after the one before is closed."""

        def do(job: Job) -> Done:
            gc.collect()
            opening = self.openings[job["model"]]
            self._record(opening, opening.engine(None))
            return job

        return do

    def path(self, opening: Opening) -> Path:
        """Where a model's recording lies."""
        return self.folder / f"{model_in_file_names(opening.name)}_{self.way or 'auto'}.npz"

    def read(self, opening: Opening) -> Recorded:
        """A model's recording. Raises ArtifactError where there is none."""
        path = self.path(opening)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                scores = {name: arrays[name] for name in arrays}
        except (OSError, ValueError, EOFError) as error:
            hint = "give --save-dir a folder that all machines of the cluster share"
            raise ArtifactError(f"{path} holds no answers ({error})", hint=hint) from error
        told = json.loads(str(scores.pop("told")))
        return Recorded(ModelSpec(**told["model"]), tuple(told["notes"]), scores)

    def _record(self, opening: Opening, engine: Engine) -> None:
        """Ask, and put the recording in place; one of this very model, left by a run that was stopped, stays."""
        if self.path(opening).exists() and self.read(opening).spec == engine.spec:
            return
        recorded = Recorded(engine.spec, engine.notes, {}, engine)
        columns_of(recorded, self.questionnaire, [Arm(opening.name)], asked=self.way, seed=0, progress=_silent)
        told = np.array(json.dumps({"model": asdict(engine.spec), "notes": list(engine.notes)}))
        write_arrays(self.path(opening), {**recorded.scores, "told": told})


def recorded_by_workers(asking: Asking, cluster: Cluster, progress: Progress) -> Mapping[str, Recorded]:
    """The recordings of all models, by name."""
    tick = progress("asking models", len(asking.openings))
    for _ in done(asking, [{"model": number} for number in range(len(asking.openings))], cluster):
        tick(1)
    return {opening.name: asking.read(opening) for opening in asking.openings}


def check_spreads(opening: Opening, n_models: int) -> None:
    """Raise ModelError where one worker could not open one model after the other."""
    if opening.on.name == "vllm" and n_models > 1:
        raise ModelError(
            "a vLLM that has started stays in its worker, which then has no room for the next model",
            hint="profile one model at a time, or use --engine hf",
        )


def _silent(_what: str, _total: int) -> Tick:
    return lambda _done: None
