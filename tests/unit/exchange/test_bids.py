"""BIDS out of a registry and back in: the same voxels, and a data set that validators accept."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from imaging_phantoms import ball_values, grid, head
from results_study import Study, build_study, drawn_mask

from la_outcomes.cli.main import run
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.shards import read_shard


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build_study(tmp_path_factory.mktemp("study"), flair=True, tilt_deg=12)


@pytest.fixture(scope="module")
def bids(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bids") / "set"
    command = ["export", "--format", "bids", "--registry", str(study.registry), "--out", str(out)]
    assert run([*command, "--folder", str(study.scans), "--folder", str(study.results)]) == 0
    return out


def choices_in(out: Path) -> dict[str, dict]:
    rows = [read_shard(file)["rows"]["series_choices"] for file in (out / "shards").iterdir()]
    return {row["scan_id"]: row for members in rows for row in members}


def test_scans_and_masks_with_sidecars(study: Study, bids: Path) -> None:
    (ct,) = bids.glob("sub-*/ct/*_ct.nii.gz")
    (scan,) = study.scans.glob("*_ct_*.nii.gz")
    given, written = read_image(scan), read_image(ct)
    np.testing.assert_array_equal(given.data, written.data)
    np.testing.assert_allclose(given.affine, written.affine, atol=1e-4)
    (mask,) = bids.glob("derivatives/la_outcomes/sub-*/ct/*_desc-LA_mask.nii.gz")
    np.testing.assert_array_equal(read_mask(mask, like=written).data, drawn_mask(given))
    sidecar = json.loads(ct.with_name(ct.name.replace(".nii.gz", ".json")).read_text())
    assert (sidecar["ConvolutionKernel"], sidecar["IsSimulated"]) == ("H30s", True)
    told = json.loads(mask.with_name(mask.name.replace(".nii.gz", ".json")).read_text())
    assert told["Sources"] == [f"bids::{ct.relative_to(bids).as_posix()}"]
    assert told["VolumeML"] == pytest.approx(drawn_mask(given).sum() * given.voxel_volume_ml)
    about = json.loads((bids / "dataset_description.json").read_text())
    assert about["Name"].startswith("SIMULATED")
    assert (bids / "participants.tsv").read_text().splitlines()[0].startswith("participant_id\t")


def test_it_comes_back_in(bids: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "run.json"
    assert run(["convert", str(bids), "--out", str(out), "--report", str(report)]) == 0
    with open(out / "scans.csv", encoding="utf-8") as handle:
        flair, row = csv.DictReader(handle)
    assert flair["modality"] == "FLAIR"
    (ct,) = bids.glob("sub-*/ct/*_ct.nii.gz")
    np.testing.assert_array_equal(read_image(out / row["path"]).data, read_image(ct).data)
    assert (row["kernel"], row["gantry_tilt_deg"]) == ("H30s", "12.0")
    told = json.loads(report.read_text())
    assert told["counts"] == {"series": 2, "scans": 2, "chosen": 2}
    assert told["outcomes"] == {"done": 2}
    assert run(["convert", str(bids), "--out", str(out), "--report", str(report)]) == 0
    assert json.loads(report.read_text())["outcomes"] == {"already_done": 2}


def test_what_cannot_be_used_has_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    image = head()
    world, affine = grid((72, 84, 40), (2.5, 2.6, 5.0))
    leaning = image.affine.copy()
    leaning[1, 2] = 1.0
    files = {
        "sub-1/ct/sub-1_ct": image,
        "sub-2/ct/sub-2_ce-iohexol_ct": image,
        "sub-3/ct/sub-3_ct": image,
        "sub-4/ct/sub-4_ct": Image(ball_values(world), affine),
        "sub-5/anat/sub-5_FLAIR": Image(np.abs(image.data), image.affine),
        "sub-6/ses-1/ct/sub-6_ses-1_ct": Image(image.data, leaning),
        "sub-7/anat/sub-7_T1w": image,
        "derivatives/x/sub-1/ct/sub-1_ct": image,
    }
    for name, content in files.items():
        write_image(folder / f"{name}.nii.gz", content)
    (folder / "sub-3/ct/sub-3_ct.json").write_text('{"ConvolutionKernel": "BONEPLUS"}')
    (folder / "sub-1/ct/sub-1_ct.json").write_text("no json")
    (folder / "dataset_description.json").write_text("{}")
    (folder / "sub-8" / "ct").mkdir(parents=True)
    (folder / "sub-8" / "ct" / "sub-8_ct.nii.gz").write_bytes(b"nothing")
    assert run(["convert", str(folder), "--out", str(tmp_path / "out")]) == 4
    rules = {name: (row["rule"], row["chosen"]) for name, row in choices_in(tmp_path / "out").items()}
    assert rules == {
        "sub-1_ct": ("preference", True),
        "sub-2_ce-iohexol_ct": ("contrast", False),
        "sub-3_ct": ("kernel", False),
        "sub-4_ct": ("conversion", False),
        "sub-5_FLAIR": ("preference", True),
        "sub-6_ses-1_ct": ("preference", True),
        "sub-8_ct": ("conversion", False),
    }
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 3
    assert run(["convert", str(folder), "--out", str(tmp_path / "x"), "--patient-id", "a"]) == 2


def test_export_refuses_what_would_mix_or_be_empty(study: Study, bids: Path, tmp_path: Path) -> None:
    command = ["export", "--format", "bids", "--registry", str(study.registry)]
    assert run([*command, "--out", str(bids), "--folder", str(study.scans)]) == 3
    (tmp_path / "nothing").mkdir()
    assert run([*command, "--out", str(tmp_path / "new"), "--folder", str(tmp_path / "nothing")]) == 3


def test_the_official_validator_accepts_it(bids: Path) -> None:
    """The validator of the BIDS project (npm: bids-validator); CT itself is kept from it by .bidsignore."""
    validator = os.environ.get("LA_OUTCOMES_BIDS_VALIDATOR") or shutil.which("bids-validator")
    if validator is None:
        pytest.skip("no bids-validator on the PATH nor in LA_OUTCOMES_BIDS_VALIDATOR")
    command = [validator, str(bids), "--json", "--ignoreSubjectConsistency"]
    found = json.loads(subprocess.run(command, capture_output=True, check=False, timeout=120).stdout)
    assert [issue["key"] for issue in found["issues"]["errors"]] == []
