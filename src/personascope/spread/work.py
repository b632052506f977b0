"""What can be done block by block, here or by workers elsewhere.

Knows neither Ray nor what is done.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from personascope.artifacts import Json
from personascope.errors import ClusterError

Job = Mapping[str, Json]
Done = Mapping[str, Json]
"""JSON both, so that they travel."""


@runtime_checkable
class Work(Protocol):
    """Something to do with many jobs; it is sent to where it is done, the engine is opened there."""

    @property
    def gpus(self) -> int:
        """How many GPUs one worker takes where there are any; 0 for an engine that uses none."""
        ...

    def opened(self) -> Callable[[Job], Done]:
        """Open what all jobs need, once; what it gives back does one job. Both raise UserError for a user's mistake."""
        ...


@dataclass(frozen=True)
class Cluster:
    """Where workers are: `local` for processes of this machine, else the address of a Ray cluster.

    `workers` None: one a GPU or, where there is none, one a machine.
    """

    address: str = "local"
    workers: int | None = None


def cluster_chosen(address: str | None, workers: int | None) -> Cluster | None:
    """The cluster that options ask for; None without `--ray`. Raises ClusterError where that cannot be."""
    if address is None:
        if workers is not None:
            raise ClusterError("--workers is given without --ray", hint="add --ray, or leave it out")
        return None
    if address.startswith("ray://"):
        raise ClusterError(
            f"{address} is the address of Ray's client, which has no data sets",
            hint="run the command on a machine of the cluster, with --ray auto or --ray HOST:6379",
        )
    found = importlib.util.find_spec("ray")
    if found is None or found.origin is None:
        raise ClusterError("Ray is not installed", hint="pip install 'personascope[ray]', or leave out --ray")
    return Cluster(address, workers)
