"""An erased patient is in no table, shard, picture or export, and no rebuild or restore brings it back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest
from registry_shards import measurement_rows, put, run_at

from la_outcomes.bulk import write_bulk
from la_outcomes.cli.main import run
from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.registry.backup import backup, restore
from la_outcomes.registry.database import open_for_writing, open_read_only
from la_outcomes.registry.export import export
from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.imports.clinical import accept_import, plan_import
from la_outcomes.registry.imports.mapping import parse_mapping
from la_outcomes.registry.ingest import ingest, rebuild
from la_outcomes.registry.status import status
from la_outcomes.registry.withdrawal.erase import erase, plan_erasure
from la_outcomes.shards import read_shard, write_shard

GONE, STAYS = "hong-0007", "hong-0008"
MAPPING = "columns:\n  id: {to: patients.patient_id}\n  nihss: {to: clinical.nihss_admission}\n"


def rows(registry: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_read_only(registry) as connection:
        return connection.execute(sql).fetchall()


def everything(registry: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All tables but the ledger and the times of erasure, comparable."""
    names = [
        name for name in load_dictionary().tables if name not in ("ingested", "erasures", "schema_migrations")
    ]
    return {name: sorted(rows(registry, f"FROM {name}"), key=repr) for name in names}


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def study(tmp_path: Path, registry: Path) -> Path:
    """Two patients with shards of one and of both, masks, reviews, imports, bulk rows and a second scan."""
    out = tmp_path / "out"
    for patient in (GONE, STAYS):
        content = measurement_rows(run_at(1), patient, f"{patient}-ct")
        mask = out / "masks" / f"{patient}-ct.nii.gz"
        mask.parent.mkdir(parents=True, exist_ok=True)
        mask.write_bytes(b"mask")
        content["la_measurements"][0] |= {"mask_path": f"masks/{patient}-ct.nii.gz"}
        put(out, patient, content)
    review = {"target_kind": "scan", "reviewer": "a", "pass_no": 1, "decision": "accept"}
    reviews = [
        review | {"target_id": f"{patient}-ct", "reviewed_at": "2026-01-01T00:00:00"}
        for patient in (GONE, STAYS)
    ]
    write_shard(out, kind="review", case_id="both", key="r" * 64, status="done", rows={"qc_reviews": reviews})
    frame = pd.DataFrame(
        {"patient_id": [GONE, STAYS], "valid_from": pd.Timestamp("2026-01-01"), "mrs_3m": [2, 3]}
    )
    write_bulk(out, kind="outcome", table="outcomes", frame=frame, run=run_at(1))
    ingest([out], registry)
    source = pd.DataFrame({"id": [GONE, STAYS], "nihss": ["4", "5"]}, dtype=object)
    accept_import(plan_import(source, parse_mapping(MAPPING), registry), registry, {})
    return out


def test_nothing_of_the_patient_is_left_in_any_file(study: Path, registry: Path, tmp_path: Path) -> None:
    for form in ("csv", "parquet", "stata"):
        export(registry, tmp_path / form, form)
    shutil.copy2(registry, registry.with_suffix(".before-v9.duckdb"))
    before = everything(registry)
    planned = plan_erasure(GONE, registry, [tmp_path])
    assert everything(registry) == before
    report = erase(GONE, registry, [tmp_path])
    assert len(planned.files.gone) == len(report.files.gone) == 4
    assert [path.name for path in report.files.deleted] == [f"{GONE}-ct.nii.gz"]
    assert (report.left, report.mentions) == ([], {})
    assert report.rows["qc_reviews"] == report.rows["outcomes"] == report.rows["clinical"] == 1
    holding = [name for name, content in bytes_below(tmp_path).items() if GONE.encode() in content]
    assert holding == []
    after = everything(registry)
    assert {name: [row for row in table if GONE not in repr(row)] for name, table in before.items()} == after
    assert (study / "masks" / f"{STAYS}-ct.nii.gz").exists()


def test_exports_keep_the_others_and_their_labels(study: Path, registry: Path, tmp_path: Path) -> None:
    for form in ("csv", "parquet", "stata"):
        export(registry, tmp_path / form, form)
    erase(GONE, registry, [tmp_path])
    text = (tmp_path / "csv" / "clinical.csv").read_text()
    assert (STAYS in text, GONE in text) == (True, False)
    assert pq.read_table(tmp_path / "parquet" / "scans.parquet")["patient_id"].to_pylist() == [STAYS]
    frame, meta = pyreadstat.read_dta(str(tmp_path / "stata" / "outcomes.dta"))
    assert frame["mrs_3m"].tolist() == [3]
    assert meta.variable_value_labels["mrs_3m"][6] == "dead"
    assert meta.column_names_to_labels["mrs_3m"].startswith("Modified Rankin Scale")


