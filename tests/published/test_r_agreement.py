"""Agreement and reliability against the figures of ``r/agreement.R`` (epiR, psych, vcd, stats)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.agreement import (
    bland_altman,
    fleiss_kappa,
    icc,
    kendalls_w,
    krippendorff_alpha,
    lins_ccc,
    weighted_kappa,
)

CASES = json.loads((Path(__file__).parent / "r" / "agreement.json").read_text())["cases"]


def exactly(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("case", CASES["ccc"].values(), ids=CASES["ccc"])
def test_concordance(case):
    fit = lins_ccc(case["x"], case["y"])
    assert (fit.ccc, fit.scale_shift, fit.bias_correction) == exactly(
        (case["ccc"], case["scale_shift"], case["bias_correction"])
    )
    assert abs(fit.location_shift) == exactly(abs(case["location_shift"]))
    assert [fit.ci_low, fit.ci_high] == exactly(case["ci"])
    assert list(fit.asymptotic_ci) == exactly(case["asymptotic"])


@pytest.mark.parametrize("case", CASES["limits"].values(), ids=CASES["limits"])
def test_limits_of_agreement(case):
    fit = bland_altman(case["x"], case["y"], "log" if case["log"] else "raw", case["offset"])
    assert (fit.bias, fit.sd, fit.loa_low, fit.loa_high) == exactly(
        (case["bias"], case["sd"], case["low"], case["high"])
    )
    assert list(fit.bias_ci) == exactly(case["bias_ci"])
    assert list(fit.loa_low_approximate_ci) == exactly(case["low_approximate"])
    assert list(fit.loa_high_approximate_ci) == exactly(case["high_approximate"])
    # R's noncentral t quantiles are right to about eight digits
    assert list(fit.loa_low_exact_ci) == pytest.approx(case["low_exact"], rel=1e-6)
    assert list(fit.loa_high_exact_ci) == pytest.approx(case["high_exact"], rel=1e-6)
    assert (fit.proportional_slope, fit.proportional_p) == exactly((case["slope"], case["slope_p"]))


@pytest.mark.parametrize("case", CASES["icc"].values(), ids=CASES["icc"])
def test_intraclass_correlation(case):
    tidy = pd.DataFrame(case["scores"]).reset_index().melt("index", var_name="reader", value_name="score")
    table = icc(tidy, "index", "reader", "score").to_frame()
    for ours, theirs in (
        ("icc", "icc"),
        ("ci_low", "low"),
        ("ci_high", "high"),
        ("f", "f"),
        ("df1", "df1"),
        ("df2", "df2"),
        ("p", "p"),
    ):
        assert table[ours].to_list() == pytest.approx(case[theirs], rel=1e-8, abs=1e-9), ours


@pytest.mark.parametrize("case", CASES["kappa"].values(), ids=CASES["kappa"])
def test_kappa(case):
    weights = np.array(case["weights"]) if isinstance(case["weights"], list) else case["weights"]
    fit = weighted_kappa(case["a"], case["b"], range(1, case["categories"] + 1), weights)
    assert (fit.kappa, fit.se, fit.se_null, fit.observed) == exactly(
        (case["kappa"], case["se"], case["se_null"], case["observed"])
    )


@pytest.mark.parametrize("case", CASES["fleiss"].values(), ids=CASES["fleiss"])
def test_fleiss(case):
    fit = fleiss_kappa(case["ratings"])
    assert (fit.kappa, fit.se_null, fit.z, fit.p) == exactly(
        (case["kappa"], case["se_null"], case["z"], case["p"])
    )


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
@pytest.mark.parametrize("case", CASES["krippendorff"].values(), ids=CASES["krippendorff"])
def test_krippendorff(case, level):
    ratings = np.array(case["ratings"], dtype=float)
    assert krippendorff_alpha(ratings, level).alpha == exactly(case[level])


@pytest.mark.parametrize("case", CASES["kendall"].values(), ids=CASES["kendall"])
def test_kendalls_w(case):
    fit = kendalls_w(case["ratings"])
    assert (fit.w, fit.chi2, fit.df, fit.p) == exactly((case["w"], case["chi2"], case["df"], case["p"]))
