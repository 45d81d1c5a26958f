"""Headers that lie: each was met by the corpus of faults or by a fuzzer, and is now a plain error."""

from __future__ import annotations

import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from imaging_phantoms import head

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, lean_deg
from la_outcomes.imaging.input_checks import check_head_ct
from la_outcomes.imaging.nifti import read_image, write_image


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [(42, "<h", -5), (46, "<h", -1), (108, "<f", float("inf")), (108, "<f", float("nan"))],
)
def test_absurd_headers_are_errors(tmp_path: Path, offset: int, form: str, value: float) -> None:
    path = write_image(tmp_path / "x.nii", head(), dtype=np.int16)
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, offset, value)
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_image(path)


def test_more_voxels_than_any_head_has_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = write_image(tmp_path / "x.nii", head(), dtype=np.int16)
    content = bytearray(path.read_bytes())
    struct.pack_into("<3h", content, 42, 1000, 1000, 900)
    path.write_bytes(content)
    with pytest.raises(InputError, match="must be wrong"):
        read_image(path)


@pytest.mark.parametrize("tilt", [4.0, 15.0])
def test_a_tilt_that_a_converter_left_half_said_is_noticed(tmp_path: Path, tilt: float) -> None:
    """dcm2niix writes a sheared sform and sets a qform too where it cannot correct a tilt (unsigned data)."""
    image = head()
    affine = image.affine.copy()
    affine[1, 2] = np.tan(np.radians(tilt)) * 5
    file = nib.Nifti1Image(image.data, affine)
    file.set_qform(affine, 1)
    file.set_sform(affine, 1)
    nib.save(file, tmp_path / "x.nii.gz")
    with pytest.raises(InputError, match=r"contradict|leans") as error:
        read_image(tmp_path / "x.nii.gz")
    assert "la-outcomes convert" in str(error.value)
    file.set_qform(None, 0)
    nib.save(file, tmp_path / "x.nii.gz")
    assert lean_deg(read_image(tmp_path / "x.nii.gz").affine) == pytest.approx(tilt, abs=0.1)


def test_no_gantry_tilts_by_eighty_degrees() -> None:
    image = head()
    affine = image.affine.copy()
    affine[0, 2] = 30
    assert "more than any gantry" in str(check_head_ct(Image(image.data, affine)))


def test_an_image_of_a_kilometre_is_refused() -> None:
    image = head()
    assert "m wide" in str(check_head_ct(Image(image.data, image.affine * [[1e6], [1e6], [1], [1]])))
