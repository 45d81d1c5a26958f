"""Is this a CT and a FLAIR of one head, fit to be paired? Refusals and warnings, in plain words."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.head_ct import FEWEST_SLICES, guess_modality
from la_outcomes.imaging.input_checks import check_head_ct
from la_outcomes.segmentation.labels.coregistration import Coregistration
from la_outcomes.segmentation.labels.working import GRID_MM, Mask, blurred_inside

BLOOD_HU = 85.0
BONE_HU = 300.0
FROM_BONE_MM = 5.0
CONTRAST_ML = 12.0
TISSUE_HU = (26.0, 42.0)
SHORTEST_FLAIR_MM = 70.0
T1_CORRELATION = -0.05


def check_pair(ct: Image, flair: Image) -> None:
    """Raise ``InputError`` where either scan cannot be what the table of pairs says it is."""
    ct_is_ct, flair_is_ct = (guess_modality(image)[0] == "CT" for image in (ct, flair))
    if flair_is_ct:
        swapped = "" if ct_is_ct else ", and the CT is none: the two are swapped"
        raise InputError(f"the FLAIR is a CT{swapped}", hint="look at ct_path and flair_path")
    reason = check_head_ct(ct)
    if reason is not None:
        raise InputError(f"the CT cannot be used: {reason}", hint="la-outcomes check tells what a file is")
    _check_flair(flair)


def _check_flair(flair: Image) -> None:
    low, high = float(flair.data.min()), float(flair.data.max())
    if low == high:
        raise InputError(f"the FLAIR is one constant value, {low:g}")
    if len(np.unique(flair.data[:: max(flair.shape[0] // 32, 1)])) < 20:
        raise InputError("the FLAIR holds fewer than 20 different values: a mask or label map")
    if min(flair.shape) < FEWEST_SLICES:
        raise InputError(
            f"the FLAIR has too few slices: {min(flair.shape)}, at least {FEWEST_SLICES} are needed"
        )
    extent = float((np.array(flair.shape) * flair.spacing_mm).min())
    if extent < SHORTEST_FLAIR_MM:
        raise InputError(f"the FLAIR does not cover the brain: it is only {extent:.0f} mm wide in one way")


def contrast_warning(ct: Image, inside: Mask) -> str | None:
    """A warning where vessels are brighter than blood without contrast medium, away from bone."""
    bone = ct.data > BONE_HU
    near = ndimage.distance_transform_edt(~bone, sampling=ct.spacing_mm) if bone.any() else np.inf
    bright = inside & (ct.data > BLOOD_HU) & ~bone & (near > FROM_BONE_MM)
    volume = float(bright.sum()) * ct.voxel_volume_ml
    if volume < CONTRAST_ML:
        return None
    return f"the CT seems to have contrast medium: {volume:.0f} mL inside the skull above {BLOOD_HU:g} HU"


def grey_white_agreement(found: Coregistration) -> float:
    """Correlation of FLAIR signal with HU in brain of 26 to 42 HU, each less its neighbourhood's mean.

    Grey matter is brighter than white on CT and on FLAIR, so that it is positive; on T1 it is negative.
    """
    brain = found.ct.mask & found.flair.mask
    hu = blurred_inside(np.clip(found.ct.image.data, 0, 60), found.ct.mask, GRID_MM[0])
    signal = blurred_inside(found.flair.image.data, found.flair.mask, GRID_MM[0])
    where = ndimage.binary_erosion(brain, iterations=2) & (hu > TISSUE_HU[0]) & (hu < TISSUE_HU[1])
    if where.sum() < 1000:
        return 0.0
    first, second = (values[where] - _local_mean(values, where)[where] for values in (hu, signal))
    return float(np.corrcoef(first, second)[0, 1])


def _local_mean(values: np.ndarray, where: Mask) -> np.ndarray:
    return blurred_inside(values, where, 4 * GRID_MM[0])


def t1_warning(found: Coregistration) -> str | None:
    """A warning where white matter is brighter than grey, as on T1."""
    agreement = grey_white_agreement(found)
    if agreement > T1_CORRELATION:
        return None
    return f"white matter is brighter than grey (r {agreement:.2f} with CT): a T1 in place of the FLAIR?"
