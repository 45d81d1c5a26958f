from __future__ import annotations

import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.segmentation.volumetry import dice, score_masks, surface_distances

AFFINE = np.diag([1.0, 2.0, 5.0, 1.0])


def _box(*spans: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((30, 30, 10), bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return mask


def test_scores_of_shifted_boxes_are_those_by_hand() -> None:
    first, second = _box((5, 15), (5, 15), (3, 6)), _box((7, 17), (5, 15), (3, 6))
    found = score_masks(first, second, AFFINE)
    assert found.dsc == pytest.approx(0.8)
    assert found.predicted_volume_ml == found.reference_volume_ml == pytest.approx(300 * 10 / 1000)
    assert found.volume_error_ml == 0
    assert found.hd95_mm == pytest.approx(2.0)
    assert 0 < found.assd_mm < 2


def test_distances_of_single_voxels_are_in_world_space_under_shear() -> None:
    sheared = AFFINE.copy()
    sheared[1, 2] = 3.0
    first, second = _box((5, 6), (5, 6), (3, 4)), _box((5, 6), (5, 6), (5, 6))
    there, back = surface_distances(first, second, sheared)
    assert there == pytest.approx([np.hypot(6, 10)])
    assert back == pytest.approx([np.hypot(6, 10)])


def test_identical_masks_score_perfectly() -> None:
    mask = _box((3, 9), (3, 9), (2, 8))
    found = score_masks(mask, mask, AFFINE)
    assert (found.dsc, found.volume_error_ml, found.hd95_mm, found.assd_mm) == (1, 0, 0, 0)


def test_empty_masks_follow_the_written_policy() -> None:
    empty, full = np.zeros((30, 30, 10), bool), _box((3, 9), (3, 9), (2, 8))
    both = score_masks(empty, empty, AFFINE)
    assert (both.dsc, both.volume_error_ml, both.hd95_mm, both.assd_mm) == (None, 0, None, None)
    missed = score_masks(empty, full, AFFINE)
    assert (missed.dsc, missed.hd95_mm, missed.assd_mm) == (0, None, None)
    assert missed.volume_error_ml == pytest.approx(-full.sum() * 10 / 1000)


def test_dice_of_other_shapes_is_refused() -> None:
    with pytest.raises(InputError, match="shapes"):
        dice(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool))


def test_a_mask_at_the_border_has_a_surface_there() -> None:
    edge = _box((0, 30), (0, 30), (0, 10))
    there, _ = surface_distances(edge, _box((14, 15), (14, 15), (4, 5)), AFFINE)
    assert len(there) == 30 * 30 * 10 - 28 * 28 * 8
