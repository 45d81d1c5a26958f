"""A CT in two stacks of slices: thin ones through the base of the skull, thick ones above, one series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from la_outcomes.imaging.geometry import Affine, Image
from la_outcomes.imaging.slabs import even_grid
from la_outcomes.simulation.sampling import Grid

_LOWER_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class StackImage:
    """Slices as they were taken, and the thickness of each."""

    image: Image
    thickness_mm: float


def split(grid: Grid, lower_thickness_mm: float | None) -> list[Grid]:
    """The grid itself, or a stack of thin slices in place of its lowest two fifths and what is left."""
    spacing = slice_spacing(grid.affine)
    below = round(_LOWER_SHARE * grid.shape[2])
    if lower_thickness_mm is None or below == 0:
        return [grid]
    count = max(round(below * spacing / lower_thickness_mm), 1)
    step = grid.affine[:3, 2] / spacing
    upper, lower = grid.affine.copy(), grid.affine.copy()
    upper[:3, 3] += below * grid.affine[:3, 2]
    lower[:3, 2] = step * lower_thickness_mm
    face = (below - 0.5) * spacing
    lower[:3, 3] += step * (face - (count - 0.5) * lower_thickness_mm)
    columns, rows, slices = grid.shape
    return [
        replace(grid, shape=(columns, rows, count), affine=lower, thickness_mm=lower_thickness_mm),
        replace(grid, shape=(columns, rows, slices - below), affine=upper),
    ]


def merge(stacks: Sequence[StackImage]) -> Image:
    """One volume: stacks are brought to an even grid as ``convert`` does it with uneven slices."""
    first = stacks[0].image
    if len(stacks) == 1:
        return first
    centres, thickness = slice_places(stacks)
    grid = even_grid(centres, thickness)
    data = np.concatenate([stack.image.data for stack in stacks], axis=2) @ grid.weights.T.astype(np.float32)
    affine = first.affine.copy()
    unit = first.affine[:3, 2] / slice_spacing(first.affine)
    affine[:3, 2] = unit * grid.step_mm
    affine[:3, 3] += unit * grid.first_mm
    kind = first.data.dtype
    return Image(np.rint(data).astype(kind) if np.issubdtype(kind, np.integer) else data.astype(kind), affine)


def slice_places(
    stacks: Sequence[StackImage],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centres along the normal (mm, from the first slice's) and thicknesses of all slices."""
    first = stacks[0].image.affine
    normal = np.cross(first[:3, 0], first[:3, 1])
    normal = normal / np.linalg.norm(normal)
    centres = [
        float(normal @ (stack.image.affine[:3, 3] + k * stack.image.affine[:3, 2] - first[:3, 3]))
        for stack in stacks
        for k in range(stack.image.shape[2])
    ]
    thickness = [stack.thickness_mm for stack in stacks for _ in range(stack.image.shape[2])]
    return np.array(centres), np.array(thickness)


def slice_spacing(affine: Affine) -> float:
    """Distance (mm) of neighbouring slices along their normal."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    return float(abs(normal @ affine[:3, 2]) / np.linalg.norm(normal))
