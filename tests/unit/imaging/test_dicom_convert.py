"""``convert`` as a whole: files, rows, fallbacks, pseudonyms, and no identifier in any output."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_writer import SECRETS, write_series
from imaging_phantoms import ball_values

from la_outcomes.cli.main import run
from la_outcomes.errors import UsageError
from la_outcomes.imaging.dicom_series import find_series
from la_outcomes.imaging.dicom_studies import studies_of
from la_outcomes.imaging.nifti import read_image
from la_outcomes.imaging.pseudonyms import Pseudonyms
from la_outcomes.shards import read_shard

EVEN = np.arange(36) * 5.0 - 90
TWO_STACKS = np.concatenate([np.arange(20) * 4.0 - 90, -13.5 + np.arange(16) * 7.0])
TWO_THICKNESSES = [4.0] * 20 + [7.0] * 16


KEY = Pseudonyms(bytes(32))


def scans_in(out: Path) -> list[dict[str, str]]:
    with open(out / "scans.csv", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def choices_in(out: Path) -> list[dict]:
    return [row for file in (out / "shards").iterdir() for row in read_shard(file)["rows"]["series_choices"]]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two patients: one with a tilted CT, a bone kernel and a scout; one with two stacks, no extension."""
    folder = tmp_path / "in"
    same = {"StudyInstanceUID": "1.2.3.4.5"}
    write_series(folder / "a", EVEN, tilt_deg=15, fields=same)
    write_series(folder / "b", EVEN, fields={**same, "ConvolutionKernel": "H70h"})
    write_series(folder / "c", EVEN[:1], fields={**same, "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    other = {"PatientID": "HOSP-0001-0001", "StudyDate": "20240201"}
    write_series(folder / "d", TWO_STACKS, thickness=TWO_THICKNESSES, fields=other)
    return folder


def test_convert_writes_scans_table_reports_and_shards(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["convert", str(mixed), "--out", str(out)]) == 0
    rows = scans_in(out)
    assert all(re.fullmatch(r"p[a-z2-7]{12}_ct_[a-z2-7]{8}", row["scan_id"]) for row in rows)
    assert len({row["patient_id"] for row in rows}) == 2
    assert [row["gantry_tilt_deg"] for row in rows] == ["15.0", "0.0"]
    assert [row["slice_thickness_mm"] for row in rows] == ["5.0", "7.0"]
    assert rows[0]["manufacturer"] == "SIEMENS"
    for row in rows:
        image = read_image(out / row["path"])
        report = json.loads((out / f"{row['scan_id']}.json").read_text())
        assert report["landmark_error_mm"] < 0.1
        assert report["head_ml"] == pytest.approx(report["head_by_slices_ml"], rel=0.02)
        assert report["head_ml"] == pytest.approx(4 / 3 * np.pi * 8.3 * 10.3 * 9.3, rel=0.03)
        assert image.data.min() >= -1024
    decided = {(row["chosen"], row["rule"]) for row in choices_in(out)}
    assert decided == {(True, "preference"), (False, "kernel"), (False, "image type")}
    assert len(choices_in(out)) == 4


def test_a_second_run_gives_the_same_images(mixed: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run(["convert", str(mixed), "--out", str(tmp_path / name), "--jobs", "1"]) == 0
    files = sorted(file.name for file in (tmp_path / "one").iterdir() if file.is_file())
    assert len(files) == 5
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_no_identifier_leaves_the_headers(
    mixed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = next((mixed / "d").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-5000])
    run(["convert", str(mixed), "--out", str(tmp_path / "out")])
    run(["check", str(mixed)])
    said = "".join(capfd.readouterr())
    header = pydicom.dcmread(next((mixed / "a").iterdir()))
    secrets = [
        *SECRETS.values(),
        "HOSP-0001-0001",
        "20240201",
        header.SeriesInstanceUID,
        header.StudyInstanceUID,
    ]
    parts = [piece for secret in secrets for piece in str(secret).split("^")]
    written = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert written
    for file in written:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        assert not [part for part in parts if part.encode() in content], file.name
        assert not [part for part in parts if part in file.name]
    assert not [part for part in parts if part in said]


def test_a_series_that_fails_gives_way_and_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, out, study = tmp_path / "in", tmp_path / "out", {"StudyInstanceUID": "1.2.3"}
    broken = write_series(folder / "a", EVEN, fields=study)
    broken[5].unlink()
    write_series(folder / "b", EVEN, fields={**study, "SliceThickness": 3})
    assert run(["convert", str(folder), "--out", str(out)]) == 4
    assert "slices are missing" in capfd.readouterr().err
    reasons = {row["rule"]: row["chosen"] for row in choices_in(out)}
    assert reasons == {"conversion": False, "preference": True}
    assert len(list(out.glob("*.nii.gz"))) == 1


def test_what_is_no_head_is_not_converted(tmp_path: Path) -> None:
    write_series(tmp_path / "in", EVEN, values=ball_values)
    assert run(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 4
    assert "no head found" in choices_in(tmp_path / "out")[0]["reason"]
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_a_folder_with_nothing_usable_is_bad_input(tmp_path: Path) -> None:
    write_series(tmp_path / "in", EVEN, fields={"ContrastBolusAgent": "Iohexol"})
    assert run(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 3
    assert choices_in(tmp_path / "out")[0]["reason"] == "contrast agent given"


def test_pseudonyms(mixed: Path, tmp_path: Path) -> None:
    found = find_series(mixed)
    names = [study.patient_id for study in studies_of(found, KEY, prefix="lyon-")]
    assert len(set(names)) == 2
    assert all(name.startswith("lyon-") for name in names)
    assert not set(names) & {study.patient_id for study in studies_of(found, Pseudonyms(bytes(31) + b"1"))}
    with pytest.raises(UsageError, match="2 patients"):
        studies_of(found, KEY, patient_id="x1")
    with pytest.raises(UsageError, match="pseudonym"):
        studies_of(found, KEY, prefix="../")
    shutil.rmtree(mixed / "d")
    again = find_series(mixed)
    assert studies_of(again, KEY)[0].patient_id in {study.patient_id for study in studies_of(found, KEY)}
    (study,) = studies_of(again, KEY, patient_id="x1")
    assert str(study.scan_id(study.series[0])).startswith("x1_ct_")


def test_images_without_a_patient_number_are_a_patient_a_study(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_series(tmp_path / name, EVEN[:2], fields={"PatientID": ""})
    assert len({study.patient_id for study in studies_of(find_series(tmp_path), KEY)}) == 2


def test_a_flair_is_converted_beside_the_ct(tmp_path: Path) -> None:
    folder, study = tmp_path / "in", {"StudyInstanceUID": "1.2.3"}
    write_series(folder / "a", EVEN, fields=study)
    mr = {"Modality": "MR", "SeriesDescription": "FLAIR", "RescaleSlope": "0.5", "RescaleIntercept": "0"}
    write_series(folder / "b", EVEN, fields={**study, **mr}, values=lambda w: np.hypot(w[0], w[1]))
    assert run(["convert", str(folder), "--out", str(tmp_path / "out"), "--patient-id", "x1"]) == 0
    flair = read_image(next((tmp_path / "out").glob("x1_flair_*.nii.gz")))
    assert flair.data.max() == pytest.approx(0.5 * (1024 + np.hypot(79 * 1.1, 91 * 1.2)), abs=0.6)
