"""Heads to draw patients from: label maps the user brings, as one small set of tissue classes.

An ``Anatomy`` is a 1 mm grid of ``Tissue`` classes with axes right, anterior, superior, whose origin is
the centre of the brain, and an affine from MNI152 space, so that masks drawn in MNI find their place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.errors import InputError

LabelArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
TEMPLATE = "mni152"


class Tissue(IntEnum):
    """What a voxel of a head is made of."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CORTICAL_BONE = 4
    CANCELLOUS_BONE = 5
    MUCOSA = 6
    GLOBE = 7
    ORBIT = 8
    VESSEL = 9
    CSF = 10
    VENTRICLE = 11
    CORTEX = 12
    DEEP_GREY = 13
    WHITE = 14
    CEREBELLAR_CORTEX = 15
    CEREBELLAR_WHITE = 16
    BRAINSTEM = 17
    PLEXUS = 18
    PALLIDUM = 19


PARENCHYMA = (
    Tissue.CORTEX,
    Tissue.DEEP_GREY,
    Tissue.WHITE,
    Tissue.CEREBELLAR_CORTEX,
    Tissue.CEREBELLAR_WHITE,
    Tissue.BRAINSTEM,
    Tissue.PALLIDUM,
)
INTRACRANIAL = (*PARENCHYMA, Tissue.CSF, Tissue.VENTRICLE, Tissue.PLEXUS)

# FreeSurfer's colour table; from 500 on the classes of SynthSeg's label maps outside the brain.
_FREESURFER: dict[Tissue, tuple[int, ...]] = {
    Tissue.CORTEX: (3, 42),
    Tissue.WHITE: (2, 41, 25, 57, 77, 85),
    Tissue.DEEP_GREY: (10, 11, 12, 17, 18, 26, 28, 49, 50, 51, 53, 54, 58, 60, 136, 137, 163, 164),
    Tissue.PALLIDUM: (13, 52),
    Tissue.VENTRICLE: (4, 5, 14, 15, 43, 44, 72),
    Tissue.PLEXUS: (31, 63),
    Tissue.CSF: (24, 30, 62),
    Tissue.CEREBELLAR_CORTEX: (8, 47),
    Tissue.CEREBELLAR_WHITE: (7, 46),
    Tissue.BRAINSTEM: (16, 512),
    Tissue.VESSEL: (502, 514),
    Tissue.GLOBE: (506,),
    Tissue.MUSCLE: (507,),
    Tissue.ORBIT: (508, 530),
    Tissue.MUCOSA: (509,),
    Tissue.SKIN: (511,),
    Tissue.CORTICAL_BONE: (515,),
    Tissue.CANCELLOUS_BONE: (516,),
}
_LESION_LABELS = (25, 57, 77)

