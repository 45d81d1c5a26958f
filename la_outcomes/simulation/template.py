"""The embedded head: nilearn's packaged MNI152 maps, with a skull and a scalp modelled around them.

The template is skull-stripped and an average, so that heads drawn from it are warps of one brain: good
for a demonstration and for tests, optimistic as a test of accuracy (the report says so).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.simulation.anatomy import (
    TEMPLATE,
    Anatomy,
    BoolArray,
    LabelArray,
    Tissue,
    add_falx,
    add_fat,
    centred_affine,
)
from la_outcomes.simulation.fields import FloatArray

_MARGIN_MM = 22
# Outer limit of each shell, mm from the smoothed surface of the brain: a textbook adult vault.
_SHELLS_MM = (
    (2.5, Tissue.CSF),
    (4.0, Tissue.CORTICAL_BONE),
    (7.5, Tissue.CANCELLOUS_BONE),
    (9.0, Tissue.CORTICAL_BONE),
    (14.5, Tissue.MUSCLE),
    (16.5, Tissue.SKIN),
)
# Centre and radii (MNI152 mm, right side) of ellipsoids that hold each deep nucleus.
_CAUDATE = ((14.0, 9.0, 11.0), (8.0, 17.0, 14.0))
_LENTIFORM = ((26.0, 1.0, 0.0), (9.0, 20.0, 14.0))
_THALAMUS = ((11.0, -19.0, 7.0), (10.5, 15.0, 11.0))
_PALLIDUM = ((19.5, -4.0, -1.0), (5.0, 8.5, 6.5))
_GLOBE = ((32.0, 66.0, -36.0), (12.5, 12.5, 12.5))
_ORBIT = ((31.0, 56.0, -36.0), (19.0, 27.0, 18.0))
_CSF_T1 = 0.52  # of the template's brightest: darker voxels are more than half fluid


def template_anatomy() -> Anatomy:
    """MNI152 at 1 mm as an ``Anatomy``; its MNI affine is a translation."""
    (t1, grey, white, mask), to_mni = _cropped_maps()
    position = _mni_position(mask.shape, to_mni)
    tissue = _tissues_of_brain(t1, grey, white, mask > 0.5, position)
    side = np.where(position[0] < 0, np.int8(1), np.int8(2)) * (tissue == Tissue.CORTEX)
    tissue = add_falx(_add_face(_add_shells(tissue, mask > 0.5), position), side * (position[2] > -10))
    tissue = add_fat(tissue)
    affine = centred_affine(tissue)
    no_prior = np.zeros(tissue.shape, dtype=bool)
    return Anatomy(TEMPLATE, tissue, no_prior, affine, affine @ np.linalg.inv(to_mni))


def _cropped_maps() -> tuple[list[FloatArray], npt.NDArray[np.float64]]:
    """T1, grey, white matter and brain mask around the brain, with room for a skull; index to MNI mm."""
    from nilearn import datasets

    loaders = (
        datasets.load_mni152_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_wm_template,
        datasets.load_mni152_brain_mask,
    )
    images = [loader(resolution=1) for loader in loaders]
    maps = [np.asarray(image.dataobj, dtype=np.float32) for image in images]
    spans = [np.flatnonzero((maps[3] > 0.5).any(tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    box = tuple(slice(int(low), int(high) + 1) for low, high in spans)
    to_mni = np.array(images[0].affine, dtype=np.float64)
    to_mni[:3, 3] += [int(low) - _MARGIN_MM for low, _ in spans]
    return [np.pad(values[box], _MARGIN_MM) for values in maps], to_mni


def _mni_position(shape: tuple[int, ...], to_mni: npt.NDArray[np.float64]) -> list[FloatArray]:
    """MNI x, y, z (mm) of the voxels, each broadcastable to the shape."""
    x, y, z = (np.arange(n, dtype=np.float32) + np.float32(to_mni[a, 3]) for a, n in enumerate(shape))
    return [x[:, None, None], y[None, :, None], z[None, None, :]]


def _ellipsoid(position: list[FloatArray], shape: tuple[tuple[float, ...], tuple[float, ...]]) -> BoolArray:
    """Voxels in an ellipsoid given for the right side, on both sides."""
    centre, radii = shape
    axes = [np.abs(position[0]), position[1], position[2]]
    parts = [((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radii, strict=True)]
    return np.asarray(parts[0] + parts[1] + parts[2] <= 1)


def _tissues_of_brain(
    t1: FloatArray, grey: FloatArray, white: FloatArray, mask: BoolArray, position: list[FloatArray]
) -> LabelArray:
    """Tissue classes inside the brain mask, AIR outside."""
    result = np.where(mask, np.uint8(Tissue.WHITE), np.uint8(Tissue.AIR))
    result[mask & (grey > white)] = Tissue.CORTEX
    dark = mask & (t1 < _CSF_T1)
    ventricle = _ventricles(dark, position)
    # Mixed voxels along the ventricles look grey in the maps; what is truly grey there is set below.
    rim = ndimage.binary_dilation(ventricle, iterations=3) & (result == Tissue.CORTEX)
    result[rim] = Tissue.WHITE
    nuclei = _ellipsoid(position, _CAUDATE) | _ellipsoid(position, _LENTIFORM)
    thalamus = _ellipsoid(position, _THALAMUS) & (np.abs(position[0]) > 2)
    result[mask & ((nuclei & (grey > 0.4)) | (thalamus & (grey > 0.15)))] = Tissue.DEEP_GREY
    result[mask & _ellipsoid(position, _PALLIDUM)] = Tissue.PALLIDUM
    result[dark] = Tissue.CSF
    result[ventricle] = Tissue.VENTRICLE
    return _name_hindbrain(result, position)


def _ventricles(dark: BoolArray, position: list[FloatArray]) -> BoolArray:
    """The connected dark voxels deep in the brain that hold the bodies of the lateral ventricles."""
    x, y, z = position
    fissure = (np.abs(x) < 3) & ((y > 20) | (y < -22))
    central = dark & ~fissure & (np.abs(x) < 36) & (y > -60) & (y < 44) & (z > -22) & (z < 32)
    parts, _ = ndimage.label(central & ((z > 4) | (np.abs(x) > 14)))
    body = parts[(np.abs(x) > 3) & (np.abs(x) < 12) & (y > -5) & (y < 15) & (z > 14) & (z < 22)]
    names = np.unique(body[body > 0])
    return np.asarray(np.isin(parts, names))


def _name_hindbrain(tissue: LabelArray, position: list[FloatArray]) -> LabelArray:
    """Give cerebellum and brainstem their classes: below a plane along the tentorium, and before it."""
    x, y, z = position
    below = z < -14 - 0.30 * np.clip(y + 60, -100, 20)
    behind = (y < -38) & below
    stem = (np.abs(x) < 19) & (y > -42) & (y < -8) & (z < -16)
    result = tissue.copy()
    result[behind & (tissue == Tissue.CORTEX)] = Tissue.CEREBELLAR_CORTEX
    result[behind & (tissue == Tissue.WHITE)] = Tissue.CEREBELLAR_WHITE
    result[stem & ((tissue == Tissue.WHITE) | (tissue == Tissue.CORTEX))] = Tissue.BRAINSTEM
    return result


def _add_shells(tissue: LabelArray, mask: BoolArray) -> LabelArray:
    """Wrap the brain into CSF, two tables of bone with diploe between, soft tissue and skin."""
    distance = _distance_outside(mask, 14)
    result = tissue.copy()
    empty = tissue == Tissue.AIR
    result[empty & (distance <= 0)] = Tissue.CSF
    lower = 0.0
    for upper, kind in _SHELLS_MM:
        result[empty & (distance > lower) & (distance <= upper)] = kind
        lower = upper
    return _fill_below_base(result, _distance_outside(mask, 50))


def _fill_below_base(tissue: LabelArray, distance: FloatArray) -> LabelArray:
    """Soft tissue in the clefts below the skull's base, and skin around it."""
    (muscle_mm, _), (skin_mm, _) = _SHELLS_MM[-2:]
    hollow = (tissue == Tissue.AIR) | (tissue == Tissue.SKIN)
    result = np.where(hollow & (distance <= muscle_mm), np.uint8(Tissue.MUSCLE), tissue)
    result[(tissue == Tissue.AIR) & (distance > muscle_mm) & (distance <= skin_mm)] = Tissue.SKIN
    return result


