"""Geometric distortion of MR images: gradients that are not quite linear, fields that are not quite even.

``e`` says by how much a place appears shifted: what lies at q (scanner mm, LPS) is seen at q + e(q). It is
held on a coarse grid and read linearly, as SimpleITK does, so the transform that is handed out is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.simulation.fields import smooth_field

if TYPE_CHECKING:
    import SimpleITK as sitk

_STEP_MM = 8.0
_FADE_MM = 40.0


@dataclass(frozen=True, eq=False)
class Distortion:
    """``shift`` (3, i, j, k), LPS mm, on a grid of 8 mm whose first node lies at ``origin`` (LPS mm)."""

    shift: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]

    def appears(self) -> sitk.DisplacementFieldTransform:
        """True place (LPS mm) to the place where it is seen."""
        return _transform(self.shift, self.origin)

    def undone(self) -> sitk.DisplacementFieldTransform:
        """Place in the image to the place seen there (the inverse, exact at the nodes)."""
        index = np.indices(self.shift.shape[1:], dtype=np.float64)
        back = -self.shift
        for _ in range(8):
            at = index + back / _STEP_MM
            back = -np.stack(
                [ndimage.map_coordinates(part, at, order=1, mode="nearest") for part in self.shift]
            )
        return _transform(back, self.origin)


def draw_distortion(
    corners: npt.NDArray[np.float64], rng: np.random.Generator, model: dict[str, Any]
) -> Distortion:
    """A scanner's distortion over a block with these corners (n, 3; LPS mm), fading outside it.

    A cubic part that grows with the distance from the isocentre, and a smooth random one.
    """
    low, high = corners.min(0) - _FADE_MM, corners.max(0) + _FADE_MM
    shape = np.ceil((high - low) / _STEP_MM).astype(int) + 1
    axes = [low[a] + _STEP_MM * np.arange(n) for a, n in enumerate(shape)]
    place = np.stack(np.meshgrid(*axes, indexing="ij"))
    middle = (corners.min(0) + corners.max(0)) / 2
    from_centre = place - middle[:, None, None, None]
    square = (from_centre**2).sum(0) / 100.0**2
    cubic = model["at_100_mm"] * rng.standard_normal(3)
    shift = from_centre / 100.0 * square * cubic[:, None, None, None]
    for axis in range(3):
        shift[axis] += model["sd_mm"] * smooth_field(shape.tolist(), model["control_mm"] / _STEP_MM, rng)
    inside = np.ones(shape)
    for axis, n in enumerate(shape):
        edge = np.minimum(np.arange(n), np.arange(n)[::-1]) * _STEP_MM / _FADE_MM
        inside *= np.clip(edge, 0, 1).reshape([-1 if a == axis else 1 for a in range(3)])
    return Distortion(shift * inside, low)


def _transform(
    shift: npt.NDArray[np.float64], origin: npt.NDArray[np.float64]
) -> sitk.DisplacementFieldTransform:
    import SimpleITK as sitk

    field = sitk.GetImageFromArray(np.ascontiguousarray(shift.transpose(3, 2, 1, 0)), isVector=True)
    field.SetSpacing([_STEP_MM] * 3)
    field.SetOrigin([float(value) for value in origin])
    return sitk.DisplacementFieldTransform(field)
