"""Head CTs are let through, everything else is told what it is."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_writer import write_series
from imaging_phantoms import ball_values, grid, head, inside, knee, mri, stripped_head, trunk
from scipy.spatial.transform import Rotation

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, is_sheared
from la_outcomes.imaging.head_ct import examine_head
from la_outcomes.imaging.input_checks import check_head_ct, describe, slice_distance_mm
from la_outcomes.imaging.nifti import write_image


def turned(image: Image, degrees: tuple[float, float, float]) -> Image:
    affine = image.affine.copy()
    affine[:3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ affine[:3]
    return Image(image.data, affine)


def padded(image: Image) -> Image:
    """What lies outside the scanner's circle marked with a value that is no HU."""
    i, j = np.indices(image.shape[:2]) - np.reshape(image.shape[:2], (2, 1, 1)) / 2
    outside = np.hypot(i * 2.5, j * 2.6) > 108
    return Image(np.where(outside[..., None], -3024, image.data).astype(np.float32), image.affine)


@pytest.mark.parametrize(
    "image",
    [
        head(),
        head((150, 170, 24), (1.2, 1.3, 8.0)),
        head((90, 100, 95), (2.0, 2.2, 2.0)),
        turned(head(), (14, -6, 8)),
        padded(head()),
    ],
    ids=["usual", "thick", "thin", "oblique", "padded"],
)
def test_heads_pass(image: Image) -> None:
    assert check_head_ct(image) is None


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (14.0, -6.0, 8.0)])
def test_the_slices_of_a_tilted_scan_are_told_apart_from_its_pixels(turn: tuple[float, float, float]) -> None:
    affine = np.diag([0.5, 0.5, 5.0, 1.0])
    affine[1, 2] = 0.15
    image = turned(Image(np.zeros((4, 4, 4), np.float32), affine), turn)
    assert slice_distance_mm(image) == pytest.approx(5.0)


@pytest.mark.parametrize("background", [0.0, -1000.0, -1024.0])
def test_a_skull_stripped_ct_passes_with_a_note(background: float) -> None:
    findings = examine_head(stripped_head(background))
    assert (findings.reason, findings.modality) == (None, "CT without skull")
    assert "skull has been removed" in findings.notes[0]


def test_a_skull_with_a_hole_still_holds_a_head() -> None:
    """A craniectomy, or orbits that open the ring of bone in a slice."""
    image = head()
    world, _ = grid(image.shape, (2.5, 2.6, 5.0))
    hole = (world[1] > 30) & (np.abs(world[0]) < 40) & (image.data > 500)
    assert check_head_ct(Image(np.where(hole, 20.0, image.data), image.affine)) is None


def changed(image: Image, **slices: slice) -> Image:
    return Image(image.data[slices.get("i", slice(None)), :, slices.get("k", slice(None))], image.affine)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (mri(), "not CT"),
        (Image(head().data * 0 + 5, np.eye(4)), "one constant value"),
        (Image(np.where(head().data > 800, np.nan, head().data), head().affine), "not numbers"),
        (Image(head().data + 1024, head().affine), "rescale intercept"),
        (Image(np.clip(head().data, 0, 80), head().affine), "cut off at 80"),
        (Image(np.random.default_rng(0).normal(0, 300, (40, 40, 40)), np.eye(4) * 4), "not CT|no head"),
        (knee(), "no head found"),
        (trunk(), "no head found"),
        (changed(head(), k=slice(16, 22)), "too few slices"),
        (head((72, 84, 12), (2.5, 2.6, 20.0)), "mm apart"),
        (changed(head(), k=slice(2, 14)), "brain not covered|no head found"),
        (changed(head(), k=slice(0, 22)), "top of the brain is cut off"),
        (Image(head().data, head().affine * [[0.3], [0.3], [0.3], [1]]), "brain not covered|no head found"),
        (Image(head().data[:3, :2, :9], head().affine), "."),
    ],
)
def test_others_are_refused(image: Image, why: str) -> None:
    reason = check_head_ct(image)
    assert reason is not None
    assert re.search(why, reason), reason