def test_a_rebuild_from_untouched_shards_leaves_the_patient_out(
    study: Path, registry: Path, tmp_path: Path
) -> None:
    """Copies of the shards in a folder that nobody named at the erasure still hold the patient."""
    shutil.copytree(study, tmp_path / "copy")
    erase(GONE, registry, [study])
    after = everything(registry)
    assert ingest([tmp_path / "copy"], registry).n_withheld == 3
    assert everything(registry) == after
    rebuild([study, tmp_path / "copy"], registry)
    assert everything(registry) == after
    registry.unlink()
    report = rebuild([tmp_path / "copy"], registry)
    assert (report.n_withheld, report.faults) == (3, [])
    assert rows(registry, "SELECT patient_id FROM patients") == [(STAYS,)]


def test_a_restored_backup_leaves_the_patient_out(study: Path, registry: Path, tmp_path: Path) -> None:
    backup(registry, tmp_path / "backup")
    erase(GONE, registry, [study])
    after = everything(registry)
    restore(tmp_path / "backup", registry, replace=True)
    assert registry.with_suffix(".before-restore.duckdb").exists()
    assert everything(registry) == after
    assert not any(GONE.encode() in content for content in bytes_below(imports_folder(registry)).values())
    assert ingest([study], registry).faults == []
    assert rebuild([study], registry).faults == []
    assert everything(registry) == after


def test_a_new_scan_of_an_erased_patient_is_withheld(study: Path, registry: Path, tmp_path: Path) -> None:
    erase(GONE, registry, [study])
    put(tmp_path / "later", "later", measurement_rows(run_at(5), GONE, f"{GONE}-ct-2"))
    report = ingest([tmp_path / "later"], registry)
    assert (report.n_withheld, report.faults) == (1, [])
    assert rows(registry, "SELECT scan_id FROM scans") == [(f"{STAYS}-ct",)]


def test_only_a_count_is_told(study: Path, registry: Path) -> None:
    erase(GONE, registry, [study])
    assert status(registry).n_erased == 1
    assert [column for column in rows(registry, "FROM erasures") if GONE in repr(column)] == []
    erase(GONE, registry, [study])
    assert status(registry).n_erased == 1


def test_a_shard_of_several_patients_keeps_the_others(study: Path, registry: Path) -> None:
    erase(GONE, registry, [study])
    (review,) = (study / "shards").glob("review-*.json")
    assert [row["target_id"] for row in read_shard(review)["rows"]["qc_reviews"]] == [f"{STAYS}-ct"]
    (outcome,) = (study / "shards").glob("bulk-outcomes-*.parquet")
    assert pq.read_table(outcome)["patient_id"].to_pylist() == [STAYS]
    report = ingest([study], registry)
    assert (report.n_taken, report.n_known) == (0, 5)


def test_an_unknown_patient_is_an_error_and_so_is_a_damaged_shard(study: Path, registry: Path) -> None:
    with pytest.raises(InputError, match="know this patient"):
        erase("nobody", registry, [study])
    (study / "shards" / "scan-half.json").write_text("{")
    with pytest.raises(InputError, match="not a whole result shard"):
        erase(GONE, registry, [study])
    assert rows(registry, "SELECT count(*) FROM patients") == [(2,)]


def test_what_is_not_ours_to_change_is_listed(study: Path, registry: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(f"<td>{GONE}</td>")
    (tmp_path / "other.html").write_text(f"<td>{GONE}1</td>")
    with open_for_writing(registry) as connection:
        connection.execute(
            "INSERT INTO runs (run_id, command, started_at, parameters) VALUES ('x', 's', '2026-01-01', ?)",
            [f"{GONE}-ct.nii.gz"],
        )
    given = ["erase", GONE, str(tmp_path), "--registry", str(registry)]
    assert run(given) == 0
    assert rows(registry, "SELECT count(*) FROM patients") == [(2,)]
    assert run([*given, "--accept"]) == 4
    report = erase(GONE, registry, [tmp_path])
    assert [path.name for path in report.left] == ["report.html"]
    assert report.mentions == {"runs.parameters": 1}
    (study / "shards").joinpath("nothing").touch()
    assert read_shard(next((study / "shards").glob("review-*.json")))["rows"]["qc_reviews"][0][
        "target_id"
    ] == (f"{STAYS}-ct")
