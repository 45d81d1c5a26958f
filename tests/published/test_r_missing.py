"""Pooling and bootstrap intervals against the figures of ``r/missing.R`` (mice, mitml, sandwich, boot)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.bootstrap import bca_interval, percentile_interval
from la_outcomes.analysis.linear import fit_linear, fit_logistic
from la_outcomes.analysis.missing import (
    fit_imputed,
    pool,
    pool_d2,
    pool_likelihood_ratio,
    pool_wald,
)
from la_outcomes.analysis.ordinal import fit_proportional_odds

pytestmark = pytest.mark.filterwarnings("ignore::la_outcomes.analysis.covariance.FewClustersWarning")
CASES = json.loads((Path(__file__).parent / "r" / "missing.json").read_text())["cases"]
CASE = CASES["missing"]
FRAMES = [part for _, part in pd.DataFrame(CASE["long"]).groupby(".imp")]
FULL, REDUCED = ["age", "volume", "nihss"], ["age"]
FITS = {"linear": (fit_linear, "y"), "logistic": (fit_logistic, "event")}


def near(value, rel=1e-7):
    return pytest.approx(value, rel=rel, abs=1e-12)


def fits(model: str, terms: list[str]) -> list:
    fit, outcome = FITS[model]
    return [fit(frame, outcome, terms) for frame in FRAMES]


@pytest.mark.parametrize("model", FITS)
def test_pool(model):
    fit, outcome = FITS[model]
    table, expected = fit_imputed(lambda d: fit(d, outcome, FULL), FRAMES).to_frame(), CASE[model]
    assert table["term"].to_list() == expected["terms"]
    for ours, theirs in zip(
        ("estimate", "se", "t", "df", "p", "ci_low", "ci_high", "riv", "lambda", "fmi"),
        ("estimate", "se", "t", "df", "p", "low", "high", "riv", "lambda", "fmi"),
        strict=True,
    ):
        assert table[ours].to_list() == near(expected[theirs]), ours


@pytest.mark.parametrize("model", FITS)
def test_d1(model):
    each = fits(model, FULL)
    estimates = np.array([fit.parameters for fit in each])[:, 2:]
    covariances = np.array([fit.cov for fit in each])[:, 2:, 2:]
    test = pool_wald(estimates, covariances, each[0].df_complete)
    assert [test.f, test.df1, test.df2, test.p, test.riv] == near(CASE[f"D1_{model}"])
    if model == "linear":
        assert [test.f, test.df1, test.df2, test.p, test.riv] == near(CASE["D1_mitml"])


@pytest.mark.parametrize("model", FITS)
def test_d2(model):
    statistics = []
    for fit in fits(model, FULL):
        slopes = fit.parameters[2:]
        statistics.append(float(slopes @ np.linalg.solve(fit.cov[2:, 2:], slopes)))
    test = pool_d2(statistics, 2)
    assert [test.f, test.df1, test.df2, test.p, test.riv] == near(CASE[f"D2_{model}"])


@pytest.mark.parametrize("model", FITS)
def test_d3(model):
    test = pool_likelihood_ratio(fits(model, FULL), fits(model, REDUCED))
    assert [test.f, test.df1, test.df2, test.p, test.riv] == near(CASE[f"D3_{model}"], 1e-6)


@pytest.mark.parametrize(
    ("key", "fit", "first"),
    [
        ("robust", lambda d: fit_linear(d, "y", ["age", "volume"]), 0),
        ("ordinal", lambda d: fit_proportional_odds(d, "grade", ["age", "volume"]), 0),
    ],
)
def test_cluster_robust_in_one_call(key, fit, first):
    table = fit_imputed(fit, FRAMES, cluster="site").to_frame()
    assert table[["estimate", "se", "df", "fmi"]].to_numpy() == near(np.array(CASE[key]), 1e-6)


@pytest.mark.parametrize(("name", "df_complete"), [("large", np.inf), ("two", 17)])
def test_scalars(name, df_complete):
    case = CASE["scalars"][name]
    pooled = pool(case["q"], case["u"], df_complete)
    row = pooled.to_frame().iloc[0]
    ours = [row["estimate"], pooled.cov.item(), row["df"], row["riv"], row["fmi"]]
    assert ours == near([case[key] for key in ("qbar", "t", "df", "riv", "fmi")])


@pytest.mark.parametrize(("level", "suffix"), [(0.95, ""), (0.9, "90")])
def test_bootstrap_intervals_of_the_same_draws(level, suffix):
    case = CASES["bootstrap"]
    assert percentile_interval(case["draws"], level) == near(tuple(case[f"percentile{suffix}"]))
    bca = bca_interval(case["draws"], case["estimate"], case["jackknife"], level)
    assert bca == near(tuple(case[f"bca{suffix}"]))
