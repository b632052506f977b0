"""Jobs done: one after the other here, or by a cluster's workers.

Knows what work is; knows neither what is done nor, but by name, Ray.
"""

from collections.abc import Iterator, Sequence

from personascope.spread.work import Cluster, Done, Job, Work


def done(work: Work, jobs: Sequence[Job], cluster: Cluster | None) -> Iterator[Done]:
    """What comes of every job, as they are finished: one after the other here, or by a cluster's workers, in any order.

    Close the iterator to stop: a cluster's workers end with it.
    """
    if cluster is None:
        return _done_here(work, jobs)
    # Ray takes seconds to import, and need not be there.
    from personascope.spread.ray_pool import done_by_workers

    return done_by_workers(work, jobs, cluster)


def _done_here(work: Work, jobs: Sequence[Job]) -> Iterator[Done]:
    do = work.opened()
    yield from map(do, jobs)
