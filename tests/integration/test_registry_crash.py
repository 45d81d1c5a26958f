"""Killed at random moments, the ingester loses and doubles nothing; readers never fail meanwhile."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from la_outcomes.provenance import Run
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.ingest import ingest
from la_outcomes.shards import sha256_json, write_shard

INGEST = "import sys; from la_outcomes.registry.ingest import ingest; ingest([sys.argv[1]], sys.argv[2])"
COMMIT_AND_DIE = """
import os, sys
from la_outcomes.registry import ingest
original = ingest.take_in_files
def then_die(*arguments):
    original(*arguments)
    os.kill(os.getpid(), 9)
ingest.take_in_files = then_die
ingest.ingest([sys.argv[1]], sys.argv[2])
"""
CONSISTENT = """
SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM scans),
       (SELECT count(*) FROM ingested WHERE kind = 'scan')
"""


def write_some(folder: Path, start: int, count: int) -> None:
    run = Run("segment", {})
    for i in range(start, start + count):
        rows = {
            "runs": [run.row()],
            "patients": [{"patient_id": f"p{i}"}],
            "scans": [{"scan_id": f"p{i}-ct", "patient_id": f"p{i}", "modality": "CT"}],
        }
        write_shard(folder, kind="scan", case_id=str(i), key=sha256_json(i), status="done", rows=rows)


def read_all_the_time(registry: Path, stop: threading.Event, failures: list[str]) -> None:
    while not stop.is_set():
        try:
            with open_read_only(registry) as connection:
                counts = connection.execute(CONSISTENT).fetchall()[0]
            if len(set(counts)) != 1:
                failures.append(f"torn: {counts}")
        except Exception as error:  # whatever it is, no reader may fail
            failures.append(repr(error))
        time.sleep(0.02)


@pytest.mark.slow
def test_two_dozen_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    registry, dice = tmp_path / "registry.duckdb", random.Random(1)
    write_some(tmp_path, 0, 1)
    ingest([tmp_path], registry)
    stop, failures = threading.Event(), list[str]()
    reader = threading.Thread(target=read_all_the_time, args=(registry, stop, failures))
    reader.start()
    for round_no in range(24):
        write_some(tmp_path, 1 + 50 * round_no, 50)
        process = subprocess.Popen([sys.executable, "-c", INGEST, str(tmp_path), str(registry)])
        time.sleep(dice.uniform(0.3, 2.5))
        process.kill()
        process.wait()
    stop.set()
    reader.join()
    assert failures == []
    assert ingest([tmp_path], registry).faults == []
    with open_read_only(registry) as connection:
        assert connection.execute(CONSISTENT).fetchall() == [(1201, 1201, 1201)]


@pytest.mark.slow
@pytest.mark.parametrize("part", [1, 0.9, 0.5, 0.1])
def test_what_a_torn_log_lost_is_taken_in_again(tmp_path: Path, part: float) -> None:
    """A write-ahead log cut short drops whole transactions, and the next ingest brings them back."""
    registry = tmp_path / "registry.duckdb"
    write_some(tmp_path, 0, 20)
    ingest([tmp_path], registry)
    write_some(tmp_path, 20, 20)
    subprocess.run([sys.executable, "-c", COMMIT_AND_DIE, str(tmp_path), str(registry)], check=False)
    log = registry.with_name(registry.name + ".wal")
    whole = log.read_bytes()
    log.write_bytes(whole[: int(len(whole) * part)])
    with open_read_only(registry) as connection:
        (counts,) = connection.execute(CONSISTENT).fetchall()
    assert set(counts) == ({40} if part == 1 else {20})
    ingest([tmp_path], registry)
    with open_read_only(registry) as connection:
        assert connection.execute(CONSISTENT).fetchall() == [(40, 40, 40)]
