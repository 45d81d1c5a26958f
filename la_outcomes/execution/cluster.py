"""Cases on a Dask cluster: one that runs already, or workers that SLURM starts.

Results are shards on disk, so that only tiny values travel: a lost worker costs the case it held. A worker
has one thread and so holds one case at a time.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from la_outcomes.errors import ResourceError, UsageError
from la_outcomes.execution.jobs import SLURM, Cluster
from la_outcomes.execution.outcomes import KILLED, TRIES_AFTER_A_LOST_WORKER, Outcome, Verdict, run_case

T = TypeVar("T")
V = TypeVar("V")

CASES_AHEAD = 2
SECONDS_FOR_A_WORKER = 60
SECONDS_BETWEEN_COUNTS = 1.0
SLURM_DEFAULTS = {"cores": 1, "processes": 1, "memory": "4GB", "walltime": "24:00:00"}


def in_cluster(
    function: Callable[[T], Verdict],
    cases: Sequence[T],
    ids: Sequence[str],
    cluster: Cluster,
    resources: Mapping[str, float] | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """Index and outcome of each case as it ends.

    A case whose worker is killed is tried again, and given up as failed_transient after three losses.
    Raises ``UsageError`` where Dask is not installed, the workers have more than one thread, or none has
    the ``resources``; ``ResourceError`` where the scheduler cannot be reached or is lost.
    """
    with _client(cluster, resources or {}) as client:
        flight = _Flight(client, function, cases, ids, dict(resources or {}))
        try:
            yield from flight.outcomes()
        finally:
            flight.cancel()


def values_in_cluster(function: Callable[[T], V], tasks: Sequence[T], cluster: Cluster) -> list[V]:
    """Values of the tasks, in their order; a task whose worker is lost is sent again, twice at most.

    Raises what a task raises, and as `in_cluster`.
    """
    from distributed import CancelledError, KilledWorker

    with _client(cluster, {}) as client:
        try:
            futures = client.map(function, tasks, pure=False)
            for _ in range(TRIES_AFTER_A_LOST_WORKER):
                client.gather(futures, errors="skip")
                lost = [i for i, future in enumerate(futures) if isinstance(_error(future), KilledWorker)]
                for index in lost:
                    futures[index] = client.submit(function, tasks[index], pure=False)
            return list(client.gather(futures))
        except (CancelledError, KilledWorker, OSError) as error:
            raise _lost() from error


def _error(future: Any) -> BaseException | None:
    found: BaseException | None = future.exception() if future.status == "error" else None
    return found


class _Flight:
    """Cases that are with the workers, a few for each so that none waits and none is hoarded."""

    def __init__(
        self,
        client: Any,
        function: Callable[[T], Verdict],
        cases: Sequence[T],
        ids: Sequence[str],
        resources: dict[str, float],
    ) -> None:
        self._client, self._function, self._cases, self._ids = client, function, cases, ids
        self._resources = resources
        self._waiting = list(range(len(cases)))[::-1]
        self._suspects: list[int] = []
        self._running: dict[Any, int] = {}
        self._losses: Counter[int] = Counter()
        self._workers, self._asked = 0, -math.inf

    def outcomes(self) -> Iterator[tuple[int, Outcome]]:
        from distributed import CancelledError, as_completed

        ended = as_completed()
        self._send(ended)
        try:
            for future in ended:
                outcome = self._outcome(future)
                if outcome is not None:
                    yield outcome
                self._send(ended)
        except (CancelledError, OSError) as error:
            raise _lost() from error

    def cancel(self) -> None:
        """Take back what has not ended; nothing to take back from a scheduler that is gone."""
        with suppress(OSError):
            self._client.cancel(list(self._running))

    def _send(self, ended: Any) -> None:
        while self._waiting and len(self._running) < self._room():
            self._send_one(self._waiting.pop(), ended)
        if self._suspects and not self._running:
            self._send_one(self._suspects.pop(), ended)

    def _send_one(self, index: int, ended: Any) -> None:
        future = self._client.submit(
            run_case, self._function, self._cases[index], self._ids[index],
            pure=False, resources=self._resources or None,
        )  # fmt: skip
        self._running[future] = index
        ended.add(future)

    def _room(self) -> int:
        now = time.monotonic()
        if now - self._asked > SECONDS_BETWEEN_COUNTS:
            self._workers, self._asked = len(self._client.scheduler_info(n_workers=-1)["workers"]), now
        return CASES_AHEAD * max(self._workers, 1)

    def _outcome(self, future: Any) -> tuple[int, Outcome] | None:
        """Outcome of an ended future; None where its worker was lost and the case goes out again.

        A lost worker takes the case that waited behind with it. So both go again at the end, each with
        nothing beside it: the next loss is then its own.
        """
        index = self._running.pop(future)
        if future.status == "finished":
            return index, future.result()
        if future.status != "error":
            raise _lost()
        self._losses[index] += 1
        if self._losses[index] > TRIES_AFTER_A_LOST_WORKER:
            return index, Outcome(self._ids[index], "failed_transient", KILLED, 0.0)
        self._suspects.append(index)
        return None


def _lost() -> ResourceError:
    return ResourceError(
        "the cluster's scheduler was lost", hint="run the same command again: what is done stays done"
    )


@contextmanager
def _client(cluster: Cluster, resources: Mapping[str, float]) -> Iterator[Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UsageError("Dask is not installed", hint='pip install "la-outcomes[cluster]"') from error
    # A case that kills its worker is blamed at once, not after it has taken others down.
    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": "10s"}
    with dask.config.set(settings):
        if cluster.address == SLURM:
            with _slurm(cluster, resources) as started, distributed.Client(started) as client:
                _say_where(client)
                yield client
            return
        try:
            client = distributed.Client(cluster.address, timeout="10s", security=distributed.Security())
        except (OSError, TimeoutError) as error:
            raise ResourceError(
                "no scheduler answers",
                where=cluster.address,
                hint="start one: dask scheduler --host 127.0.0.1",
            ) from error
        with client:
            _check_workers(client, cluster, resources)
            _say_where(client)
            yield client


def _check_workers(client: Any, cluster: Cluster, resources: Mapping[str, float]) -> None:
    try:
        client.wait_for_workers(1, timeout=SECONDS_FOR_A_WORKER)
    except TimeoutError as error:
        raise ResourceError(
            "the cluster has no worker", where=cluster.address, hint="dask worker ADDRESS --nthreads 1"
        ) from error
    except OSError as error:
        raise _lost() from error
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if any(worker["nthreads"] != 1 for worker in workers):
        raise UsageError(
            "a worker with several threads would hold several cases at once",
            where=cluster.address,
            hint="start workers with: dask worker ADDRESS --nthreads 1",
        )
    for name, amount in resources.items():
        if not any(worker["resources"].get(name, 0) >= amount for worker in workers):
            raise UsageError(
                f"no worker has the resource {name}",
                where=cluster.address,
                hint=f"start workers with: dask worker ADDRESS --nthreads 1 --resources {name}={amount:g}",
            )


def _say_where(client: Any) -> None:
    link = client.dashboard_link
    if link:
        print(f"dashboard: {link}", file=sys.stderr)


@contextmanager
def _slurm(cluster: Cluster, resources: Mapping[str, float]) -> Iterator[Any]:
    """``cluster.workers`` SLURM jobs, started again when they end; encrypted with keys made for this run.

    Partition, account, memory, walltime and interface come from Dask's own configuration
    (``jobqueue.slurm``); what it leaves open is one core, 4 GB and a day.
    """
    import dask
    from dask_jobqueue import SLURMCluster
    from distributed import Security

    missing: dict[str, Any] = {
        k: v for k, v in SLURM_DEFAULTS.items() if dask.config.get(f"jobqueue.slurm.{k}", None) is None
    }
    keys = Path(dask.config.get("jobqueue.slurm.shared-temp-directory", None) or Path.home() / ".la_outcomes")
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    if resources:
        offered = ",".join(f"{name}={amount:g}" for name, amount in resources.items())
        missing["worker_extra_args"] = ["--resources", offered]
    try:
        started = SLURMCluster(
            **missing,
            security=Security.temporary(),
            protocol="tls://",
            shared_temp_directory=os.fspath(keys),
            scheduler_options={"dashboard_address": "127.0.0.1:0"},
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ResourceError(
            f"SLURM workers cannot be started: {error}", hint="sbatch must work on this machine"
        ) from error
    with started:
        started.adapt(minimum_jobs=cluster.workers, maximum_jobs=cluster.workers)
        print(f"waiting for SLURM to start {cluster.workers} workers", file=sys.stderr)
        yield started
