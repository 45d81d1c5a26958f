"""How a scanner sees a head: oblique or sheared grids, thick slices, pose.

Scanner space and head space are both RAS mm; the pose maps scanner points to head points. Inside this
module points are RAS; the transforms handed out are SimpleITK's, between LPS points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from la_outcomes.imaging.geometry import Image, resample_to
from la_outcomes.simulation.anatomy import BoolArray
from la_outcomes.simulation.distortion import Distortion
from la_outcomes.simulation.fields import FloatArray

if TYPE_CHECKING:
    import SimpleITK as sitk

Matrix = npt.NDArray[np.float64]
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_FINEST_SAMPLING_MM = 0.8


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel grid of a scan in scanner space, its slice thickness, and the pose scanner -> head (4x4, RAS).

    ``distortion``: what the scanner does to places (None: nothing).
    """

    shape: tuple[int, int, int]
    affine: Matrix
    thickness_mm: float
    pose: Matrix
    distortion: Distortion | None = None

    def to_head(self) -> sitk.Transform:
        """Point of the scan (LPS mm) to the point of the head (LPS mm) that is seen there."""
        import SimpleITK as sitk

        pose = to_itk(self.pose)
        return pose if self.distortion is None else sitk.CompositeTransform([pose, self.distortion.undone()])


def draw_pose(model: dict[str, Any], rng: np.random.Generator) -> Matrix:
    """Scanner point to head point: a rotation (pitch about x, yaw about z, roll about y) and a shift."""
    angles = np.radians([model["head_turn_deg"][name] for name in ("pitch", "roll", "yaw")])
    pitch, roll, yaw = angles * rng.standard_normal(3)
    pose = np.eye(4)
    pose[:3, :3] = _rotation(0, pitch) @ _rotation(1, roll) @ _rotation(2, yaw)
    pose[:3, 3] = model["head_shift_mm"] * rng.standard_normal(3)
    return pose


