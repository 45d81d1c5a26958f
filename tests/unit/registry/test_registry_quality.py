"""The audit finds what is wrong, a number leads back to its masks, backups are checked, exports labelled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest
from registry_shards import MODEL, measurement_rows, put, run_at

from la_outcomes.errors import InputError, UsageError
from la_outcomes.registry.backup import backup, restore
from la_outcomes.registry.data_quality import audit, questions
from la_outcomes.registry.database import open_for_writing, open_read_only
from la_outcomes.registry.export import export
from la_outcomes.registry.ingest import ingest
from la_outcomes.registry.status import status
from la_outcomes.registry.trace import trace
from la_outcomes.shards import sha256_file

PATIENTS = "INSERT INTO patients (patient_id, cohort) VALUES ('p1', 'training'), ('p2', 'external_test')"
SCANS = (
    "INSERT INTO scans (scan_id, patient_id, modality, sha256, days_from_onset)"
    " VALUES ('c1', 'p1', 'CT', 'aa', 5), ('c2', 'p2', 'CT', {sha}, 0), ('f1', 'p1', 'FLAIR', 'ff', 5)"
)
OUTCOME = "INSERT INTO outcomes (patient_id, valid_from, {names}) VALUES ('p1', '2026-01-01', {values})"


def outcome(**values: Any) -> str:
    return OUTCOME.format(names=", ".join(values), values=", ".join(map(str, values.values())))


@pytest.fixture
def two_patients(registry: Path) -> Path:
    with open_for_writing(registry) as connection:
        connection.execute(PATIENTS)
        connection.execute(SCANS.format(sha="'bb'"))
    return registry


def found(registry: Path) -> dict[str, int]:
    return {f.question.name: f.count for f in audit(registry) if f.count and f.question.severity != "note"}


def test_sound_data_raise_no_error_and_no_warning(two_patients: Path) -> None:
    with open_for_writing(two_patients) as connection:
        connection.execute(outcome(mrs_3m=6, death_days=30, last_seen_days=30))
        connection.execute("INSERT INTO pairs VALUES ('c1', 'f1', 3)")
    assert found(two_patients) == {}


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (outcome(mrs_3m=6), "mrs_6_without_death"),
        (outcome(mrs_3m=6, death_days=200), "mrs_6_without_death"),
        (outcome(mrs_3m=2, death_days=20), "death_before_3_months_without_mrs_6"),
        (outcome(mrs_3m=2, mrs_discharge=6), "dead_at_discharge_alive_later"),
        (outcome(death_days=10, last_seen_days=20), "seen_after_death"),
        (outcome(recurrence_days=30, last_seen_days=20), "recurrence_after_last_contact"),
        (outcome(death_days=1), "scan_after_death"),
        ("INSERT INTO pairs VALUES ('c2', 'f1', 3)", "pair_of_two_patients"),
        ("INSERT INTO pairs VALUES ('c1', 'c1', 3)", "pair_of_wrong_modalities"),
        ("INSERT INTO pairs VALUES ('c1', 'f1', 91)", "pair_far_apart"),
        ("UPDATE scans SET days_from_onset = 4000", "scans.days_from_onset.plausible"),
        ("INSERT INTO models VALUES ('m', 'n', 'imported', FALSE, NULL)", "no_active_model"),
    ],
)
def test_what_is_wrong_is_found(two_patients: Path, statement: str, name: str) -> None:
    with open_for_writing(two_patients) as connection:
        connection.execute(statement)
    assert name in found(two_patients)


def test_one_image_under_two_patients(registry: Path) -> None:
    with open_for_writing(registry) as connection:
        connection.execute(PATIENTS)
        connection.execute(SCANS.format(sha="'aa'"))
    assert found(registry) == {"one_image_under_two_patients": 1, "image_in_training_and_test": 1}


def test_every_question_can_be_asked_and_named_once(empty_registry: Path) -> None:
    names = [question.name for question in questions()]
    assert len(names) == len(set(names)) > 200
    assert all(finding.count == 0 for finding in audit(empty_registry))


@pytest.fixture
def measured(registry: Path, tmp_path: Path) -> Path:
    for i, volume in enumerate((4.0, None)):
        rows = measurement_rows(
            run_at(1), f"p{i}", f"p{i}-ct", volume, reason=None if volume else "motion", cohort="clinical"
        )
        rows["la_measurements"][0] |= {"mask_path": f"masks/p{i}.nii.gz", "mask_sha256": f"mask{i}"}
        put(tmp_path, str(i), rows)
    run = run_at(2, population="cohort = 'clinical'")
    row = {
        "result_id": "r1",
        "run_id": run.run_id,
        "analysis": "mrs",
        "statistic": "cOR",
        "population": "cohort = 'clinical'",
        "estimate": 1.5,
        "ci_low": 1.1,
        "ci_high": 2.0,
        "n": 1,
        "is_simulated": False,
    }
    put(tmp_path, "result", {"runs": [run.row()], "results": [row]}, kind="result")
    ingest([tmp_path], registry)
    return registry


def test_a_number_leads_to_its_masks(measured: Path) -> None:
    traced = trace(measured, "r1")
    assert traced.run["command"] == "segment"
    assert traced.population == "patients with cohort = 'clinical'"
    assert traced.cohort == [{"cohort": "clinical", "is_simulated": False, "patients": 2}]
    assert [(m["model_sha256"], m["patients"]) for m in traced.models] == [(MODEL, 2)]
    assert [(m["patient_id"], m["la_volume_ml"], m["mask_sha256"]) for m in traced.measurements] == [
        ("p0", 4.0, "mask0"),
        ("p1", None, "mask1"),
    ]
    with pytest.raises(InputError, match="no such result"):
        trace(measured, "r2")


def test_a_population_in_words_is_said_to_be_wider(measured: Path) -> None:
    with open_for_writing(measured) as connection:
        connection.execute("UPDATE results SET population = 'complete cases'")
    assert trace(measured, "r1").population == (
        "complete cases: listed are all patients with cohort = 'clinical'"
    )


def test_status_counts_and_says_what_is_left(measured: Path) -> None:
    counted = status(measured)
    assert counted.cohorts[0] | {"patients": 2, "ct": 2, "la": 1} == counted.cohorts[0]
    assert counted.not_measured == [{"reason": "motion", "patients": 1}]
    assert counted.left_to_do == []


def test_a_backup_is_restored_and_one_that_was_altered_is_not(measured: Path, tmp_path: Path) -> None:
    manifest = backup(measured, tmp_path / "backup")
    assert manifest["rows"]["la_measurements"] == 2
    assert pq.read_table(tmp_path / "backup" / "parquet" / "patients.parquet").num_rows == 2
    with pytest.raises(UsageError, match="not empty"):
        backup(measured, tmp_path / "backup")
    with pytest.raises(UsageError, match="already"):
        restore(tmp_path / "backup", measured)
    measured.write_bytes(b"lost")
    restore(tmp_path / "backup", measured, replace=True)
    with open_read_only(measured) as connection:
        assert connection.execute("SELECT count(*) FROM la_measurements").fetchall() == [(2,)]
    database = tmp_path / "backup" / "registry.duckdb"
    database.write_bytes(database.read_bytes()[:-4096])
    with pytest.raises(InputError, match="cut short or altered"):
        restore(tmp_path / "backup", tmp_path / "other.duckdb")
    assert not (tmp_path / "other.duckdb").exists()


def test_a_backup_by_a_newer_version_leaves_the_registry_as_it_is(measured: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    manifest = backup(measured, folder)
    with duckdb.connect(str(folder / "registry.duckdb")) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (999, now()::TIMESTAMP, version())")
    manifest["database_sha256"] = sha256_file(folder / "registry.duckdb")
    (folder / "backup.json").write_text(json.dumps(manifest))
    before = sha256_file(measured)
    with pytest.raises(InputError, match="schema 999"):
        restore(folder, measured, replace=True)
    assert sha256_file(measured) == before
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_restore_left_does_not_get_into_the_next(measured: Path, tmp_path: Path) -> None:
    backup(measured, tmp_path / "backup")
    for name in (".registry.restore.duckdb", ".registry.restore.duckdb.wal"):
        (tmp_path / name).write_bytes(b"cut short")
    restore(tmp_path / "backup", measured, replace=True)
    with open_read_only(measured) as connection:
        assert connection.execute("SELECT count(*) FROM la_measurements").fetchall() == [(2,)]
    assert not list(tmp_path.glob(".*"))


READER = """
import sys
from pathlib import Path
from la_outcomes.registry.database import open_read_only
print("reads", flush=True)
reads = 0
while not Path(sys.argv[2]).exists():
    with open_read_only(sys.argv[1]) as connection:
        assert connection.execute("SELECT count(*) FROM la_measurements").fetchall() == [(2,)]
    reads += 1
