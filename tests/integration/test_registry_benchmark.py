"""The registry's benchmark runs from start to end on few patients, and every case takes in the same rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from la_outcomes.registry.ingest import ingest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_it_prints_every_claim() -> None:
    command = [sys.executable, str(FOLDER / "registry.py"), "--patients", "300", "--shards", "20"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for claim in ("same work", "bare load", "same constraints", "to Arrow", "peak memory", "20 small shards"):
        assert claim in done.stdout
    assert done.stdout.count("(at most") == 6


def test_plain_duckdb_does_the_same_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison is fair where both sides end with the same cohort."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import registry as benchmark
    import registry_cohort

    registry_cohort.write_cohort(tmp_path / "bulk", 200)
    ingest([tmp_path / "bulk"], tmp_path / "registry.duckdb")
    benchmark.same_work(tmp_path / "bulk", tmp_path / "plain.duckdb")
    cohorts = []
    for name in ("registry", "plain"):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb"), read_only=True) as connection:
            cohorts.append(connection.execute("FROM analysis_cohort ORDER BY patient_id").fetchall())
    assert cohorts[0] == cohorts[1]
    assert len(cohorts[0]) == 200
