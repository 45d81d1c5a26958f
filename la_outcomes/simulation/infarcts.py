"""Infarcts: real masks carried from MNI152 into a head, or modelled ones, of a known native volume."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.simulation.anatomy import PARENCHYMA, BoolArray, Tissue, is_tissue
from la_outcomes.simulation.fields import FloatArray, mixed_field, threshold_for_volume
from la_outcomes.simulation.head import Head


def draw_infarct(
    head: Head, volume_ml: float, mask_path: str | None, rng: np.random.Generator, model: dict[str, Any]
) -> FloatArray:
    """Soft map (share of a voxel, 0..1) of an infarct of this native volume on the head's grid.

    ``model`` is ``parameters["image"]["infarct"]``. With a mask its shape and place are kept and its edge
    is moved until the volume is right. Raises ``InputError`` where the mask lies outside the brain.
    """
    if volume_ml <= 0:
        return np.zeros(head.tissue.shape, dtype=np.float32)
    return infarct_of_volume(head, infarct_score(head, volume_ml, mask_path, rng, model), volume_ml, model)


def infarct_score(
    head: Head, volume_ml: float, mask_path: str | None, rng: np.random.Generator, model: dict[str, Any]
) -> FloatArray:
    """Signed distance (mm, inside positive) to the edge of an infarct of about this volume.

    Raises ``InputError`` where the mask lies outside the brain.
    """
    if mask_path:
        return _carried_score(head, mask_path)
    return _modelled_score(head, volume_ml, rng, model)


def infarct_of_volume(head: Head, score: FloatArray, volume_ml: float, model: dict[str, Any]) -> FloatArray:
    """The infarct's soft map: the brain where the score passes the threshold that gives the volume."""
    result = np.zeros(head.tissue.shape, dtype=np.float32)
    inside = is_tissue(head.tissue, PARENCHYMA) & (score > -60)
    weight = np.ones(int(inside.sum()), dtype=np.float32)
    result[inside] = threshold_for_volume(score[inside], weight, volume_ml, float(model["edge_mm"]))
    return result


def _carried_score(head: Head, mask_path: str) -> FloatArray:
    """Signed distance (mm, inside positive) to the mask's edge after carrying it into the head."""
    from la_outcomes.imaging.geometry import Image, resample_to
    from la_outcomes.imaging.nifti import read_mask

    mask = read_mask(mask_path, None)
    placed = Image((mask.data > 0).astype(np.float32), head.mni_affine @ mask.affine)
    carried = resample_to(placed, head.tissue.shape, head.affine, interpolator="linear", outside=0).data > 0.5
    carried &= is_tissue(head.tissue, PARENCHYMA)
    if not carried.any():
        raise InputError("the infarct mask lies outside this head's brain", where=Path(mask_path).name)
    outside = ndimage.distance_transform_edt(~carried)
    return np.asarray(ndimage.distance_transform_edt(carried) - outside, dtype=np.float32)


def _modelled_score(
    head: Head, volume_ml: float, rng: np.random.Generator, model: dict[str, Any]
) -> FloatArray:
    """Signed distance (mm) to a rough ellipsoid within one hemisphere, about as large as asked."""
    kinds = list(model["kinds"])
    kind = str(rng.choice(kinds, p=list(model["kinds"].values())))
    centre = _centre(head, "cortical" if volume_ml > 25 and kind == "deep" else kind, rng)
    radius = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    stretch = np.exp(0.25 * rng.standard_normal(3))
    stretch /= np.prod(stretch) ** (1 / 3)
    axes = [(np.arange(n) - c) / s for n, c, s in zip(head.tissue.shape, centre, stretch, strict=True)]
    square = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    score = (radius - np.sqrt(square)).astype(np.float32)
    rough = model["roughness"]
    weight = [w * min(1.0, radius / 8) for w in rough["weight"]]
    score += mixed_field(score.shape, rough["control_mm"], weight, rng)
    midline = -head.affine[0, 3]
    # steep, so that a large infarct rather grows in its hemisphere than across the midline
    side = 5 * (np.arange(score.shape[0]) - midline) * np.sign(centre[0] - midline)
    return np.asarray(np.minimum(score, side[:, None, None].astype(np.float32)), dtype=np.float32)


def _centre(head: Head, kind: str, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    classes = {
        "cortical": (Tissue.CORTEX,),
        "deep": (Tissue.DEEP_GREY, Tissue.WHITE),
        "posterior": (Tissue.CEREBELLAR_CORTEX, Tissue.BRAINSTEM),
    }[kind]
    aside = _off_midline(head)
    choice = np.flatnonzero(is_tissue(head.tissue, classes) & aside)
    if choice.size == 0:
        choice = np.flatnonzero(is_tissue(head.tissue, PARENCHYMA) & aside)
    return np.array(np.unravel_index(int(rng.choice(choice)), head.tissue.shape))


def _off_midline(head: Head) -> BoolArray:
    x = np.abs(np.arange(head.tissue.shape[0]) + head.affine[0, 3])
    return np.asarray(np.broadcast_to((x > 6)[:, None, None], head.tissue.shape))


def infarct_subject(path: str | Path) -> str:
    """The subject a mask belongs to: its file name up to the first underscore ("sub-1688")."""
    return re.split(r"[_.]", Path(path).name)[0]


def list_infarcts(folder: str | Path) -> list[Path]:
    """Infarct masks (*.nii.gz) of a folder, by name. Raises ``InputError`` where there are none."""
    paths = sorted(Path(folder).glob("*.nii*"))
    if not paths:
        raise InputError("no infarct masks (*.nii.gz) in the folder", where=folder)
    return paths


def choose_mask(
    masks: Sequence[Path], volume_ml: float, rng: np.random.Generator, model: dict[str, Any]
) -> Path:
    """Of some masks drawn at random, the one whose MNI volume is nearest in ratio to the requested volume."""
    from la_outcomes.imaging.nifti import read_mask

    count = min(int(model["mask_candidates"]), len(masks))
    candidates = [masks[int(i)] for i in rng.choice(len(masks), size=count, replace=False)]
    images = [read_mask(path, None) for path in candidates]
    volumes = np.array([(image.data > 0).sum() * image.voxel_volume_ml for image in images])
    return candidates[int(np.argmin(np.abs(np.log(np.maximum(volumes, 0.01) / volume_ml))))]
