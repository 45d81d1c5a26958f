"""Whether an image is a head CT that can be measured, in plain words, from its values and shape alone.

What is looked for on a grid of about 3 mm: air near -1000 HU and soft tissue near 0-80 HU (Hounsfield
scale), then a brain-like space of the size of a cranium with bone around most of it; or, for
a skull-stripped CT, brain-like values on one constant background. Limits are wide on purpose: they tell
heads from other things, not good scans from poor ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.imaging.geometry import Image, lean_deg, orthogonal_grid, resample_to, volume_ml

Volume = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Modality = Literal["CT", "CT without skull", "not CT"]

FEWEST_SLICES = 8
THICKEST_SLICE_MM = 10.5
STEEPEST_TILT_DEG = 40.0
LARGEST_IMAGE_MM = 2500.0
GRID_MM = 3.0
BONE_HU = 180.0
BRAIN_HU = (-10.0, 90.0)
MEDIAN_BRAIN_HU = (15.0, 55.0)
SMALLEST_CRANIUM_ML = 500.0
LARGEST_CRANIUM_ML = 2400.0
SHORTEST_BRAIN_MM = 70.0
LARGEST_HEAD_CM2 = 520.0
SMALLEST_SHARE = 0.02
LARGEST_CLIPPED_SHARE = 0.03
OPEN_TOP_SHARE = 0.6
NEAR_BONE_MM = 9.0
ENCLOSED_SHARE = 0.6
# 5th to 95th percentile, smoothed over 9 mm: 9.8 to 22 HU in simulated heads, 23 in a real one, noise alone 2
SMALLEST_CONTRAST_HU = 5.0


@dataclass(frozen=True)
class HeadFindings:
    """What was seen: ``reason`` why the image cannot be measured as a head CT (None = it can), notes."""

    modality: Modality
    reason: str | None
    notes: tuple[str, ...] = ()


def examine_head(image: Image) -> HeadFindings:
    """Look at an image as a head CT: modality, reason not measurable, notes worth a warning."""
    if not np.isfinite(image.data).all():
        return HeadFindings("not CT", "the image holds values that are not numbers")
    low, high = float(image.data.min()), float(image.data.max())
    if low == high:
        return HeadFindings("not CT", f"the image is one constant value, {low:g}")
    modality, reason = guess_modality(image)
    if reason is None:
        reason = _slices_reason(image)
    if reason is not None:
        return HeadFindings(modality, reason)
    background = _corner_value(image.data)
    coarse = _coarse(image, outside=background)
    if modality == "CT":
        return HeadFindings(modality, *_head_with_skull(coarse))
    return HeadFindings(modality, *_head_without_skull(coarse, background))


def guess_modality(image: Image) -> tuple[Modality, str | None]:
    """CT by its Hounsfield scale, CT without skull by brain values on one background, or why neither."""
    values = image.data
    clipped = float((values == values.max()).mean())
    if clipped > LARGEST_CLIPPED_SHARE:
        return "not CT", f"values are cut off at {values.max():g}: a picture, not a measurement"
    if _looks_stripped(values):
        return "CT without skull", None
    air = float((values < -850).mean())
    soft = float(((values > -50) & (values < 100)).mean())
    if min(air, soft) > SMALLEST_SHARE:
        return "CT", None
    if values.min() >= 0 and air == 0 and _water_at_1024(values):
        return "not CT", "not in Hounsfield units: water lies near 1024, the rescale intercept is missing"
    return "not CT", "not CT: values are not on the Hounsfield scale (air near -1000, brain near 30)"


def _water_at_1024(values: Volume) -> bool:
    shifted = values - 1024
    air = float((shifted < -850).mean())
    return min(air, float(((shifted > -50) & (shifted < 100)).mean())) > SMALLEST_SHARE


def _corner_value(values: Volume) -> float:
    """What lies at most of the image's eight corners: the background where there is one."""
    return float(
        np.median(values[:: max(values.shape[0] - 1, 1), :: max(values.shape[1] - 1, 1)][:, :, [0, -1]])
    )


def _looks_stripped(values: Volume) -> bool:
    """Brain-like values, nothing like bone or scalp, on at least a fifth of one background value."""
    background = values == _corner_value(values)
    brain = values[~background]
    if background.mean() < 0.2 or _corner_value(values) > 0 or brain.size == 0:
        return False
    within = float(((brain > BRAIN_HU[0]) & (brain < BRAIN_HU[1])).mean())
    spread = float(np.subtract(*np.percentile(brain, [75, 25])))
    middle = float(np.median(brain))
    return within > 0.9 and spread < 25 and MEDIAN_BRAIN_HU[0] < middle < MEDIAN_BRAIN_HU[1]


def _slices_reason(image: Image) -> str | None:
    slices, spacing = image.shape[2], float(image.voxel_volume_ml * 1000 / np.prod(image.spacing_mm[:2]))
    if slices < FEWEST_SLICES:
        return f"too few slices: {slices}, at least {FEWEST_SLICES} are needed"
    if spacing > THICKEST_SLICE_MM:
        return f"slices lie {spacing:.1f} mm apart, at most {THICKEST_SLICE_MM:g} mm can be used"
    if (lean := lean_deg(image.affine)) > STEEPEST_TILT_DEG:
        return f"slices lean by {lean:.0f} degrees, more than any gantry tilts"
    extents = np.array(image.shape) * image.spacing_mm
    if extents.max() > LARGEST_IMAGE_MM:
        return f"the image would be {extents.max() / 1000:.3g} m wide: its spacing must be wrong"
    if extents.min() < SHORTEST_BRAIN_MM:
        return f"brain not covered: the image is only {extents.min():.0f} mm wide in one direction"
    return None


