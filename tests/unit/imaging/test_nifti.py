"""Reading NIfTI into one orientation, refusing doubtful files, writing the same bytes each time."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, is_sheared, voxel_volume_ml
from la_outcomes.imaging.nifti import orientation_of, read_image, read_mask, same_grid, write_image

ODD = (3, 2, 5)
SHEARED = np.array([[0.5, 0, 0, -9], [0, 0.5, 1.4, 3], [0, 0, 4, 2], [0, 0, 0, 1]])


def save(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine), path)
    return path


def ramp() -> np.ndarray:
    return np.arange(30, dtype=np.float32).reshape(ODD)


@pytest.mark.parametrize("affine", [np.eye(4), SHEARED], ids=["orthogonal", "sheared"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_is_written_is_read(tmp_path: Path, affine: np.ndarray, name: str) -> None:
    image = read_image(write_image(tmp_path / name, Image(ramp(), affine)))
    np.testing.assert_array_equal(image.data, ramp())
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    assert image.data.dtype == np.float32
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_axes_are_turned_towards_ras_and_voxels_stay_where_they_were(tmp_path: Path) -> None:
    affine = np.array([[0, 0, -4.0, 9], [-0.5, 0, 0, 3], [0, 0.7, 0, 2], [0, 0, 0, 1]])
    image = read_image(save(tmp_path / "a.nii", ramp(), affine))
    assert orientation_of(image.affine) == "RAS"
    assert image.shape == (5, 3, 2)
    for index in [(0, 0, 0), (2, 1, 4), (1, 0, 3)]:
        found = np.rint(np.linalg.inv(image.affine) @ affine @ [*index, 1])[:3].astype(int)
        assert image.data[tuple(found)] == ramp()[index]


def test_scaled_integers_are_read_as_hounsfield_units(tmp_path: Path) -> None:
    file = nib.Nifti1Image(np.full(ODD, 1064, np.int16), np.eye(4))
    file.header.set_slope_inter(1, -1024)
    file.to_filename(tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    np.frombuffer(raw, np.int16, offset=352)[:] = 1064
    (tmp_path / "a.nii").write_bytes(raw)
    assert read_image(tmp_path / "a.nii").data.max() == 40


def test_a_trailing_axis_of_one_is_dropped(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.nii", ramp()[..., None])).shape == ODD


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (np.zeros((*ODD, 2), np.float32), "4 axes"),
        (np.zeros((3, 2), np.float32), "2 axes"),
        (np.full(ODD, np.nan, np.float32), "NaN"),
        (np.full(ODD, np.inf, np.float32), "NaN or infinite"),
        (np.zeros(ODD, np.complex64), "colours or complex"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, data: np.ndarray, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_image(save(tmp_path / "a.nii", data))


def forge(path: Path, **fields: object) -> Path:
    """A valid file whose header fields are then overwritten."""
    save(path, ramp())
    raw = path.read_bytes()
    header = nib.Nifti1Header(raw[:348], check=False)
    for key, value in fields.items():
        header[key] = value
    path.write_bytes(header.binaryblock + raw[348:])
    return path


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"pixdim": [1, 1, 0, 1, 1, 1, 1, 1]}, "above 0 mm"),
        ({"pixdim": [1, 1, np.nan, 1, 1, 1, 1, 1]}, "above 0 mm"),
        ({"sform_code": 0, "qform_code": 0}, "does not say how it lies"),
        ({"sform_code": 1, "qform_code": 1, "pixdim": [1, 1, 1, 1.05, 1, 1, 1, 1]}, "contradict"),
        ({"sform_code": 1, "qform_code": 1, "pixdim": [-1, 1, 1, 1, 1, 1, 1, 1]}, "contradict"),
        ({"srow_z": [0, 0, 0, 0]}, "no volume"),
        ({"srow_x": [1e6, 1e6, 0, 0], "srow_y": [0, 1e-11, 0, 0], "srow_z": [0, 0, 1e6, 0]}, "nearly flat"),
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "must be wrong"),
        ({"dim": [3, 30, 30, 30, 1, 1, 1, 1]}, "ends before"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(tmp_path: Path, fields: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_image(forge(tmp_path / "a.nii", **fields))


def test_forms_that_differ_by_less_than_one_percent_are_accepted(tmp_path: Path) -> None:
    path = forge(tmp_path / "a.nii", sform_code=1, qform_code=1, pixdim=[1, 1, 1, 1.005, 1, 1, 1, 1])
    assert read_image(path).voxel_volume_ml == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nii", b"hello"),
        ("a.nii", b""),
        ("a.nii.gz", b"\x1f\x8b\x08\x00rubbish"),
        ("a.nii.gz", b"not gzip at all"),
        ("a.png", b"x"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError):
        read_image(tmp_path / name)


def test_a_gzip_cut_short_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = write_image(tmp_path / "a.nii.gz", Image(rng.normal(size=(20, 20, 20)), np.eye(4)))
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(InputError, match="damaged"):
        read_image(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file.*nowhere\.nii"):
        read_image(tmp_path / "nowhere.nii")


def test_a_mask_keeps_its_values_and_must_lie_on_its_image(tmp_path: Path) -> None:
    image = Image(ramp(), SHEARED)
    labels = np.arange(30, dtype=np.uint8).reshape(ODD)
    mask = read_mask(write_image(tmp_path / "m.nii.gz", Image(labels, SHEARED)), like=image)
    assert mask.data.dtype == np.uint8
    np.testing.assert_array_equal(mask.data, labels)
    moved = SHEARED.copy()
    moved[2, 3] += 1
    with pytest.raises(InputError, match="grid"):
        read_mask(write_image(tmp_path / "n.nii.gz", Image(labels, moved)), like=image)
    with pytest.raises(InputError, match="grid"):
        read_mask(write_image(tmp_path / "n.nii.gz", Image(labels[:2], SHEARED)), like=image)


def test_same_grid_looks_at_the_far_corner() -> None:
    turned = np.eye(4)
    turned[0, 1] = 1e-4
    assert same_grid(Image(np.zeros((10, 10, 10)), np.eye(4)), Image(np.zeros((10, 10, 10)), turned))
    assert not same_grid(Image(np.zeros((10, 500, 10)), np.eye(4)), Image(np.zeros((10, 500, 10)), turned))


def test_the_same_image_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_image(tmp_path / "a.nii.gz", Image(ramp(), SHEARED))
    second = write_image(tmp_path / "other.nii.gz", Image(ramp(), SHEARED))
    assert first.read_bytes() == second.read_bytes()
    with gzip.open(first) as handle:
        handle.read()
        assert handle.mtime == 0


def test_a_sheared_file_has_no_qform_and_a_pixdim_that_gives_the_right_volume(tmp_path: Path) -> None:
    header = nib.load(write_image(tmp_path / "a.nii", Image(ramp(), SHEARED))).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    assert is_sheared(SHEARED)
    assert np.prod(header.get_zooms()) / 1000 == pytest.approx(voxel_volume_ml(SHEARED))
    plain = nib.load(write_image(tmp_path / "b.nii", Image(ramp(), np.diag([1, 2, 3, 1])))).header
    assert (int(plain["sform_code"]), int(plain["qform_code"])) == (1, 1)


@pytest.mark.parametrize(
    ("data", "dtype", "stored"),
    [
        (np.zeros(ODD, bool), None, np.uint8),
        (np.zeros(ODD), None, np.float32),
        (np.zeros(ODD, np.int64), None, np.int32),
        (np.zeros(ODD, np.int16), None, np.int16),
        (np.full(ODD, 39.6), np.int16, np.int16),
    ],
)
def test_types_on_disk(tmp_path: Path, data: np.ndarray, dtype: type | None, stored: type) -> None:
    file = nib.load(write_image(tmp_path / "a.nii", Image(data, np.eye(4)), dtype=dtype))
    assert file.get_data_dtype() == stored
    np.testing.assert_array_equal(np.asarray(file.dataobj), np.rint(data))


@pytest.mark.parametrize("value", [40_000.0, np.nan])
def test_values_that_do_not_fit_are_not_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(InputError, match="fit"):
        write_image(tmp_path / "a.nii", Image(np.full(ODD, value), np.eye(4)), dtype=np.int16)
    assert list(tmp_path.iterdir()) == []