def _rotation(axis: int, angle: float) -> Matrix:
    first, second = [a for a in range(3) if a != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def slice_directions(pixel_mm: float, spacing_mm: float, tilt_deg: float) -> npt.NDArray[np.float64]:
    """3x3 columns of a grid whose slices lean by the tilt while the table moves along z.

    The slices' perpendicular distance is ``spacing_mm``, so the table moves ``spacing_mm / cos(tilt)``.
    """
    tilt = np.radians(tilt_deg)
    return np.array(
        [
            [pixel_mm, 0.0, 0.0],
            [0.0, pixel_mm * np.cos(tilt), 0.0],
            [0.0, pixel_mm * np.sin(tilt), spacing_mm / np.cos(tilt)],
        ]
    )


def index_range(
    mask: BoolArray, head_affine: Matrix, pose: Matrix, directions: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lowest and highest index, along the grid's directions, of a mask of the head (every third voxel)."""
    points = np.argwhere(mask[::3, ::3, ::3]) * 3.0
    in_head = points @ head_affine[:3, :3].T + head_affine[:3, 3]
    to_scanner = np.linalg.inv(pose)
    in_scanner = in_head @ to_scanner[:3, :3].T + to_scanner[:3, 3]
    index = in_scanner @ np.linalg.inv(directions).T
    return index.min(axis=0), index.max(axis=0)


def grid_affine(directions: npt.NDArray[np.float64], first_index: npt.NDArray[np.float64]) -> Matrix:
    """Affine of the grid whose voxel 0 lies at ``first_index`` along the directions."""
    affine = np.eye(4)
    affine[:3, :3] = directions
    affine[:3, 3] = directions @ first_index
    return affine


def sample(
    values: FloatArray, head_affine: Matrix, grid: Grid, *, step_mm: float, outside: float
) -> FloatArray:
    """What the scan's voxels hold of a map of the head: its mean over each slice's thickness.

    In plane a finer grid than the head's own is reached by linear interpolation. ``outside``: value
    beyond the head's grid.
    """
    factor = 2 if grid.affine[0, 0] < _FINEST_SAMPLING_MM and grid.shape[0] % 2 == 0 else 1
    shape, affine = _coarser(grid, factor)
    weights, per_slice = _slice_profile(grid, step_mm)
    reach = len(weights) // 2
    affine[:3, 2] /= per_slice
    affine[:3, 3] -= reach * affine[:3, 2]
    source = Image(np.asfortranarray(values), head_affine)
    count = (shape[2] - 1) * per_slice + len(weights)
    fine = resample_to(
        source,
        (*shape[:2], count),
        affine,
        interpolator="linear",
        outside=outside,
        transform=grid.to_head(),
    ).data.T
    last = (shape[2] - 1) * per_slice + 1
    total = sum(weight * fine[o : o + last : per_slice] for o, weight in enumerate(weights))
    total = np.asarray(total, dtype=np.float32)
    return np.ascontiguousarray((total if factor == 1 else _double(total)).T)


def _slice_profile(grid: Grid, step_mm: float) -> tuple[FloatArray, int]:
    """Weights of the samples around a slice's centre (odd number, sum 1), and samples from slice to slice.

    The profile is a rectangle of the slice's thickness.
    """
    normal = np.cross(grid.affine[:3, 0], grid.affine[:3, 1])
    spacing = float(abs(normal @ grid.affine[:3, 2]) / np.linalg.norm(normal))
    per_slice = max(1, round(spacing / step_mm))
    step = spacing / per_slice
    reach = int(np.ceil(grid.thickness_mm / 2 / step - 0.5))
    edges = (np.arange(-reach, reach + 2) - 0.5) * step
    inside = np.clip(edges, -grid.thickness_mm / 2, grid.thickness_mm / 2)
    weights = np.diff(inside)
    return np.asarray(weights / weights.sum(), dtype=np.float32), per_slice


def sample_share(values: FloatArray, head_affine: Matrix, grid: Grid, *, step_mm: float) -> FloatArray:
    """``sample`` of a soft map that is 0 in most of the head: only the grid's part around it is computed."""
    result = np.zeros(grid.shape, dtype=np.float32)
    filled = values > 0
    if not filled.any():
        return result
    spans = [np.flatnonzero(filled.any(tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    corners = np.array(np.meshgrid(*spans)).reshape(3, 8).astype(float)
    to_index = np.linalg.inv(grid.affine) @ np.linalg.inv(grid.pose) @ head_affine
    index = to_index[:3, :3] @ corners + to_index[:3, 3:]
    moved_mm = 0.0 if grid.distortion is None else float(np.abs(grid.distortion.shift).max())
    margin = np.array([4.0, 4.0, 1.0 + grid.thickness_mm / np.linalg.norm(grid.affine[:3, 2])])
    margin += moved_mm / np.linalg.norm(grid.affine[:3, :3], axis=0)
    low = np.maximum(np.floor(index.min(1) - margin).astype(int) // 2 * 2, 0)
    high = np.minimum(np.ceil((index.max(1) + margin) / 2).astype(int) * 2, grid.shape)
    if (high <= low).any():
        return result
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    size = high - low
    shape = (int(size[0]), int(size[1]), int(size[2]))
    part = replace(grid, shape=shape, affine=affine)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    result[box] = sample(values, head_affine, part, step_mm=step_mm, outside=0.0)
    return result


def _coarser(grid: Grid, factor: int) -> tuple[tuple[int, int, int], Matrix]:
    """The grid with ``factor`` times larger pixels over the same field of view."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :2].sum(axis=1) * (factor - 1) / 2
    affine[:3, :2] *= factor
    return (grid.shape[0] // factor, grid.shape[1] // factor, grid.shape[2]), affine


def _double(values: FloatArray) -> FloatArray:
    """Twice the pixels along the last two axes, by linear interpolation."""
    for axis in (1, 2):
        n = values.shape[axis]
        low = values.take(np.maximum(np.arange(n) - 1, 0), axis)
        high = values.take(np.minimum(np.arange(n) + 1, n - 1), axis)
        pair = np.stack([0.25 * low + 0.75 * values, 0.25 * high + 0.75 * values], axis=axis + 1)
        values = pair.reshape([2 * m if a == axis else m for a, m in enumerate(values.shape)])
    return values


def to_itk(matrix: Matrix) -> sitk.AffineTransform:
    """A 4x4 map of RAS points as SimpleITK's transform of LPS points."""
    import SimpleITK as sitk

    lps = _LPS @ matrix @ _LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix([float(value) for value in lps[:3, :3].ravel()])
    transform.SetTranslation([float(value) for value in lps[:3, 3]])
    return transform
