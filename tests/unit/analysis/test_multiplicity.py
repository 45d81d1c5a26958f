"""Adjusted p-values: published figures, laws, families, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.analysis.multiplicity import METHODS, adjust, adjust_families
from la_outcomes.errors import StatisticsError

# Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300, p. 295: thrombolysis after myocardial infarction.
THROMBOLYSIS = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]

families = st.lists(st.floats(0, 1), min_size=1, max_size=12)


class TestPublished:
    def test_benjamini_and_hochberg(self):
        # four findings by false discovery rate, three by Bonferroni and by Hochberg
        assert (adjust(THROMBOLYSIS, "BH") <= 0.05).sum() == 4
        assert (adjust(THROMBOLYSIS, "bonferroni") <= 0.05).sum() == 3
        assert (adjust(THROMBOLYSIS, "hochberg") <= 0.05).sum() == 3

    def test_p_adjust(self):
        # R 4.2.2, p.adjust: fourth and fifth p
        for method, expected in {
            "holm": [0.1140, 0.2211],
            "hommel": [0.0950, 0.1608],
            "BH": [0.035625, 0.0603],
            "BY": [0.118211907883783, 0.200089208291708],
        }.items():
            np.testing.assert_allclose(adjust(THROMBOLYSIS, method)[3:5], expected, rtol=1e-9)


class TestLaws:
    @given(families, st.sampled_from(METHODS), st.randoms())
    def test_order_does_not_matter(self, p, method, random):
        order = list(range(len(p)))
        random.shuffle(order)
        np.testing.assert_allclose(
            adjust(np.array(p)[order], method), adjust(p, method)[order], rtol=1e-9, atol=1e-12
        )

    @given(families)
    def test_methods_are_ordered(self, p):
        none, bh, hommel, hochberg, holm, bonferroni = (
            adjust(p, m) for m in ("none", "BH", "hommel", "hochberg", "holm", "bonferroni")
        )
        for smaller, larger in (
            (none, bh),
            (bh, hochberg),
            (hommel, hochberg),
            (hochberg, holm),
            (holm, bonferroni),
        ):
            assert (smaller <= larger + 1e-12).all()
        assert bonferroni.max() <= 1

    @given(st.floats(0, 1), st.sampled_from(METHODS))
    def test_one_test_needs_no_adjustment(self, p, method):
        assert adjust([p], method) == pytest.approx([p])


def test_families_are_kept_apart():
    frame = pd.DataFrame(
        {"term": list("abcd"), "p": [0.01, 0.04, 0.03, 0.5], "family": ["x", "y", "x", "y"]},
        index=[7, 3, 9, 1],
    )
    table = adjust_families(frame, method="bonferroni")
    assert table["p_adjusted"].tolist() == [0.02, 0.08, 0.06, 1]
    assert table["n_family"].tolist() == [2, 2, 2, 2]
    assert table["adjustment"].unique() == ["bonferroni"]
    assert table.index.tolist() == [7, 3, 9, 1]
    assert "p_adjusted" not in frame
    assert type(table.to_frame()) is pd.DataFrame


def test_refusals():
    for bad, message in (
        ([], "no p-value"),
        ([0.1, np.nan], "missing"),
        ([0.1, 1.1], "outside"),
        ([-0.1], "outside"),
        (["a"], "numbers"),
    ):
        with pytest.raises(StatisticsError, match=message):
            adjust(bad)
    with pytest.raises(StatisticsError, match="'BH'"):
        adjust([0.1], "bh")
    frame = pd.DataFrame({"p": [0.1, 0.2], "family": ["x", None]})
    with pytest.raises(StatisticsError, match="family is missing"):
        adjust_families(frame)
    with pytest.raises(StatisticsError, match="no column 'p_value'"):
        adjust_families(frame, p="p_value")
