"""DICOM of simulated scans: read back by ``convert`` with the same places and values, and nobody in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from la_outcomes.cli.main import run
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image
from la_outcomes.simulation.anatomy import Anatomy
from la_outcomes.simulation.dicom_output import VENDORS, write_ct_series, write_flair_series
from la_outcomes.simulation.pair import CtScan, DrawnPatient, draw_patient, take_ct, take_flair
from la_outcomes.simulation.parameters import Parameters
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec

KERNELS = {"GE": "STANDARD", "Siemens": "H30s", "Philips": "UB", "Canon": "FC26"}


@pytest.fixture(scope="module")
def drawn(template: Anatomy, image_parameters: Parameters) -> DrawnPatient:
    """A whole head: ``convert`` refuses what is none."""
    flair = FlairSettings(pixel_spacing_mm=1.5)
    patient = PatientSpec("sim1-d", 70, 8.0, flair=flair)
    return draw_patient(template, patient, 1, image_parameters["image"])


def _ct(drawn: DrawnPatient, settings: CtSettings, parameters: Parameters) -> CtScan:
    asked = replace(drawn, patient=replace(drawn.patient, ct=settings))
    return take_ct(asked, parameters["image"])


def _converted(folder: Path, out: Path, kind: str) -> Image:
    assert run(["convert", str(folder), "--out", str(out), "--patient-id", "d"]) == 0
    return read_image(next(out.glob(f"d_{kind}_*.nii.gz")))


@pytest.mark.parametrize(
    ("vendor", "tilt", "lower"), [("GE", 18.0, None), ("Siemens", -20.0, 3.0), ("Philips", 0.0, None)]
)
def test_convert_reads_back_what_was_written(
    tmp_path: Path,
    drawn: DrawnPatient,
    image_parameters: Parameters,
    vendor: str,
    tilt: float,
    lower: float | None,
) -> None:
    settings = CtSettings(vendor, KERNELS[vendor], 120.0, 6.0, 6.0, 0.95, tilt, lower)
    scan = _ct(drawn, settings, image_parameters)
    write_ct_series(tmp_path / "dicom", "sim1-d-ct", scan.stacks, settings)
    image = _converted(tmp_path / "dicom", tmp_path / "out", "ct")
    assert image.shape == scan.image.shape
    assert image.affine == pytest.approx(scan.image.affine, abs=2e-3)
    assert np.abs(image.data - scan.image.data.astype(float)).max() <= (0 if lower is None else 1)


def test_a_flair_is_read_back_on_its_oblique_grid(
    tmp_path: Path, drawn: DrawnPatient, image_parameters: Parameters
) -> None:
    scan = take_flair(drawn, image_parameters["image"])
    write_flair_series(tmp_path / "dicom", "sim1-d-flair", scan.image, drawn.patient.flair, "Philips")
    image = _converted(tmp_path / "dicom", tmp_path / "out", "flair")
    assert image.affine == pytest.approx(scan.image.affine, abs=2e-3)
    assert np.array_equal(image.data, scan.image.data)


def test_the_headers_hold_the_vendor_s_tags_and_no_person(
    tmp_path: Path, drawn: DrawnPatient, image_parameters: Parameters
) -> None:
    settings = CtSettings("Canon", "FC26", 120.0, 8.0, 8.0, 0.95, 10.0)
    scan = _ct(drawn, settings, image_parameters)
    for folder in ("a", "b"):
        write_ct_series(tmp_path / folder, "sim1-d-ct", scan.stacks, settings)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == scan.image.shape[2]
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names)
    header = pydicom.dcmread(tmp_path / "a" / names[0])
    assert header.Manufacturer == VENDORS["Canon"].name
    assert (header.ConvolutionKernel, float(header.GantryDetectorTilt)) == ("FC26", 10.0)
    assert header.PatientID == "sim1-d"
    assert header.PatientIdentityRemoved == "YES"
    for name in ("PatientName", "PatientBirthDate", "StudyDate", "ReferringPhysicianName"):
        assert str(header[name].value) == ""
