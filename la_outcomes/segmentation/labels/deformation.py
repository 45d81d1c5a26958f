"""The small smooth deformation between a CT and a FLAIR that lies rigidly on it.

The FLAIR is turned into the CT that it predicts (``predicted_ct``); the two are compared by local
correlation within the brain, which a slow change of signal across the head does not disturb. What is
bright on FLAIR, lesion or infarct, is left out: on CT it may be dark or show nothing, and in thick slices
it hides the ventricle's edge, so that it would pull the lesions themselves astray.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from la_outcomes.imaging.geometry import Image, to_sitk
from la_outcomes.segmentation.labels.greedy import run_greedy
from la_outcomes.segmentation.labels.predicted_ct import brain_ct, predicted_ct
from la_outcomes.segmentation.labels.working import Mask, Volume, WorkingScan, blurred

SETTINGS = "-m WNCC 3x3x3 -n 40 -e 0.5 -s 6vox 2vox -wp 0"
BRIGHT = 1.2
BRIGHT_BLUR_MM = 1.5
SHRINKAGE = 0.75
LONGEST_MM = 6.0


def deformation(ct: WorkingScan, flair: WorkingScan) -> sitk.Image:
    """Displacements (LPS mm) on the working grid, from CT points to points of the rigidly carried FLAIR.

    Both scans lie on the CT's working grid. What greedy finds is shortened (``limited``), since a part of
    it is noise.
    """
    return limited(whole_deformation(ct, flair))


def whole_deformation(ct: WorkingScan, flair: WorkingScan) -> sitk.Image:
    """The same as greedy gives it."""
    grid = ct.image
    images = {
        "F": _image(brain_ct(ct), grid),
        "M": _image(predicted_ct(ct, flair), grid),
        "N": _image(comparable(ct, flair), grid),
        "W": None,
    }
    return run_greedy(f"-i F M -gm N {SETTINGS} -o W", images)["W"]


def comparable(ct: WorkingScan, flair: WorkingScan) -> Mask:
    """Where the two scans are compared: both brains, but for the CT's outermost voxels and what is bright."""
    both = ndimage.binary_erosion(ct.mask) & flair.mask
    level = float(np.median(flair.image.data[ct.mask & flair.mask]))
    bright = blurred(flair.image.data, BRIGHT_BLUR_MM) > BRIGHT * level
    return np.asarray(both & ~ndimage.binary_dilation(bright))


def limited(field: sitk.Image) -> sitk.Image:
    """The field with lengths l (mm) turned into 0.75 * 6 tanh(l / 6): three quarters, none above 4.5."""
    vectors = sitk.GetArrayFromImage(field).astype(np.float64)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    factor = SHRINKAGE * np.tanh(length / LONGEST_MM) * LONGEST_MM / np.maximum(length, 1e-9)
    result = sitk.GetImageFromArray(vectors * factor, isVector=True)
    result.CopyInformation(field)
    return result


def thinned(field: sitk.Image) -> sitk.Image:
    """The field at every second voxel, an eighth of the numbers to keep: it is smooth over 5 mm and more."""
    vectors = sitk.GetArrayFromImage(field)
    whole = [(0, (size + 1) % 2) for size in vectors.shape[:3]]
    result = sitk.GetImageFromArray(
        np.pad(vectors, [*whole, (0, 0)], mode="edge")[::2, ::2, ::2], isVector=True
    )
    result.SetOrigin(field.GetOrigin())
    result.SetDirection(field.GetDirection())
    result.SetSpacing([2 * step for step in field.GetSpacing()])
    return result


def jacobian(field: sitk.Image) -> Volume:
    """Determinant of d(point + displacement) / d(point) at each voxel (i, j, k) of a displacement field.

    Displacements (LPS mm) are turned into the grid's own axes first, so that the derivatives are physical
    ones on an oblique grid as well: a pure rotation or shift gives 1.
    """
    displacement = sitk.GetArrayFromImage(field).transpose(2, 1, 0, 3)
    along_axes = displacement @ np.reshape(field.GetDirection(), (3, 3))
    rows = [np.gradient(along_axes[..., axis], *field.GetSpacing()) for axis in range(3)]
    gradient = np.stack([np.stack(list(row), axis=-1) for row in rows], axis=-2)
    return np.asarray(np.linalg.det(gradient + np.eye(3)))


def _image(values: npt.NDArray[Any], grid: Image) -> sitk.Image:
    return to_sitk(Image(np.ascontiguousarray(values, dtype=np.float32), grid.affine))
