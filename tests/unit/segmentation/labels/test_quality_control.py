import numpy as np
import pytest
import SimpleITK as sitk

from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.labels.coregistration import Coregistration
from la_outcomes.segmentation.labels.quality_control import FIGURES, judge, thresholds, verdict
from la_outcomes.segmentation.labels.working import WorkingScan

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


def judged(pair, carried=None, **more):
    """Verdict on a pair whose carried map is given (none: a small lesion inside the brain)."""
    if carried is None:
        carried = np.zeros(SHAPE)
        carried[28:32, 28:32, 19:21] = 1.0
    image = Image(carried.astype(np.float32), pair.ct.image.affine)
    native = more.pop("wmh_volume_ml", float(carried.sum()) * image.voxel_volume_ml)
    return judge(pair, image, pair.ct.mask, native, **more)


def test_an_aligned_pair_is_accepted():
    quality = judged(found(0))
    assert quality.status == "accepted"
    assert quality.reason is None
    assert quality.csf_correlation > 0.95
    assert quality.brain_dice == 1.0
    assert quality.label_outside_brain_fraction == 0.0
    assert quality.label_to_wmh_ratio == pytest.approx(1.0)


def test_the_csf_correlation_falls_with_each_step_of_misalignment():
    values = [judged(found(shift)).csf_correlation for shift in (0, 2, 4, 8)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 2


def test_a_misaligned_pair_is_stopped_with_the_figure_named():
    quality = judged(found(3))
    assert quality.status != "accepted"
    assert "CSF" in quality.reason or "csf" in quality.reason


@pytest.mark.parametrize(
    ("correlation", "shift_mm", "status"),
    [
        (0.43, 0.6, "accepted"),  # one patient, CT of 4 mm and FLAIR of 7 mm
        (0.15, 1.1, "accepted"),  # one patient, both scans in slices of 4 to 7 mm
        (0.75, 1.2, "accepted"),
        (0.45, 1.6, "review"),
        (0.70, 2.7, "review"),  # one patient, badly aligned
        (0.49, 1.8, "failed"),  # two patients, the most alike of those measured
        (0.20, 8.4, "failed"),
        (-0.10, 0.5, "failed"),
    ],
)
def test_likeness_and_shift_together_tell_two_patients(correlation, shift_mm, status):
    good = {"brain_dice": 0.95, "jacobian_p01": 0.9, "jacobian_p99": 1.05, "label_to_wmh_ratio": 1.0}
    figures = {
        **good,
        "csf_correlation": correlation,
        "csf_shift_mm": shift_mm,
        "label_outside_brain_fraction": 0.0,
    }
    found_status, reason = verdict(figures)
    assert found_status == status
    assert (reason is None) == (status == "accepted")
    assert status != "failed" or "two patients" in reason


def test_two_heads_that_do_not_overlap_fail():
    quality = judged(found(40))
    assert quality.status == "failed"
    assert "two patients" in quality.reason


def test_two_heads_that_overlap_but_are_not_alike_fail():
    pair = found(0)
    other = WorkingScan(
        Image(pair.flair.image.data[:, ::-1].copy(), pair.flair.image.affine), pair.flair.mask
    )
    mixed = Coregistration(pair.transform, pair.rigid, pair.jacobian, pair.ct, other, 1.0)
    quality = judged(mixed)
    assert quality.status == "failed"
    assert "not alike" in quality.reason


def test_a_label_outside_the_brain_is_measured():
    pair = found(0)
    carried = np.zeros(SHAPE)
    carried[:5] = 1.0
    carried[28:30, 28:30, 20] = 1.0
    outside = carried[~pair.ct.mask].sum() / carried.sum()
    quality = judged(pair, carried)
    assert quality.label_outside_brain_fraction == pytest.approx(outside)
    assert quality.status == "review"


def test_a_label_much_smaller_than_its_wmh_goes_to_review():
    quality = judged(found(0), wmh_volume_ml=5.0)
    assert quality.label_to_wmh_ratio < 0.5
    assert "label_to_wmh_ratio" in quality.reason


def test_scans_far_apart_in_time_go_to_review():
    assert judged(found(0), days_between=3.0).status == "accepted"
    quality = judged(found(0), days_between=400.0)
    assert quality.status == "review"
    assert "days_between 400" in quality.reason


def test_a_warning_about_an_input_goes_to_review():
    quality = judged(found(0), warnings=("the CT seems to have contrast medium",))
    assert (quality.status, quality.reason) == ("review", "the CT seems to have contrast medium")


def test_a_patient_without_wmh_has_no_ratio():
    quality = judged(found(0), np.zeros(SHAPE), wmh_volume_ml=0.0)
    assert quality.label_to_wmh_ratio is None
    assert quality.status == "accepted"


def test_every_figure_has_its_range_in_the_data_dictionary():
    assert set(thresholds()) == {*FIGURES, "days_between"}
