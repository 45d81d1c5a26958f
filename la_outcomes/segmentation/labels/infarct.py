"""Where an infarct lies when nobody has drawn it: bright on FLAIR or dark on CT, on one side only.

White-matter hyperintensity is much the same on both sides; an infarct is not. The head is mirrored about
the plane that makes the CT's brain most like its own mirror image, and each place is compared with its
counterpart: signal on FLAIR (as a multiple of the brain's median) and HU on CT, smoothed by 4 mm. What
differs and is itself bright on FLAIR becomes an infarct where it forms one piece of at least 1.5 mL that
differs much: by less, WMH that are unlike on the two sides would be taken for one. Small infarcts, infarcts
of both sides, those that only one of the scans shows, and what is dark on FLAIR (very early infarcts, cores
of old ones, which no WMH tool marks) are not found; give a mask from DWI where there is one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.labels.coregistration import (
    Coregistration,
    affine_transform,
    align,
    carry,
)
from la_outcomes.segmentation.labels.working import (
    Mask,
    Volume,
    WorkingScan,
    blurred,
    blurred_inside,
    brain_hu,
    centre_mm,
)

SMOOTH_MM = 4.0
FLAIR_UNIT = 0.2
CT_UNIT_HU = 5.0
CANDIDATE = 1.2
BRIGHT = 1.2
BRIGHT_BLUR_MM = 1.5
SMALLEST_ML = 1.5
CERTAIN = 2.5
MIDLINE_MM = 6.0
MIRROR = "-m NCC 2x2x2 -n 30"

Matrix = npt.NDArray[np.float64]


def find_infarct(found: Coregistration, ct: Image) -> Volume:
    """Share (0..1) of each voxel of ``ct`` that is taken for infarct; empty where there is none."""
    seen = infarct_on_working_grid(found)
    grid = found.ct.image
    return carry(Image(seen.astype(np.float32), grid.affine), ct, affine_transform(np.eye(4))).data


def infarct_on_working_grid(found: Coregistration) -> Mask:
    """The same on the grid of ``found.ct``."""
    evidence, aside = _evidence(found)
    brain = found.ct.mask & found.flair.mask
    level = float(np.median(found.flair.image.data[brain]))
    bright = blurred(found.flair.image.data, BRIGHT_BLUR_MM) > BRIGHT * level
    labels, count = ndimage.label(brain & aside & bright & (evidence > CANDIDATE))
    result = np.zeros(labels.shape, bool)
    if count == 0:
        return result
    voxel_ml = found.ct.image.voxel_volume_ml
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        piece = labels[box] == number
        if piece.sum() * voxel_ml >= SMALLEST_ML and np.median(evidence[box][piece]) > CERTAIN:
            result[box] |= piece
    return result


def _evidence(found: Coregistration) -> tuple[Volume, Mask]:
    """How much brighter on FLAIR and darker on CT than the other side, in units; and what is off midline."""
    mirror = mirror_matrix(found.ct)
    brain = found.ct.mask & found.flair.mask
    level = float(np.median(found.flair.image.data[brain]))
    flair = np.clip(found.flair.image.data / level, 0.0, 2.0)
    hu = np.clip(found.ct.image.data, 0.0, 45.0)
    total: Volume = np.zeros(brain.shape, np.float32)
    for values, mask, unit in ((flair, found.flair.mask, FLAIR_UNIT), (-hu, found.ct.mask, CT_UNIT_HU)):
        smooth = blurred_inside(values, mask, SMOOTH_MM)
        other = carry(Image(smooth.astype(np.float32), found.ct.image.affine), found.ct.image,
                      affine_transform(mirror)).data  # fmt: skip
        total = total + np.clip((smooth - other) / unit, -1.0, 3.0)
    both = brain & (_mirrored_mask(brain, found.ct.image, mirror))
    return np.where(both, total, 0.0), _off_midline(found.ct.image, mirror)


def _mirrored_mask(mask: Mask, grid: Image, mirror: Matrix) -> Mask:
    soft = Image(mask.astype(np.float32), grid.affine)
    return np.asarray(carry(soft, grid, affine_transform(mirror)).data > 0.5)


def _off_midline(grid: Image, mirror: Matrix) -> Mask:
    index = np.moveaxis(np.indices(grid.shape, dtype=np.float32), 0, -1)
    points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    apart = np.linalg.norm(points @ (mirror[:3, :3] - np.eye(3)).T + mirror[:3, 3], axis=-1)
    return np.asarray(apart > 2 * MIDLINE_MM)


def mirror_matrix(ct: WorkingScan) -> Matrix:
    """Each point's counterpart on the other side (4x4, RAS mm): a reflection, then a rigid fit to itself."""
    affine = ct.image.affine
    turned = np.diag([-1.0, 1.0, 1.0, 1.0])
    turned[0, 3] = ct.image.shape[0] - 1
    reflection = affine @ turned @ np.linalg.inv(affine)
    brain = brain_hu(ct).astype(np.float32)
    start = np.eye(4)
    middle = centre_mm(ct)
    start[:3, 3] = reflection[:3, :3] @ middle + reflection[:3, 3] - middle
    there = Image(np.ascontiguousarray(brain[::-1]), affine)
    return np.asarray(reflection @ align(MIRROR, Image(brain, affine), there, start))
