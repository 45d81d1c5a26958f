"""Which files are series, which series are taken, and with which reason the others are left out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_writer import SECRETS, write_series

from la_outcomes.errors import InputError
from la_outcomes.imaging.dicom_choice import is_sharp_kernel, judge, kind_of, nominal_thickness_mm, preference
from la_outcomes.imaging.dicom_series import Series, find_series

EVEN = np.arange(24) * 5.0 - 58


def series_with(folder: Path, along: np.ndarray = EVEN, **fields: Any) -> Series:
    write_series(folder, along, fields=fields, values=lambda world: np.zeros(world.shape[1:]))
    (series,) = find_series(folder).series
    return series


def test_files_are_found_by_content_and_others_counted(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "deep" / "er", EVEN[:3])
    shutil.copy(paths[0], tmp_path / "a copy of the first.txt")
    (tmp_path / "README.dcm").write_text("no DICOM")
    (tmp_path / "empty").touch()
    (tmp_path / "cut").write_bytes(paths[1].read_bytes()[:200])
    found = find_series(tmp_path)
    (series,) = found.series
    assert (series.n_images, series.n_duplicates, found.n_other_files) == (3, 1, 3)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(InputError, match="no DICOM images among 1"):
        find_series(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_series(tmp_path / "b")


def test_nothing_that_identifies_shows_in_a_repr(tmp_path: Path) -> None:
    series = series_with(tmp_path)
    shown = repr(series) + repr(find_series(tmp_path)) + repr(series.slices[0])
    assert not [value for value in SECRETS.values() if value in shown]
    assert series.header.SeriesInstanceUID not in shown


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, None),
        ({"Modality": "PT"}, "modality"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "image type"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "image type"),
        ({"NumberOfFrames": 12}, "geometry"),
        ({"PatientName": "HEAD PHANTOM"}, "phantom"),
        ({"SeriesDescription": "Head QA daily"}, "phantom"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "image type"),
        ({"Rows": 5000}, "size"),
        ({"ImagePositionPatient": None}, "geometry"),
        ({"PixelSpacing": [0, 0]}, "geometry"),
        ({"Modality": "MR", "SeriesDescription": "t2_tse_tra"}, "sequence"),
        ({"Modality": "MR", "SeriesDescription": "T2 FLAIR ax"}, None),
        ({"Modality": "MR", "InversionTime": 2500, "EchoTime": 110}, None),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "plane"),
        ({"SliceThickness": 12}, "thickness"),
        ({"ContrastBolusAgent": "Iohexol"}, "contrast"),
        ({"ContrastBolusAgent": "NONE"}, None),
        ({"SeriesDescription": "HEAD C+ 5mm"}, "contrast"),
        ({"SeriesDescription": "CTA head"}, "contrast"),
        ({"SeriesDescription": "Schaedel mit KM"}, "contrast"),
        ({"SeriesDescription": "HEAD WITHOUT CONTRAST"}, None),
        ({"SeriesDescription": "HEAD W/O CONTRAST 5MM"}, None),
        ({"SeriesDescription": "NON-CONTRAST HEAD"}, None),
        ({"SeriesDescription": "KOPF NATIV"}, None),
        ({"ConvolutionKernel": "BONEPLUS"}, "kernel"),
    ],
)
def test_rules(tmp_path: Path, fields: dict[str, Any], rule: str | None) -> None:
    verdict = judge(series_with(tmp_path, **fields))
    assert verdict.rule == rule
    assert (verdict.reason is None) == (rule is None)


@pytest.mark.parametrize("along", [EVEN[:7], np.arange(24.0)])
def test_too_little_of_the_head_is_left_out(tmp_path: Path, along: np.ndarray) -> None:
    assert judge(series_with(tmp_path, along)).rule == "coverage"


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [
        ("STD+", False), ("STANDARD", False), ("SOFT", False), ("BONE", True), ("LUNG", True),
        ("H30s", False),
        ("H70h", True), ("Hr38f\\3", False), ("Hr64h\\3", True), ("J40s", False), ("FC21", False),
        ("FC30", True), ("FC68", False), ("FC81", True), ("UB", False), ("YB", True), ("", False),
    ],
)  # fmt: skip
def test_kernels(kernel: str, sharp: bool) -> None:
    assert is_sharp_kernel(kernel) is sharp


def test_original_slices_near_five_millimetres_are_preferred(tmp_path: Path) -> None:
    derived = series_with(tmp_path / "a", ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    thin = series_with(tmp_path / "b", SliceThickness=1)
    usual = series_with(tmp_path / "c")
    assert sorted([derived, thin, usual], key=preference) == [usual, thin, derived]
    assert (kind_of(usual), nominal_thickness_mm(thin)) == ("CT", 1.0)
