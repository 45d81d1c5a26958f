"""Pooling and imputation against R 4.2.2 (mice 3.15, mitml)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.linear import LinearFit, fit_linear
from la_outcomes.analysis.missing import (
    fit_imputed,
    impute,
    pool,
    pool_d2,
    pool_likelihood_ratio,
    pool_wald,
)

FOLDER = os.environ.get("LA_OUTCOMES_REFERENCE")
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="LA_OUTCOMES_REFERENCE does not name the reference folder"
)


def case() -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    folder = Path(FOLDER or "") / "statistics"
    entry = json.loads((folder / "expected.json").read_text())["cases"]["M01_rubin_nhanes"]
    raw, completed = (pd.read_csv(folder / name) for name in entry["data"])
    return raw, completed, entry["expected"]


def fits(terms: list[str]) -> list[LinearFit]:
    return [fit_linear(part, "chl", terms) for _, part in case()[1].groupby(".imp")]


def test_pooled_regression():
    _, completed, expected = case()
    frames = [part for _, part in completed.groupby(".imp")]
    table = fit_imputed(lambda d: fit_linear(d, "chl", ["age", "bmi"]), frames).to_frame().set_index("term")
    names = {
        "estimate": "estimate", "se": "std.error", "t": "statistic", "df": "df", "p": "p.value",
        "ci_low": "2.5 %", "ci_high": "97.5 %", "riv": "riv", "lambda": "lambda", "fmi": "fmi",
    }  # fmt: skip
    for row in expected["pooled"]:
        ours = table.loc[row["term"], list(names)].astype(float).to_list()
        assert ours == pytest.approx([row[theirs] for theirs in names.values()], rel=1e-9)


def test_joint_tests():
    full, reduced, expected = fits(["age", "bmi"]), fits(["age"]), case()[2]
    q, u = np.array([fit.parameters for fit in full]), np.array([fit.cov for fit in full])
    tests = {
        "D1": pool_wald(q[:, 2:], u[:, 2:, 2:], full[0].df_complete),
        "D2": pool_d2([fit.coefficients["t"][2] ** 2 for fit in full], 1),
        "D3": pool_likelihood_ratio(full, reduced),
    }
    for name, test in tests.items():
        ours = [test.f, test.df1, test.df2, test.p, test.riv]
        assert ours == pytest.approx(list(expected[name].values()), rel=1e-6), name


def test_scalar():
    toy = case()[2]["pool_scalar_toy"]
    pooled = pool(toy["q"], toy["u"], toy["n"] - toy["k"])
    row = pooled.coefficients.iloc[0]
    ours = [row["estimate"], pooled.cov.item(), row["df"], row["riv"], row["fmi"]]
    assert ours == pytest.approx([toy[key] for key in ("qbar", "t", "df", "riv", "fmi")], rel=1e-9)


def test_imputations_are_distributed_as_those_of_mice():
    """Means of mice's 20 draws of each missing cell scatter about ours as such means should, and its
    pooled coefficients are within Monte-Carlo error: 3 SD of means of 20 and of m, at most 25 % of the SE."""
    raw, theirs, expected = case()
    ours = impute(raw, m=120, seed=1, iterations=5, methods={"hyp": "pmm"})
    scores = []
    for name in ("bmi", "hyp", "chl"):
        for row in np.flatnonzero(raw[name].isna()):
            draws = np.array([frame[name].iloc[row] for frame in ours])
            mean = theirs.loc[theirs[".id"] == row + 1, name].mean()
            scores.append((mean - draws.mean()) / np.sqrt(draws.var() * (1 / 20 + 1 / len(ours))))
    assert 0.4 < np.mean(np.square(scores)) < 1.8
    pooled = fit_imputed(lambda d: fit_linear(d, "chl", ["age", "bmi"]), ours).coefficients.set_index("term")
    for row in expected["pooled"]:
        difference = abs(pooled.loc[row["term"], "estimate"] - row["estimate"])
        noise = np.sqrt(row["b"] * (1 / 20 + 1 / len(ours)))
        assert difference < min(3 * noise, 0.25 * row["std.error"])
        assert pooled.loc[row["term"], "se"] == pytest.approx(row["std.error"], rel=0.15)
