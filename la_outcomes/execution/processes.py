"""Cases in fresh processes of this machine; a killed worker costs a retry of the cases it held."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from la_outcomes.execution.outcomes import KILLED, TRIES_AFTER_A_LOST_WORKER, Outcome, Verdict, run_case

T = TypeVar("T")


def in_processes(
    function: Callable[[T], Verdict], cases: Sequence[T], ids: Sequence[str], jobs: int
) -> Iterator[tuple[int, Outcome]]:
    """Index and outcome of each case as it ends, from ``jobs`` processes."""
    remaining = dict(enumerate(cases))
    losses: Counter[int] = Counter()
    while remaining:
        for index, outcome in _one_pool(function, remaining, ids, jobs):
            if outcome is not None:
                del remaining[index]
                yield index, outcome
                continue
            losses[index] += 1
            if losses[index] > TRIES_AFTER_A_LOST_WORKER:
                del remaining[index]
                yield index, Outcome(ids[index], "failed_transient", KILLED, 0.0)


def _one_pool(
    function: Callable[[T], Verdict], remaining: dict[int, T], ids: Sequence[str], jobs: int
) -> Iterator[tuple[int, Outcome | None]]:
    """Outcomes until all are done or the pool breaks; None marks a case that was held by the lost pool."""
    context = multiprocessing.get_context("spawn")
    queue = iter(list(remaining.items()))
    running: dict[Future[Outcome], int] = {}
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=single_threaded) as pool:
        try:
            while True:
                while len(running) < jobs and (item := next(queue, None)) is not None:
                    running[pool.submit(run_case, function, item[1], ids[item[0]])] = item[0]
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    yield running.pop(future), outcome
        except BrokenProcessPool:
            for index in running.values():
                yield index, None
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def single_threaded() -> None:
    """One thread for the numerical libraries of this process: workers share the machine's cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = "1"
    sitk: Any = sys.modules.get("SimpleITK")
    if sitk is not None:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
