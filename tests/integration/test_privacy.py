"""Nothing that identifies a person leaves the DICOM files and the hospital's table, whatever is run."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from dicom_writer import SECRETS, write_series
from toy_bundle import write_bundle

from la_outcomes.cli.main import run
from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry.database import open_read_only

BIRTH, ONSET, DEATH = "1937-04-12", "2024-01-30", "2024-03-01"
MAPPING = """
name: hospital
constants: {patients.cohort: clinical}
columns:
  pseudonym: {to: patients.patient_id}
  age: {to: clinical.age_years}
  died: {to: outcomes.death_days, days_since: onset}
ignore: [name, born, onset]
"""
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def secrets_of(folder: Path) -> set[bytes]:
    """Names, numbers, dates and identifiers of the DICOM files and the table, in the forms they may take."""
    words = {BIRTH, ONSET, DEATH, "2024-01-31"}
    for name, value in SECRETS.items():
        words |= set(value.split("^")) if name != "StudyTime" else set()
    for path in folder.rglob("IM*"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        words |= {str(header[name].value) for name in UIDS if name in header}
    return {word.encode() for word in words}


def texts(path: Path) -> Iterator[bytes]:
    """Name and content of a file, unpacked where it is packed."""
    yield path.name.encode()
    content = path.read_bytes()
    yield content
    if path.suffix == ".gz":
        yield gzip.decompress(content)
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield repr((table.schema.metadata, table.to_pylist())).encode()
    if path.suffix == ".duckdb":
        with open_read_only(path) as connection:
            for name in load_dictionary().tables:
                yield repr(connection.execute(f"FROM {name}").fetchall()).encode()


def found_in(folder: Path, secrets: set[bytes]) -> dict[str, list[bytes]]:
    """Secrets by file."""
    return {
        str(path): hits
        for path in folder.rglob("*")
        if path.is_file()
        and (hits := [secret for secret in secrets if any(secret in text for text in texts(path))])
    }


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """A study whose folder bears the patient's name, a series that cannot be used, and a table with dates."""
    folder = tmp_path / "hospital"
    study = folder / "Mustermann_Erika"
    write_series(study / "ct", np.arange(26) * 5.0)
    write_series(study / "broken", [0.0, 5.0, 17.0])
    (folder / "table.csv").write_text(
        f"pseudonym,name,born,age,onset,died\np001,Erika Mustermann,{BIRTH},86,{ONSET},{DEATH}\n"
    )
    return folder


def all_verbs(hospital: Path, work: Path, with_report: bool) -> list[int]:
    """Run the line from DICOM to backup or report; exit codes."""
    write_bundle(work / "bundle")
    (work / "mapping.yaml").write_text(MAPPING)
    registry = ["--registry", str(work / "registry.duckdb")]
    mapped = ["--mapping", str(work / "mapping.yaml"), *registry]
    commands: list[list[Any]] = [
        ["check", hospital / "Mustermann_Erika" / "ct"],
        ["convert", hospital, "--out", work / "scans"],
        ["segment", work / "scans" / "scans.csv", "--model", work / "bundle", "--out", work / "out"],
        ["ingest", work / "scans", work / "out", *registry],
        ["import-clinical", hospital / "table.csv", *mapped],
        ["import-clinical", hospital / "table.csv", *mapped, "--accept"],
        ["audit", *registry, "--out", work / "audit.csv"],
        ["status", *registry],
        ["export", *registry, "--out", work / "csv", "--format", "csv"],
        ["export", *registry, "--out", work / "parquet"],
        ["export", *registry, "--out", work / "stata", "--format", "stata"],
        ["backup", *registry, "--out", work / "backup"],
    ]
    if with_report:
        commands.append(["report", *registry, "--out", work / "study"])
    return [run([str(word) for word in command]) for command in commands]


@pytest.mark.parametrize("with_report", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_no_identifier_leaves_the_dicom_files(
    hospital: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], with_report: bool
) -> None:
    work, secrets = tmp_path / "work", secrets_of(hospital)
    work.mkdir()
    assert len(secrets) > 40
    assert all_verbs(hospital, work, with_report)[:12] == [0] * 12
    assert (work / "study" / "reports" / "report.html").exists() == with_report
    with open_read_only(work / "registry.duckdb") as connection:
        sql = "SELECT count(la_volume_ml), max(death_days) FROM analysis_cohort"
        assert connection.execute(sql).fetchall() == [(1, 31.0)]
    assert found_in(work, secrets) == {}
    told = capfd.readouterr()
    said = (told.out + told.err).replace(str(hospital), "").encode()
    assert [secret for secret in secrets if secret in said] == []


def test_the_scan_finds_what_is_planted(hospital: Path, tmp_path: Path) -> None:
    """A scan that finds nothing proves nothing unless it would have found something."""
    work, secrets = tmp_path / "work", secrets_of(hospital)
    work.mkdir()
    with gzip.open(work / "header.nii.gz", "wb") as handle:
        handle.write(b"......" + SECRETS["AccessionNumber"].encode())
    (work / "log.txt").write_text(f"read {ONSET}")
    (work / "clean.txt").write_text("days_from_onset 1")
    assert {Path(name).name for name in found_in(work, secrets)} == {"header.nii.gz", "log.txt"}
    assert set(found_in(hospital, secrets)) >= {str(hospital / "table.csv")}


def test_no_column_is_meant_for_what_identifies() -> None:
    """The dictionary has no column for names, dates of the calendar or hospital numbers."""
    banned = {
        "name_of_patient",
        "birth",
        "birthday",
        "accession",
        "medical_record",
        "study_date",
        "address",
        "zip",
    }
    for table in load_dictionary().tables.values():
        for column in table.columns.values():
            assert not any(word in column.name for word in banned), f"{table.name}.{column.name}"
            if column.type == "timestamp":
                assert column.unit == "UTC", (
                    f"{table.name}.{column.name} is a time of the program, not of care"
                )
