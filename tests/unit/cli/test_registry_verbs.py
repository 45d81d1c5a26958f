"""The registry's verbs from the command line: what they print and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from la_outcomes.cli.main import run
from la_outcomes.provenance import Run
from la_outcomes.shards import write_shard


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    started = Run("segment", {})
    rows = {"runs": [started.row()], "patients": [{"patient_id": "p1", "cohort": "clinical"}]}
    write_shard(tmp_path / "out", kind="scan", case_id="p1", key="k" * 64, status="done", rows=rows)
    path = tmp_path / "registry.duckdb"
    assert run(["ingest", str(tmp_path / "out"), "--registry", str(path)]) == 0
    return path


def test_again_there_is_nothing_to_do(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", str(registry.parent / "out"), "--registry", str(registry)]) == 0
    assert "0 shards taken in, 1 known before" in capsys.readouterr().out


def test_a_damaged_shard_is_partly_done(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (registry.parent / "out" / "shards" / "scan-half.json").write_text('{"kind"')
    assert run(["ingest", str(registry.parent / "out"), "--registry", str(registry)]) == 4
    assert "scan-half.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "expected"),
    [("--csv", '"patient_id","n"\n"p1",2\n'), ("--json", '{"patient_id": "p1", "n": 2}\n')],
)
def test_query_formats(
    registry: Path, capfdbinary: pytest.CaptureFixture[bytes], option: str, expected: str
) -> None:
    assert run(["query", "SELECT patient_id, 2 AS n FROM patients", "--registry", str(registry), option]) == 0
    assert capfdbinary.readouterr().out.decode() == expected


def test_a_query_from_a_file_and_one_that_is_wrong(
    registry: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "count.sql").write_text("SELECT count(*) AS how_many FROM patients")
    assert run(["query", str(tmp_path / "count.sql"), "--registry", str(registry)]) == 0
    assert "how_many" in capfd.readouterr().out
    assert run(["query", "DELETE FROM patients", "--registry", str(registry)]) == 2
    assert run(["query", "SELECT 1", "--csv", "--json", "--registry", str(registry)]) == 2


def test_status_as_json(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["status", "--registry", str(registry), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"]["patients"] == 1


def test_audit_ends_with_5_where_it_finds_an_error(registry: Path, tmp_path: Path) -> None:
    assert run(["audit", "--registry", str(registry), "--out", str(tmp_path / "audit.csv")]) == 0
    rows = {
        "patients": [{"patient_id": "p1"}],
        "outcomes": [{"patient_id": "p1", "valid_from": "2026-01-01T00:00:00", "mrs_3m": 6}],
    }
    write_shard(tmp_path / "out", kind="outcome", case_id="p1", key="o" * 64, status="done", rows=rows)
    assert run(["ingest", str(tmp_path / "out"), "--registry", str(registry)]) == 0
    assert run(["audit", "--registry", str(registry)]) == 5
    assert "mrs_6_without_death" in (tmp_path / "audit.csv").read_text()


def test_import_needs_accept_and_lists_faults(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tage\tsex\np1\t71\tM\np2\t89+\tn/a\n")
    command = ["import-clinical", str(table), "--mapping", "bids", "--registry", str(registry)]
    assert run(command) == 0
    assert "dry run" in capsys.readouterr().out
    assert run([*command, "--accept"]) == 0
    table.write_text("participant_id\tage\tsex\np1\tseventy\tM\n")
    assert run([*command, "--accept"]) == 3
    assert "line 2, age: 'seventy': not a number" in capsys.readouterr().out
    assert run(["query", "SELECT age_years FROM clinical", "--registry", str(registry), "--csv"]) == 0


def test_export_backup_restore_and_trace(registry: Path, tmp_path: Path) -> None:
    given = ["--registry", str(registry)]
    assert run(["export", *given, "--out", str(tmp_path / "csv"), "--format", "csv"]) == 0
    assert (tmp_path / "csv" / "patients.csv").exists()
    assert run(["backup", *given, "--out", str(tmp_path / "backup")]) == 0
    assert run(["restore", str(tmp_path / "backup"), *given]) == 2
    assert run(["restore", str(tmp_path / "backup"), *given, "--replace"]) == 0
    assert run(["trace", "nothing", *given]) == 3
