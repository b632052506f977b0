"""Work of the tests, found by Ray's workers: a toy that takes its time, and work that goes wrong."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from personascope.errors import UserError
from personascope.spread.projecting import Projection


class Slowed:
    """The same engine; a row takes `seconds` more, asleep."""

    def __init__(self, engine, seconds):
        self._engine, self._seconds, self.spec = engine, seconds, engine.spec

    def residuals(self, chats, replies, *, layers):
        time.sleep(self._seconds * len(chats))
        return self._engine.residuals(chats, replies, layers=layers)


@dataclass(frozen=True)
class SlowProjection(Projection):
    """On a toy that takes 0.02 s a row."""

    seconds: float = 0.02

    def engine(self):
        return Slowed(super().engine(), self.seconds)


@dataclass(frozen=True)
class Told:
    """Tells which process did a job, and with how many threads."""

    gpus: int = 0

    def opened(self):
        import torch

        return lambda job: {"pid": os.getpid(), "threads": torch.get_num_threads(), **job}


@dataclass(frozen=True)
class Mistaken:
    """Raises a user's error at job 2."""

    gpus: int = 0

    def opened(self):
        def do(job):
            if job["number"] == 2:
                raise UserError("the second is wrong", hint="mend it")
            return job

        return do


@dataclass(frozen=True)
class Deadly:
    """Ends its worker at job 1, each time."""

    folder: str
    gpus: int = 0

    def opened(self):
        def do(job):
            if job["number"] == 1:
                with (Path(self.folder) / "deaths").open("a") as file:
                    file.write("x")
                os._exit(1)
            return job

        return do
