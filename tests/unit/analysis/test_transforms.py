"""Transforms: by hand, laws, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.analysis.transforms import log_volume, per_sd, quintiles
from la_outcomes.errors import StatisticsError


def test_log_volume_by_hand_keeps_name_index_and_gaps():
    volume = pd.Series([0.0, np.e - 1, None], index=[4, 2, 9], name="la_volume_ml")
    result = log_volume(volume)
    assert result.name == "la_volume_ml"
    assert list(result.index) == [4, 2, 9]
    assert result.iloc[:2].to_list() == pytest.approx([0.0, 1.0])
    assert np.isnan(result.iloc[2])


@pytest.mark.parametrize(
    ("volume", "offset", "message"),
    [
        ([-0.1, 2], 1.0, "negative"),
        ([0.0, 2], 0.0, "offset is 0"),
        ([np.inf, 2], 1.0, "infinite"),
        ([1.0, 2], -1.0, "offset of -1"),
    ],
)
def test_log_volume_refusals(volume, offset, message):
    with pytest.raises(StatisticsError, match=message):
        log_volume(volume, offset)


def test_per_sd_of_the_numbers_one_to_five():
    result = per_sd([1.0, 2, 3, 4, 5])
    assert result.sd == pytest.approx(np.sqrt(2.5))
    assert result.values.std() == pytest.approx(1)
    assert per_sd([10.0, 20.0], sd=5).values.to_list() == [2.0, 4.0]
    with pytest.raises(StatisticsError, match="constant"):
        per_sd([2.0, 2.0])
    with pytest.raises(StatisticsError, match="SD of 0"):
        per_sd([2.0, 3.0], sd=0)


def test_quintiles_equal_r_cut():
    # R: cut(1:11, quantile(1:11, 0:5/5), include.lowest = TRUE) gives groups of 3, 2, 2, 2, 2.
    result = quintiles(pd.Series(np.arange(1, 12), name="la_volume_ml"))
    assert result.edges.tolist() == [1, 3, 5, 7, 9, 11]
    assert result.counts["n"].to_list() == [3, 2, 2, 2, 2]
    assert result.groups.to_list() == [1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@given(st.lists(st.floats(0, 200, allow_nan=False), min_size=20, max_size=60, unique=True))
def test_quintiles_are_ordered_and_do_not_depend_on_order(values):
    x = np.round(np.array(values), 3)
    if (np.diff(np.quantile(x, np.linspace(0, 1, 6))) <= 1e-9).any():
        return
    groups = np.array(quintiles(x).groups.to_list())
    assert groups[np.argsort(x, kind="stable")].tolist() == sorted(groups.tolist())
    assert np.array(quintiles(x[::-1]).groups.to_list())[::-1].tolist() == groups.tolist()
    tied = pd.DataFrame({"x": x, "group": groups}).groupby("x")["group"].nunique()
    assert (tied == 1).all()


def test_quintiles_of_too_many_zeros_are_refused_and_gaps_stay():
    with pytest.raises(StatisticsError, match="coincide"):
        quintiles([0.0] * 50 + [1.0, 2, 3, 4, 5])
    assert quintiles([1.0, 2, 3, np.nan, 4, 5]).groups.isna().tolist() == [False] * 3 + [True] + [False] * 2
