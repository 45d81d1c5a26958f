"""A real Dask cluster on this machine's loopback: workers lost, threads, addresses."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.execution import Cluster, map_cases

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")


@dataclass(frozen=True)
class Case:
    case_id: str
    folder: Path


def work(case: Case) -> tuple[str, str | None]:
    if case.case_id == "bad":
        raise InputError("not a scan", where=case.case_id)
    if case.case_id == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    with open(case.folder / case.case_id, "a") as handle:
        handle.write("run\n")
    return "done", None


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_cases_run_once_each_in_order(address: str, tmp_path: Path) -> None:
    cases = [Case(name, tmp_path) for name in (*"abc", "bad", *"def")]
    outcomes = map_cases(work, cases, jobs=Cluster(address))
    assert [o.case_id for o in outcomes] == [c.case_id for c in cases]
    assert [o.status for o in outcomes] == ["done"] * 3 + ["failed_input"] + ["done"] * 3
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys("abcdef", "run\n")


def test_a_case_that_kills_its_workers_is_given_up_and_the_others_are_done(
    address: str, tmp_path: Path
) -> None:
    cases = [Case("killer", tmp_path), *(Case(str(number), tmp_path) for number in range(12))]
    first, *others = map_cases(work, cases, jobs=Cluster(address))
    assert (first.status, first.reason) == ("failed_transient", "its worker process was killed")
    assert {o.status for o in others} == {"done"}


def test_a_resource_that_a_worker_has_not_got_is_not_waited_for(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GPU"):
        map_cases(work, [Case("a", tmp_path)], jobs=Cluster(address), resources={"GPU": 1})


def test_workers_with_several_threads_are_refused(tmp_path: Path) -> None:
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        pytest.raises(UsageError, match="several cases at once"),
    ):
        map_cases(work, [Case("a", tmp_path)], jobs=Cluster(cluster.scheduler_address))


def test_no_scheduler_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="no scheduler answers"):
        map_cases(work, [Case("a", tmp_path)], jobs=Cluster("tcp://127.0.0.1:9"))


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.5:8786", "http://127.0.0.1:8786", "tcp://127.0.0.1", "pbs"]
)
def test_addresses_that_are_no_safe_cluster_are_refused(address: str) -> None:
    with pytest.raises(UsageError):
        Cluster(address)


def test_a_lost_scheduler_is_an_error_that_says_to_run_again(tmp_path: Path) -> None:
    told = tmp_path / "scheduler.json"
    scheduler = _dask(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)
    )
    worker = None
    try:
        while not told.exists():
            time.sleep(0.1)
            assert scheduler.poll() is None
        address = json.loads(told.read_text())["address"]
        worker = _dask(
            "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "5"
        )
        killer = threading.Thread(target=_kill_once_there, args=(scheduler, tmp_path / "long"))
        killer.start()
        with pytest.raises(ResourceError, match="scheduler was lost"):
            map_cases(sleep, [Case("long", tmp_path)], jobs=Cluster(address))
        killer.join()
    finally:
        for process in filter(None, (worker, scheduler)):
            process.kill()
            process.wait()


def _kill_once_there(process: subprocess.Popen[bytes], mark: Path) -> None:
    while not mark.exists():
        time.sleep(0.1)
    process.kill()


def sleep(case: Case) -> tuple[str, str | None]:
    (case.folder / case.case_id).touch()
    time.sleep(120)
    return "done", None


def _dask(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
