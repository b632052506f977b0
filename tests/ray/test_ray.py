"""Work spread over real Ray: the same files as here, whatever is lost on the way."""

import os
import shutil
import threading
import time

import pytest
from slow_work import Deadly, Mistaken, SlowProjection, Told

from personascope.data_files import survey
from personascope.errors import ClusterError, UserError
from personascope.spread.doing import done
from personascope.spread.projecting import projected
from personascope.spread.work import Cluster

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = 20


def silent(_what, _total):
    return lambda _done: None


def run(work, cluster):
    return projected(work, survey(work.data, ROWS), ROWS, cluster=cluster, progress=silent)


def files_of(work):
    return {
        path.name: path.read_bytes()
        for path in sorted(work.folder.rglob("*"))
        if path.is_file() and path.suffix in (".parquet", ".json")
    }


@pytest.fixture(scope="module")
def here(data, vectors, tmp_path_factory):
    """What comes of the work without Ray."""
    from personascope.data_columns import Columns
    from personascope.spread.openings import Opening
    from personascope.spread.projecting import Projection

    folder = tmp_path_factory.mktemp("here")
    work = Projection(
        Opening("toy"), (("evil", vectors),), None, data, Columns("prompt", "reply"), folder / "out", ".parquet"
    )
    run(work, None)
    return files_of(work)


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_leaves_the_same_bytes(work, here, workers):
    spread = work(f"by_{workers}")
    run(spread, Cluster(workers=workers))
    assert files_of(spread) == here


def test_each_worker_is_a_process_of_its_own_with_the_threads_it_is_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # alone, Ray would say 1
    jobs = [{"number": number} for number in range(8)]
    told = list(done(Told(), jobs, Cluster(workers=2)))
    assert sorted(one["number"] for one in told) == list(range(8))
    assert len({one["pid"] for one in told} - {os.getpid()}) == 2
    assert {one["threads"] for one in told} == {2}


def test_a_rerun_makes_only_what_is_missing(work, here):
    spread = work("again")
    run(spread, Cluster(workers=2))
    paths = sorted((spread.folder / "projections").iterdir())
    paths[3].unlink()
    before = {path: path.stat().st_mtime_ns for path in paths if path.exists()}
    run(spread, Cluster(workers=2))
    assert files_of(spread) == here
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_node_that_is_lost_during_a_run_costs_only_its_blocks(work, here):
    import ray
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    lost = nodes.add_node(num_cpus=1)
    spread = work("lost", SlowProjection)
    written: dict[str, int] = {}

    def lose():
        while len(there := list((spread.folder / "projections").glob("*.parquet"))) < 4:
            time.sleep(0.05)
        written.update({path.name: path.stat().st_mtime_ns for path in there})
        nodes.remove_node(lost, allow_graceful=False)

    losing = threading.Thread(target=lose, daemon=True)
    losing.start()
    try:
        run(spread, Cluster(nodes.address, workers=2))
        assert len([node for node in _nodes(ray, nodes.address) if node["Alive"]]) == 1
    finally:
        ray.shutdown()
        nodes.shutdown()
    assert 4 <= len(written) < 12, "the node must go while there is still work"
    assert files_of(spread) == here
    kept = {path.name: path.stat().st_mtime_ns for path in (spread.folder / "projections").glob("*.parquet")}
    assert {name: kept[name] for name in written} == written


def _nodes(ray, address):
    ray.init(address=address, logging_level="ERROR", log_to_driver=False)
    return ray.nodes()


def test_a_users_mistake_comes_through_with_its_hint():
    with pytest.raises(UserError, match="the second is wrong") as raised:
        list(done(Mistaken(), [{"number": number} for number in range(4)], Cluster(workers=1)))
    assert raised.value.hint == "mend it"


def test_a_job_that_ends_its_worker_each_time_ends_the_run(tmp_path):
    with pytest.raises(ClusterError, match="4 workers died") as raised:
        list(done(Deadly(str(tmp_path)), [{"number": number} for number in range(3)], Cluster(workers=1)))
    assert "goes on from there" in raised.value.hint
    assert len((tmp_path / "deaths").read_text()) == 4


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_a_dead_address_is_told_at_once(address):
    begun = time.monotonic()
    with pytest.raises(ClusterError, match=f"no Ray cluster at {address}"):
        list(done(Told(), [{}], Cluster(address)))
    assert time.monotonic() - begun < 30


def test_blocks_that_went_elsewhere_are_missed(work, monkeypatch):
    spread = work("elsewhere")
    from personascope.spread import projecting

    def nothing_seen(work, jobs, cluster):
        yield from done(work, jobs, cluster)
        shutil.rmtree(work.folder / "projections")

    monkeypatch.setattr(projecting, "done", nothing_seen)
    with pytest.raises(ClusterError, match="12 of 12 blocks"):
        run(spread, None)
