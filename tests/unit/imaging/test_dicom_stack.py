"""Even, tilted and uneven stacks: where voxels lie, what they hold, and which stacks are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_writer import stored_hu, world_points, write_series
from imaging_phantoms import head_values

from la_outcomes.errors import InputError
from la_outcomes.imaging.dicom_pixels import AIR_HU, read_pixels
from la_outcomes.imaging.dicom_series import find_series
from la_outcomes.imaging.dicom_stack import (
    Stack,
    assemble,
    corner_points,
    landmark_error_mm,
    plan_stack,
    value_error,
)
from la_outcomes.imaging.geometry import Image, is_sheared

EVEN = np.arange(24) * 5.0 - 58
TWO_STACKS = np.concatenate([np.arange(10) * 4.0 - 58, -18.5 + np.arange(12) * 7.0])
TWO_THICKNESSES = [4.0] * 10 + [7.0] * 12


def stack_of(folder: Path) -> Stack:
    (series,) = find_series(folder).series
    return plan_stack(series.slices)


def volume_of(folder: Path) -> tuple[Stack, Image, list[np.ndarray]]:
    stack = stack_of(folder)
    pixels = [read_pixels(one, "CT") for one in stack.slices]
    return stack, assemble(stack, pixels), pixels


@pytest.mark.parametrize("tilt", [0.0, 18.5, -12.0])
@pytest.mark.parametrize("unsigned", [True, False])
def test_every_pixel_of_an_even_stack_is_where_its_header_puts_it(
    tmp_path: Path, tilt: float, unsigned: bool
) -> None:
    paths = write_series(tmp_path, EVEN[::-1], tilt_deg=tilt, unsigned=unsigned)
    stack, image, pixels = volume_of(tmp_path)
    assert stack.grid is None
    assert stack.tilt_deg == pytest.approx(abs(tilt), abs=0.01)
    assert is_sheared(image.affine) == (tilt != 0)
    assert image.voxel_volume_ml * 1000 == pytest.approx(2.4 * 2.2 * 5.0, rel=1e-4)
    assert landmark_error_mm(image, stack) < 0.001
    assert value_error(image, stack, pixels) == 0
    for path in paths[::9]:
        world = world_points(pydicom.dcmread(path)).reshape(3, -1)
        index = np.linalg.inv(image.affine)[:3] @ np.vstack([world, np.ones(world.shape[1])])
        nearest = np.rint(index).astype(int)
        assert np.abs(index - nearest).max() < 0.001
        np.testing.assert_array_equal(image.data[tuple(nearest)], stored_hu(path).ravel())


@pytest.mark.parametrize("tilt", [0.0, 18.5])
def test_two_stacks_give_the_volume_of_the_head_that_was_scanned(tmp_path: Path, tilt: float) -> None:
    """A long cylinder's volume over the scanned length is known; a naive stack misses it."""

    def cylinder(world: np.ndarray) -> np.ndarray:
        inside = (world[0] / 70) ** 2 + (world[1] / 80) ** 2 <= 1
        return np.where(inside, 30.0, -1000.0)

    write_series(tmp_path, TWO_STACKS, thickness=TWO_THICKNESSES, tilt_deg=tilt, values=cylinder)
    stack, image, pixels = volume_of(tmp_path)
    assert stack.grid is not None
    assert landmark_error_mm(image, stack) < 0.001
    assert value_error(image, stack, pixels) < 1e-3
    length = len(stack.grid.weights) * stack.grid.step_mm
    per_mm = np.pi * 70 * 80 / np.cos(np.radians(tilt)) / 1000  # an oblique cut is longer
    measured = (image.data > -500).sum() * image.voxel_volume_ml
    assert measured == pytest.approx(per_mm * length, rel=0.01)
    naive = (np.stack(pixels) > -500).sum() * 2.4 * 2.2 * 5 / 1000
    assert abs(naive / (per_mm * length) - 1) > 0.05


