"""Proportional odds against R 4.2.2 (MASS::polr, its profile intervals, brant)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.linear import fit_logistic
from la_outcomes.analysis.ordinal import ProportionalOddsFit, fit_proportional_odds
from la_outcomes.analysis.ordinal_newton import score_rows

FOLDER = os.environ.get("LA_OUTCOMES_REFERENCE")
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="LA_OUTCOMES_REFERENCE does not name the reference folder"
)


def case(name: str) -> tuple[pd.DataFrame, dict]:
    folder = Path(FOLDER or "") / "statistics"
    entry = json.loads((folder / "expected.json").read_text())["cases"][name]
    return pd.read_csv(folder / entry["data"]), entry


def smokers() -> tuple[ProportionalOddsFit, dict]:
    data, entry = case("O02_brant_survey")
    data["Smoke"] = pd.Categorical(data["Smoke"], entry["levels"].split("<"), ordered=True)
    return fit_proportional_odds(data, "Smoke", ["Sex", "Height"], missing="drop"), entry["expected"]


def tuberculosis(terms: list[str]) -> tuple[ProportionalOddsFit, dict]:
    data, entry = case("O05_strep_tb_shift")
    data["male"] = (data["gender"] == "M").astype(int)
    return fit_proportional_odds(data, "rad", terms), entry["expected"]


def check_polr(fit: ProportionalOddsFit, expected: dict) -> None:
    table = fit.coefficients.set_index("term")
    for term, row in expected["coef"].items():
        assert table.loc[term, "estimate"] == pytest.approx(row["coef"], rel=1e-5)
    assert fit.thresholds["estimate"].to_list() == pytest.approx(
        list(expected["thresholds"].values()), rel=1e-5
    )
    assert fit.loglik == pytest.approx(expected["loglik"], rel=1e-9)
    assert -2 * fit.loglik == pytest.approx(expected["deviance"], rel=1e-9)
    profile = fit.profile_intervals().set_index("term")
    for term, interval in expected["profile_ci_coef"].items():
        assert np.log(profile.loc[term, ["ci_low", "ci_high"]].astype(float)).to_list() == pytest.approx(
            interval, rel=1e-3
        )


def check_errors(fit: ProportionalOddsFit, expected: dict) -> None:
    assert fit.coefficients["se"].to_list() == pytest.approx(
        [row["se"] for row in expected["coef"].values()], rel=1e-3
    )
    assert fit.thresholds["se"].to_list() == pytest.approx(list(expected["thresholds_se"].values()), rel=1e-3)


@pytest.mark.parametrize(
    ("key", "terms"), [("unadjusted", ["strep"]), ("adjusted_cond_male", ["strep", "cond", "male"])]
)
def test_streptomycin(key, terms):
    fit, expected = tuberculosis(terms)
    check_polr(fit, expected[key])
    check_errors(fit, expected[key])


def test_streptomycin_brant_and_c():
    fit, expected = tuberculosis(["strep"])
    omnibus = fit.brant().set_index("term").loc["omnibus"]
    row = expected["brant_unadj"]["Omnibus"]
    assert [omnibus["chi2"], omnibus["df"], omnibus["p"]] == pytest.approx(
        [row["X2"], row["df"], row["p"]], rel=1e-6
    )
    # With one binary term C counts pairs within an arm as ties; between arms it is Mann-Whitney's share.
    codes, strep = fit.model.codes, fit.model.design.matrix[:, 0]
    worse = codes[:, None] > codes[None, :]
    same = (strep[:, None] == strep[None, :])[worse].sum()
    between = worse & (strep[:, None] != strep[None, :])
    tied = (codes[:, None] == codes[None, :]) & (strep[:, None] > strep[None, :])
    won = (between & (strep[:, None] > strep[None, :])).sum()
    superiority = (won + tied.sum() / 2) / (strep.sum() * (1 - strep).sum())
    assert superiority == pytest.approx(expected["wilcoxon"]["prob_superiority"], rel=1e-12)
    assert fit.c_index == pytest.approx((won + same / 2) / worse.sum(), rel=1e-12)


def test_streptomycin_binary():
    data, entry = case("O05_strep_tb_shift")
    table = fit_logistic(data, "improved", ["strep"]).coefficients.set_index("term")
    for term, row in entry["expected"]["binary_improved"]["coef"].items():
        assert table.loc[term, ["estimate", "se"]].to_list() == pytest.approx(
            [row["coef"], row["se"]], rel=1e-6
        )


def test_smokers():
    fit, expected = smokers()
    check_polr(fit, expected["polr"])
    brant = fit.brant().set_index("term")
    for ours, theirs in (("omnibus", "Omnibus"), ("SexMale", "SexMale"), ("Height", "Height")):
        row = expected["brant"][theirs]
        assert brant.loc[ours, ["chi2", "df", "p"]].to_list() == pytest.approx(
            [row["X2"], row["df"], row["p"]], rel=1e-6
        )


def test_smokers_standard_errors_differ_from_polr_by_its_numerical_hessian():
    """polr differentiates its gradient numerically in steps of 0.001; along a height of about 170 cm that is
    0.17 on the logit scale and moves its standard errors by 0.6 %. The same steps from our exact gradient
    reproduce its figures; ours are the limit of small steps."""
    fit, expected = smokers()
    x, codes, k = fit.model.design.matrix, fit.model.codes, 3
    thresholds, beta = fit.parameters[:k], fit.parameters[k:]

    def jacobian(free):
        turn = np.zeros((5, 5))
        turn[3, 0] = turn[4, 1] = 1
        turn[:3, 2] = 1
        turn[1:3, 3], turn[2:3, 4] = np.exp(free[3]), np.exp(free[4])
        return turn

    def gradient(free):
        full = np.concatenate([np.cumsum([free[2], *np.exp(free[3:])]), free[:2]])
        return score_rows(x, codes, full, k).sum(axis=0) @ jacobian(free)

    def errors(step):
        free = np.concatenate([beta, thresholds[:1], np.log(np.diff(thresholds))])
        hessian = np.array(
            [(gradient(free - step * u) - gradient(free + step * u)) / (2 * step) for u in np.eye(5)]
        )
        turn = jacobian(free)
        return np.sqrt(np.diag(turn @ np.linalg.inv((hessian + hessian.T) / 2) @ turn.T))

    polr = [
        *expected["polr"]["thresholds_se"].values(),
        *(r["se"] for r in expected["polr"]["coef"].values()),
    ]
    assert errors(1e-3) == pytest.approx(polr, rel=1e-5)
    assert errors(1e-6) == pytest.approx(np.sqrt(np.diag(fit.model.fit.covariance)), rel=1e-5)
