"""The area under the ROC curve against pROC's figures and its definition."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.analysis.prediction import auc
from la_outcomes.errors import StatisticsError


def test_auc_equals_the_published_figures_of_proc() -> None:
    folder = os.environ.get("LA_OUTCOMES_REFERENCE")
    if not folder:
        pytest.skip("LA_OUTCOMES_REFERENCE is not set: the published data are not at hand")
    data = pd.read_csv(Path(folder) / "statistics" / "aSAH.csv")
    area = auc(data["poor"], data["s100b"])
    assert (area.auc, area.ci_low, area.ci_high) == pytest.approx((0.7314, 0.6301, 0.8326), abs=6e-5)
    assert auc(data["poor"], data["wf"]).auc == pytest.approx(0.8237, abs=6e-5)
    assert (area.n_positive, area.n_negative) == (41, 72)


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=15), st.lists(st.integers(0, 5), min_size=2, max_size=15)
)
def test_auc_is_the_share_of_pairs_in_the_right_order(positive: list[int], negative: list[int]) -> None:
    difference = np.subtract.outer(positive, negative)
    share = (difference > 0).mean() + 0.5 * (difference == 0).mean()
    outcome = [1] * len(positive) + [0] * len(negative)
    assert auc(outcome, positive + negative).auc == pytest.approx(share)


def test_missing_patients_are_counted_and_bad_outcomes_refused() -> None:
    assert auc([0, 0, 1, 1, None], [1, 2, 2, 3, 4], missing="drop").n_missing == 1
    with pytest.raises(StatisticsError, match="other than 0 and 1"):
        auc([0, 0, 1, 2], [1, 2, 3, 4])
    with pytest.raises(StatisticsError, match="1 patients with"):
        auc([0, 0, 1], [1, 2, 3])
