"""A real head CT: two stacks of 4 and 7 mm that overlap, gantry tilted by 18.5 degrees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from la_outcomes.cli.main import run
from la_outcomes.imaging.dicom_pixels import read_pixels
from la_outcomes.imaging.dicom_series import find_series
from la_outcomes.imaging.dicom_stack import assemble, landmark_error_mm, plan_stack
from la_outcomes.imaging.geometry import Image, orthogonal_grid, resample_to
from la_outcomes.imaging.nifti import read_image

REAL_DATA = os.environ.get("LA_OUTCOMES_REAL_DATA")
pytestmark = pytest.mark.skipif(not REAL_DATA, reason="LA_OUTCOMES_REAL_DATA is not set")


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(str(REAL_DATA)) / "ct_ge_dicom"


@pytest.fixture(scope="module")
def converted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ge")
    assert run(["convert", str(folder), "--out", str(out)]) == 0
    return out


def headers(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def test_the_report(converted: Path) -> None:
    report = json.loads((next(converted.glob("*_ct_*.json"))).read_text())
    assert report["landmark_error_mm"] < 0.1
    assert report["tilt_from_positions_deg"] == pytest.approx(18.5, abs=0.01)
    assert report["owned_mm"][:14] == pytest.approx([4.0] * 14, abs=0.01)
    assert report["owned_mm"][14] == pytest.approx(2.58, abs=0.01)
    assert report["owned_mm"][15:] == pytest.approx([7.0] * 13, abs=0.01)
    assert abs(report["in_volume_mm"] - report["scanned_mm"]) < 2
    assert report["head_ml"] == pytest.approx(report["head_by_slices_ml"], rel=0.005)


def test_corners_of_all_slices_by_the_dicom_formula(folder: Path, converted: Path) -> None:
    """World positions written out from the tags alone, looked up in the file as any tool would."""
    file = nib.load(next(converted.glob("*_ct_*.nii.gz")))
    inverse = np.linalg.inv(file.affine)
    for header in headers(folder):
        row, column = np.reshape(np.array(header.ImageOrientationPatient, float), (2, 3))
        for r, c in [(0, 0), (0, 511), (511, 0), (511, 511)]:
            lps = (
                np.array(header.ImagePositionPatient, float)
                + row * header.PixelSpacing[1] * c
                + column * header.PixelSpacing[0] * r
            )
            ras = lps * [-1, -1, 1]
            i, j, k = (inverse @ [*ras, 1])[:3]
            nearest = file.affine @ [round(i), round(j), k, 1]
            assert np.linalg.norm(nearest[:3] - ras) < 0.1
            assert round(i) in (0, 511)
            assert round(j) in (0, 511)
            assert -0.5 <= k <= file.shape[2]


def test_thin_slices_hold_the_headers_hounsfield_units(folder: Path, converted: Path) -> None:
    image = read_image(next(converted.glob("*_ct_*.nii.gz")))
    for k, header in enumerate(headers(folder)[:13]):
        hu = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
        expected = np.maximum(hu, -1024).T[::-1, ::-1]
        np.testing.assert_array_equal(image.data[:, :, k], expected)


def test_the_overlap_counts_once_and_naive_stacking_is_wrong(folder: Path, converted: Path) -> None:
    """Sum of area x thickness, the overlap counted once, from tags and pixels alone."""
    areas, low, high = [], [], []
    for header in headers(folder):
        column = np.array(header.ImageOrientationPatient, float)[3:]
        normal = np.cross([1.0, 0, 0], column)
        centre = float(np.array(header.ImagePositionPatient, float) @ normal)
        areas.append(float((header.pixel_array > -500).sum()) * float(header.PixelSpacing[0]) ** 2 / 1000)
        low.append(centre - float(header.SliceThickness) / 2)
        high.append(centre + float(header.SliceThickness) / 2)
    above = [low[0], *high[:-1]]
    once = [top - max(bottom, end) for bottom, top, end in zip(low, high, above, strict=True)]
    by_slices = float(np.dot(areas, once))
    image = read_image(next(converted.glob("*_ct_*.nii.gz")))
    ours = float((image.data > -500).sum()) * image.voxel_volume_ml
    assert ours == pytest.approx(by_slices, rel=0.005)
    header_steps = np.diff([float(h.ImagePositionPatient[2]) for h in headers(folder)])
    assert abs(float(np.sum(areas)) * header_steps.mean() / by_slices - 1) > 0.05


def test_an_even_tilted_half_agrees_with_dcm2niix(folder: Path, tmp_path: Path) -> None:
    """An independent converter straightens the same tilted stack; both must show one head in one place."""
    dcm2niix = pytest.importorskip("dcm2niix")
    half = tmp_path / "half"
    half.mkdir()
    for number in range(16, 29):
        shutil.copy(folder / f"{number:02d}.dcm", half)
    command = [dcm2niix.bin, "-b", "n", "-z", "n", "-o", str(tmp_path), "-f", "half", str(half)]
    subprocess.run(command, check=True, capture_output=True)
    (straight,) = tmp_path.glob("half*Tilt*.nii")
    theirs = read_image(straight)
    (series,) = find_series(half).series
    stack = plan_stack(series.slices)
    assert stack.grid is None
    ours = assemble(stack, [read_pixels(one, "CT") for one in stack.slices])
    assert landmark_error_mm(ours, stack) < 0.001
    seen = resample_to(ours, theirs.shape, theirs.affine, interpolator="linear", outside=-1024)
    inner = seen.data[:, :, 1:-1] > -900
    both = np.corrcoef(seen.data[:, :, 1:-1][inner], theirs.data[:, :, 1:-1][inner])[0, 1]
    assert both > 0.99


def test_check_accepts_the_scan_and_straight_copies_of_it(folder: Path, converted: Path) -> None:
    assert run(["check", str(next(converted.glob("*_ct_*.nii.gz")))]) == 0
    assert run(["check", str(folder)]) == 0


def test_the_head_keeps_its_volume_on_an_orthogonal_grid(converted: Path) -> None:
    image = read_image(next(converted.glob("*_ct_*.nii.gz")))
    inner = (image.data > -500).astype(np.float32)
    inner[:, :, :3] = inner[:, :, -3:] = 0  # a grid's last slices may reach beyond the field of view
    head = Image(inner, image.affine)
    shape, affine = orthogonal_grid(head, (1, 1, 2))
    straight = resample_to(head, shape, affine, interpolator="linear", outside=0)
    assert straight.data.sum() * straight.voxel_volume_ml == pytest.approx(
        head.data.sum() * head.voxel_volume_ml, rel=0.003
    )
