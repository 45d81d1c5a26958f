"""White-matter lesions: grown to a requested volume, with a visibility that decides what CT shows of them.

A score says where WMH comes first: along the ventricles (rims, then bands), at the horns (caps), in
patches, and in deep spots; where the score passes a threshold there is WMH, with a soft edge. The
threshold is set so that the volume is the requested one, so that larger volumes are confluent growths
of smaller ones. Visibility is a second field over the same voxels, set in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.simulation.anatomy import BoolArray, Tissue
from la_outcomes.simulation.bleeding import Bleeding
from la_outcomes.simulation.fields import (
    FloatArray,
    bounding_box,
    drawn,
    mixed_field,
    smoothstep,
    threshold_for_volume,
)
from la_outcomes.simulation.head import Head


@dataclass(frozen=True, eq=False)
class WhiteMatterLesions:
    """WMH on the head's grid, both soft maps (share of a voxel, 0..1; sum / 1000 = mL).

    ``tissue``: all WMH. ``visible``: tissue times the share of its contrast that CT keeps.
    """

    tissue: FloatArray
    visible: FloatArray

    @property
    def tissue_volume_ml(self) -> float:
        """Volume of all WMH: the simulation's ``tissue_volume_ml``."""
        return float(self.tissue.sum(dtype=np.float64)) / 1000.0

    @property
    def visible_volume_ml(self) -> float:
        """Volume weighted by the share of contrast left on CT: ``visible_la_volume_ml``."""
        return float(self.visible.sum(dtype=np.float64)) / 1000.0


@dataclass(frozen=True, eq=False)
class Lesions:
    """WMH, the infarct at hand, an old one and what has bled: soft maps (shares of a voxel, sum at most 1).

    Blood alone may lie within the infarct at hand.
    """

    wmh: WhiteMatterLesions
    infarct: FloatArray
    old_infarct: FloatArray
    bleeding: Bleeding

    @property
    def infarct_volume_ml(self) -> float:
        """Native volume of the infarct at hand."""
        return float(self.infarct.sum(dtype=np.float64)) / 1000.0

    @property
    def old_infarct_volume_ml(self) -> float:
        """Native volume of the earlier infarct."""
        return float(self.old_infarct.sum(dtype=np.float64)) / 1000.0

    @property
    def any_infarct(self) -> FloatArray:
        """Infarcts, haematoma and its oedema together: what must not be taken for WMH."""
        infarcts = self.infarct + self.old_infarct
        return np.maximum(infarcts, self.bleeding.blood) + self.bleeding.oedema


def grow_wmh(
    head: Head,
    volume_ml: float,
    visible_ml: float | None,
    spared: FloatArray,
    rng: np.random.Generator,
    model: dict[str, Any],
) -> WhiteMatterLesions:
    """Grow WMH of this volume in the white matter outside ``spared`` (share taken by infarcts, 0..1).

    ``model`` is ``parameters["image"]``. With ``visible_ml`` None the visible share is drawn. Raises
    ``InputError`` where the white matter cannot hold the volume.
    """
    tissue, visible = (np.zeros(head.tissue.shape, dtype=np.float32) for _ in range(2))
    white = head.tissue == Tissue.WHITE
    box = bounding_box(white)
    room = white[box] * (1 - spared[box])
    score = _score(head, box, volume_ml, rng, model["wmh"])
    inside = room > 0
    soft = threshold_for_volume(score[inside], room[inside], volume_ml, float(model["wmh"]["edge"]))
    share = _visible_share(volume_ml, rng, model["visibility"])
    target = volume_ml * share if visible_ml is None else visible_ml
    tissue[box][inside] = soft
    fields = mixed_field(score.shape, model["visibility"]["control_mm"], model["visibility"]["weight"], rng)
    fields = _like_both_sides(
        fields, box[0].start + head.affine[0, 3], float(model["visibility"]["symmetry"])
    )
    depth = ndimage.gaussian_filter(tissue[box], 2.0, truncate=2)
    ease = (fields + model["visibility"]["core_weight"] * depth)[inside]
    visible[box][inside] = threshold_for_volume(ease, soft, target, float(model["visibility"]["steepness"]))
    return WhiteMatterLesions(tissue, visible)


def _visible_share(volume_ml: float, rng: np.random.Generator, model: dict[str, Any]) -> float:
    share = model["share"]
    logit = share["intercept"] + share["per_ln_ml_from_2_14"] * (np.log1p(volume_ml) - 2.14)
    return float(1 / (1 + np.exp(-(logit + share["sd"] * rng.standard_normal()))))


