"""Scans as coregistration and quality control see them: orthogonal grids of 2.5 mm, dark parts as maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.imaging.geometry import Image, orthogonal_grid, resample_to

GRID_MM = (2.5, 2.5, 2.5)
MARGIN_MM = 12.0
NEAR_BRAIN_MM = 4.0
BRAIN_HU = 28.0
MAP_BLUR_MM = 2.0
_BRAIN_RANGE_HU = (-10.0, 60.0)

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class WorkingScan:
    """A scan and its intracranial mask on an orthogonal working grid."""

    image: Image
    mask: Mask


def working_scan(scan: Image, inside: Mask, *, outside: float) -> WorkingScan:
    """A scan and its mask brought to 2.5 mm, smoothed by what the coarser grid cannot hold."""
    shape, affine = orthogonal_grid(scan, GRID_MM)
    sigmas = [
        np.sqrt(max(target**2 - step**2, 0.0)) / 2.355 / step
        for target, step in zip(GRID_MM, scan.spacing_mm, strict=True)
    ]
    smoothed = Image(ndimage.gaussian_filter(scan.data.astype(np.float32), sigmas), scan.affine)
    image = resample_to(smoothed, shape, affine, interpolator="linear", outside=outside)
    soft = Image(inside.astype(np.float32), scan.affine)
    mask = resample_to(soft, shape, affine, interpolator="linear", outside=0.0).data > 0.5
    return WorkingScan(image, mask)


def cropped(scan: WorkingScan) -> WorkingScan:
    """The part of the grid around the mask, with a margin of 12 mm."""
    places = np.argwhere(scan.mask)
    margin = np.ceil(MARGIN_MM / np.asarray(GRID_MM)).astype(int)
    low = np.maximum(places.min(0) - margin, 0)
    high = np.minimum(places.max(0) + margin + 1, scan.image.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    affine = scan.image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    return WorkingScan(Image(scan.image.data[box], affine), scan.mask[box])


def blurred(values: Volume, sigma_mm: float) -> Volume:
    """Gaussian blur on the working grid."""
    return np.asarray(
        ndimage.gaussian_filter(values.astype(np.float32), [sigma_mm / step for step in GRID_MM])
    )


def blurred_inside(values: Volume, mask: Mask, sigma_mm: float) -> Volume:
    """Blur that takes in nothing from outside the mask; meaningless outside it."""
    weight = blurred(mask.astype(np.float32), sigma_mm)
    return np.asarray(blurred(np.where(mask, values, 0.0), sigma_mm) / np.maximum(weight, 0.05))


def brain_hu(ct: WorkingScan) -> Volume:
    """HU of what lies inside the skull, blurred without taking in bone; 0 outside."""
    values = np.clip(ct.image.data, *_BRAIN_RANGE_HU)
    return np.where(ct.mask, blurred_inside(values, ct.mask, 1.2), 0.0)


def near_brain(scan: WorkingScan) -> Mask:
    """The brain and 4 mm around it."""
    distance = ndimage.distance_transform_edt(~scan.mask, sampling=GRID_MM)
    return np.asarray(distance <= NEAR_BRAIN_MM)


def centre_mm(scan: WorkingScan) -> Volume:
    """Centre of mass of the mask, RAS mm."""
    affine = scan.image.affine
    return np.asarray(affine[:3, :3] @ np.argwhere(scan.mask).mean(0) + affine[:3, 3])


def csf_on_ct(ct: WorkingScan) -> Volume:
    """How dark each place is against brain on CT, 0 (28 HU and more) to 1 (0 HU).

    No threshold parts CSF from brain: in thick slices sulci hardly fall below 20 HU.
    """
    smooth = blurred_inside(np.clip(ct.image.data, 0.0, BRAIN_HU), ct.mask, MAP_BLUR_MM)
    return np.where(ct.mask, 1.0 - smooth / BRAIN_HU, 0.0)


def csf_on_flair(flair: WorkingScan, where: Mask) -> Volume:
    """The same on FLAIR: 0 (the median in ``where``, and brighter) to 1 (no signal)."""
    level = float(np.median(flair.image.data[where]))
    smooth = blurred_inside(np.clip(flair.image.data / level, 0.0, 1.0), flair.mask, MAP_BLUR_MM)
    return np.where(flair.mask, 1.0 - smooth, 0.0)
