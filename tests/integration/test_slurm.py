"""Cases on a real SLURM of one node: run once each, and its daemon killed and started again in between."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from one_node_slurm import OneNodeSlurm, why_not

from la_outcomes.execution import Cluster, map_cases

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


@dataclass(frozen=True)
class Case:
    case_id: str
    folder: Path


def work(case: Case) -> tuple[str, str | None]:
    with open(case.folder / case.case_id, "a") as handle:
        handle.write(f"{os.environ.get('SLURM_JOB_ID')}\n")
    time.sleep(0.05)
    return "done", None


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneNodeSlurm]:
    with OneNodeSlurm(tmp_path / "slurm") as node:
        for name, value in node.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("tests/integration", os.getcwd())))
        import dask

        with dask.config.set(dask.config.collect_env()):
            yield node


def test_cases_run_in_slurm_jobs_and_survive_its_daemon(slurm: OneNodeSlurm, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    cases = [Case(f"c{number:03d}", marks) for number in range(200)]
    killer = threading.Thread(target=_restart_halfway, args=(slurm, marks))
    killer.start()
    outcomes = map_cases(work, cases, jobs=Cluster("slurm", workers=2))
    killer.join()
    assert {outcome.status for outcome in outcomes} == {"done"}
    runs = {path.name: path.read_text().split() for path in marks.iterdir()}
    assert len(runs) == 200
    assert sum(len(jobs) for jobs in runs.values()) <= 202
    assert {job for jobs in runs.values() for job in jobs} <= {"1", "2", "3", "4"}


def _restart_halfway(slurm: OneNodeSlurm, marks: Path) -> None:
    while len(list(marks.iterdir())) < 50:
        time.sleep(0.1)
    slurm.kill_slurmd()
    time.sleep(1)
    slurm.start_slurmd()
