"""Prediction against the figures of ``r/prediction.R`` (pROC 1.18.0, Hmisc 4.8-0, survival 3.5-3)."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from la_outcomes.analysis.cutoff import wilson_interval
from la_outcomes.analysis.prediction import (
    auc,
    calibration,
    choose_cutoff,
    compare_auc,
    compare_concordance,
    concordance,
    idi,
    nri,
)

CASES = json.loads((Path(__file__).parent / "r" / "prediction.json").read_text())["cases"]
DATA = pd.DataFrame(CASES["data"])


def exactly(value):
    return pytest.approx(value, rel=1e-8)


def test_auc():
    area = auc(DATA["y"], DATA["x1"])
    assert [area.ci_low, area.auc, area.ci_high] == exactly(CASES["auc"]["ci"])


def test_comparison_of_areas():
    test, expected = compare_auc(DATA["y"], DATA["x1"], DATA["x2"]), CASES["comparison"]
    assert (test.z, test.p) == exactly((expected["z"], expected["p"]))
    assert [test.ci_low, test.ci_high] == exactly(expected["ci"])


def test_best_cutoff():
    chosen, expected = choose_cutoff(DATA["y"], DATA["x1"]), CASES["youden"]
    assert (chosen.cutoff, chosen.sensitivity, chosen.specificity) == exactly(tuple(expected.values()))


def test_wilson():
    assert list(wilson_interval(17, 23, 1.959963984540054))[1:] == exactly(CASES["wilson"])


def test_net_reclassification_and_discrimination():
    expected = CASES["improve"]
    table = nri(DATA["y"], DATA["old"], DATA["new"]).table.set_index("term")
    for term, keys in {
        "overall": ("nri", "se"),
        "events": ("events", "se_events"),
        "non-events": ("others", "se_others"),
    }.items():
        assert list(table.loc[term, ["estimate", "se"]]) == exactly([expected[key] for key in keys])
    assert table.loc["overall", "z"] == exactly(expected["z"])
    gain = idi(DATA["y"], DATA["old"], DATA["new"])
    assert (gain.idi, gain.se, gain.z) == exactly((expected["idi"], expected["se_idi"], expected["z_idi"]))


def test_calibration():
    fit, expected = calibration(DATA["y"], DATA["risk"]), CASES["calibration"]
    table = fit.table.set_index("term")
    assert list(table.loc["slope", ["estimate", "se"]]) == exactly([expected["slope"], expected["slope_se"]])
    assert list(table.loc["intercept", ["estimate", "se"]]) == exactly(
        [expected["intercept"], expected["intercept_se"]]
    )
    assert fit.brier == exactly(expected["brier"])


def test_ordinal_concordance():
    expected = CASES["concordance"]
    one = concordance(DATA["level"], DATA["x1"])
    assert (one.c_index, one.se) == exactly((expected["c"], expected["se"]))
    both = compare_concordance(DATA["level"], DATA["x1"], DATA["x2"])
    assert (both.difference, both.se) == exactly((expected["difference"], expected["se_difference"]))
