"""Case S01: 228 patients with lung cancer, against R survival 3.5-3."""

from __future__ import annotations

import pytest

from la_outcomes.analysis.survival import cox_regression, kaplan_meier, log_rank, restricted_mean


@pytest.fixture(scope="module")
def lung(reference):
    return reference.table("lung.csv"), reference.expected("S01")


def test_kaplan_meier(lung):
    data, expected = lung
    curve = kaplan_meier(data["time"], data["status"])
    assert (curve.n, curve.n_events) == (expected["n"], expected["events"])
    assert curve.median == expected["median"]
    assert [curve.median_low, curve.median_high] == expected["median_ci_loglog"]
    for day in (180, 365):
        published = expected[f"S{day}"]
        assert curve.at(day) == pytest.approx([published["s"], published["lo"], published["hi"]], rel=1e-8)
    by_sex = [kaplan_meier(*data.loc[data["sex"] == sex, ["time", "status"]].to_numpy().T) for sex in (1, 2)]
    assert [curve.median for curve in by_sex] == [expected["median_sex1"], expected["median_sex2"]]


def test_log_rank(lung):
    data, expected = lung
    test = log_rank(data["time"], data["status"], data["sex"])
    published = expected["logrank"]
    assert (test.chi2, test.p) == pytest.approx((published["chi2"], published["p"]), rel=1e-8)
    assert test.df == published["df"]


def test_cox(lung):
    data, expected = lung
    fit = cox_regression(data, "time", "status", ["age", "sex", "ph.ecog"], missing="drop")
    published = expected["cox"]
    assert (fit.n, fit.n_events, fit.n_dropped) == (published["n"], published["events"], 1)
    for _, row in fit.coefficients.iterrows():
        by_r = published["coef"][row["term"]]
        ours = [row[name] for name in ("estimate", "se", "z", "p", "hazard_ratio", "ci_low", "ci_high")]
        theirs = [by_r[name] for name in ("coef", "se", "z", "p", "exp", "exp_lo", "exp_hi")]
        assert ours == pytest.approx(theirs, rel=1e-6)
    assert fit.loglik == pytest.approx(published["loglik"][1], rel=1e-8)
    assert fit.c_index == pytest.approx(published["concordance"], rel=1e-8)


def test_proportional_hazards(lung):
    data, expected = lung
    fit = cox_regression(data, "time", "status", ["age", "sex", "ph.ecog"], missing="drop")
    table = fit.proportional_hazards.set_index("term")
    for row in expected["cox_zph_KMtransform"]:
        ours = table.loc[row["_row"].replace("GLOBAL", "global")]
        assert [ours["chi2"], ours["df"], ours["p"]] == pytest.approx(
            [row["chisq"], row["df"], row["p"]], rel=1e-5
        )


def test_restricted_mean(lung):
    data, expected = lung
    for sex in (1, 2):
        group = data[data["sex"] == sex]
        mean = restricted_mean(group["time"], group["status"], 365)
        published = expected["rmst_365"]
        assert (mean.estimate, mean.se) == pytest.approx(
            (published[f"sex{sex}"], published[f"se{sex}"]), rel=1e-8
        )
