"""Small values from many tasks, in order: here, in processes, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from la_outcomes.errors import ResourceError
from la_outcomes.execution.jobs import Cluster, Jobs
from la_outcomes.execution.processes import single_threaded

T = TypeVar("T")
V = TypeVar("V")


def map_values(function: Callable[[T], V], tasks: Sequence[T], *, jobs: Jobs = 1) -> list[V]:
    """Return ``function`` of each task, in the order of the tasks; for computations without files.

    ``function`` and what it returns travel between processes unless ``jobs`` is 1, so both are importable
    and small; unlike `map_cases` nothing is kept on disk, and the first error of a task is raised. Raises
    ``ResourceError`` where a worker is lost again and again.
    """
    if isinstance(jobs, Cluster):
        from la_outcomes.execution.cluster import values_in_cluster

        return values_in_cluster(function, tasks, jobs)
    if jobs <= 1 or len(tasks) <= 1:
        return [function(task) for task in tasks]
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(
            min(jobs, len(tasks)), mp_context=context, initializer=single_threaded
        ) as pool:
            return list(pool.map(function, tasks))
    except BrokenProcessPool as error:
        raise ResourceError(
            "a process of the computation was killed", hint="more memory, or fewer --jobs; then run it again"
        ) from error
