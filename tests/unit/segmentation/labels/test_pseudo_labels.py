import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from la_outcomes.errors import UsageError
from la_outcomes.segmentation.labels.pseudo_labels import binarise, label_pairs

SHARES = st.floats(0, 1, width=32).map(lambda value: 0.0 if value < 0.06 else value)


@given(arrays(np.float32, (3, 2, 5), elements=SHARES))
def test_the_binary_mask_keeps_the_soft_volume_to_a_voxel_and_its_ties(soft):
    wanted = round(float(soft.sum()))
    mask = binarise(soft)
    if wanted == 0:
        assert not mask.any()
        return
    threshold = np.sort(soft.ravel())[-wanted]
    ties = int((soft == threshold).sum())
    assert wanted - 1 <= mask.sum() <= wanted + ties


def test_a_thin_lesion_survives_that_a_threshold_of_one_half_would_lose():
    soft = np.zeros((10, 10, 3), np.float32)
    soft[2:6, 2:6, 1] = 0.4
    assert (soft >= 0.5).sum() == 0
    assert binarise(soft).sum() == 16


def test_a_trace_everywhere_is_no_lesion():
    assert not binarise(np.full((10, 10, 10), 0.01, np.float32)).any()


def test_an_unknown_source_of_wmh_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="no WMH source"):
        label_pairs(tmp_path / "pairs.csv", tmp_path / "out", wmh="guess")
