"""Where the inside of the skull is on CT and on FLAIR, and its volume; no outside weights.

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
INSIDE_SKULL_HU = 450.0
SMALLEST_SKULL_ML = 100.0
CORE_LEVEL = 0.72
TISSUE_LEVEL = 0.55
BRAIN_HEIGHT_MM = 165.0
UPPER_BRAIN_MM = 100.0
DEEP_MM = 20.0
LARGEST_BRAIN_ML = 2150.0
FAINTEST_CSF = 0.18
OUTER_LEVEL = 0.4
TABLE_MM = 5.0
WIDEST_FLUID_MM = 12.0
VAULT_MM = 90.0
COIL_MM = 30.0


@dataclass(frozen=True, eq=False)
class Brain:
    """What lies inside the skull, on the scan's own grid.

    ``intracranial`` is boolean (i, j, k): brain, ventricles and the CSF around the brain. The brain's own
    volume is not given: near the inner table of thick slices bone makes CSF as bright as brain, so that
    every threshold tried was 15 to 30 % too high on simulated heads.
    """

    intracranial: Mask
    icv_ml: float


def ct_brain(image: Image) -> Brain:
    """Intracranial mask of a head CT in HU, with or without skull, straight or tilted.

    Soft tissue that bone surrounds on at least four of five sides, cut free of what is outside by an
    erosion of 5 mm and grown back to the inner table. Raises ``InputError`` where nothing of the kind is
    found.
    """
    work = _on_work_grid(Image(_smooth(image, 1.0), image.affine), outside=-1000.0)
    bone = work.data > BONE_HU
    if bone.sum() * GRID_MM**3 / 1000 < SMALLEST_SKULL_ML:
        found, work = _stripped_ct(image)
    else:
        found = _inside_skull(work.data, bone)
    inside = _back(found, work, image)
    return Brain(inside, volume_ml(inside, image.affine))


def flair_brain(image: Image) -> Brain:
    """Intracranial mask of a FLAIR, with or without skull, on its own grid.

    Tissue is what is nearly as bright as white matter; the brain is the deepest core that an erosion
    frees from the scalp, grown back over a watershed between core and scalp. CSF that lies between brain
    and skull is as dark as bone on FLAIR: up to 5 mm of it are taken in. Raises ``InputError`` where
    nothing of the kind is found.
    """
    work = _on_work_grid(Image(_smooth(image, 0.8), image.affine), outside=0.0)
    head = _head(work.data)
    if head.sum() * GRID_MM**3 / 1000 < LARGEST_BRAIN_ML:
        whole = _back(_stripped_flair(work.data, head), work, image)
        return Brain(whole, volume_ml(whole, image.affine))
    head_depth = _depth(head)
    level = _levelled(work.data, head_depth)
    core, radius = _free_core(_depth(level > CORE_LEVEL), head_depth)
    tissue = level > TISSUE_LEVEL
    scalp = (head_depth < 5.0) & tissue & ~_dilated(core, radius + 1.0)
    brain = _watershed(_depth(tissue), core, scalp) & tissue & _dilated(core, radius + 3.0)
    grown = _with_dark_fluid(_eroded(_dilated(brain, 10.0), 9.0), level)
    inside = _back(_filled(grown), work, image)
    return Brain(inside, volume_ml(inside, image.affine))


def _with_dark_fluid(brain: Mask, level: Volume) -> Mask:
    """The brain and the fluid over it: what is dark up to 5 mm from marrow or scalp, under the vault."""
    outer = (level > OUTER_LEVEL) & ~_dilated(brain, 2.0)
    far_from_outer = ~_dilated(outer, TABLE_MM)
    fluid = _dilated(brain, WIDEST_FLUID_MM) & (level < OUTER_LEVEL) & far_from_outer
    slices = np.flatnonzero(brain.any(axis=(0, 1)))
    fluid[:, :, : max(int(slices[-1] - VAULT_MM / GRID_MM), 0)] = False
    return np.asarray(_eroded(_dilated(brain | fluid, 4.0), 4.0)) | brain


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


def _stripped_ct(image: Image) -> tuple[Mask, Image]:
    """Everything but the background, which is air or one value (mostly 0) around the brain; its grid."""
    background = float(np.median(image.data[[0, -1]]))
    tissue = image.data > -200.0 if background < -200.0 else image.data != background
    work = _on_work_grid(Image(tissue.astype(np.float32), image.affine), outside=0.0)
    brain = work.data > 0.5
    whole = _dilated(_largest(_eroded(brain, 2.0)), 3.0) & brain
    return _filled(_eroded(_dilated(whole, 6.0), 6.0)), work


def _inside_skull(values: Volume, bone: Mask) -> Mask:
    soft = (values > TISSUE_HU[0]) & (values < TISSUE_HU[1])
    soft = ndimage.median_filter(soft.astype(np.uint8), 3) > 0
    candidate = soft & (_sides_with_bone(bone) >= 4)
    core = _largest(_eroded(candidate, 5.0))
    grown = _dilated(core, 7.5) & candidate
    filled = _filled(_eroded(_dilated(grown, 8.0), 8.0) & ~bone)
    return _dilated(filled, 3.5) & (values < INSIDE_SKULL_HU)


def _sides_with_bone(bone: Mask) -> npt.NDArray[np.uint8]:
    """On how many of five sides (right, left, front, back, above) bone is met."""
    count = np.zeros(bone.shape, np.uint8)
    for axis in (0, 1):
        count += np.maximum.accumulate(bone, axis=axis)
        count += np.flip(np.maximum.accumulate(np.flip(bone, axis), axis=axis), axis)
    count += np.flip(np.maximum.accumulate(np.flip(bone, 2), axis=2), 2)
    return count


def _head(values: Volume) -> Mask:
    """Everything inside the skin, down to where a brain can reach from the vertex."""
    bright = values > 0.1 * np.percentile(values, 99)
    if not bright.any():
        raise InputError("the scan holds no signal")
    skin = _largest(values > 0.25 * float(np.median(values[bright])))
    head = np.asarray(ndimage.binary_fill_holes(_eroded(_dilated(skin, 6.0), 6.0)))
    slices = np.flatnonzero(head.any(axis=(0, 1)))
    head[:, :, : max(int(slices[-1] - BRAIN_HEIGHT_MM / GRID_MM), 0)] = False
    return head


def _stripped_flair(values: Volume, head: Mask) -> Mask:
    """A brain without skull: all that is brighter than the background's noise, as dark as CSF may be."""
    white = float(np.median(values[head]))
    tissue = _largest(values > FAINTEST_CSF * white)
    return np.asarray(ndimage.binary_fill_holes(_eroded(_dilated(tissue, 6.0), 6.0)))


