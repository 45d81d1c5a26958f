"""Ordinal regression against the figures of ``r/ordinal.R`` (clm, polr, lrm, vglm, sandwich)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.ordinal import (
    fit_partial_proportional_odds,
    fit_proportional_odds,
    likelihood_ratio,
)

pytestmark = pytest.mark.filterwarnings("ignore::la_outcomes.analysis.covariance.FewClustersWarning")
CASES = json.loads((Path(__file__).parent / "r" / "ordinal.json").read_text())["cases"]
MAIN = CASES["main"]
TERMS = ["age", "volume", "nihss", "sex"]


def near(value, rel=1e-8):
    return pytest.approx(value, rel=rel, abs=1e-10)


def data(case) -> pd.DataFrame:
    return pd.DataFrame(case["data"]).assign(y=lambda d: d["y"].astype(int))


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return data(MAIN)


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("main", TERMS),
        ("zero_cells", ["arm"]),
        ("many_levels", ["age", "volume"]),
        ("few_rows", ["nihss"]),
        ("interaction", ["age", "sex", "nihss", "age:sex"]),
        ("two_levels", ["age", "nihss"]),
    ],
)
def test_proportional_odds_equals_clm(name, terms):
    case = CASES[name]
    rows = data(case)
    fit = fit_proportional_odds(rows, "y", terms, weights="w")
    assert fit.coefficients["estimate"].to_list() == near(np.atleast_1d(case["beta"]).tolist(), 1e-7)
    assert fit.thresholds["estimate"].to_list() == near(np.atleast_1d(case["thresholds"]).tolist(), 1e-7)
    errors = [*fit.thresholds["se"], *fit.coefficients["se"]]
    assert errors == near(case["se"], 1e-7)
    assert (fit.loglik, fit.aic) == near((case["loglik"], case["aic"]), 1e-10)
    assert fit.predict(rows.head(3)).to_numpy() == near(np.array(case["predicted"]), 1e-7)


def test_polr(cohort):
    fit = fit_proportional_odds(cohort, "y", TERMS)
    assert fit.coefficients["estimate"].to_list() == near(MAIN["polr"]["beta"], 1e-4)
    assert fit.coefficients["se"].to_list() == near(MAIN["polr"]["se"], 1e-3)


@pytest.mark.parametrize(
    ("kind", "cluster", "key"),
    [
        ("HC0", None, "HC0"),
        ("cluster", "site", "cluster"),
        ("CR1", "site", "CR1"),
        ("CR0", "site", "CR0"),
        ("CR0", ["site", "reader"], "two_way"),
    ],
)
def test_sandwich(cohort, kind, cluster, key):
    fit = fit_proportional_odds(cohort, "y", TERMS, covariance=kind, cluster=cluster)
    assert [*fit.thresholds["se"], *fit.coefficients["se"]] == near(MAIN[key], 1e-6)


def test_rms(cohort):
    robust = fit_proportional_odds(cohort, "y", TERMS, covariance="CR0", cluster="site")
    assert robust.coefficients["se"].to_list() == near(MAIN["robcov"], 1e-6)
    assert robust.c_index == near(MAIN["c_index"])
    shrunk = fit_proportional_odds(cohort, "y", TERMS[:3], penalty=3.0)
    assert shrunk.coefficients["estimate"].to_list() == near(MAIN["penalised"], 1e-6)


def test_profile_intervals(cohort):
    profile = fit_proportional_odds(cohort, "y", TERMS).profile_intervals().set_index("term")
    for term, ends in MAIN["profile"].items():
        assert np.log(profile.loc[term, ["ci_low", "ci_high"]].to_numpy(float)) == near(ends, 1e-6)


def test_likelihood_ratio(cohort):
    test = likelihood_ratio(
        fit_proportional_odds(cohort, "y", TERMS), fit_proportional_odds(cohort, "y", ["age"])
    )
    assert [test.chi2, test.df, test.p] == near(MAIN["likelihood_ratio"], 1e-7)


def test_brant(cohort):
    rows = cohort.assign(y=MAIN["brant"]["levels"])
    table = fit_proportional_odds(rows, "y", TERMS).brant()
    assert table["term"].to_list() == ["omnibus", "age", "volume", "nihss", "sexM"]
    assert table[["chi2", "df", "p"]].to_numpy(float) == near(np.array(MAIN["brant"]["rows"]), 1e-6)


@pytest.mark.parametrize(
    ("model", "free", "column", "others"),
    [("clm", "sex", "sexM", ["age", "nihss"]), ("crossing", "nihss", "nihss", ["age", "sexM"])],
)
def test_partial_proportional_odds_equals_clm(cohort, model, free, column, others):
    rows, case = cohort.assign(y=MAIN["brant"]["levels"]), CASES["partial"][model]
    fit = fit_partial_proportional_odds(rows, "y", ["age", "nihss", "sex"], [free])
    assert fit.loglik == near(case["loglik"], 1e-9)
    table = fit.coefficients.set_index(["term", "cutpoint"])
    for name in others:
        assert table.loc[(name, "all"), ["estimate", "se"]].to_list() == near(
            [case["coef"][name], case["se"][name]], 1e-6
        )
    for cut in ("1|2", "2|3", "3|4"):
        # clm's nominal effects add to the threshold
        name = f"{cut}.{column}"
        assert table.loc[(column, cut), ["estimate", "se"]].to_list() == near(
            [-case["coef"][name], case["se"][name]], 1e-6
        )


def test_partial_proportional_odds_equals_vglm(cohort):
    rows, case = cohort.assign(y=MAIN["brant"]["levels"]), CASES["partial"]["vglm"]
    fit = fit_partial_proportional_odds(rows, "y", ["age", "nihss", "sex"], ["sex"])
    assert fit.loglik == near(case["loglik"], 1e-9)
    table = fit.coefficients.set_index(["term", "cutpoint"])["estimate"]
    assert [table["age", "all"], table["nihss", "all"]] == near(
        [-case["coef"]["age"], -case["coef"]["nihss"]], 1e-6
    )
    for k, cut in enumerate(("1|2", "2|3", "3|4"), start=1):
        assert table["sexM", cut] == near(-case["coef"][f"sexM:{k}"], 1e-6)