def _distance_outside(mask: BoolArray, bridge_mm: float) -> FloatArray:
    """Distance (mm) outside the brain's surface once clefts of this radius are bridged; computed at 2 mm."""
    room = int(bridge_mm // 2)
    coarse = ndimage.zoom(mask.astype(np.float32), 0.5, order=1, grid_mode=True, mode="grid-constant") > 0.5
    coarse = np.pad(coarse, room)
    bridge = bridge_mm / 2
    closed = ndimage.distance_transform_edt(ndimage.distance_transform_edt(~coarse) <= bridge) > bridge
    solid = ndimage.gaussian_filter((closed | coarse).astype(np.float32), 1.5) > 0.5
    signed = ndimage.distance_transform_edt(~solid) - ndimage.distance_transform_edt(solid)
    signed = ndimage.gaussian_filter(signed.astype(np.float32) * 2, 1.0)
    signed = signed[room:-room, room:-room, room:-room]
    zoom = [n / m for n, m in zip(mask.shape, signed.shape, strict=True)]
    return np.asarray(ndimage.zoom(signed, zoom, order=1, grid_mode=True, mode="nearest"), dtype=np.float32)


def _add_face(tissue: LabelArray, position: list[FloatArray]) -> LabelArray:
    """Orbits with fat and globes below the forehead, a frontal sinus: landmarks of the lowest slices."""
    result = tissue.copy()
    soft = (tissue == Tissue.AIR) | (tissue == Tissue.MUSCLE) | (tissue == Tissue.SKIN)
    y = position[1]
    result[_ellipsoid(position, _ORBIT) & soft & (y < 74)] = Tissue.FAT
    result[_ellipsoid(position, _GLOBE) & soft] = Tissue.GLOBE
    bone = (tissue == Tissue.CORTICAL_BONE) | (tissue == Tissue.CANCELLOUS_BONE)
    sinus = _ellipsoid(position, ((7.0, 76.0, -14.0), (9.0, 6.0, 12.0)))
    result[sinus & (tissue == Tissue.CANCELLOUS_BONE) & bone] = Tissue.AIR
    return result
