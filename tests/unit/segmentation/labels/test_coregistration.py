"""Coregistration finds a known pose, carries a mask through it, and gives the same bytes again."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from pair_phantom import Pair, dice, error_mm, make_pair
from scipy.spatial.transform import Rotation

from la_outcomes.errors import InputError
from la_outcomes.segmentation.labels.coregistration import (
    Coregistration,
    affine_transform,
    carry,
    coregister,
    rigid_alignment,
)
from la_outcomes.segmentation.labels.deformation import jacobian
from la_outcomes.segmentation.labels.pseudo_labels import binarise
from la_outcomes.segmentation.labels.working import cropped, working_scan


def _run(pair: Pair) -> Coregistration:
    return coregister(pair.ct, pair.flair, pair.inside_ct, pair.inside_flair)


@pytest.fixture(scope="module")
def turned() -> tuple[Pair, Coregistration]:
    pair = make_pair(angles_deg=(12, -8, 15), shift_mm=(9, -14, 11), tilt=0.25)
    return pair, _run(pair)


def test_a_turned_and_shifted_flair_is_found(turned: tuple[Pair, Coregistration]) -> None:
    pair, found = turned
    assert error_mm(affine_transform(found.rigid), pair, pair.inside_ct).mean() < 1.0
    assert error_mm(found.transform, pair, pair.inside_ct).mean() < 1.5


def test_a_search_that_went_astray_begins_again(turned: tuple[Pair, Coregistration]) -> None:
    """From a head on its face, half a head away."""
    pair, found = turned
    fixed = cropped(working_scan(pair.ct, pair.inside_ct, outside=-1000.0))
    moving = working_scan(pair.flair, pair.inside_flair, outside=0.0)
    start = np.diag([1.0, -1.0, -1.0, 1.0])
    start[:3, 3] = (40.0, 0.0, 30.0)
    matrix = rigid_alignment(fixed, moving, start)
    assert error_mm(affine_transform(matrix), pair, pair.inside_ct).mean() < 1.0
    assert np.abs(matrix - found.rigid).max() < 0.5


def test_the_carried_mask_lies_on_the_lesion(turned: tuple[Pair, Coregistration]) -> None:
    pair, found = turned
    soft = carry(pair.wmh_flair, pair.ct, found.transform).data
    exact = carry(pair.wmh_flair, pair.ct, pair.truth).data
    assert dice(binarise(soft), pair.wmh_ct.data) > 0.9 * dice(binarise(exact), pair.wmh_ct.data)
    assert soft.sum() == pytest.approx(exact.sum(), rel=0.05)


def test_a_rigid_head_is_hardly_deformed(turned: tuple[Pair, Coregistration]) -> None:
    _, found = turned
    low, high = np.percentile(found.jacobian, [1, 99])
    assert 0.75 < low < 1 < high < 1.3


def test_the_same_inputs_give_the_same_transform(turned: tuple[Pair, Coregistration]) -> None:
    pair, found = turned
    again = _run(pair)
    assert np.array_equal(again.rigid, found.rigid)
    fields = [sitk.DisplacementFieldTransform(x.transform.GetNthTransform(1)) for x in (again, found)]
    first, second = (sitk.GetArrayFromImage(field.GetDisplacementField()) for field in fields)
    assert np.array_equal(first, second)


def test_a_scan_without_a_brain_is_refused() -> None:
    pair = make_pair()
    nothing = np.zeros(pair.flair.shape, bool)
    with pytest.raises(InputError, match="brain on both"):
        coregister(pair.ct, pair.flair, pair.inside_ct, nothing)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_jacobian_of_a_uniform_scaling_on_an_oblique_grid(factor: float) -> None:
    """d(point + displacement)/d(point) has determinant factor^3 whatever way the grid is turned."""
    turn = Rotation.from_euler("xyz", (20, -15, 35), degrees=True).as_matrix()
    spacing = np.array([1.5, 2.0, 3.0])
    index = np.moveaxis(np.indices((7, 6, 5), dtype=float), 0, -1)
    displacement = (factor - 1) * (index * spacing) @ turn.T
    field = sitk.GetImageFromArray(displacement.transpose(2, 1, 0, 3), isVector=True)
    field.SetSpacing(spacing.tolist())
    field.SetDirection(turn.ravel().tolist())
    assert jacobian(field) == pytest.approx(np.full((7, 6, 5), factor**3))


def test_jacobian_of_a_pure_rotation_is_one() -> None:
    turn = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    points = np.moveaxis(np.indices((6, 6, 6), dtype=float), 0, -1)
    field = sitk.GetImageFromArray((points @ turn.T - points).transpose(2, 1, 0, 3), isVector=True)
    assert jacobian(field) == pytest.approx(np.ones((6, 6, 6)))
