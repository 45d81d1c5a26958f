"""The small smooth deformation between a CT and a FLAIR that lies rigidly on it.

Greedy's mutual information of what lies inside the skull, in small steps smoothed by 15 mm; half of what it
finds is kept. A deformation that follows more of the difference would also make one patient's FLAIR look
right on another's CT, which quality control must be able to tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from la_outcomes.imaging.geometry import Image, to_sitk
from la_outcomes.segmentation.labels.greedy import run_greedy
from la_outcomes.segmentation.labels.working import Volume, WorkingScan, blurred, blurred_inside

SETTINGS = "-m NMI -n 50 -e 0.5 -s 6vox 2vox"
BLUR_MM = 1.5
FLAIR_BLUR_MM = 1.2
BRIGHTEST = 1.6
DEEP_VOXELS = 2
SHRINKAGE = 0.5
LONGEST_MM = 4.0
_TISSUE_RANGE_HU = (0.0, 45.0)


def deformation(ct: WorkingScan, flair: WorkingScan) -> sitk.Image:
    """Displacements (LPS mm) on the working grid, from CT points to points of the rigidly carried FLAIR.

    Both scans lie on the CT's working grid. What greedy finds is halved, since it is about as much noise as
    difference between the scans, and kept below 2 mm: long displacements arise where one scan ends or shows
    nothing to hold on to.
    """
    return limited(whole_deformation(ct, flair))


def whole_deformation(ct: WorkingScan, flair: WorkingScan) -> sitk.Image:
    """The same as greedy gives it.

    Only what lies 5 mm and more inside the skull is compared: bone beside the brain would draw its edge
    along, since thick CT slices blur it into the brain where the FLAIR has none.
    """
    level = float(np.median(flair.image.data[ct.mask & flair.mask]))
    signal = np.clip(blurred(flair.image.data, FLAIR_BLUR_MM), 0.0, BRIGHTEST * level)
    images = {
        "F": _image(brain_ct(ct), ct.image),
        "M": _image(signal, ct.image),
        "N": _image(ndimage.binary_erosion(ct.mask, iterations=DEEP_VOXELS), ct.image),
        "W": None,
    }
    return run_greedy(f"-i F M -gm N {SETTINGS} -o W", images)["W"]


def brain_ct(ct: WorkingScan) -> Volume:
    """HU inside the skull, blurred without taking in bone."""
    return blurred_inside(np.clip(ct.image.data, *_TISSUE_RANGE_HU), ct.mask, BLUR_MM)


def limited(field: sitk.Image, share: float = SHRINKAGE, longest_mm: float = LONGEST_MM) -> sitk.Image:
    """The field with lengths l (mm) turned into 2 tanh(l / 4): short ones halved, none longer than 2."""
    vectors = sitk.GetArrayFromImage(field).astype(np.float64)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    factor = share * np.tanh(length / longest_mm) * longest_mm / np.maximum(length, 1e-9)
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
