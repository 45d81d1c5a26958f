"""Small values in order, the same wherever they are computed; errors are raised and lost workers survived."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from distributed import LocalCluster

from la_outcomes.errors import ResourceError, StatisticsError
from la_outcomes.execution import Cluster, map_values


def square(value: int) -> int:
    if value < 0:
        raise StatisticsError("negative", where="value")
    return value * value


def square_after_a_kill(folder: Path, value: int) -> int:
    mark = folder / "killed"
    if value == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value * value


def always_killed(value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return value


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as started:
        yield Cluster(started.scheduler_address)


@pytest.mark.parametrize("jobs", [1, 2])
def test_values_come_in_the_order_of_the_tasks(jobs: int) -> None:
    assert map_values(square, range(7), jobs=jobs) == [0, 1, 4, 9, 16, 25, 36]
    assert map_values(square, [], jobs=jobs) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_error_of_a_task_is_raised(jobs: int) -> None:
    with pytest.raises(StatisticsError, match="negative"):
        map_values(square, [1, -1, 2], jobs=jobs)


def test_a_killed_process_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ResourceError, match="killed"):
        map_values(always_killed, [1, 2], jobs=2)


def test_a_cluster_gives_the_same_and_survives_a_killed_worker(cluster: Cluster, tmp_path: Path) -> None:
    assert map_values(partial(square_after_a_kill, tmp_path), range(20), jobs=cluster) == [
        value * value for value in range(20)
    ]
    assert (tmp_path / "killed").exists()
    with pytest.raises(StatisticsError, match="negative"):
        map_values(square, [1, -1], jobs=cluster)
