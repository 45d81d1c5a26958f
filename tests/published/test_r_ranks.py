"""Correlations, trends, groups and adjusted p against the figures of ``r/ranks.R`` (stats, metafor)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from la_outcomes.analysis.correlation import (
    compare_dependent,
    compare_independent,
    correlate,
    homogeneity,
)
from la_outcomes.analysis.multiplicity import adjust
from la_outcomes.analysis.trend import jonckheere_terpstra, kruskal_wallis, mann_whitney

CASES = json.loads((Path(__file__).parent / "r" / "ranks.json").read_text())["cases"]


def exactly(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("method", ["pearson", "spearman", "kendall"])
@pytest.mark.parametrize("case", CASES["correlation"].values(), ids=CASES["correlation"])
def test_correlation(case, method):
    fit = correlate(case["x"], case["y"], method)
    assert fit.estimate == exactly(case[method])
    assert [fit.ci_low, fit.ci_high] == exactly(case[f"{method}_ci"])
    assert fit.p == exactly(case[f"{method}_p"])


@pytest.mark.parametrize("case", CASES["comparison"]["independent"].values())
def test_independent_correlations(case):
    (r1, r2), (n1, n2) = case["r"], case["n"]
    fit = compare_independent(r1, n1, r2, n2)
    assert (fit.z, fit.p) == exactly((case["z"], case["p"]))
    assert list(fit.zou_ci) == exactly(case["zou"])


@pytest.mark.parametrize("case", CASES["comparison"]["dependent"].values())
def test_dependent_correlations(case):
    fit = compare_dependent(*case["r"], case["n"])
    assert (fit.williams.statistic, fit.williams.p) == exactly((case["t"], case["t_p"]))
    assert (fit.steiger.statistic, fit.steiger.p) == exactly((case["z"], case["z_p"]))
    assert list(fit.zou_ci) == exactly(case["zou"])


@pytest.mark.parametrize("case", CASES["homogeneity"].values(), ids=CASES["homogeneity"])
def test_homogeneity(case):
    fit = homogeneity(case["r"], case["n"])
    assert (fit.q, fit.df, fit.p, fit.i2, fit.pooled) == exactly(
        tuple(case[name] for name in ("q", "df", "p", "i2", "pooled"))
    )
    assert list(fit.pooled_ci) == exactly(case["ci"])


@pytest.mark.parametrize("case", CASES["trend"].values(), ids=CASES["trend"])
def test_trend(case):
    fit = jonckheere_terpstra(case["x"], case["g"])
    assert (fit.statistic, fit.z, fit.p) == exactly((case["statistic"], case["z"], case["p"]))
    assert jonckheere_terpstra(case["x"], case["g"], "increasing").p == exactly(case["increasing"])
    if case["exact"]:
        rising, falling = case["exact"]
        assert jonckheere_terpstra(case["x"], case["g"], "increasing", True).p == exactly(rising)
        assert jonckheere_terpstra(case["x"], case["g"], "decreasing", True).p == exactly(falling)


@pytest.mark.parametrize("case", CASES["groups"].values(), ids=CASES["groups"])
def test_kruskal_wallis_and_dunn(case):
    fit = kruskal_wallis(case["x"], case["g"])
    assert (fit.statistic, fit.df, fit.p) == exactly((case["h"], case["df"], case["p"]))
    assert fit.post_hoc["z"].to_list() == exactly(case["z"])
    assert fit.post_hoc["p"].to_list() == exactly(case["dunn_p"])
    assert fit.post_hoc["p_adjusted"].to_list() == exactly(case["holm"])


@pytest.mark.parametrize("case", CASES["two"].values(), ids=CASES["two"])
def test_two_groups(case):
    fit = mann_whitney(case["x"], case["y"])
    assert (fit.statistic, fit.p) == exactly((case["w"], case["p"]))


def test_two_groups_without_continuity_correction():
    case = CASES["no_correction"]
    assert mann_whitney(case["x"], case["y"], continuity=False).p == exactly(case["p"])


@pytest.mark.parametrize("family", CASES["adjusted"])
def test_adjusted_p(family):
    for method, expected in family["adjusted"].items():
        assert adjust(family["p"], method).tolist() == exactly(expected), method
