"""Two groups by ranks and adjusted p-values against R (cases O05, B01, X02)."""

from __future__ import annotations

import numpy as np
import pytest

from la_outcomes.analysis.multiplicity import METHODS, adjust
from la_outcomes.analysis.trend import kruskal_wallis, mann_whitney


def test_streptomycin_shift(reference):
    table, expected = reference.table("strep_tb.csv"), reference.expected("O05")["wilcoxon"]
    grades = {arm: part["rad"] for arm, part in table.groupby("arm")}
    fit = mann_whitney(grades["Control"], grades["Streptomycin"], continuity=False)
    assert fit.statistic == expected["W"]
    assert fit.p == pytest.approx(expected["p"], rel=1e-6)
    assert 1 - fit.probability_of_superiority == pytest.approx(expected["prob_superiority"], rel=1e-6)


def test_risk_by_arm(reference):
    table, expected = reference.table("indo_rct.csv"), reference.expected("B01")["risk"]
    arms = [part["risk"] for _, part in table.groupby("rx")]
    for continuity, key in ((False, "wilcox_p_nocorrect"), (True, "wilcox_p_correct")):
        assert mann_whitney(*arms, continuity=continuity).p == pytest.approx(expected[key], rel=1e-6)
    assert kruskal_wallis(table["risk"], table["rx"]).p == pytest.approx(expected["kruskal_p"], rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_adjusted_p(reference, method):
    case = reference.case("X02")
    np.testing.assert_allclose(adjust(case["data"]["p"], method), case["expected"][method], atol=1e-10)
