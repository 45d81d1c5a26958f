"""Linear, logistic and quantile regression against the figures of ``r/linear.R`` (lm, glm, sandwich,
clubSandwich, quantreg, rms, Hmisc): 12 centres of 1 to 39 patients."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.linear import (
    SplineTerm,
    fit_linear,
    fit_logistic,
    fit_quantile,
    mantel_haenszel,
    nonlinearity_test,
    restricted_cubic_spline,
    wald_test,
    wild_cluster_bootstrap,
)

pytestmark = pytest.mark.filterwarnings("ignore::la_outcomes.analysis.covariance.FewClustersWarning")
CASES = json.loads((Path(__file__).parent / "r" / "linear.json").read_text())["cases"]
DATA = pd.DataFrame(CASES["data"])
TERMS = ["age", "volume", "vendor", "teaching"]
KINDS = ["classical", "HC0", "HC1", "HC2", "HC3", "cluster", "CR1", "CR0"]


def near(value, rel=1e-8):
    return pytest.approx(value, rel=rel, abs=1e-12)


def site(kind: str) -> str | None:
    return "site" if kind.startswith(("c", "CR")) and kind != "classical" else None


@pytest.mark.parametrize("kind", KINDS)
def test_linear(kind):
    expected = CASES["linear"][kind]
    table = fit_linear(DATA, "y", TERMS, kind, site(kind)).to_frame()
    assert table["term"].to_list() == CASES["linear"]["terms"]
    for ours, theirs in (("estimate",) * 2, ("se",) * 2, ("p",) * 2, ("ci_low", "low"), ("ci_high", "high")):
        assert table[ours].to_list() == near(expected[theirs]), ours


def test_linear_summaries():
    fit, expected = fit_linear(DATA, "y", TERMS), CASES["linear"]
    for name in ("r2", "r2_adjusted", "sigma", "loglik", "aic"):
        assert getattr(fit, name) == near(expected[name]), name
    assert fit.standardised["beta"].to_list() == near(expected["standardised"])


def test_linear_two_way_clusters():
    fit = fit_linear(DATA, "y", TERMS, "cluster", ["site", "reader"])
    assert fit.coefficients["se"].to_list() == near(CASES["linear"]["two_way"])
    fit = fit_linear(DATA, "y", TERMS, "CR0", ["site", "reader"])
    assert fit.coefficients["se"].to_list() == near(CASES["linear"]["two_way_CR0"])


def test_linear_cr2_with_satterthwaite():
    table, expected = fit_linear(DATA, "y", TERMS, "CR2", "site").coefficients, CASES["linear"]["CR2"]
    for name in ("se", "df", "p"):
        assert table[name].to_list() == near(expected[name], 1e-7), name


def test_linear_frequencies():
    expected = CASES["weighted"]
    fit = fit_linear(DATA, "y", TERMS, weights="times")
    assert fit.coefficients["estimate"].to_list() == near(expected["estimate"])
    assert fit.r2 == near(expected["r2"])
    assert fit.coefficients["se"].to_list() == near(expected["se"])
    for kind in ("HC3", "cluster", "CR2"):
        fit = fit_linear(DATA, "y", TERMS, kind, site(kind), weights="times")
        assert fit.coefficients["se"].to_list() == near(expected[kind], 1e-7), kind


def test_interaction_and_stated_knots():
    terms = ["age", "vendor", SplineTerm("volume", (1.0, 3.0, 6.0, 12.0)), "age:vendor"]
    table, expected = fit_linear(DATA, "y", terms).coefficients, CASES["interaction"]
    # R puts interactions after all main effects, in this order
    assert table["estimate"].to_list() == near(expected["estimate"])
    assert table["se"].to_list() == near(expected["se"])


def test_nonlinearity():
    fit, expected = fit_linear(DATA, "y", [SplineTerm("volume", 4), "age"]), CASES["nonlinearity"]
    curved, joint = nonlinearity_test(fit, "volume"), wald_test(fit, ["volume"])
    assert (curved.statistic, curved.df, curved.p) == near((expected["f"], expected["df"], expected["p"]))
    assert (joint.statistic, joint.p) == near((expected["joint_f"], expected["joint_p"]))
    assert fit.coefficients["se"].to_list() == near(expected["se"])


@pytest.mark.parametrize("kind", KINDS)
def test_logistic(kind):
    expected = CASES["logistic"][kind]
    table = fit_logistic(DATA, "event", TERMS, kind, site(kind)).to_frame()
    assert table["estimate"].to_list() == near(expected["estimate"])
    assert table["se"].to_list() == near(expected["se"])
    assert table["p"].to_list() == near(expected["p"])
    assert np.log(table["ci_low"]).to_list() == near(expected["low"])
    assert np.log(table["ci_high"]).to_list() == near(expected["high"])


def test_logistic_summaries():
    fit, expected = fit_logistic(DATA, "event", TERMS), CASES["logistic"]
    for name in ("loglik", "aic", "c_index"):
        assert getattr(fit, name) == near(expected[name]), name
    two_way = fit_logistic(DATA, "event", TERMS, "cluster", ["site", "reader"])
    assert two_way.coefficients["se"].to_list() == near(expected["two_way"])
    cr2 = fit_logistic(DATA, "event", TERMS, "CR2", "site").coefficients
    for name in ("se", "df", "p"):
        assert cr2[name].to_list() == near(expected["CR2"][name], 1e-6), name


def test_logistic_frequencies_penalty_and_profile():
    expected = CASES["logistic"]
    table = fit_logistic(DATA, "event", ["age", "volume"], weights="times").coefficients
    assert table["estimate"].to_list() == near(expected["weighted"]["estimate"])
    assert table["se"].to_list() == near(expected["weighted"]["se"])
    shrunk = fit_logistic(DATA, "event", ["age", "volume"], penalty=5.0).coefficients
    assert shrunk["estimate"].to_list() == near(expected["penalised"], 1e-6)
    profile = fit_logistic(DATA, "event", TERMS).profile_intervals().set_index("term")
    for term, ends in expected["profile"].items():
        assert np.log(profile.loc[term, ["ci_low", "ci_high"]].to_numpy(float)) == near(ends, 1e-6)


@pytest.mark.parametrize("tau", CASES["quantiles"])
def test_quantile(tau):
    table, expected = (
        fit_quantile(DATA, "y", ["age", "volume"], float(tau)).coefficients,
        CASES["quantiles"][tau],
    )
    assert table["estimate"].to_list() == near(expected["estimate"], 1e-7)
    assert table["se"].to_list() == near(expected["se"], 1e-6)
    assert table["p"].to_list() == near(expected["p"], 1e-6)


@pytest.mark.parametrize("case", CASES["splines"].values(), ids=CASES["splines"])
def test_restricted_cubic_spline(case):
    spline = restricted_cubic_spline(case["x"], case["n_knots"])
    assert spline.knots.tolist() == near(case["knots"])
    assert spline.basis == near(np.array(case["basis"]))


def test_mantel_haenszel():
    case = CASES["mantel_haenszel"]
    rows = pd.DataFrame(case["rows"])
    result = mantel_haenszel(rows, "event", "ind", "site")
    assert [result.odds_ratio, result.ci_low, result.ci_high] == near([case["odds_ratio"], *case["ci"]])
    assert (result.chi2, result.p) == near((case["chi2"], case["p"]))
    assert mantel_haenszel(rows, "event", "ind", "site", continuity=True).chi2 == near(
        case["chi2_continuity"]
    )


def test_wild_bootstrap_against_all_signs():
    fit = fit_linear(DATA, "y", TERMS, "cluster", "site")
    p, exact = wild_cluster_bootstrap(fit, "teaching", 9999, seed=1).p, CASES["wild"]["p"]
    assert abs(p - exact) < 4 * np.sqrt(exact * (1 - exact) / 9999)
