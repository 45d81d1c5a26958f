"""Time to event against the figures of ``r/events.R`` (survival 3.5-3, cmprsk 2.2-11)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.survival import (
    cox_regression,
    cumulative_incidence,
    fit_fine_gray,
    restricted_mean,
)

CASES = json.loads((Path(__file__).parent / "r" / "events.json").read_text())["cases"]
TERMS = ["x1", "x2"]


def exactly(value, rel=1e-6):
    return pytest.approx(value, rel=rel, abs=1e-10)


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    return request.param


def people(case):
    frame = pd.DataFrame(case["data"])
    return frame.assign(first=(frame["event"] == 1).astype(int))


def test_fine_and_gray_equals_crr(case):
    fit = fit_fine_gray(people(case), "time", "event", TERMS)
    assert list(fit.coefficients["estimate"]) == exactly(case["crr"]["coef"])
    assert list(fit.coefficients["se"]) == exactly(case["crr"]["se"])
    assert (fit.loglik, fit.loglik_null) == exactly((case["crr"]["loglik"], case["crr"]["loglik_null"]))
    predicted = fit.predict(pd.DataFrame({"x1": [-1.0, 1.0], "x2": [0, 1]}), case["predicted"]["at"])
    assert predicted.to_numpy() == exactly(np.array([case["predicted"]["low"], case["predicted"]["high"]]))


def test_fine_and_gray_with_fixed_weights_equals_coxph_of_finegray():
    """Without ties; where a censoring and an event share a day, finegray orders them and crr does not."""
    untied = CASES["untied"]
    fit = fit_fine_gray(people(untied), "time", "event", TERMS, covariance="fixed weights")
    assert list(fit.coefficients["estimate"]) == exactly(untied["finegray"]["coef"])
    assert list(fit.coefficients["se"]) == exactly(untied["finegray"]["se"])


def test_cox_equals_coxph(case):
    fit = cox_regression(people(case), "time", "first", TERMS)
    assert list(fit.coefficients["estimate"]) == exactly(case["cox"]["coef"])
    assert list(fit.coefficients["se"]) == exactly(case["cox"]["se"])
    assert fit.loglik == exactly(case["cox"]["loglik"])
    assert list(fit.proportional_hazards["chi2"]) == exactly(case["cox"]["zph_chi2"])
    assert list(fit.proportional_hazards["p"]) == exactly(case["cox"]["zph_p"])


def test_cox_with_clusters_and_strata_equals_coxph(case):
    fit = cox_regression(people(case), "time", "first", TERMS, cluster="centre", strata=["stratum"])
    assert list(fit.coefficients["estimate"]) == exactly(case["robust"]["coef"])
    assert list(fit.coefficients["se"]) == exactly(case["robust"]["se"])
    assert list(fit.proportional_hazards["chi2"]) == exactly(case["robust"]["zph_chi2"])


def test_incidence_equals_survfit(case):
    frame = people(case)
    curve = cumulative_incidence(frame["time"], frame["event"])
    expected = case["aalen_johansen"]
    assert [curve.at(day)[0] for day in expected["at"]] == exactly(expected["incidence"])


def test_restricted_mean_equals_survfit(case):
    frame = people(case)
    mean = restricted_mean(frame["time"], frame["first"], 365)
    assert (mean.estimate, mean.se) == exactly(
        (case["restricted_mean"]["estimate"], case["restricted_mean"]["se"])
    )
