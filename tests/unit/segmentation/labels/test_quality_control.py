import numpy as np
import pytest
import SimpleITK as sitk

from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.labels.coregistration import Coregistration, WorkingScan
from la_outcomes.segmentation.labels.quality_control import judge

SHAPE = (60, 60, 40)


def head(shift=0, csf=6.0, brain=30.0):
    """A ball of brain with a few round ventricles, moved along the first axis."""
    places = np.indices(SHAPE).astype(float)
    places[0] -= shift
    centre = np.array([30, 30, 20]).reshape(3, 1, 1, 1)
    mask = (((places - centre) / np.array([22, 22, 15]).reshape(3, 1, 1, 1)) ** 2).sum(0) < 1
    data = np.where(mask, brain, 0.0)
    for x, y, z in ((24, 26, 18), (36, 26, 18), (30, 36, 22), (22, 38, 24), (38, 40, 16)):
        data[((places - np.array([x, y, z]).reshape(3, 1, 1, 1)) ** 2).sum(0) < 12] = csf
    affine = np.diag([1.5, 1.5, 2.5, 1.0])
    return WorkingScan(Image(data.astype(np.float32), affine), mask)


def found(shift):
    ct, flair = head(), head(shift, csf=60.0, brain=400.0)
    jacobian = np.ones(int(ct.mask.sum()))
    return Coregistration(sitk.CompositeTransform(3), np.eye(4), jacobian, ct, flair, 1.0)


def test_an_aligned_pair_is_accepted():
    pair = found(0)
    quality = judge(pair, pair.ct.mask * 0.5, pair.ct.mask)
    assert quality.status == "accepted"
    assert quality.reason is None
    assert quality.csf_correlation > 0.95
    assert quality.brain_dice == 1.0
    assert quality.label_outside_brain_fraction == 0.0


def test_the_csf_correlation_falls_with_each_step_of_misalignment():
    values = [judge(found(shift), np.zeros(SHAPE), head().mask).csf_correlation for shift in (0, 2, 4, 8)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 2


def test_a_misaligned_pair_goes_to_review_with_the_figure_named():
    quality = judge(found(8), np.zeros(SHAPE), head().mask)
    assert quality.status == "review"
    assert "brain_dice" in quality.reason


def test_two_heads_that_do_not_overlap_fail():
    quality = judge(found(40), np.zeros(SHAPE), head().mask)
    assert quality.status == "failed"
    assert "two patients" in quality.reason


def test_a_label_outside_the_brain_is_measured():
    pair = found(0)
    carried = np.zeros(SHAPE)
    carried[:5] = 1.0
    carried[28:30, 28:30, 20] = 1.0
    outside = carried[~pair.ct.mask].sum() / carried.sum()
    quality = judge(pair, carried, pair.ct.mask)
    assert quality.label_outside_brain_fraction == pytest.approx(outside)
    assert quality.status == "review"
