"""Where the brain is on CT and on FLAIR, and the intracranial and brain volumes; no outside weights.

Both modalities are brought to an orthogonal grid of 2 mm, so that tilted and thick slices need no case
of their own; the mask is found there by thresholds and morphology and carried back to the scan's grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, orthogonal_grid, resample_to, volume_ml

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.floating[Any]]

GRID_MM = 2.0
BONE_HU = 180.0
TISSUE_HU = (-15.0, 100.0)
INSIDE_SKULL_HU = 400.0
CSF_BELOW_HU = 15.0
SMALLEST_SKULL_ML = 100.0


@dataclass(frozen=True, eq=False)
class Brain:
    """What lies inside the skull, on the scan's own grid.

    ``intracranial`` is boolean (i, j, k): brain, ventricles and the CSF around the brain;
    ``brain_volume_ml`` is None on FLAIR, where CSF and dark tissue are not told apart.
    """

    intracranial: Mask
    icv_ml: float
    brain_volume_ml: float | None


def ct_brain(image: Image) -> Brain:
    """Intracranial mask of a head CT in HU, with or without skull, straight or tilted.

    Soft tissue that bone surrounds on at least four of five sides, cut free of what is outside by an
    erosion of 5 mm and grown back to the inner table. Brain volume leaves out voxels below 15 HU after
    smoothing (CSF). Raises ``InputError`` where nothing of the kind is found.
    """
    smoothed = _smooth(image, 1.0)
    work = _on_work_grid(Image(smoothed, image.affine), outside=-1000.0)
    bone = work.data > BONE_HU
    stripped = bone.sum() * GRID_MM**3 / 1000 < SMALLEST_SKULL_ML
    found = _stripped_ct(work.data) if stripped else _inside_skull(work.data, bone)
    inside = _back(found, work, image)
    icv = volume_ml(inside, image.affine)
    brain = volume_ml(inside & (smoothed > CSF_BELOW_HU), image.affine)
    return Brain(inside, icv, brain)


def flair_brain(image: Image) -> Brain:
    """Intracranial mask of a FLAIR, with or without skull, on its own grid.

    Tissue is what is brighter than half its neighbourhood; the brain is the deepest core that an erosion
    frees from the scalp, grown back over a watershed between core and scalp. Raises ``InputError``
    where nothing of the kind is found.
    """
    work = _on_work_grid(Image(_smooth(image, 0.8), image.affine), outside=0.0)
    level = _levelled(work.data)
    tissue = level > 0.5
    head = np.asarray(ndimage.binary_fill_holes(_eroded(_dilated(_largest(level > 0.25), 6.0), 6.0)))
    core, radius = _free_core(_depth(tissue), _depth(head))
    scalp = (_depth(head) < 5.0) & tissue & ~_dilated(core, radius + 1.0)
    brain = _watershed(_depth(tissue), core, scalp) & tissue & _dilated(core, radius + 3.0)
    inside = _back(_filled(_eroded(_dilated(brain, 10.0), 9.0)), work, image)
    return Brain(inside, volume_ml(inside, image.affine), None)


def _smooth(image: Image, sigma_mm: float) -> Volume:
    sigmas = [sigma_mm / step if step < 2.0 else 0.0 for step in image.spacing_mm]
    return np.asarray(ndimage.gaussian_filter(image.data.astype(np.float32), sigmas))


def _on_work_grid(image: Image, outside: float) -> Image:
    shape, affine = orthogonal_grid(image, GRID_MM)
    return resample_to(image, shape, affine, interpolator="linear", outside=outside)


def _back(mask: Mask, work: Image, image: Image) -> Mask:
    if not mask.any():
        raise InputError("no brain was found in the scan", hint="la-outcomes check tells what the file is")
    soft = Image(mask.astype(np.float32), work.affine)
    carried = resample_to(soft, image.shape, image.affine, interpolator="linear", outside=0.0)
    return np.asarray(carried.data > 0.5)


def _stripped_ct(values: Volume) -> Mask:
    tissue = values > -200.0
    whole = _dilated(_largest(_eroded(tissue, 2.0)), 3.0) & tissue
    return _filled(_eroded(_dilated(whole, 8.0), 8.0))


def _inside_skull(values: Volume, bone: Mask) -> Mask:
    soft = (values > TISSUE_HU[0]) & (values < TISSUE_HU[1])
    soft = ndimage.median_filter(soft.astype(np.uint8), 3) > 0
    candidate = soft & (_sides_with_bone(bone) >= 4)
    core = _largest(_eroded(candidate, 5.0))
    grown = _dilated(core, 7.5) & candidate
    filled = _filled(_eroded(_dilated(grown, 8.0), 8.0) & ~bone)
    return _dilated(filled, 3.0) & (values < INSIDE_SKULL_HU)


def _sides_with_bone(bone: Mask) -> npt.NDArray[np.uint8]:
    """On how many of five sides (right, left, front, back, above) bone is met."""
    count = np.zeros(bone.shape, np.uint8)
    for axis in (0, 1):
        count += np.maximum.accumulate(bone, axis=axis)
        count += np.flip(np.maximum.accumulate(np.flip(bone, axis), axis=axis), axis)
    count += np.flip(np.maximum.accumulate(np.flip(bone, 2), axis=2), 2)
    return count


def _levelled(values: Volume) -> Volume:
    """Signal relative to the tissue within about 20 mm, which takes out the bias field."""
    bright = values > np.percentile(values, 99) * 0.1
    if not bright.any():
        raise InputError("the scan holds no signal")
    middle = float(np.median(values[bright]))
    tissue = values > 0.5 * middle
    total = ndimage.gaussian_filter(np.where(tissue, values, 0.0), 20.0 / GRID_MM)
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), 20.0 / GRID_MM)
    return np.asarray(values / np.maximum(total / np.maximum(weight, 0.05), 0.3 * middle))


def _free_core(tissue_depth: Volume, head_depth: Volume) -> tuple[Mask, float]:
    """The core that the smallest erosion frees from the scalp, and that erosion in mm."""
    core = np.zeros(tissue_depth.shape, bool)
    radius = 4.0
    for radius in (4.0, 5.0, 6.0, 7.0, 8.0, 9.0):
        labels, count = ndimage.label(tissue_depth > radius)
        if count == 0:
            break
        weight = np.bincount(labels.ravel(), weights=head_depth.ravel() ** 2)
        weight[0] = 0
        core = np.asarray(labels == weight.argmax())
        if (core & (head_depth < 6.0)).sum() < 0.002 * core.sum():
            break
    return core, radius


def _watershed(depth: Volume, core: Mask, scalp: Mask) -> Mask:
    import SimpleITK as sitk

    markers = core.astype(np.uint8) + 2 * (scalp & ~core).astype(np.uint8)
    relief = sitk.GetImageFromArray((-depth).astype(np.float32))
    basins = sitk.MorphologicalWatershedFromMarkers(
        relief, sitk.GetImageFromArray(markers), markWatershedLine=False
    )
    return np.asarray(sitk.GetArrayFromImage(basins) == 1)


def _depth(mask: Mask) -> Volume:
    padded = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=GRID_MM)
    return np.asarray(padded)[1:-1, 1:-1, 1:-1]


def _dilated(mask: Mask, radius_mm: float) -> Mask:
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=GRID_MM) <= radius_mm)


def _eroded(mask: Mask, radius_mm: float) -> Mask:
    return _depth(mask) > radius_mm


def _largest(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _filled(mask: Mask) -> Mask:
    slices = [ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])]
    return np.stack(slices, axis=2).astype(bool)
