"""Linear and logistic regression against R 4.2.2 (lm, glm, sandwich, mantelhaen.test)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from la_outcomes.analysis.linear import fit_linear, fit_logistic, mantel_haenszel

FOLDER = os.environ.get("LA_OUTCOMES_REFERENCE")
pytestmark = [
    pytest.mark.skipif(FOLDER is None, reason="LA_OUTCOMES_REFERENCE does not name the reference folder"),
    pytest.mark.filterwarnings("ignore::la_outcomes.analysis.covariance.FewClustersWarning"),
]


def case(name: str) -> tuple[pd.DataFrame, dict]:
    folder = Path(FOLDER or "") / "statistics"
    entry = json.loads((folder / "expected.json").read_text())["cases"][name]
    return pd.read_csv(folder / entry["data"]), entry


@pytest.mark.parametrize(
    ("key", "kind", "cluster"),
    [
        ("ols", "classical", None),
        ("hc1", "HC1", None),
        ("hc3", "HC3", None),
        ("cluster_firm_HC1", "cluster", "firm"),
        ("cluster_year_HC1", "cluster", "year"),
        ("twoway", "cluster", ["firm", "year"]),
    ],
)
def test_petersen_panel(key, kind, cluster):
    data, entry = case("L01_petersen_cluster_se")
    fit = fit_linear(data, "y", ["x"], kind, cluster)
    expected = entry["expected"]
    assert fit.coefficients["estimate"].to_list() == pytest.approx(list(expected["coef"].values()), rel=1e-9)
    assert fit.coefficients["se"].to_list() == pytest.approx(list(expected[key].values()), rel=1e-9)


def indomethacin() -> tuple[pd.DataFrame, dict]:
    data, entry = case("B01_table1_indo_rct")
    data["pancreatitis"] = (data["outcome"] == "1_yes").astype(int)
    data["ind"] = (data["rx"] == "1_indomethacin").astype(int)
    return data, entry["expected"]


def test_indomethacin_logistic():
    data, expected = indomethacin()
    table = fit_logistic(data, "pancreatitis", ["ind", "risk"]).coefficients.set_index("term")
    for term, row in expected["logistic"]["coef"].items():
        ours = table.loc[term, ["estimate", "se", "z", "p", "odds_ratio", "ci_low", "ci_high"]].to_list()
        assert ours == pytest.approx(
            [row[k] for k in ("coef", "se", "z", "p", "exp", "exp_lo", "exp_hi")], rel=1e-6
        )


@pytest.mark.parametrize(
    ("key", "kind"),
    [("cluster_site_HC0", "CR0"), ("cluster_site_HC0_cadjust", "CR1"), ("cluster_site_HC1", "cluster")],
)
def test_indomethacin_clustered_by_site(key, kind):
    data, expected = indomethacin()
    table = fit_logistic(data, "pancreatitis", ["ind", "risk"], kind, "site").coefficients
    assert table["se"].to_list() == pytest.approx(list(expected["logistic"][key].values()), rel=1e-6)


def test_indomethacin_mantel_haenszel():
    data, expected = indomethacin()
    result, cmh = mantel_haenszel(data, "pancreatitis", "ind", "site"), expected["cmh_site"]
    ours = [result.odds_ratio, result.ci_low, result.ci_high, result.chi2, result.p]
    assert ours == pytest.approx([cmh["or"], *cmh["ci"], cmh["chi2"], cmh["p"]], rel=1e-6)
    assert result.n_strata == cmh["strata"]
