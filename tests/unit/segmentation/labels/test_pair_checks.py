"""Scans that are not what the table of pairs says, and warnings about those that are unusual."""

from __future__ import annotations

import numpy as np
import pytest
from pair_phantom import Pair, make_pair

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, resample_to
from la_outcomes.segmentation.labels.coregistration import Coregistration
from la_outcomes.segmentation.labels.infarct import infarct_on_working_grid, mirror_matrix
from la_outcomes.segmentation.labels.pair_checks import check_pair, contrast_warning, t1_warning
from la_outcomes.segmentation.labels.working import WorkingScan, cropped, working_scan


@pytest.fixture(scope="module")
def pair() -> Pair:
    return make_pair(lesion=0.2)


def aligned(pair: Pair, flair: np.ndarray | None = None, ct: np.ndarray | None = None) -> Coregistration:
    """The pair as an exact coregistration would leave it; other values may stand in for the scans'."""
    ct_image = Image(pair.ct.data if ct is None else ct, pair.ct.affine)
    fixed = cropped(working_scan(ct_image, pair.inside_ct, outside=-1000.0))
    seen = Image(pair.flair.data if flair is None else flair, pair.flair.affine)
    there = resample_to(
        seen, fixed.image.shape, fixed.image.affine,
        interpolator="linear", outside=0.0, transform=pair.truth,
    )  # fmt: skip
    return Coregistration(pair.truth, np.eye(4), np.ones(1), fixed, WorkingScan(there, fixed.mask), 0.0)


def test_a_ct_and_a_flair_pass(pair: Pair) -> None:
    check_pair(pair.ct, pair.flair)


def test_swapped_scans_are_told(pair: Pair) -> None:
    with pytest.raises(InputError, match="swapped"):
        check_pair(pair.flair, pair.ct)


def test_a_ct_in_place_of_the_flair_is_told(pair: Pair) -> None:
    with pytest.raises(InputError, match=r"the FLAIR is a CT \|"):
        check_pair(pair.ct, pair.ct)


def test_a_flair_in_place_of_the_ct_is_told(pair: Pair) -> None:
    with pytest.raises(InputError, match="the CT cannot be used"):
        check_pair(pair.flair, pair.flair)


def test_a_mask_is_no_flair(pair: Pair) -> None:
    with pytest.raises(InputError, match="mask or label map"):
        check_pair(pair.ct, pair.wmh_flair)


def test_a_slab_is_no_flair(pair: Pair) -> None:
    slab = Image(pair.flair.data[:, :, :10].copy(), pair.flair.affine)
    with pytest.raises(InputError, match="does not cover the brain"):
        check_pair(pair.ct, slab)


def test_contrast_medium_is_warned_of(pair: Pair) -> None:
    assert contrast_warning(pair.ct, pair.inside_ct) is None
    bright = pair.ct.data.copy()
    bright[55:60, 40:100, 12:18] = 160.0
    warning = contrast_warning(Image(bright, pair.ct.affine), pair.inside_ct)
    assert warning is not None
    assert "contrast medium" in warning


def test_a_t1_in_place_of_the_flair_is_warned_of(pair: Pair) -> None:
    assert t1_warning(aligned(pair)) is None
    grey, white = 125.0, 100.0
    t1 = np.where(pair.flair.data > 60, grey + white - pair.flair.data, pair.flair.data)
    warning = t1_warning(aligned(pair, flair=t1))
    assert warning is not None
    assert "T1" in warning


def test_the_mirror_of_a_head_is_its_midplane(pair: Pair) -> None:
    matrix = mirror_matrix(aligned(pair).ct)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(-1.0)
    assert matrix[:3] @ [40.0, 10.0, 5.0, 1.0] == pytest.approx([-40.0, 10.0, 5.0], abs=4.0)


def test_a_one_sided_infarct_is_found_and_wmh_of_both_sides_is_not(pair: Pair) -> None:
    assert not infarct_on_working_grid(aligned(pair)).any()
    on_ct, on_flair = (_ball(image) for image in (pair.ct, pair.flair))
    ct = np.where(on_ct, 18.0, pair.ct.data)
    flair = np.where(on_flair, 180.0, pair.flair.data)
    found = aligned(pair, flair=flair.astype(np.float32), ct=ct.astype(np.float32))
    seen = infarct_on_working_grid(found)
    volume = seen.sum() * found.ct.image.voxel_volume_ml
    true = on_flair.sum() * pair.flair.voxel_volume_ml
    assert 0.6 * true < volume < 1.6 * true
    middle = np.argwhere(seen).mean(0) @ found.ct.image.affine[:3, :3].T + found.ct.image.affine[:3, 3]
    assert middle == pytest.approx([40.0, -30.0, 5.0], abs=5.0)


def _ball(image: Image) -> np.ndarray:
    """A ball of 18 mm about (40, -30, 5)."""
    index = np.moveaxis(np.indices(image.shape, dtype=float), 0, -1)
    points = index @ image.affine[:3, :3].T + image.affine[:3, 3]
    return np.linalg.norm(points - np.array([40.0, -30.0, 5.0]), axis=-1) < 18.0
