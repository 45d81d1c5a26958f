"""Laws of volumes, of resampling on oblique and sheared grids, and of the way to ITK and back."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import (
    Image,
    from_sitk,
    index_image,
    is_sheared,
    lean_deg,
    orthogonal_grid,
    resample_to,
    slice_axis,
    to_sitk,
    volume_ml,
    voxel_volume_ml,
)

ODD = (3, 2, 5)


def affine_of(
    spacing: tuple[float, float, float] = (0.5, 0.7, 5.0),
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
    tilt_degrees: float = 0.0,
    origin: tuple[float, float, float] = (-30.0, 12.0, 7.0),
) -> np.ndarray:
    """Rotation x shear x spacing: a grid whose slices step along a leaning axis, as a tilted CT's do."""
    shear = np.eye(3)
    shear[1, 2] = np.tan(np.radians(tilt_degrees))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ shear @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


affines = st.builds(
    affine_of,
    st.tuples(*[st.floats(0.3, 8)] * 3),
    st.tuples(*[st.floats(-30, 30)] * 3),
    st.floats(-25, 25),
)


def smooth_image(shape: tuple[int, int, int], affine: np.ndarray) -> Image:
    """A linear function of world position: linear resampling must reproduce it exactly."""
    index = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ index + affine[:3, 3:]
    return Image((np.array([1.0, -2.0, 0.5]) @ world + 3).reshape(shape).astype(np.float64), affine)


@given(affine=affines)
def test_voxel_volume_does_not_feel_rotation_or_shear(affine: np.ndarray) -> None:
    in_shear_frame = np.linalg.qr(affine[:3, :3])[1]
    assert voxel_volume_ml(affine) == pytest.approx(abs(np.prod(np.diag(in_shear_frame))) / 1000)


def test_a_tilted_voxel_is_smaller_than_the_product_of_its_spacings() -> None:
    affine = affine_of((0.5, 0.5, 4.0), tilt_degrees=18.5)
    assert voxel_volume_ml(affine) == pytest.approx(0.001)
    assert np.prod(Image(np.zeros(ODD), affine).spacing_mm) / 1000 > 0.00105


def test_volume_is_the_sum_times_the_voxel() -> None:
    soft = np.zeros(ODD)
    soft[0, 0, 0], soft[2, 1, 4] = 0.25, 0.5
    assert volume_ml(soft, affine_of((1, 2, 5))) == pytest.approx(0.0075)
    assert volume_ml(soft > 0, affine_of((1, 2, 5))) == pytest.approx(0.02)
    assert volume_ml(np.zeros(ODD, bool), affine_of()) == 0.0


def test_volume_of_a_large_float32_map_does_not_lose_voxels() -> None:
    ones = np.ones((300, 300, 200), np.float32)
    assert volume_ml(ones, np.eye(4)) == 18_000.0


@pytest.mark.parametrize("value", [2, -0.5, np.nan, np.inf])
def test_what_is_no_mask_has_no_volume(value: float) -> None:
    with pytest.raises(InputError, match="0 to 1"):
        volume_ml(np.full(ODD, value, dtype=np.float64), np.eye(4))


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 5, 1), (3, 0, 5)])
def test_an_image_has_three_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="three axes"):
        Image(np.zeros(shape), np.eye(4))


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)])
def test_an_affine_must_give_voxels_a_volume(affine: np.ndarray) -> None:
    with pytest.raises(InputError):
        Image(np.zeros(ODD), affine)


@given(affine=affines)
@settings(max_examples=30)
def test_itk_sees_each_voxel_where_the_affine_puts_it(affine: np.ndarray) -> None:
    affine = affine.copy()
    affine[:3, :3] = np.linalg.qr(affine[:3, :3])[0] * np.linalg.norm(affine[:3, :3], axis=0)
    image = Image(np.arange(30, dtype=np.float32).reshape(ODD), affine)
    seen = to_sitk(image)
    index = (2, 1, 3)
    world = affine @ [*index, 1]
    assert seen.TransformIndexToPhysicalPoint(index) == pytest.approx(
        (-world[0], -world[1], world[2]), abs=1e-6
    )
    assert seen[index] == image.data[index]
    back = from_sitk(seen)
    np.testing.assert_allclose(back.affine, affine, atol=1e-9)
    np.testing.assert_array_equal(back.data, image.data)


def test_itk_is_refused_a_sheared_grid() -> None:
    with pytest.raises(InputError, match="right angles"):
        to_sitk(Image(np.zeros(ODD), affine_of(tilt_degrees=1)))


def test_index_image_has_indices_for_points_and_takes_booleans() -> None:
    seen = index_image(np.eye(3, dtype=bool)[:, :, None])
    assert seen.GetPixelID() == sitk.sitkUInt8
    assert seen.TransformIndexToPhysicalPoint((2, 1, 0)) == (2.0, 1.0, 0.0)


@given(source=affines, target=affines)
@settings(max_examples=25, deadline=None)
def test_linear_resampling_reproduces_a_linear_world(source: np.ndarray, target: np.ndarray) -> None:
    image = smooth_image((9, 8, 7), source)
    shape = (5, 6, 4)
    index = np.indices(shape).reshape(3, -1)
    in_source = np.linalg.inv(source) @ target @ np.vstack([index, np.ones(index.shape[1])])
    inside = ((in_source[:3] >= 0) & (in_source[:3] <= np.array([[8], [7], [6]]))).all(axis=0)
    result = resample_to(image, shape, target, interpolator="linear", outside=-7)
    expected = smooth_image(shape, target).data.ravel()
    np.testing.assert_allclose(result.data.ravel()[inside], expected[inside], rtol=1e-4, atol=2e-3)