# Centres of gravity in MNI152 (mm) of structures every FreeSurfer label map has; left has negative x.
# Rounded from the Harvard-Oxford subcortical atlas; good to 2-3 mm, which is what an affine fit needs.
_MNI_LANDMARKS: dict[int, tuple[float, float, float]] = {
    10: (-11.0, -19.0, 7.0),
    49: (11.0, -18.0, 7.0),
    11: (-13.0, 9.0, 10.0),
    50: (13.0, 10.0, 11.0),
    12: (-25.0, 1.0, 0.0),
    51: (26.0, 2.0, 0.0),
    17: (-25.0, -23.0, -14.0),
    53: (26.0, -22.0, -14.0),
    18: (-23.0, -5.0, -18.0),
    54: (23.0, -4.0, -18.0),
}
# Outer limits of the MNI152 brain (mm), of cerebrum alone for the lower end of y and z: R, L, A, P, S.
_MNI_EXTENT = {"left": -71.0, "right": 71.0, "front": 72.0, "back": -107.0, "top": 80.0}
_CEREBRUM = (2, 3, 41, 42)
_MARGIN_MM = {"side": 4, "below": 35}


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One head at 1 mm.

    ``tissue``: uint8 (i, j, k) of ``Tissue``. ``lesion_prior``: boolean, where the map itself marks WMH.
    ``affine``: index to mm (RAS, origin at the centre of the brain). ``mni_affine``: 4x4, MNI152 mm to mm
    of this head.
    """

    name: str
    tissue: LabelArray
    lesion_prior: BoolArray
    affine: npt.NDArray[np.float64]
    mni_affine: npt.NDArray[np.float64]


def is_tissue(tissue: LabelArray, classes: tuple[Tissue, ...]) -> BoolArray:
    """Boolean map of the voxels that belong to any of these classes."""
    table = np.zeros(256, dtype=bool)
    table[list(classes)] = True
    return np.asarray(table[tissue])


def list_anatomies(folder: str | Path | None) -> list[str]:
    """Names of the anatomies a run can use: the files of ``folder``, or the embedded template alone."""
    if folder is None:
        return [TEMPLATE]
    names = sorted(re.sub(r"\.nii(\.gz)?$", "", path.name) for path in Path(folder).glob("*.nii*"))
    if not names:
        raise InputError("no label maps (*.nii, *.nii.gz) in the folder", where=folder)
    return names


@lru_cache(maxsize=2)
def load_anatomy(name: str, folder: str | Path | None = None) -> Anatomy:
    """The named head: a file of ``folder`` (FreeSurfer labels, 1 mm) or the embedded template.

    Raises ``InputError`` where there is no such file or it is no whole-head FreeSurfer label map.
    """
    if folder is None:
        from la_outcomes.simulation.template import template_anatomy

        return template_anatomy()
    for ending in (".nii.gz", ".nii"):
        path = Path(folder) / f"{name}{ending}"
        if path.exists():
            return _from_labels(path, name)
    raise InputError(f"no anatomy named {name!r}", where=folder, hint="list the folder's *.nii.gz")


def _from_labels(path: Path, name: str) -> Anatomy:
    from la_outcomes.imaging.geometry import orthogonal_grid, resample_to
    from la_outcomes.imaging.nifti import read_mask

    image = read_mask(path, None)
    if not np.allclose(image.spacing_mm, 1.0, atol=1e-3):
        image = resample_to(image, *orthogonal_grid(image, 1.0), interpolator="nearest", outside=0)
    labels = np.rint(image.data).astype(np.int16)
    missing = [label for label in (*_MNI_LANDMARKS, *_CEREBRUM, 515) if not (labels == label).any()]
    if missing:
        raise InputError(f"the label map lacks FreeSurfer labels {missing}", where=path)
    labels = _with_neck(labels[_head_box(labels)])
    tissue = _clean(_to_tissue(labels))
    side = np.isin(labels, (2, 3)) * np.int8(1) + np.isin(labels, (41, 42)) * np.int8(2)
    affine = centred_affine(tissue)
    tissue = smooth_vault(add_falx(tissue, side), int(-affine[2, 3]))
    return Anatomy(name, tissue, np.isin(labels, _LESION_LABELS), affine, _fit_mni(labels, affine))


def _head_box(labels: npt.NDArray[np.int16]) -> tuple[slice, ...]:
    """Brain from a little below its lowest part to the vertex, and the head around it."""
    head = ndimage.binary_opening(labels > 0, iterations=2)
    brain = (labels > 0) & (labels < 500) & (labels != 24) & (labels != 16)
    bottom = max(int(np.flatnonzero(brain.any((0, 1)))[0]) - _MARGIN_MM["below"], 0)
    box = []
    for axis in range(3):
        inside = np.flatnonzero(head[:, :, bottom:].any(tuple({0, 1, 2} - {axis})))
        shift = bottom if axis == 2 else 0
        low, high = int(inside[0]) + shift, int(inside[-1]) + shift
        margin = 0 if axis == 2 else _MARGIN_MM["side"]
        box.append(slice(max(low - margin, 0), min(high + _MARGIN_MM["side"], labels.shape[axis])))
    return tuple(box)


def _with_neck(labels: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Repeat the lowest slice where the map ends close below the brain: tilted slices look there."""
    cerebellum = np.flatnonzero(np.isin(labels, (8, 47)).any((0, 1)))
    missing = _MARGIN_MM["below"] - int(cerebellum[0])
    return np.pad(labels, ((0, 0), (0, 0), (max(missing, 0), 0)), mode="edge")


def _to_tissue(labels: npt.NDArray[np.int16]) -> LabelArray:
    table = np.zeros(1024, dtype=np.uint8)
    for tissue, members in _FREESURFER.items():
        table[list(members)] = tissue
    return np.asarray(table[np.clip(labels, 0, 1023)])


def _clean(tissue: LabelArray) -> LabelArray:
    """Mend what automatic labels leave: specks inside the skull, crumbs outside the head, scalp fat."""
    tissue = tissue.copy()
    inside = ndimage.binary_closing(is_tissue(tissue, INTRACRANIAL), iterations=3, border_value=0)
    specks = inside & is_tissue(tissue, (Tissue.AIR, Tissue.CORTICAL_BONE, Tissue.CANCELLOUS_BONE))
    deep = ndimage.binary_erosion(inside, iterations=3)
    tissue[specks & deep] = Tissue.CSF
    parts, count = ndimage.label(tissue != Tissue.AIR)
    if count > 1:
        largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
        tissue[(parts != largest) & (parts > 0)] = Tissue.AIR
    return add_fat(tissue)


