"""A patient's head: an anatomy bent, scaled, aged and shrunk, on a 1 mm grid of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.simulation.anatomy import (
    INTRACRANIAL,
    Anatomy,
    BoolArray,
    LabelArray,
    Tissue,
    is_tissue,
)
from la_outcomes.simulation.distractors import add_distractors
from la_outcomes.simulation.fields import FloatArray, bounding_box, linear_basis, separable, smooth_field
from la_outcomes.simulation.patient import PatientSpec

_COARSE_MM = 4
_PRIOR_BIT = np.uint8(128)
_PINEAL_MNI = (0.0, -30.0, 3.0)


@dataclass(frozen=True, eq=False)
class Head:
    """A patient's head on a 1 mm grid (i, j, k; RAS; mm; origin near the centre of the brain).

    ``tissue``: classes. ``lesion_prior``: where the anatomy's map marks WMH. ``mni_affine``: MNI152 mm to
    mm of this head, without the smooth deformation. ``icv_ml``, ``brain_volume_ml``: of the classes drawn.
    """

    tissue: LabelArray
    lesion_prior: BoolArray
    affine: npt.NDArray[np.float64]
    mni_affine: npt.NDArray[np.float64]
    icv_ml: float
    brain_volume_ml: float


def build_head(
    anatomy: Anatomy, patient: PatientSpec, rng: np.random.Generator, model: dict[str, Any]
) -> Head:
    """Draw the patient's head from the anatomy; ``model`` is ``parameters["image"]["head"]``."""
    scale = _scale(anatomy, patient.icv_ml, rng, model)
    shape = tuple(int(np.ceil(n * s)) for n, s in zip(anatomy.tissue.shape, scale, strict=True))
    affine = np.eye(4)
    affine[:3, 3] = anatomy.affine[:3, 3] * scale
    shift = _ventricle_shift(anatomy, patient.age_years, scale, shape, rng, model)
    displacement = np.empty((*shape[::-1], 3), dtype=np.float64)
    for axis, smooth in enumerate(_deformation(shape, rng, model)):
        displacement[..., axis] = (smooth + shift[axis]).T
    warped = _warp(anatomy.tissue | (anatomy.lesion_prior * _PRIOR_BIT), displacement, scale)
    tissue, prior = warped & ~_PRIOR_BIT, warped >= _PRIOR_BIT
    tissue = _set_sulci(tissue, _by_age(model["atrophy"], patient.age_years, rng))
    if rng.random() < model["plexus"]["probability"]:
        tissue = _add_plexus(tissue, rng, model["plexus"])
    mni_affine = np.diag([*scale, 1.0]) @ anatomy.mni_affine
    if rng.random() < model["pineal"]["probability"]:
        _add_pineal(tissue, np.linalg.inv(affine) @ mni_affine, rng, model["pineal"])
    tissue = add_distractors(tissue, patient.age_years, rng, model["distractors"])
    brain = volume_of(tissue, INTRACRANIAL) - volume_of(tissue, (Tissue.CSF, Tissue.VENTRICLE, Tissue.PLEXUS))
    return Head(tissue, prior, affine, mni_affine, volume_of(tissue, INTRACRANIAL), brain)


def volume_of(tissue: LabelArray, classes: tuple[Tissue, ...]) -> float:
    """Volume (mL) of some classes of a 1 mm grid."""
    return float(is_tissue(tissue, classes).sum()) / 1000.0


def _by_age(model: dict[str, Any], age_years: float, rng: np.random.Generator) -> float:
    mean = model["intercept"] + model["per_decade_from_68"] * (age_years - 68) / 10
    return float(np.clip(mean + model["sd"] * rng.standard_normal(), *model["range"]))


def _scale(
    anatomy: Anatomy, icv_ml: float | None, rng: np.random.Generator, model: dict[str, Any]
) -> npt.NDArray[np.float64]:
    """Factor of each axis; together they bring the anatomy to the asked intracranial volume."""
    factors = np.exp(model["scale_sd"] * rng.standard_normal(3))
    factors /= np.prod(factors) ** (1 / 3)
    if icv_ml is not None:
        factors *= (icv_ml / volume_of(anatomy.tissue, INTRACRANIAL)) ** (1 / 3)
    return np.asarray(np.clip(factors, 0.8, 1.25))


def _deformation(shape: tuple[int, ...], rng: np.random.Generator, model: dict[str, Any]) -> list[FloatArray]:
    settings = model["deformation"]
    sd = np.float32(settings["sd_mm"])
    return [smooth_field(shape, settings["control_mm"], rng) * sd for _ in range(3)]


def _ventricle_shift(
    anatomy: Anatomy,
    age_years: float,
    scale: npt.NDArray[np.float64],
    shape: tuple[int, ...],
    rng: np.random.Generator,
    model: dict[str, Any],
) -> list[FloatArray]:
    """Displacement that draws tissue away from the ventricles (or towards them), fading with distance."""
    amount = _by_age(model["ventricles_mm"], age_years, rng)
    coarse = _ventricle_directions(anatomy, float(model["ventricles_reach_mm"]))
    bases = []
    for n, m, factor in zip(shape, coarse.shape[:3], scale, strict=True):
        position = (np.arange(n) + 0.5) / (_COARSE_MM * factor) - 0.5
        bases.append(linear_basis(n, m, position))
    return [separable(coarse[..., axis] * np.float32(amount), bases) for axis in range(3)]