def _coarse(image: Image, outside: float) -> Image:
    """The image on a grid of 3 mm, each axis averaged down first so that thin bone is not stepped over."""
    width = [max(round(GRID_MM / step), 1) for step in image.spacing_mm]
    smooth = ndimage.uniform_filter(image.data.astype(np.float32), width, mode="nearest")
    shape, affine = orthogonal_grid(image, GRID_MM)
    return resample_to(Image(smooth, image.affine), shape, affine, interpolator="linear", outside=outside)


def _head_with_skull(coarse: Image) -> tuple[str | None, tuple[str, ...]]:
    tissue = _largest(coarse.data > -300)
    areas = _areas_cm2(tissue)
    area = float(np.median(areas[areas > 20])) if (areas > 20).any() else 0.0
    if area > LARGEST_HEAD_CM2:
        return f"no head found: a slice of the body measures {area:.0f} cm2", ()
    cranium = _cranium(coarse)
    if cranium is None:
        return "no head found: no bone encloses a space with brain-like values", ()
    return _judge_cranium(cranium, coarse)


def _cranium(coarse: Image) -> Mask | None:
    """The largest brain-like space once links thinner than 12 mm are cut, if bone lies around most of it.

    Cutting separates the brain from scalp, orbits and neck without asking the skull to be closed.
    """
    brain = (coarse.data > BRAIN_HU[0]) & (coarse.data < BRAIN_HU[1])
    core = _largest(ndimage.binary_erosion(brain, iterations=2))
    space = ndimage.binary_dilation(core, iterations=2, mask=brain)
    near_bone = ndimage.binary_dilation(coarse.data > BONE_HU, iterations=round(NEAR_BONE_MM / GRID_MM))
    rim = space & ~ndimage.binary_erosion(space)
    return space if rim.any() and near_bone[rim].mean() >= ENCLOSED_SHARE else None


def _judge_cranium(cranium: Mask, coarse: Image) -> tuple[str | None, tuple[str, ...]]:
    volume = volume_ml(cranium, coarse.affine)
    if volume < SMALLEST_CRANIUM_ML:
        return f"no head found: the space inside bone with brain-like values has only {volume:.0f} mL", ()
    if volume > LARGEST_CRANIUM_ML:
        return f"no head found: the space inside bone has {volume:.0f} mL", ()
    middle = float(np.median(coarse.data[cranium]))
    if not MEDIAN_BRAIN_HU[0] < middle < MEDIAN_BRAIN_HU[1]:
        return f"no brain found: the space inside the skull has a median of {middle:.0f} HU", ()
    if _contrast_hu(cranium, coarse) < SMALLEST_CONTRAST_HU:
        return _UNIFORM, ()
    areas = _areas_cm2(cranium)
    covered = np.flatnonzero(areas > 5)
    length = (covered[-1] - covered[0] + 1) * GRID_MM
    if length < SHORTEST_BRAIN_MM:
        return f"brain not covered: only {length:.0f} mm of it from bottom to top", ()
    if areas[covered[-1]] > OPEN_TOP_SHARE * areas.max() and covered[-1] >= len(areas) - 2:
        return "brain not covered: the top of the brain is cut off", ()
    return None, ()


_UNIFORM = "no brain found: all of the inside is alike, as in a plastic phantom"


def _contrast_hu(space: Mask, coarse: Image) -> float:
    """How far values inside a space spread once noise is smoothed: CSF, white and grey matter differ."""
    core = ndimage.binary_erosion(space, iterations=2)
    if not core.any():
        return 0.0
    smooth = ndimage.uniform_filter(coarse.data, 3)[core]
    return float(np.subtract(*np.percentile(smooth, [95, 5])))


def _head_without_skull(coarse: Image, background: float) -> tuple[str | None, tuple[str, ...]]:
    inside = (coarse.data > BRAIN_HU[0]) & (coarse.data < BRAIN_HU[1])
    brain = _largest(inside & (np.abs(coarse.data - background) > 1))
    volume = volume_ml(brain, coarse.affine)
    if not SMALLEST_CRANIUM_ML <= volume <= LARGEST_CRANIUM_ML:
        return f"no head found: brain-like values fill {volume:.0f} mL", ()
    if _contrast_hu(brain, coarse) < SMALLEST_CONTRAST_HU:
        return _UNIFORM, ()
    covered = np.flatnonzero(_areas_cm2(brain) > 5)
    length = (covered[-1] - covered[0] + 1) * GRID_MM
    if length < SHORTEST_BRAIN_MM:
        return f"brain not covered: only {length:.0f} mm of it from bottom to top", ()
    return None, ("the skull has been removed; what was removed with it is not measured",)


def _areas_cm2(mask: Mask) -> Volume:
    return mask.sum(axis=(0, 1)) * (GRID_MM / 10) ** 2


def _largest(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.asarray(mask)
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))
