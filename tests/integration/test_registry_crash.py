"""Killed at random moments, the ingester loses and doubles nothing; readers never fail meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from la_outcomes.provenance import Run
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.ingest import ingest
from la_outcomes.shards import sha256_json, write_shard

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


@pytest.mark.slow
def test_kills_lose_and_double_nothing() -> None:
    """The benchmark's harness with a dozen kills; it does 200 by itself."""
    script = Path(__file__).parents[2] / "benchmarks" / "registry_kills.py"
    command = [sys.executable, str(script), "--kills", "12", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("12 kills")
    assert "lost, doubled, half or failed: 0" in done.stdout


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
