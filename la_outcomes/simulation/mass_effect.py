"""Room that infarcts take or leave: fresh ones swell, old ones shrink, and what lies around them moves.

The tissue gains (or loses) a share of its volume, the fluid nearby gives (or takes) as much, and the
displacement between is the gradient of a potential (Poisson's equation, as for any field without
rotation). It dies out towards the skull, which does not move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from la_outcomes.simulation.anatomy import INTRACRANIAL, Tissue, is_tissue
from la_outcomes.simulation.fields import FloatArray, drawn, linear_basis, separable
from la_outcomes.simulation.head import Head, volume_of
from la_outcomes.simulation.infarcts import infarct_of_volume, infarct_score
from la_outcomes.simulation.patient import PatientSpec

_COARSE_MM = 4
_SKULL_TAPER_MM = (2.0, 10.0)
_MOST_OF_FLUID = 0.6
_PRIOR_BIT = np.uint8(128)


@dataclass(frozen=True, eq=False)
class Infarcts:
    """Soft maps (share of a voxel, 0..1) of the infarct at hand and of an older one, which share none."""

    acute: FloatArray
    old: FloatArray


def draw_infarcts(
    head: Head,
    patient: PatientSpec,
    rngs: tuple[np.random.Generator, np.random.Generator],
    model: dict[str, Any],
) -> tuple[Head, Infarcts]:
    """The head after its infarcts have shrunk or swollen, and their maps on it.

    ``rngs``: for the infarct at hand and the old one. ``model``: ``parameters["image"]["infarct"]``. The
    infarct at hand has the asked volume after swelling. Raises ``InputError`` as ``infarct_score`` does.
    """
    acute_rng, old_rng = rngs
    shrinkage = -drawn(model["mass_effect"]["shrinkage"], old_rng)
    head, old, _ = _placed(head, patient.old_infarct_volume_ml, None, shrinkage, old_rng, model)
    swelling = drawn(model["mass_effect"]["swelling"], acute_rng) * swollen_share(
        patient.hours_from_onset, model["mass_effect"]
    )
    head, acute, move = _placed(
        head, patient.infarct_volume_ml, patient.infarct_mask, swelling, acute_rng, model
    )
    if move is not None:
        old = warp(old, move)
    return head, Infarcts(acute, old * (1 - acute))


def swollen_share(hours: float, model: dict[str, Any]) -> float:
    """Share (0..1) of its greatest swelling that an infarct has: up within days of onset, gone in weeks."""
    rise = 1 - np.exp(-((hours / model["rise_hours"]) ** 2))
    return float(rise * np.exp(-max(hours - model["peak_hours"], 0.0) / model["fall_hours"]))


def _placed(
    head: Head,
    volume_ml: float,
    mask: str | None,
    strain: float,
    rng: np.random.Generator,
    model: dict[str, Any],
) -> tuple[Head, FloatArray, npt.NDArray[np.float64] | None]:
    if volume_ml <= 0:
        return head, np.zeros(head.tissue.shape, dtype=np.float32), None
    score = infarct_score(head, volume_ml, mask, rng, model)
    if abs(strain) * volume_ml < model["mass_effect"]["least_ml"]:
        return head, infarct_of_volume(head, score, volume_ml, model), None
    before = infarct_of_volume(head, score, volume_ml / (1 + strain), model)
    move = displacement(head, before, strain, float(model["mass_effect"]["reach_mm"]))
    head, score = moved(head, move), warp(score, move)
    return head, infarct_of_volume(head, score, volume_ml, model), move


def displacement(head: Head, share: FloatArray, strain: float, reach_mm: float) -> npt.NDArray[np.float64]:
    """Where each voxel's content comes from: (k, j, i, 3) mm to be added to a place, as ITK stores it.

    ``share``: map (0..1) of what changes its volume by the factor 1 + ``strain``.
    """
    swell = _coarse(share) * np.float32(strain)
    fluid = _coarse(is_tissue(head.tissue, (Tissue.CSF, Tissue.VENTRICLE)))
    inside = _coarse(is_tissue(head.tissue, INTRACRANIAL)) > 0.3
    away = ndimage.distance_transform_edt(np.abs(swell) < 0.3 * abs(strain)) * _COARSE_MM
    give = fluid * np.exp(-away / reach_mm)
    given = np.clip(give * (swell.sum() / max(float(give.sum()), 1e-6)), -_MOST_OF_FLUID, _MOST_OF_FLUID)
    gradient = np.gradient(_potential(swell - given), _COARSE_MM)
    # the falx belongs to what moves: gaps in the inside are closed
    inside = ndimage.binary_closing(np.pad(inside, 3), iterations=3)[3:-3, 3:-3, 3:-3]
    depth = ndimage.distance_transform_edt(inside) * _COARSE_MM
    taper = np.clip((depth - _SKULL_TAPER_MM[0]) / (_SKULL_TAPER_MM[1] - _SKULL_TAPER_MM[0]), 0, 1)
    forward = np.stack([part * taper for part in gradient])
    backward = _inverse(forward)
    bases = [
        linear_basis(n, m, (np.arange(n) + 0.5) / _COARSE_MM - 0.5)
        for n, m in zip(share.shape, backward.shape[1:], strict=True)
    ]
    move = np.empty((*share.shape[::-1], 3), dtype=np.float64)
    for axis in range(3):
        move[..., axis] = separable(backward[axis].astype(np.float32), bases).T
    return move


def _coarse(values: npt.NDArray[Any]) -> FloatArray:
    """Means over blocks of 4 mm."""
    pad = [(0, -n % _COARSE_MM) for n in values.shape]
    padded = np.pad(values.astype(np.float32), pad)
    a, b, c = (n // _COARSE_MM for n in padded.shape)
    blocks = padded.reshape(a, _COARSE_MM, b, _COARSE_MM, c, _COARSE_MM)
    return np.asarray(blocks.mean((1, 3, 5)), dtype=np.float32)


def _potential(source: FloatArray) -> npt.NDArray[np.float64]:
    """Solution of Laplace(phi) = source (less its mean) on the coarse grid, no flow through its faces."""
    spectrum = fft.dctn(source.astype(np.float64), norm="ortho")
    waves = [2 * np.cos(np.pi * np.arange(n) / n) - 2 for n in source.shape]
    laplace = waves[0][:, None, None] + waves[1][None, :, None] + waves[2][None, None, :]
    laplace[0, 0, 0] = 1.0
    spectrum /= laplace / _COARSE_MM**2
    spectrum[0, 0, 0] = 0.0
    return np.asarray(fft.idctn(spectrum, norm="ortho"))


def _inverse(forward: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Backward field u with u(x) = -forward(x + u(x)), by fixed point; (3, i, j, k) mm."""
    index = np.indices(forward.shape[1:], dtype=np.float64)
    backward = -forward
    for _ in range(4):
        at = index + backward / _COARSE_MM
        backward = -np.stack([ndimage.map_coordinates(part, at, order=1, mode="nearest") for part in forward])
    return backward


