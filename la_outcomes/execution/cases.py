"""Run one function over many cases, so that one bad case never stops the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from la_outcomes.execution.dry_run import is_dry_run
from la_outcomes.execution.jobs import Cluster, Jobs
from la_outcomes.execution.outcomes import DryRunEnd, Outcome, Verdict, count_statuses, run_case
from la_outcomes.execution.processes import in_processes
from la_outcomes.execution.progress import log_event, progress_bar
from la_outcomes.execution.stages import Stages, overlapped

T = TypeVar("T")


def map_cases(
    function: Callable[[T], Verdict],
    cases: Sequence[T],
    *,
    jobs: Jobs = 1,
    label: str = "cases",
    case_id: Callable[[T], str] = lambda case: str(getattr(case, "case_id", case)),
    resources: Mapping[str, float] | None = None,
) -> list[Outcome]:
    """Apply ``function`` to each case and return one ``Outcome`` a case, in the order of ``cases``.

    ``function`` is importable (it is sent to other processes unless ``jobs`` is 1), writes its own result
    shard and returns ``(status, reason)``; what it raises becomes a failed outcome. ``Stages`` overlap
    where ``jobs`` is 1. A worker that is killed costs a retry of the case it held, not the run.
    ``resources`` are what a Dask worker must have (``{"GPU": 1}``). Stopped by the user, it says what is
    done and raises ``KeyboardInterrupt``. Raises ``ResourceError`` where a cluster is lost, ``DryRunEnd``
    after a dry run.
    """
    ids = [case_id(case) for case in cases]
    results: dict[int, Outcome] = {}
    try:
        with progress_bar(label, len(ids)) as advance:
            for index, outcome in _outcomes(function, cases, ids, jobs, resources):
                results[index] = outcome
                advance(outcome)
    except KeyboardInterrupt:
        print(f"{label}: {len(results)} of {len(ids)} ended before the stop", file=sys.stderr)
        raise
    finally:
        log_event("end", label=label, total=len(ids), statuses=count_statuses(list(results.values())))
    outcomes = [results[index] for index in range(len(ids))]
    if is_dry_run():
        raise DryRunEnd(label, outcomes)
    return outcomes


def _outcomes(
    function: Callable[[T], Verdict],
    cases: Sequence[T],
    ids: Sequence[str],
    jobs: Jobs,
    resources: Mapping[str, float] | None,
) -> Iterator[tuple[int, Outcome]]:
    if not cases:
        return
    if is_dry_run():
        yield from _here(function, cases, ids)
    elif isinstance(jobs, Cluster):
        from la_outcomes.execution.cluster import in_cluster

        yield from in_cluster(function, cases, ids, jobs, resources)
    elif jobs > 1 and len(cases) > 1:
        yield from in_processes(function, cases, ids, min(jobs, len(cases)))
    elif isinstance(function, Stages):
        yield from overlapped(function, cases, ids)
    else:
        yield from _here(function, cases, ids)


def _here(
    function: Callable[[T], Verdict], cases: Sequence[T], ids: Sequence[str]
) -> Iterator[tuple[int, Outcome]]:
    for index, case in enumerate(cases):
        yield index, run_case(function, case, ids[index])
