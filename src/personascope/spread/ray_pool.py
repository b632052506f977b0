"""Jobs mapped over a pool of Ray's actors: one engine an actor, one job at a time.

Ray Data streams the jobs, which only name blocks; actors read and write files themselves, so nothing large passes
through Ray or this process, and no more is in memory than a block an actor. The actors of a machine that is lost are
started again on another one and do again the blocks they had in hand; a file that is finished is not made again.

The only module that knows Ray.
"""

import json
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from personascope import errors
from personascope.errors import ClusterError, UserError
from personascope.spread.work import Cluster, Done, Job, Work

_MOST_BEGUN = 4
"""How often a job may be begun. Ray begins it again each time its worker dies, without end; a limit of Ray's own would
count each call to a machine that is lost, too, and use itself up before the loss is noticed (measured)."""
_SHARE = 0.01
"""Of a CPU, as Ray counts: next to nothing, so that an actor of a lost machine can start on any other."""
_DIED = (
    "finished blocks are kept, the same command goes on from there; where memory ran out, ask for fewer --workers or "
    "smaller blocks"
)
_REACH_SECONDS = 5.0
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "TOKENIZERS_PARALLELISM": "false"}


def done_by_workers(work: Work, jobs: Sequence[Job], cluster: Cluster) -> Iterator[Done]:
    """What comes of every job, in the order in which they are finished.

    Raises the UserError of a job that raised one; ClusterError where the cluster cannot be reached or workers die.
    """
    with _session(cluster) as ray:
        from ray.exceptions import RayError

        try:
            for row in _rows(ray, work, jobs, cluster):
                if row["error"]:
                    kind = getattr(errors, str(row["kind"]), UserError)
                    raise kind(str(row["error"]), hint=str(row["hint"]))
                yield json.loads(str(row["done"]))
        except RayError as error:
            raise ClusterError(
                f"the cluster's workers failed: {_reason(error)}",
                hint=f"{_DIED}. Every machine needs personascope, Ray and Python of this version",
            ) from error


class Begun:
    """How often each job was begun: in an actor beside this process, which outlives the workers."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def once_more(self, job: str) -> int:
        """How often this job was begun, with this time."""
        self._times[job] += 1
        return self._times[job]

    def ended(self, job: str) -> None:
        """Forget a job that was done."""
        del self._times[job]


class Worker:
    """An actor: the work, opened with its first job."""

    def __init__(self, work: Work, threads: int, folder: str, begun: Any) -> None:
        # Before torch, NumPy's libraries or vLLM are imported: they read these once.
        os.environ.update({**_SETTINGS, "OMP_NUM_THREADS": str(threads)})
        with suppress(OSError):
            os.chdir(folder)  # a path means the same here, where there is such a folder
        self._work, self._begun = work, begun
        self._do: Callable[[Job], Done] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Do the one job of a batch; a user's error is handed back, for Ray would do the job again."""
        import ray

        job = str(batch["job"][0])
        try:
            if ray.get(self._begun.once_more.remote(job)) > _MOST_BEGUN:
                raise ClusterError(f"{_MOST_BEGUN} workers died at one and the same block, {job}", hint=_DIED)
            self._do = self._do or self._work.opened()
            told = json.dumps(dict(self._do(json.loads(job))))
        except UserError as error:
            return {"done": [""], "error": [str(error)], "hint": [error.hint], "kind": [type(error).__name__]}
        self._begun.ended.remote(job)
        return {"done": [told], "error": [""], "hint": [""], "kind": [""]}


def _rows(ray: Any, work: Work, jobs: Sequence[Job], cluster: Cluster) -> Iterator[dict[str, Any]]:
    _quiet(ray)
    workers, gpus = _workers(ray, work, cluster, len(jobs))
    rows = ray.data.from_items([{"job": json.dumps(dict(job))} for job in jobs], override_num_blocks=len(jobs))
    mapped = rows.map_batches(
        Worker,
        fn_constructor_args=(work, _threads(ray, workers), str(Path.cwd()), _begun_here(ray)),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        **({"num_gpus": gpus} if gpus else {"num_cpus": _SHARE}),
    )
    for batch in mapped.iter_batches(batch_size=1, prefetch_batches=0, batch_format="numpy"):
        yield {name: values[0] for name, values in batch.items()}


def _begun_here(ray: Any) -> Any:
    """The actor that counts, on this process's own machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Begun).options(num_cpus=0, scheduling_strategy=here).remote()


def _quiet(ray: Any) -> None:
    """Only errors are told, and not those of Ray's own bookkeeping: our bar says how far the work is."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _workers(ray: Any, work: Work, cluster: Cluster, n_jobs: int) -> tuple[int, int]:
    """How many actors, and GPUs of each. Raises ClusterError where there are too few: Ray would wait without end."""
    there = int(ray.cluster_resources().get("GPU", 0))
    gpus = work.gpus if there else 0
    room = there // gpus if gpus else sum(node["Alive"] for node in ray.nodes())
    wanted = cluster.workers or room
    if gpus and (not room or wanted > room):
        raise ClusterError(
            f"{max(wanted, 1)} workers of {gpus} GPU each are asked for, and the cluster has {there}",
            hint=f"ask for at most {room} with --workers" if room else "lower --tensor-parallel",
        )
    return max(1, min(wanted, n_jobs)), gpus


def _threads(ray: Any, workers: int) -> int:
    """Threads of each actor: as many as this process is told to have, else its share of the cluster's CPUs."""
    if (told := os.environ.get("OMP_NUM_THREADS", "")).isdigit():
        return int(told)
    cpus = [int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["Alive"]]
    return max(1, min(sum(cpus) // workers, *cpus))


@contextmanager
def _session(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected; ended with the `with` unless it was connected before."""
    os.environ.update({name: value for name, value in _SETTINGS.items() if name not in os.environ})
    import ray
    import ray.data

    if ray.is_initialized():
        yield ray
        return
    _check_answers(cluster.address)
    settings: dict[str, Any] = {"address": cluster.address}
    if cluster.address == "local":
        settings |= {"include_dashboard": False, "num_cpus": max(cluster.workers or 1, os.cpu_count() or 1)}
    try:
        ray.init(**settings, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise _unreached(cluster.address, _reason(error)) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise ClusterError where nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        if address not in ("local", "auto"):
            raise _unreached(address, "it is neither local, auto nor HOST:PORT")
        return
    try:
        socket.create_connection((host, int(port)), timeout=_REACH_SECONDS).close()
    except OSError as error:
        raise _unreached(address, error.strerror or str(error)) from error


def _unreached(address: str, why: str) -> ClusterError:
    return ClusterError(
        f"there is no Ray cluster at {address}: {why}",
        hint="start one with `ray start --head` and give its HOST:6379, or give --ray local for this machine alone",
    )


def _reason(error: BaseException) -> str:
    """The last line of what Ray says, where the reason stands."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