@lru_cache(maxsize=2)
def _ventricle_directions(anatomy: Anatomy, reach_mm: float) -> FloatArray:
    """Coarse field of unit arrows towards the ventricles, weighted by exp(-distance / reach)."""
    ventricle = anatomy.tissue == Tissue.VENTRICLE
    ends = [n - n % _COARSE_MM for n in ventricle.shape]
    blocks = ventricle[: ends[0], : ends[1], : ends[2]]
    counts = [n // _COARSE_MM for n in ends]
    share = blocks.reshape(counts[0], _COARSE_MM, counts[1], _COARSE_MM, counts[2], _COARSE_MM).mean(
        (1, 3, 5)
    )
    inside = share > 0.4
    distance = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    distance = ndimage.gaussian_filter(distance.astype(np.float32) * _COARSE_MM, 1.0)
    arrows = -np.stack(np.gradient(distance, _COARSE_MM), axis=-1)
    weight = np.exp(-np.abs(distance) / reach_mm) * np.clip(distance / 4.0 + 1.0, 0, 1)
    return np.asarray(arrows * weight[..., None], dtype=np.float32)


def _warp(
    values: LabelArray, displacement_mm: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]
) -> LabelArray:
    """Values of the anatomy at (voxel + displacement) / scale, nearest neighbour, 0 outside.

    ``displacement_mm`` is (k, j, i, 3), as ITK stores it.
    """
    import SimpleITK as sitk

    source = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    source.SetSpacing([float(s) for s in scale])
    field = sitk.GetImageFromArray(displacement_mm, isVector=True)
    warp = sitk.WarpImageFilter()
    warp.SetInterpolator(sitk.sitkNearestNeighbor)
    warp.SetOutputParameteresFromImage(field)
    result = sitk.GetArrayFromImage(warp.Execute(source, field))
    return np.ascontiguousarray(result.transpose(2, 1, 0))


def _set_sulci(tissue: LabelArray, amount: float) -> LabelArray:
    """Widen sulci (amount > 0: that share of the cortex, next to fluid, becomes fluid) or narrow them (< 0).

    Narrowing gives cortex that share of the fluid outside the ventricles, where most cortex is near.
    """
    cortex = is_tissue(tissue, (Tissue.CORTEX, Tissue.CEREBELLAR_CORTEX))
    fluid = tissue == Tissue.CSF
    (gives, takes, least) = (cortex, fluid, 0.15) if amount > 0 else (fluid, cortex, 0.30)
    near = ndimage.gaussian_filter(takes.astype(np.float32), 1.3, truncate=3)
    if amount == 0 or not gives.any():
        return tissue
    limit = max(float(np.quantile(near[gives], 1 - abs(amount))), least)
    becomes = np.uint8(Tissue.CSF if amount > 0 else Tissue.CORTEX)
    return np.where(gives & (near > limit), becomes, tissue)


def _add_pineal(
    tissue: LabelArray, index_of_mni: npt.NDArray[np.float64], rng: np.random.Generator, model: dict[str, Any]
) -> None:
    """A pineal gland, of the plexus's density (often calcified), behind the third ventricle."""
    centre = (index_of_mni @ [*_PINEAL_MNI, 1.0])[:3]
    smallest, largest = model["radius_mm"]
    radii = rng.uniform(smallest, largest, size=3)
    low, high = np.floor(centre - 6).astype(int), np.ceil(centre + 7).astype(int)
    if (low < 0).any() or (high > tissue.shape).any():
        return
    grid = np.indices(high - low) + (low - centre)[:, None, None, None]
    inside = ((grid / radii[:, None, None, None]) ** 2).sum(0) <= 1
    part = tissue[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    part[inside & is_tissue(part, INTRACRANIAL)] = Tissue.PLEXUS


def _add_plexus(tissue: LabelArray, rng: np.random.Generator, model: dict[str, Any]) -> LabelArray:
    """Choroid plexus in the trigones: small balls deepest inside the ventricles' back half."""
    ventricle = tissue == Tissue.VENTRICLE
    if not ventricle.any():
        return tissue
    box = bounding_box(ventricle)
    inside = ventricle[box]
    y = np.arange(inside.shape[1])[None, :, None]
    depth = ndimage.gaussian_filter(inside.astype(np.float32), 2.5, truncate=2)
    chosen = inside & (depth > 0.72) & (np.abs(y - 0.30 * inside.shape[1]) < 7)
    parts, count = ndimage.label(chosen)
    chosen = np.zeros_like(chosen)
    for centre in ndimage.center_of_mass(np.ones_like(parts), parts, range(1, count + 1)):
        smallest, largest = model["radius_mm"]
        radii = rng.uniform(smallest, largest, size=3) * [0.8, 1.3, 1.0]
        axes = [(np.arange(n) - c) / r for n, c, r in zip(inside.shape, centre, radii, strict=True)]
        square = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
        chosen |= inside & (square < 1)
    result = tissue.copy()
    result[box][chosen] = Tissue.PLEXUS
    return result