def add_fat(tissue: LabelArray) -> LabelArray:
    """Turn soft tissue under the skin and around the globes into fat; what lies deeper stays muscle."""
    skin = ndimage.gaussian_filter((tissue == Tissue.SKIN).astype(np.float32), 2.5, truncate=3)
    eyes = is_tissue(tissue, (Tissue.GLOBE, Tissue.ORBIT)).astype(np.float32)
    eyes = ndimage.gaussian_filter(eyes, 6.0, truncate=3)
    return np.where((tissue == Tissue.MUSCLE) & ((skin > 0.10) | (eyes > 0.08)), np.uint8(Tissue.FAT), tissue)


def add_falx(tissue: LabelArray, side: npt.NDArray[np.int8]) -> LabelArray:
    """Turn the fluid midway between the hemispheres into dura (as bright as blood).

    ``side``: 1 in the left cerebral hemisphere, 2 in the right, 0 elsewhere.
    """
    middle = int(np.argwhere(side == 1)[:, 0].max() + np.argwhere(side == 2)[:, 0].min()) // 2
    slab = slice(max(middle - 16, 0), middle + 17)
    left, right = (ndimage.distance_transform_edt(side[slab] != one) for one in (1, 2))
    sheet = (np.abs(left - right) <= 1.0) & (left + right < 12) & (tissue[slab] == Tissue.CSF)
    result = tissue.copy()
    result[slab][sheet] = Tissue.VESSEL
    return result


def smooth_vault(tissue: LabelArray, from_slice: int) -> LabelArray:
    """Even out the skull's outer surface above a slice, where labels step from voxel to voxel."""
    part = tissue[:, :, from_slice:]
    inside = ~is_tissue(part, (Tissue.AIR, Tissue.SKIN, Tissue.FAT, Tissue.MUSCLE))
    smooth = ndimage.gaussian_filter(inside.astype(np.float32), 2.0, truncate=2) > 0.5
    result = tissue.copy()
    part = result[:, :, from_slice:]
    bone = is_tissue(part, (Tissue.CORTICAL_BONE, Tissue.CANCELLOUS_BONE))
    soft = is_tissue(part, (Tissue.MUSCLE, Tissue.FAT))
    part[bone & ~smooth] = Tissue.MUSCLE
    part[soft & smooth] = Tissue.CORTICAL_BONE
    _smooth_inner_table(part)
    return result


def _smooth_inner_table(tissue: LabelArray) -> None:
    """Even out the skull's inner surface: bone that juts into the fluid, pits of fluid or air in the bone."""
    within = is_tissue(tissue, (*INTRACRANIAL, Tissue.VESSEL))
    share = ndimage.gaussian_filter(within.astype(np.float32), 1.5, truncate=2)
    bone = is_tissue(tissue, (Tissue.CORTICAL_BONE, Tissue.CANCELLOUS_BONE))
    pits = is_tissue(tissue, (Tissue.CSF, Tissue.VESSEL, Tissue.AIR, Tissue.MUCOSA))
    tissue[bone & (share > 0.55)] = Tissue.CSF
    near_bone = ndimage.gaussian_filter(bone.astype(np.float32), 1.5, truncate=2) > 0.6
    tissue[pits & near_bone] = Tissue.CORTICAL_BONE


def centred_affine(tissue: LabelArray) -> npt.NDArray[np.float64]:
    """Index to mm with the origin at the centre of gravity of the brain."""
    affine = np.eye(4)
    affine[:3, 3] = -np.array(ndimage.center_of_mass(is_tissue(tissue, PARENCHYMA)))
    return affine


def _fit_mni(labels: npt.NDArray[np.int16], affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Least-squares affine from MNI152 mm to this head's mm: deep structures and the cerebrum's limits."""
    order = list(_MNI_LANDMARKS)
    found = np.array(ndimage.center_of_mass(np.ones(labels.shape, np.uint8), labels, order)) + affine[:3, 3]
    source = np.array([_MNI_LANDMARKS[label] for label in order])
    first = _solve_affine(source, found)
    # A limit fixes one coordinate alone; the other two are taken from the fit without it.
    cerebrum = np.isin(labels, _CEREBRUM)
    extent_source, extent_found = [], []
    for axis, (low, high) in enumerate((("left", "right"), ("back", "front"), (None, "top"))):
        inside = np.flatnonzero(cerebrum.any(tuple({0, 1, 2} - {axis}))) + affine[axis, 3]
        for limit, value in ((low, inside[0]), (high, inside[-1])):
            if limit is None:
                continue
            point = np.array([0.0, -18.0, 10.0])
            point[axis] = _MNI_EXTENT[limit]
            target = first[:3, :3] @ point + first[:3, 3]
            target[axis] = value
            extent_source.append(point)
            extent_found.append(target)
    return _solve_affine(np.vstack([source, extent_source]), np.vstack([found, extent_found]))


def _solve_affine(source: npt.NDArray[Any], target: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    design = np.hstack([source, np.ones((len(source), 1))])
    solution, *_ = np.linalg.lstsq(design, target, rcond=None)
    result = np.eye(4)
    result[:3] = solution.T
    return result
