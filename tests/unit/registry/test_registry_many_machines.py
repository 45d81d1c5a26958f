"""Shards of many machines: clocks that differ, disks that fail for a moment, two ingesters."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from registry_shards import measurement_rows, put, run_at

from la_outcomes.registry import shard_files
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.ingest import ingest

COMMAND = "import sys; from la_outcomes.cli.main import main; main()"
MANY = 3000


def volumes(registry: Path) -> list[tuple[Any, ...]]:
    with open_read_only(registry) as connection:
        return connection.execute("SELECT scan_id, la_volume_ml FROM la_measurements ORDER BY 1").fetchall()


@pytest.mark.parametrize("order", [("result", "ahead"), ("ahead", "result")])
def test_a_result_counts_before_a_failure_whose_clock_is_ahead(
    order: tuple[str, ...], tmp_path: Path, registry: Path
) -> None:
    for name in order:
        if name == "result":
            put(tmp_path, name, measurement_rows(run_at(1)))
        else:
            rows = measurement_rows(run_at(23), volume=None, reason="killed")
            put(tmp_path, name, rows, status="failed_transient")
        ingest([tmp_path], registry)
    assert volumes(registry) == [("p1-ct", 5.0)]


def test_a_shard_of_the_future_goes_in_like_others(tmp_path: Path, registry: Path) -> None:
    run = run_at(1)
    ahead = {**measurement_rows(run), "runs": [run.row() | {"started_at": "2099-01-01T00:00:00"}]}
    put(tmp_path, "ahead", ahead)
    put(tmp_path, "now", measurement_rows(run_at(2), "p2", "p2-ct"))
    assert ingest([tmp_path], registry).faults == []
    assert volumes(registry) == [("p1-ct", 5.0), ("p2-ct", 5.0)]


def test_a_disk_that_fails_for_a_moment_costs_a_later_ingest(
    tmp_path: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "one", measurement_rows(run_at(1)))
    lost = put(tmp_path, "two", measurement_rows(run_at(1), "p2", "p2-ct"))
    read = shard_files.read_shard

    def failing(path: Path) -> dict[str, Any]:
        if Path(path) == lost:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(shard_files, "read_shard", failing)
        report = ingest([tmp_path], registry)
    assert [fault.file for fault in report.faults] == [lost.name]
    assert "Stale file handle" in report.faults[0].reason
    assert str(tmp_path) not in report.faults[0].reason
    assert ingest([tmp_path], registry).n_taken == 1
    assert len(volumes(registry)) == 2


def test_two_ingesters_by_mistake_take_each_shard_once(tmp_path: Path, registry: Path) -> None:
    for number in range(MANY):
        put(tmp_path, f"s{number}", measurement_rows(run_at(1), f"p{number:04d}", f"p{number:04d}-ct"))
    words = [sys.executable, "-c", COMMAND, "ingest", str(tmp_path), "--registry", str(registry)]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    codes = []
    for process in both:
        process.communicate()
        codes.append(process.returncode)
    assert 0 in codes
    assert set(codes) <= {0, 6}
    with open_read_only(registry) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM la_measurements), (SELECT count(*) FROM ingested)"
        ).fetchone()
    assert counts == (MANY, MANY)


@pytest.mark.slow
def test_a_hundred_thousand_shards_in_one_folder(
    tmp_path: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a hundred thousand of them take half an hour
    for number in range(100_000):
        put(tmp_path, f"s{number}", measurement_rows(run_at(1), f"p{number:06d}", f"p{number:06d}-ct"))
    started = time.process_time()
    assert ingest([tmp_path], registry).n_taken == 100_000
    first = time.process_time()
    assert ingest([tmp_path], registry).n_known == 100_000
    print(f"100,000 shards: {first - started:.1f} CPU s, again {time.process_time() - first:.1f} CPU s")
