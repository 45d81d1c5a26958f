"""Correlations and their comparison against R (cases H01, R01)."""

from __future__ import annotations

import numpy as np
import pytest

from la_outcomes.analysis.correlation import (
    compare_dependent,
    compare_dependent_nonoverlapping,
    compare_independent,
    correlate,
    homogeneity,
)


def exactly(value):
    return pytest.approx(value, rel=1e-6)


def test_kendall_with_ties(reference):
    table, expected = reference.table("aSAH.csv"), reference.expected("R01")["kendall_s100b_wfns"]
    fit = correlate(table["s100b"], table["wf"], "kendall")
    assert (fit.estimate, fit.p) == exactly((expected["tau_b"], expected["p"]))


@pytest.mark.parametrize(
    ("ci_method", "key"), [(None, "bonett_wright"), ("Fisher", "fisher"), ("Fieller", "fieller")]
)
def test_spearman_with_ties(reference, ci_method, key):
    table, expected = reference.table("aSAH.csv"), reference.expected("R01")["spearman_s100b_wfns"]
    fit = correlate(table["s100b"], table["wf"], "spearman", ci_method=ci_method)
    assert (fit.estimate, fit.p) == exactly((expected["rho"], expected["p"]))
    assert (fit.ci_low, fit.ci_high) == exactly(tuple(expected[f"ci_{key}"]))


def test_pearson(reference):
    table, expected = reference.table("aSAH.csv"), reference.expected("R01")["pearson_log_s100b_age"]
    fit = correlate(np.log(table["s100b"] + 0.01), table["age"])
    assert (fit.estimate, fit.p) == exactly((expected["r"], expected["p"]))
    assert (fit.ci_low, fit.ci_high) == exactly(tuple(expected["ci"]))


def test_independent_correlations(reference):
    cases = reference.expected("H01")
    logic = cases["aptitude_logic_inta"]
    for r1, n1, r2, n2, expected in [
        (0.7, 305, 0.6, 210, cases["indep_.7_305_vs_.6_210"]),
        (*(logic[key] for key in ("r1", "n1", "r2", "n2")), logic),
    ]:
        fit = compare_independent(r1, n1, r2, n2)
        assert fit.z == exactly(expected["fisher1925"]["statistic"])
        assert fit.p == exactly(expected["fisher1925"]["p.value"])
        assert fit.zou_ci == exactly(tuple(expected["zou2007"]["conf.int"]))


def test_correlations_from_the_table_itself(reference):
    table, expected = reference.table("aptitude.csv"), reference.expected("H01")["aptitude_logic_inta"]
    fits = [
        correlate(part["logic"], part["intelligence.a"]) for _, part in table.groupby("sample", sort=True)
    ]
    assert [fit.estimate for fit in fits] == exactly([expected["r1"], expected["r2"]])
    assert [fit.n for fit in fits] == [expected["n1"], expected["n2"]]


def test_overlapping_correlations(reference):
    # cocor's own example: cocor.dep.groups.overlap(.2, .5, .1, 315)
    fit, expected = compare_dependent(0.2, 0.5, 0.1, 315), reference.expected("H01")["dep_overlap"]
    assert fit.williams.df == expected["williams1959"]["df"]
    for test, key in ((fit.williams, "williams1959"), (fit.steiger, "steiger1980")):
        assert (test.statistic, test.p) == exactly((expected[key]["statistic"], expected[key]["p.value"]))
    assert fit.zou_ci == exactly(tuple(expected["zou2007"]["conf.int"]))


def test_nonoverlapping_correlations(reference):
    # cocor's own example, whose six correlations cannot quite occur together
    with pytest.warns(UserWarning, match="cannot occur together"):
        fit = compare_dependent_nonoverlapping(0.2, 0.7, 0.4, 0.5, 0.1, 0.8, 232)
    expected = reference.expected("H01")["dep_nonoverlap"]
    assert fit.steiger.statistic == exactly(expected["steiger1980"]["statistic"])
    # cocor prints 1 - pnorm, which has no digits left here
    assert fit.steiger.p == pytest.approx(expected["steiger1980"]["p.value"], abs=1e-15)
    assert fit.zou_ci == exactly(tuple(expected["zou2007"]["conf.int"]))


def test_homogeneity_over_species(reference):
    expected = reference.expected("H01")["iris_k_groups"]
    by_species = reference.table("iris.csv").groupby("Species")
    fits = [correlate(part["Sepal.Length"], part["Sepal.Width"]) for _, part in by_species]
    assert [fit.estimate for fit in fits] == exactly([group["r"] for group in expected["groups"]])
    fit = homogeneity([f.estimate for f in fits], [f.n for f in fits])
    assert (fit.q, fit.df, fit.p) == exactly((expected["Q"], expected["df"], expected["p"]))
    assert (fit.pooled, fit.i2) == exactly((expected["pooled_r"], expected["I2"]))
    assert fit.pooled_ci == exactly(tuple(expected["pooled_ci"]))