def _score(
    head: Head,
    box: tuple[slice, slice, slice],
    volume_ml: float,
    rng: np.random.Generator,
    model: dict[str, Any],
) -> FloatArray:
    """Where WMH comes first; near the ventricle's wall about 1 plus caps, far from everything about 0."""
    tissue = head.tissue[box]
    ventricle = tissue == Tissue.VENTRICLE
    wall = _distance_to(ventricle)
    score = np.exp(-wall / np.float32(drawn(model["wall_reach_mm"], rng)))
    score *= 1 + np.float32(drawn(model["caps_weight"], rng)) * _near_horns(ventricle, model["caps_reach_mm"])
    patches = model["patches"]
    field = mixed_field(tissue.shape, patches["control_mm"], patches["weight"], rng)
    score += _like_both_sides(field, box[0].start + head.affine[0, 3], float(patches["symmetry"]))
    score += np.float32(drawn(model["deep_weight"], rng)) * _spots(tissue, wall, volume_ml, rng, model)
    cortex = ndimage.gaussian_filter((tissue == Tissue.CORTEX).astype(np.float32), 2.0, truncate=2)
    score -= np.float32(model["subcortical_penalty"]) * np.minimum(cortex, 0.5)
    midline = np.abs(np.arange(box[0].start, box[0].stop) + head.affine[0, 3]) / model["midline_reach_mm"]
    score -= np.float32(model["midline_penalty"]) * np.exp(-(midline[:, None, None] ** 2)).astype(np.float32)
    score += _by_level(head, box, model)
    prior = ndimage.gaussian_filter(head.lesion_prior[box].astype(np.float32), 1.0, truncate=2)
    return np.asarray(score + np.float32(model["drawn_bonus"]) * prior, dtype=np.float32)


def _by_level(head: Head, box: tuple[slice, slice, slice], model: dict[str, Any]) -> FloatArray:
    """More around and above the bodies of the lateral ventricles, less in the temporal lobes (MNI z, mm)."""
    levels = np.arange(box[2].start, box[2].stop) + head.affine[2, 3]
    z = (levels - head.mni_affine[2, 3]) / head.mni_affine[2, 2]
    above = model["crown_bonus"] * np.exp(-(((z - 26.0) / 16.0) ** 2))
    below = model["temporal_penalty"] / (1 + np.exp((z + 2.0) / 4.0))
    return np.asarray((above - below)[None, None, :], dtype=np.float32)


def _like_both_sides(field: FloatArray, first_mm: float, share: float) -> FloatArray:
    """A field whose left and right halves correlate: ``share`` of its variance is common to both.

    ``first_mm``: distance of its first voxel from the midline.
    """
    mirrored = np.clip(np.rint(-2 * first_mm).astype(int) - np.arange(field.shape[0]), 0, field.shape[0] - 1)
    # own = a x + b x', of unit variance and correlation `share` between the sides
    a = (np.sqrt(1 + share) + np.sqrt(1 - share)) / 2
    b = (np.sqrt(1 + share) - np.sqrt(1 - share)) / 2
    return np.asarray(np.float32(a) * field + np.float32(b) * field[mirrored], dtype=np.float32)


def _distance_to(mask: BoolArray) -> FloatArray:
    """Distance in mm from each voxel to the nearest voxel of the mask; far away where it is empty."""
    if not mask.any():
        return np.full(mask.shape, 99.0, dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float32)


def _near_horns(ventricle: BoolArray, reach_mm: float) -> FloatArray:
    """1 at the front and back ends of the lateral ventricles, falling to 0 between and beyond."""
    lateral = ventricle.copy()
    rows = np.flatnonzero(lateral.any((0, 2)))
    if rows.size == 0:
        return np.zeros(ventricle.shape, dtype=np.float32)
    y = np.arange(ventricle.shape[1], dtype=np.float32)
    weight = sum(np.exp(-(((y - end) / reach_mm) ** 2)) for end in (rows[0], rows[-1]))
    return np.asarray(np.broadcast_to(weight[None, :, None], ventricle.shape), dtype=np.float32)


def _spots(
    tissue: npt.NDArray[np.uint8],
    wall: FloatArray,
    volume_ml: float,
    rng: np.random.Generator,
    model: dict[str, Any],
) -> FloatArray:
    """Punctate deep lesions: small rounded bumps of height 0.4 to 1.2 at random in deep white matter."""
    result = np.zeros(tissue.shape, dtype=np.float32)
    deep = np.argwhere((tissue == Tissue.WHITE) & (wall > 8))
    if len(deep) == 0:
        return result
    smallest, largest = model["spot_radius_mm"]
    low, high = model["spots_limit"]
    count = int(np.clip(rng.poisson(model["spots_per_ml"] * volume_ml), low, high))
    for centre in deep[rng.integers(len(deep), size=count)]:
        radii = rng.uniform(smallest, largest, size=3)
        _add_bump(result, centre, radii, float(rng.uniform(0.4, 1.2)))
    return result


def _add_bump(
    field: FloatArray, centre: npt.NDArray[np.int64], radii: npt.NDArray[np.float64], height: float
) -> None:
    reach = np.ceil(2.5 * radii).astype(int)
    low = np.maximum(centre - reach, 0)
    high = np.minimum(centre + reach + 1, field.shape)
    axes = [(np.arange(a, b) - c) / r for a, b, c, r in zip(low, high, centre, radii, strict=True)]
    square = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    part = field[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    np.maximum(part, height * smoothstep(1.5 - np.sqrt(square)), out=part)