def warp(values: npt.NDArray[Any], move: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """A map of the head after the move: floats linearly, classes by nearest neighbour."""
    import SimpleITK as sitk

    field = sitk.GetImageFromArray(move, isVector=True)
    source = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    filter_ = sitk.WarpImageFilter()
    classes = np.issubdtype(values.dtype, np.integer)
    filter_.SetInterpolator(sitk.sitkNearestNeighbor if classes else sitk.sitkLinear)
    filter_.SetOutputParameteresFromImage(field)
    result = sitk.GetArrayFromImage(filter_.Execute(source, field))
    return np.ascontiguousarray(result.transpose(2, 1, 0))


def moved(head: Head, move: npt.NDArray[np.float64]) -> Head:
    """The head after the move, its skull and what lies outside it unchanged."""
    packed = warp(head.tissue | (head.lesion_prior * _PRIOR_BIT), move)
    still = ~is_tissue(head.tissue, (*INTRACRANIAL, Tissue.VESSEL))
    tissue = np.where(still, head.tissue, packed & ~_PRIOR_BIT)
    outside = ~is_tissue(tissue, (*INTRACRANIAL, Tissue.VESSEL)) & ~still
    tissue[outside] = Tissue.CSF
    fluid = (Tissue.CSF, Tissue.VENTRICLE, Tissue.PLEXUS)
    icv = volume_of(tissue, INTRACRANIAL)
    return replace(
        head, tissue=tissue, lesion_prior=packed >= _PRIOR_BIT, icv_ml=icv,
        brain_volume_ml=icv - volume_of(tissue, fluid),
    )  # fmt: skip