def test_thin_slices_pass_through_unchanged_and_thick_ones_keep_their_sum(tmp_path: Path) -> None:
    write_series(tmp_path, TWO_STACKS, thickness=TWO_THICKNESSES)
    stack, image, pixels = volume_of(tmp_path)
    for k in range(10):
        np.testing.assert_allclose(image.data[:, :, k], pixels[k], atol=1e-3)
    assert stack.grid is not None
    lost = stack.grid.scanned_mm - len(stack.grid.weights) * stack.grid.step_mm
    total = image.data.sum(axis=(0, 1)).sum() * stack.slice_spacing_mm
    expected = sum(
        values.sum() * mm for values, mm in zip(pixels, stack.owned_mm - np.eye(22)[-1] * lost, strict=True)
    )
    assert total == pytest.approx(expected, rel=1e-5)


def test_marks_outside_the_scanner_s_field_become_air(tmp_path: Path) -> None:
    def marked(world: np.ndarray) -> np.ndarray:
        return np.where(world[0] > 80, -3024, head_values(world))

    write_series(tmp_path, EVEN, unsigned=False, values=marked)
    stack = stack_of(tmp_path)
    assert read_pixels(stack.slices[3], "CT").min() == AIR_HU
    assert read_pixels(stack.slices[3], "MR").min() == -3024


@pytest.mark.parametrize(
    ("along", "kwargs", "why"),
    [
        ([0.0], {}, "two slices at least"),
        ([0.0, 5.0, 5.0, 10.0], {}, "another image lies"),
        ([0.0, 5.0, 10.0, 20.0, 25.0], {}, "slices are missing"),
        ([0.0, 5.0, 8.0], {"fields": {"SliceThickness": None}}, "how thick"),
    ],
)
def test_slices_that_make_no_volume_are_refused(
    tmp_path: Path, along: list[float], kwargs: dict[str, object], why: str
) -> None:
    write_series(tmp_path, along, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=why):
        stack_of(tmp_path)


def edited(paths: list[Path], number: int, **fields: object) -> None:
    one = pydicom.dcmread(paths[number])
    for name, value in fields.items():
        setattr(one, name, value)
    one.save_as(paths[number])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"PixelSpacing": [2.41, 2.2]}, "size or pixel spacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.9848, 0.1736]}, "different directions"),
        ({"ImagePositionPatient": [-86, -109.2, -43]}, "one line"),
    ],
)
def test_a_slice_that_does_not_belong_is_refused(tmp_path: Path, fields: dict[str, object], why: str) -> None:
    edited(write_series(tmp_path, EVEN), 3, **fields)
    with pytest.raises(InputError, match=why):
        stack_of(tmp_path)


def test_pixels_that_cannot_be_decoded_or_have_no_scale_are_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "short", EVEN)
    paths[2].write_bytes(paths[2].read_bytes()[:-9000])
    stack = stack_of(tmp_path / "short")
    with pytest.raises(InputError):
        [read_pixels(one, "CT") for one in stack.slices]
    write_series(tmp_path / "bare", EVEN, fields={"RescaleSlope": None})
    with pytest.raises(InputError, match="Hounsfield"):
        read_pixels(stack_of(tmp_path / "bare").slices[0], "CT")


def test_the_landmarks_notice_a_shift_a_flip_and_a_lost_tilt(tmp_path: Path) -> None:
    write_series(tmp_path, EVEN, tilt_deg=15)
    stack, image, _ = volume_of(tmp_path)
    shifted = image.affine.copy()
    shifted[1, 3] += 0.5
    assert landmark_error_mm(Image(image.data, shifted), stack) == pytest.approx(0.5, abs=0.01)
    straight = image.affine.copy()
    straight[:3, 2] = stack.slices[0].normal * [-1, -1, 1] * 5
    assert landmark_error_mm(Image(image.data, straight), stack) > 0.5


def test_values_notice_a_mirrored_volume(tmp_path: Path) -> None:
    write_series(tmp_path, EVEN)
    stack, image, pixels = volume_of(tmp_path)
    assert value_error(Image(image.data[::-1], image.affine), stack, pixels) > 5


def test_corners_come_from_the_header(tmp_path: Path) -> None:
    paths = write_series(tmp_path, EVEN, tilt_deg=10)
    (series,) = find_series(tmp_path).series
    first = next(one for one in series.slices if one.path == paths[0])
    world = world_points(pydicom.dcmread(paths[0]))[:, :, :, 0]
    corners = np.stack([world[:, 0, 0], world[:, 0, -1], world[:, -1, 0], world[:, -1, -1]], axis=1)
    np.testing.assert_allclose(corner_points(first), corners, atol=1e-6)
