"""White-matter hyperintensity on FLAIR: from a given mask, or by a classical method as a fall-back.

The classical method levels the signal to that of white matter, keeps what is clearly brighter, and leaves
out the cortex by its distance from the brain's surface and specks by their size. It has no training and
no claim beyond its Dice in ``docs/labels.md``; a validated tool's mask is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_mask
from la_outcomes.segmentation.labels.wmh_tool import WmhTool

CLASSICAL_VERSION = "1"
LEVEL_MM = 22.0
DEEP_MM = 14.0
THRESHOLD = 1.28
BRIGHT_THRESHOLD = 1.5
SURFACE_MM = 5.0
SOFTNESS = 0.05
DENOISE_MM = 0.8
SMALLEST_ML = 0.03

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Wmh:
    """A soft WMH map (0..1) on the FLAIR's grid, its volume in mL, and where it came from."""

    soft: Image
    volume_ml: float
    source: str
    version: str


def wmh_from_mask(path: Path, flair: Image, tool: WmhTool | None = None) -> Wmh:
    """The mask of another tool or of a person; binary or soft, on the FLAIR's grid.

    ``tool`` says what made it. Raises ``InputError`` for another grid or values outside 0..1.
    """
    mask = read_mask(path, flair)
    volume = volume_ml(mask.data, mask.affine)
    return Wmh(
        Image(mask.data.astype(np.float32), mask.affine),
        volume,
        "mask",
        f"{tool.name} {tool.version}" if tool else "given",
    )


def classical_wmh(flair: Image, inside: Mask, infarct: Mask | None = None) -> Wmh:
    """WMH by intensity relative to white matter.

    ``inside`` is the intracranial mask on the FLAIR's grid; ``infarct`` is left out where given. Soft
    values are the logistic of signal relative to white matter around the threshold (1.33), so that edges
    keep their partial volume. Raises ``InputError`` where there is no white matter to compare with.
    """
    relative = np.where(inside, relative_to_white_matter(flair, inside), 0.0)
    surface = _depth_mm(inside, flair.spacing_mm)
    least = np.where(surface > DEEP_MM, THRESHOLD, BRIGHT_THRESHOLD)
    candidate = inside & (surface > SURFACE_MM) & (_denoised(relative, flair) > least)
    if infarct is not None:
        candidate &= ~infarct
    kept = _without_specks(candidate, flair)
    reach = ndimage.binary_dilation(kept, iterations=1) & inside
    if infarct is not None:
        reach &= ~infarct
    soft = np.where(reach, 1.0 / (1.0 + np.exp(-(relative - THRESHOLD) / SOFTNESS)), 0.0)
    image = Image(soft.astype(np.float32), flair.affine)
    return Wmh(image, volume_ml(image.data, image.affine), "classical", CLASSICAL_VERSION)


def relative_to_white_matter(flair: Image, inside: Mask) -> Volume:
    """Signal as a multiple of white matter's, slow changes of the coil taken out.

    ``inside`` (a rough intracranial mask) says where white matter is looked for; what lies outside it is
    levelled too, and far from it divided by white matter's overall signal. Raises ``InputError`` where
    there is no white matter to compare with.
    """
    values = flair.data.astype(np.float32)
    deep = inside & (_depth_mm(inside, flair.spacing_mm) > 12.0)
    if np.count_nonzero(deep) < 100:
        raise InputError("the brain on the FLAIR is too small to know its white matter")
    white = _white_matter(values[deep])
    sample = inside & (values > 0.8 * white) & (values < 1.15 * white)
    sigmas = [LEVEL_MM / step for step in flair.spacing_mm]
    total = ndimage.gaussian_filter(np.where(sample, values, 0.0), sigmas)
    weight = ndimage.gaussian_filter(sample.astype(np.float32), sigmas)
    local = np.where(weight > 0.02, total / np.maximum(weight, 0.02), white)
    return np.asarray(values / local)


def _white_matter(values: Volume) -> float:
    """Signal of white matter in deep brain, where it is most of what is not CSF (35th percentile)."""
    tissue = values[values > 0.5 * np.median(values)]
    return float(np.percentile(tissue, 35))


def _denoised(relative: Volume, flair: Image) -> Volume:
    sigmas = [DENOISE_MM / step if step < 2.0 else 0.0 for step in flair.spacing_mm]
    return np.asarray(ndimage.gaussian_filter(relative, sigmas))


def _without_specks(mask: Mask, flair: Image) -> Mask:
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel()) * flair.voxel_volume_ml
    sizes[0] = 0.0
    return np.asarray(sizes[labels] >= SMALLEST_ML)


def _depth_mm(mask: Mask, spacing_mm: Volume) -> Volume:
    padded = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)
    return np.asarray(padded)[1:-1, 1:-1, 1:-1]