def _levelled(values: Volume, head_depth: Volume) -> Volume:
    """Signal relative to white matter, slow changes of the coil taken out."""
    top = int(np.flatnonzero(head_depth.any(axis=(0, 1)))[-1])
    deep = head_depth > DEEP_MM
    deep[:, :, : max(int(top - UPPER_BRAIN_MM / GRID_MM), 0)] = False
    if not deep.any():
        raise InputError("no brain was found in the scan", hint="la-outcomes check tells what the file is")
    bright = values[deep & (values > 0.5 * np.percentile(values[deep], 90))]
    white = float(np.median(bright))
    tissue = (values > 0.75 * white) & (values < 1.35 * white) & (head_depth > 10.0)
    total = ndimage.gaussian_filter(np.where(tissue, values, 0.0), COIL_MM / GRID_MM)
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), COIL_MM / GRID_MM)
    local = np.where(weight > 0.05, total / np.maximum(weight, 0.05), white)
    return np.asarray(values / np.clip(local, 0.75 * white, 1.35 * white))


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
    box = _box(mask, int(np.ceil(radius_mm / GRID_MM)))
    grown = np.zeros(mask.shape, bool)
    grown[box] = ndimage.distance_transform_edt(~mask[box], sampling=GRID_MM) <= radius_mm
    return grown


def _eroded(mask: Mask, radius_mm: float) -> Mask:
    if not mask.any():
        return mask
    box = _box(mask, 0)
    shrunk = np.zeros(mask.shape, bool)
    shrunk[box] = _depth(mask[box]) > radius_mm
    return shrunk


def _box(mask: Mask, margin: int) -> tuple[slice, ...]:
    """The part of the grid that holds the mask, with a margin in voxels."""
    found = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(found, mask.shape, strict=True)
    )


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
