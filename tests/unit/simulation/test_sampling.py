"""What a scanner sees of a head: place, thickness, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest

from la_outcomes.imaging.geometry import is_sheared, voxel_volume_ml
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.sampling import (
    Grid,
    draw_pose,
    grid_affine,
    index_range,
    sample,
    sample_share,
    slice_directions,
    to_itk,
)

HEAD = np.eye(4)
HEAD[:3, 3] = [-40, -45, -50]
SHAPE = (80, 90, 100)


def _grid(tilt: float = 14.0, pixel: float = 1.1, spacing: float = 5.0, thickness: float = 5.0) -> Grid:
    directions = slice_directions(pixel, spacing, tilt)
    pose = draw_pose(load_parameters()["image"]["ct"], np.random.default_rng(5))
    n = int(48 / pixel) // 2 * 2
    slices = int(60 / spacing)
    return Grid(
        (n, n, slices), grid_affine(directions, np.array([-n / 2, -n / 2, -slices / 2])), thickness, pose
    )


def _head_points(grid: Grid) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    to_head = grid.pose @ grid.affine
    return np.asarray(index @ to_head[:3, :3].T + to_head[:3, 3])


@pytest.mark.parametrize(
    ("pixel", "thickness", "spacing"), [(1.1, 5, 5), (0.5, 5, 5), (1.1, 3, 6), (1.1, 6, 3)]
)
def test_a_voxel_holds_the_head_at_its_own_place(pixel: float, thickness: float, spacing: float) -> None:
    """A linear ramp keeps its value at the voxel's centre under any averaging: an oblique, sheared grid."""
    grid = _grid(pixel=pixel, thickness=thickness, spacing=spacing)
    x, y, z = np.indices(SHAPE).astype(np.float32) + HEAD[:3, 3, None, None, None].astype(np.float32)
    ramp = 2 * x - 3 * y + 1.5 * z
    seen = sample(ramp, HEAD, grid, step_mm=1.0, outside=0.0)
    expected = _head_points(grid) @ [2.0, -3.0, 1.5]
    inner = (slice(3, -3), slice(3, -3), slice(1, -1))
    assert np.abs(seen - expected)[inner].max() < 0.02


def test_thick_slices_blur_along_their_normal_as_much_as_they_are_thick() -> None:
    sheet = np.zeros(SHAPE, np.float32)
    sheet[:, :, 50] = 1.0
    grid = _grid(tilt=0.0)
    flat = Grid(grid.shape, grid.affine, 5.0, np.eye(4))
    seen = sample(sheet, HEAD, flat, step_mm=1.0, outside=0.0)
    assert seen.max() == pytest.approx(0.2, abs=0.02)


def test_a_soft_map_keeps_its_volume_and_is_the_same_in_part_as_in_whole() -> None:
    lesion = np.zeros(SHAPE, np.float32)
    lesion[34:46, 40:52, 45:57] = 0.7
    for tilt in (0.0, 20.0):
        grid = _grid(tilt=tilt)
        part = sample_share(lesion, HEAD, grid, step_mm=1.0)
        volume = float(part.sum()) * voxel_volume_ml(grid.affine)
        assert volume == pytest.approx(float(lesion.sum()) / 1000, rel=0.01)
        assert part == pytest.approx(sample(lesion, HEAD, grid, step_mm=1.0, outside=0.0), abs=1e-4)


def test_nothing_gives_nothing() -> None:
    assert sample_share(np.zeros(SHAPE, np.float32), HEAD, _grid(), step_mm=1.0).sum() == 0


def test_a_tilted_grid_is_sheared_and_its_slices_keep_their_distance() -> None:
    for tilt in (-20.0, 0.0, 25.0):
        directions = slice_directions(0.45, 5.0, tilt)
        normal = np.cross(directions[:, 0], directions[:, 1])
        assert abs(normal @ directions[:, 2]) / np.linalg.norm(normal) == pytest.approx(5.0)
        assert is_sheared(grid_affine(directions, np.zeros(3))) == (tilt != 0)


def test_the_range_of_indices_bounds_the_mask() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[30:51, 30:61, 30:71] = True
    low, high = index_range(mask, HEAD, np.eye(4), np.diag([0.5, 0.5, 5.0]))
    millimetres = np.array([0.5, 0.5, 5.0])
    assert low * millimetres == pytest.approx([-10, -15, -20], abs=2.01)
    assert high * millimetres == pytest.approx([10, 15, 20], abs=2.01)


def test_a_ras_map_becomes_an_lps_transform() -> None:
    matrix = draw_pose(load_parameters()["image"]["ct"], np.random.default_rng(2))
    point = np.array([11.0, -7.0, 30.0])
    moved = (matrix @ [*point, 1])[:3]
    lps = np.array([-1, -1, 1])
    assert np.array(to_itk(matrix).TransformPoint((lps * point).tolist())) * lps == pytest.approx(moved)