print(reads)
"""


def test_readers_find_a_registry_at_every_moment_of_a_restore(measured: Path, tmp_path: Path) -> None:
    backup(measured, tmp_path / "backup")
    words = [sys.executable, "-c", READER, str(measured), str(tmp_path / "stop")]
    reader = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reads\n"
    for _ in range(5):
        restore(tmp_path / "backup", measured, replace=True)
    (tmp_path / "stop").touch()
    said, errors = reader.communicate(timeout=60)
    assert reader.returncode == 0, errors
    assert int(said) > 0


@pytest.mark.parametrize("form", ["parquet", "csv", "stata"])
def test_exports_hold_the_same_values(measured: Path, tmp_path: Path, form: str) -> None:
    written = export(measured, tmp_path / form, form)
    suffix = {"parquet": ".parquet", "csv": ".csv", "stata": ".dta"}[form]
    path = tmp_path / form / f"analysis_cohort{suffix}"
    assert path in written
    frame = {"parquet": pd.read_parquet, "csv": pd.read_csv, "stata": pd.read_stata}[form](path)
    assert frame["la_volume_ml"].tolist() == [4.0, pytest.approx(float("nan"), nan_ok=True)]
    codebook = pd.read_csv(tmp_path / form / "codebook.csv")
    described = codebook[codebook["table"] == "analysis_cohort"]["column"].tolist()
    assert described == list(frame.columns)


def test_stata_carries_labels(two_patients: Path, tmp_path: Path) -> None:
    with open_for_writing(two_patients) as connection:
        connection.execute(outcome(mrs_3m=6, death_days=30))
    export(two_patients, tmp_path, "stata")
    _, meta = pyreadstat.read_dta(str(tmp_path / "outcomes.dta"))
    assert meta.column_names_to_labels["death_days"].startswith("Days from onset to death")
    assert meta.variable_value_labels["mrs_3m"][6] == "dead"


def test_an_unknown_format_is_refused(two_patients: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="parquet"):
        export(two_patients, tmp_path, "xls")
