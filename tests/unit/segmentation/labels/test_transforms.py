"""Transforms are read, inverted and applied either way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pair_phantom import Pair, dice, make_pair
from scipy import ndimage

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.segmentation.labels.deformation import thinned
from la_outcomes.segmentation.labels.transform_files import read_transform
from la_outcomes.segmentation.labels.transforms import apply_to_file, inverse


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair(angles_deg=(10, 0, -12), shift_mm=(5, 8, -4))


def _bent(pair: Pair) -> sitk.CompositeTransform:
    """The pair's rigid map after a smooth displacement of up to 3 mm."""
    z, y, x = np.indices((30, 40, 40), dtype=float)
    bump = 3 * np.exp(-(((x - 20) / 7) ** 2 + ((y - 20) / 7) ** 2 + ((z - 15) / 6) ** 2))
    field = sitk.GetImageFromArray(np.stack([bump, -0.5 * bump, 0.3 * bump], axis=-1), isVector=True)
    field.SetSpacing((4.0, 4.0, 4.0))
    field.SetOrigin((-80.0, -80.0, -60.0))
    return sitk.CompositeTransform([pair.truth, sitk.DisplacementFieldTransform(field)])


def test_there_and_back_is_where_one_was(pair: Pair) -> None:
    forward = _bent(pair)
    backward = inverse(forward)
    rng = np.random.default_rng(3)
    for point in rng.uniform(-50, 50, (60, 3)).tolist():
        returned = backward.TransformPoint(forward.TransformPoint(point))
        assert np.linalg.norm(np.subtract(returned, point)) < 0.15


def test_a_mask_is_carried_binary_with_its_volume(pair: Pair, tmp_path: Path) -> None:
    write_image(tmp_path / "wmh.nii.gz", Image(pair.wmh_flair.data.astype(np.uint8), pair.wmh_flair.affine))
    write_image(tmp_path / "ct.nii.gz", pair.ct)
    sitk.WriteTransform(sitk.CompositeTransform([pair.truth]), str(tmp_path / "t.h5"))
    out = tmp_path / "carried.nii.gz"
    apply_to_file(tmp_path / "wmh.nii.gz", tmp_path / "t.h5", tmp_path / "ct.nii.gz", out, mask=True)
    carried = read_image(out)
    assert set(np.unique(carried.data)) == {0.0, 1.0}
    assert dice(carried.data, pair.wmh_ct.data) > 0.8
    native = volume_ml(pair.wmh_flair.data, pair.wmh_flair.affine)
    assert volume_ml(carried.data, carried.affine) == pytest.approx(native, rel=0.05)


def test_a_ct_is_carried_back_to_the_flair(pair: Pair, tmp_path: Path) -> None:
    write_image(tmp_path / "ct.nii.gz", pair.ct)
    write_image(tmp_path / "flair.nii.gz", pair.flair)
    sitk.WriteTransform(sitk.CompositeTransform([pair.truth]), str(tmp_path / "t.h5"))
    out = tmp_path / "back.nii.gz"
    apply_to_file(tmp_path / "ct.nii.gz", tmp_path / "t.h5", tmp_path / "flair.nii.gz", out, backwards=True)
    back = read_image(out)
    assert back.shape == pair.flair.shape
    assert dice((back.data > 400).astype(float), (pair.flair.data < 30) * (back.data > 200)) > 0.7


def test_the_verb_carries_a_flair_to_the_ct_and_back(pair: Pair, tmp_path: Path) -> None:
    write_image(tmp_path / "ct.nii.gz", pair.ct)
    write_image(tmp_path / "flair.nii.gz", pair.flair)
    sitk.WriteTransform(_bent(pair), str(tmp_path / "t.h5"))

    def carried(image: str, like: str, out: str, *way: str) -> Image:
        files = [str(tmp_path / f"{name}.nii.gz") for name in (image, like, out)]
        how = ["--transform", str(tmp_path / "t.h5"), "--like", files[1], "--out", files[2], *way]
        assert run(["apply-transform", files[0], *how]) == 0
        return read_image(files[2])

    there = carried("flair", "ct", "there")
    assert there.shape == pair.ct.shape
    back = carried("there", "flair", "back", "--inverse")
    inside = ndimage.binary_erosion(pair.inside_flair, iterations=4)
    agreement = np.corrcoef(back.data[inside], ndimage.gaussian_filter(pair.flair.data, 1.0)[inside])[0, 1]
    wrong_way = carried("there", "flair", "wrong")
    assert agreement > 0.9
    assert np.corrcoef(wrong_way.data[inside], pair.flair.data[inside])[0, 1] < 0.6


def test_what_is_no_mask_is_refused(pair: Pair, tmp_path: Path) -> None:
    write_image(tmp_path / "flair.nii.gz", pair.flair)
    sitk.WriteTransform(sitk.CompositeTransform([pair.truth]), str(tmp_path / "t.h5"))
    with pytest.raises(InputError, match="values from 0 to 1"):
        apply_to_file(
            tmp_path / "flair.nii.gz", tmp_path / "t.h5", tmp_path / "flair.nii.gz",
            tmp_path / "out.nii.gz", mask=True,
        )  # fmt: skip


def test_what_is_no_transform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_transform(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not a transform")
    with pytest.raises(InputError, match="not a transform"):
        read_transform(tmp_path / "text.h5")


def test_a_thinned_field_hardly_moves_a_point_and_takes_an_eighth() -> None:
    """Gaussian bumps 10 mm wide on a grid of 2.5 mm, of even and odd size, up to its last voxels."""
    rng = np.random.default_rng(5)
    smooth = [ndimage.gaussian_filter(rng.standard_normal((30, 41, 36)), 4.0) for _ in range(3)]
    vectors = 2.0 * np.stack(smooth, axis=-1) / np.abs(smooth).max()
    field = sitk.GetImageFromArray(vectors, isVector=True)
    field.SetSpacing((2.5, 2.5, 2.5))
    field.SetOrigin((-40.0, 30.0, 7.0))
    field.SetDirection((0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    small = thinned(field)
    assert np.prod(small.GetSize()) == 19 * 21 * 16
    ends = [field.TransformContinuousIndexToPhysicalPoint(p) for p in ((0, 0, 0), (35, 40, 29))]
    points = [field.TransformContinuousIndexToPhysicalPoint(p) for p in rng.uniform(0, 29, (200, 3)).tolist()]
    first, second = (sitk.DisplacementFieldTransform(sitk.Image(x)) for x in (field, small))
    off = [np.subtract(first.TransformPoint(p), second.TransformPoint(p)) for p in [*ends, *points]]
    assert np.linalg.norm(off, axis=1).max() < 0.15


def test_why_a_transform_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A process that may write files of 4,096 bytes only."""
    script = f"""
import resource
from pathlib import Path
import numpy as np
import SimpleITK as sitk
from la_outcomes.errors import ResourceError
from la_outcomes.segmentation.labels.transform_files import write_transform
field = sitk.DisplacementFieldTransform(sitk.GetImageFromArray(np.ones((9, 9, 9, 3)), isVector=True))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_transform(Path({str(tmp_path / "t.h5")!r}), field)
except ResourceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "the transform cannot be written: File too large" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())
