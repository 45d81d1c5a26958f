"""The embedded head: nilearn's packaged MNI152 maps, with a skull and a scalp modelled around them.

The template is skull-stripped and an average, so that heads drawn from it are warps of one brain: good
for a demonstration and for tests, optimistic as a test of accuracy (the report says so).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.simulation.anatomy import TEMPLATE, Anatomy, LabelArray, Tissue, add_fat, centred_affine

_PAD = ((8, 8), (8, 8), (4, 24))
# Outer limit of each shell, mm from the smoothed surface of the brain: a textbook adult vault.
_SHELLS_MM = (
    (2.5, Tissue.CSF),
    (4.0, Tissue.CORTICAL_BONE),
    (7.5, Tissue.CANCELLOUS_BONE),
    (9.0, Tissue.CORTICAL_BONE),
    (14.5, Tissue.MUSCLE),
    (16.5, Tissue.SKIN),
)
_DEEP_GREY_BOX_MM = ((-38.0, 38.0), (-38.0, 26.0), (-14.0, 24.0))


def template_anatomy() -> Anatomy:
    """MNI152 at 1 mm as an ``Anatomy``; its MNI affine is a translation."""
    from nilearn import datasets

    loaders = (
        datasets.load_mni152_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_wm_template,
        datasets.load_mni152_brain_mask,
    )
    images = [loader(resolution=1) for loader in loaders]
    t1, grey, white, mask = (np.pad(np.asarray(im.dataobj, dtype=np.float32), _PAD) for im in images)
    to_mni = np.array(images[0].affine, dtype=np.float64)
    to_mni[:3, 3] -= [low for low, _ in _PAD]
    tissue = _brain(t1, grey, white, mask > 0.5, to_mni)
    tissue = add_fat(_add_shells(tissue, mask > 0.5))
    affine = centred_affine(tissue)
    return Anatomy(TEMPLATE, tissue, np.zeros(tissue.shape, bool), affine, affine @ np.linalg.inv(to_mni))


def _brain(
    t1: npt.NDArray[np.float32],
    grey: npt.NDArray[np.float32],
    white: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_],
    to_mni: npt.NDArray[np.float64],
) -> LabelArray:
    """Tissue classes inside the brain mask, AIR outside."""
    x, y, z = (np.arange(n, dtype=np.float32) + to_mni[a, 3] for a, n in enumerate(mask.shape))
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    inner = ndimage.binary_erosion(mask, iterations=8)
    box = np.ones(mask.shape, bool)
    for axis, (low, high) in zip((x, y, z), _DEEP_GREY_BOX_MM, strict=True):
        box &= (axis >= low) & (axis <= high)
    dark = mask & (t1 < 0.52)
    central = inner & (np.abs(x) < 42) & (y > -62) & (y < 46) & (z > -26) & (z < 34)
    parts, _ = ndimage.label(dark & central & (np.abs(x) < 34))
    seed = parts[np.unravel_index(np.argmin(np.where(dark & box & (z > 10) & (z < 22), t1, 9)), t1.shape)]
    ventricle = (parts == seed) & (seed > 0)
    cerebellum = mask & (y < -38) & (z < -14 - 0.28 * (y + 38) * (y > -60) - 0) & (z < -12)
    result = np.where(mask, np.uint8(Tissue.WHITE), np.uint8(Tissue.AIR))
    result[mask & (grey > white)] = Tissue.CORTEX
    result[dark] = Tissue.CSF
    rim = ndimage.binary_dilation(ventricle, iterations=3) & ~box
    result[rim & (result == Tissue.CORTEX)] = Tissue.WHITE
    deep = box & mask & (grey > 0.3) & (np.abs(x) > 3) & (result != Tissue.CSF)
    result[deep & (ndimage.gaussian_filter(grey, 1.0) > 0.3) & inner] = Tissue.DEEP_GREY
    result[cerebellum & (result == Tissue.CORTEX)] = Tissue.CEREBELLAR_CORTEX
    result[cerebellum & (result == Tissue.WHITE)] = Tissue.CEREBELLAR_WHITE
    stem = mask & (np.abs(x) < 18) & (y > -46) & (y < -12) & (z < -14)
    result[stem & np.isin(result, (Tissue.WHITE, Tissue.CORTEX))] = Tissue.BRAINSTEM
    result[ventricle] = Tissue.VENTRICLE
    return result


def _add_shells(tissue: LabelArray, mask: npt.NDArray[np.bool_]) -> LabelArray:
    """Wrap the brain into CSF, two tables of bone with diploe between, soft tissue and skin."""
    radius = 14
    outside = ndimage.distance_transform_edt(~mask)
    closed = ndimage.distance_transform_edt(outside <= radius) > radius
    smooth = ndimage.gaussian_filter(closed.astype(np.float32), 3.0) > 0.5
    distance = ndimage.distance_transform_edt(~(smooth | mask)).astype(np.float32)
    result = tissue.copy()
    empty = tissue == Tissue.AIR
    result[empty & (distance == 0)] = Tissue.CSF
    lower = 0.0
    for upper, kind in _SHELLS_MM:
        result[empty & (distance > lower) & (distance <= upper)] = kind
        lower = upper
    return result