def test_a_ball_of_water_a_solid_head_and_an_empty_skull_are_no_head() -> None:
    world, affine = grid((72, 84, 40), (2.5, 2.6, 5.0))
    assert "no bone encloses" in str(check_head_ct(Image(ball_values(world), affine)))
    noise = np.random.default_rng(4).normal(0, 4, world.shape[1:])
    plastic = np.where(head().data > -500, 85 + noise, head().data)
    assert "no bone encloses" in str(check_head_ct(Image(plastic, affine)))
    hollow = np.where((head().data > -30) & (head().data < 60), -1000 + noise, head().data)
    assert check_head_ct(Image(hollow, affine)) is not None


def test_an_anthropomorphic_phantom_of_plastic_is_no_brain() -> None:
    """Bone around the right volume of the right HU, but nothing inside differs from anything else."""
    image, (world, _) = head(), grid((72, 84, 40), (2.5, 2.6, 5.0))
    noise = np.random.default_rng(4).normal(0, 4, image.shape)
    uniform = np.where(inside(world, (70, 90, 80)), 32 + noise, image.data)
    assert "plastic phantom" in str(check_head_ct(Image(uniform, image.affine)))
    stripped = np.where(inside(world, (70, 90, 80)), 32 + noise, 0)
    assert "plastic phantom" in str(check_head_ct(Image(stripped, image.affine)))


def test_a_tilted_file_is_described_and_used(tmp_path: Path) -> None:
    image = head()
    affine = image.affine.copy()
    affine[1, 2] = np.tan(np.radians(12)) * 5
    assert is_sheared(affine)
    description = describe(write_image(tmp_path / "a.nii.gz", Image(image.data, affine)))
    assert description.usable
    assert "gantry tilt 12.0 degrees" in description.text
    assert "can be used" in description.text


def test_bad_files_become_reasons(tmp_path: Path) -> None:
    four = tmp_path / "four.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 3), np.float32), np.eye(4)), four)
    assert "4 axes" in describe(four).text
    (tmp_path / "a.nii").write_bytes(b"rubbish")
    assert not describe(tmp_path / "a.nii").usable
    with pytest.raises(InputError, match="no such file"):
        describe(tmp_path / "none.nii")


def test_a_flair_is_usable_as_flair_only(tmp_path: Path) -> None:
    flair = write_image(tmp_path / "f.nii.gz", mri())
    assert not describe(flair).usable
    assert describe(flair, "FLAIR").usable
    ct = write_image(tmp_path / "c.nii.gz", head())
    assert describe(ct, "FLAIR").reasons == ("this is a CT",)
    mask = write_image(tmp_path / "m.nii.gz", Image((mri().data > 0).astype(np.uint8), mri().affine))
    assert "mask" in describe(mask, "FLAIR").reasons[0]


def test_check_on_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "c.nii.gz", head())
    assert run(["check", str(tmp_path / "c.nii.gz")]) == 0
    assert "c.nii.gz: can be used" in capfd.readouterr().out
    write_image(tmp_path / "m.nii.gz", mri())
    assert run(["check", str(tmp_path)]) == 3
    said = capfd.readouterr()
    assert "m.nii.gz: cannot be used: not CT" in said.out
    assert "1 of 2 cannot be used" in said.err


def test_check_of_a_dicom_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_series(tmp_path / "in", np.arange(30) * 5.0, tilt_deg=10)
    assert run(["check", str(tmp_path / "in")]) == 0
    assert "gantry tilted by 10.0 degrees" in capfd.readouterr().out
    assert run(["check", str(tmp_path / "in"), "--modality", "FLAIR"]) == 3
    (tmp_path / "empty").mkdir()
    assert run(["check", str(tmp_path / "empty")]) == 3