def test_resampling_agrees_with_scipy_on_a_sheared_source() -> None:
    rng = np.random.default_rng(1)
    image = Image(rng.normal(size=(12, 11, 6)), affine_of((2, 2, 5), (5, -8, 20), 18.5))
    shape, target = orthogonal_grid(image, (1.5, 1.5, 2.5))
    index = np.indices(shape).reshape(3, -1)
    in_source = np.linalg.inv(image.affine) @ target @ np.vstack([index, np.ones(index.shape[1])])
    expected = map_coordinates(image.data, in_source[:3], order=1, cval=0).reshape(shape)
    inside = ((in_source[:3] >= 0) & (np.array(image.shape) - 1 >= in_source[:3].T).T).all(axis=0)
    result = resample_to(image, shape, target, interpolator="linear", outside=0)
    assert inside.sum() > 500
    np.testing.assert_allclose(result.data.ravel()[inside], expected.ravel()[inside], atol=2e-3)


def test_resampling_onto_its_own_grid_changes_nothing() -> None:
    data = np.random.default_rng(2).integers(0, 5, (5, 6, 7)).astype(np.int16)
    image = Image(data, affine_of(degrees=(3, 9, -4), tilt_degrees=12))
    kinds = {"nearest": np.int16, "linear": np.float32, "bspline": np.float32}
    for kind, dtype in kinds.items():
        result = resample_to(image, data.shape, image.affine, interpolator=kind, outside=-1)  # type: ignore[arg-type]
        assert result.data.dtype == dtype
        np.testing.assert_allclose(result.data, data, atol=1e-4)


def test_a_transform_maps_points_of_the_target_to_the_source_in_lps() -> None:
    image = Image(np.zeros((7, 7, 7), np.float32), np.eye(4))
    image.data[5, 3, 3] = 1
    towards_the_left = sitk.TranslationTransform(3, (-2.0, 0.0, 0.0))  # LPS -x is RAS +x
    result = resample_to(
        image, (7, 7, 7), np.eye(4), interpolator="nearest", outside=0, transform=towards_the_left
    )
    assert np.argwhere(result.data).tolist() == [[3, 3, 3]]


def test_points_off_the_source_take_the_outside_value() -> None:
    away = np.eye(4)
    away[:3, 3] = 100
    image = Image(np.zeros(ODD), np.eye(4))
    assert (resample_to(image, ODD, away, interpolator="linear", outside=-1024).data == -1024).all()


def test_bsplines_need_four_voxels() -> None:
    with pytest.raises(InputError, match="too few voxels"):
        resample_to(Image(np.zeros(ODD), np.eye(4)), ODD, np.eye(4), interpolator="bspline", outside=0)


@given(affine=affines, step=st.floats(0.4, 9))
def test_the_orthogonal_grid_covers_the_whole_field_of_view(affine: np.ndarray, step: float) -> None:
    image = Image(np.zeros((4, 3, 6)), affine)
    shape, grid = orthogonal_grid(image, step)
    assert not is_sheared(grid)
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in image.shape])).reshape(3, 8)
    seen = np.linalg.inv(grid) @ image.affine @ np.vstack([corners, np.ones(8)])
    assert (seen[:3] > -0.5 - 1e-5).all()
    assert (np.array(shape) - 0.5 + 1e-5 > seen[:3].T).all()
    extent = np.ptp(seen[:3], axis=1)
    assert (np.array(shape) - extent < 1 + 1e-5).all(), "no slice more than needed"


def test_the_orthogonal_grid_of_an_orthogonal_image_is_itself() -> None:
    image = Image(np.zeros(ODD), affine_of((0.5, 0.7, 5.0), (4, -6, 15)))
    shape, grid = orthogonal_grid(image, (0.5, 0.7, 5.0))
    assert shape == ODD
    np.testing.assert_allclose(grid, image.affine, atol=1e-9)


def test_the_orthogonal_grid_of_a_tilted_scan_keeps_the_planes_of_its_slices() -> None:
    image = Image(np.zeros((20, 20, 10)), affine_of((1, 1, 5), (0, 3, 0), tilt_degrees=18.5))
    assert slice_axis(image.affine) == 2
    _, grid = orthogonal_grid(image, (1, 1, 5))
    np.testing.assert_allclose(grid[:3, :2], image.affine[:3, :2], atol=1e-9)


@pytest.mark.parametrize("tilt_deg", [-18.0, -0.5, 0.5, 20.0])
def test_a_tilt_written_exactly_leans_the_way_from_slice_to_slice(tilt_deg: float) -> None:
    tilt, affine = np.radians(tilt_deg), np.eye(4)
    affine[:3, :3] = [[0.5, 0, 0], [0, 0.5 * np.cos(tilt), 0], [0, 0.5 * np.sin(tilt), 5 / np.cos(tilt)]]
    assert slice_axis(affine) == 2
    assert lean_deg(affine) == pytest.approx(abs(tilt_deg))


def test_a_grid_needs_a_spacing() -> None:
    with pytest.raises(InputError, match="above 0"):
        orthogonal_grid(Image(np.zeros(ODD), np.eye(4)), 0)
