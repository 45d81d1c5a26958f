"""Agreement and reliability against R (cases A01, A02, K01, K03)."""

from __future__ import annotations

import numpy as np
import pytest

from la_outcomes.analysis.agreement import (
    bland_altman,
    fleiss_kappa,
    icc,
    kendalls_w,
    krippendorff_alpha,
    lins_ccc,
    repeatability,
    weighted_kappa,
)

PAIRS = {"A01": ("WrightFirst", "MiniWrightFirst"), "A02": ("A", "B")}


def exactly(value):
    return pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("code", PAIRS)
def test_concordance(reference, code):
    table, expected = reference.table(reference.case(code)["data"]), reference.expected(code)["ccc"]
    fit = lins_ccc(*(table[name] for name in PAIRS[code]))
    assert fit.ccc == exactly(expected["ccc"])
    assert (fit.ci_low, fit.ci_high) == exactly(tuple(expected["ci_ztransform"]))
    assert fit.asymptotic_ci == exactly(tuple(expected["ci_asymptotic"]))
    assert fit.scale_shift == exactly(expected["scale_shift"])
    assert fit.location_shift == exactly(expected["location_shift"])
    assert fit.bias_correction == exactly(expected["bias_correction_Cb"])
    assert fit.pearson_r == exactly(expected["pearson"])
    assert fit.n == expected["n"]


@pytest.mark.parametrize("code", PAIRS)
def test_limits_of_agreement(reference, code):
    table, expected = reference.table(reference.case(code)["data"]), reference.expected(code)["ba"]
    pair = [table[name] for name in PAIRS[code]]
    fit, wide = bland_altman(*pair), bland_altman(*pair, multiplier=2)
    assert fit.bias == exactly(expected["bias"])
    assert fit.bias_ci == exactly(tuple(expected["bias_ci"]))
    assert fit.sd == exactly(expected["sd_diff"])
    assert (fit.loa_low, fit.loa_high) == exactly(tuple(expected["loa_1.96"]))
    assert (wide.loa_low, wide.loa_high) == exactly(tuple(expected["loa_2sd"]))
    assert fit.loa_low_approximate_ci == exactly(tuple(expected["loa_lower_ci_approx"]))
    assert fit.loa_high_approximate_ci == exactly(tuple(expected["loa_upper_ci_approx"]))
    assert fit.proportional_slope == exactly(expected["prop_bias_slope"])
    assert fit.proportional_p == exactly(expected["prop_bias_p"])


@pytest.mark.parametrize(("method", "key"), [("Wright", "wright"), ("MiniWright", "mini")])
def test_repeatability(reference, method, key):
    table, expected = reference.table("pefr1986.csv"), reference.expected("A01")[f"repeatability_{key}"]
    fit = repeatability(table[f"{method}First"], table[f"{method}Second"], multiplier=2)
    assert fit.within_sd == exactly(expected["within_sd"])
    assert fit.coefficient == exactly(expected["coef_repeat_BA1986_2sd"])


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_of_both_eyes(reference, weights):
    table, case = reference.table("vision7477.csv"), reference.expected("K01")
    expected = case[weights or "unweighted"]
    fit = weighted_kappa(table["right"], table["left"], [1, 2, 3, 4], weights)
    assert fit.kappa == exactly(expected["k"])
    assert fit.se == exactly(expected["ase"])
    assert (fit.ci_low, fit.ci_high) == exactly((expected["lo"], expected["hi"]))
    assert fit.observed == exactly(case["po"])


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_of_two_raters_of_anxiety(reference, weights):
    table, case = reference.table("anxiety.csv"), reference.expected("K03")["anxiety_r1_r2"]
    expected = case["vcd"][weights or "unweighted"]
    fit = weighted_kappa(table["rater1"], table["rater2"], range(1, 7), weights)
    assert (fit.kappa, fit.se) == exactly((expected["k"], expected["ase"]))
    assert (fit.ci_low, fit.ci_high) == exactly((expected["lo"], expected["hi"]))
    assert fit.kappa == exactly(case[weights or "unweighted"])
    if weights == "quadratic":
        assert fit.z == exactly(case["z_quadratic"])


def test_more_than_two_raters(reference):
    expected = reference.expected("K03")
    fleiss = fleiss_kappa(reference.table("diagnoses.csv"))
    assert (fleiss.kappa, fleiss.z) == exactly((expected["fleiss"]["kappa"], expected["fleiss"]["z"]))
    concordance = kendalls_w(reference.table("anxiety.csv"))
    assert concordance.w == exactly(expected["kendall_w"]["tie_corrected"])
    assert concordance.w_uncorrected == exactly(expected["kendall_w"]["uncorrected"])
    assert concordance.chi2 == exactly(expected["kendall_w"]["chisq_corrected"])
    assert concordance.p == exactly(expected["kendall_w"]["p_corrected"])


def test_intraclass_correlation(reference):
    tidy = reference.table("anxiety.csv").reset_index().melt("index", var_name="rater", value_name="score")
    row = icc(tidy, "index", "rater", "score").set_index("type").loc["ICC2"]
    expected = reference.expected("K03")["icc_anxiety"]
    assert (row["icc"], row["ci_low"], row["ci_high"]) == exactly(
        (expected["icc_A1"], expected["lo"], expected["hi"])
    )


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_krippendorff(reference, level):
    expected = reference.expected("K03")["kripp"]
    matrix = np.array(expected["matrix_4raters_x_12units"], dtype=float)
    assert krippendorff_alpha(matrix, level).alpha == exactly(expected[level])
