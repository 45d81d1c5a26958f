"""Survival against R's figures for the lung data, and laws that hold for any data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import AalenJohansenFitter

from la_outcomes.analysis.survival import (
    cox_regression,
    cumulative_incidence,
    kaplan_meier,
    log_rank,
)
from la_outcomes.errors import StatisticsError


@pytest.fixture(scope="module")
def lung() -> tuple[pd.DataFrame, dict[str, Any]]:
    folder = os.environ.get("LA_OUTCOMES_REFERENCE")
    if not folder:
        pytest.skip("LA_OUTCOMES_REFERENCE is not set: the published figures are not at hand")
    statistics = Path(folder) / "statistics"
    expected = json.loads((statistics / "expected.json").read_text())["cases"]["S01_lung"]["expected"]
    return pd.read_csv(statistics / "lung.csv"), expected


def test_kaplan_meier_equals_r(lung: tuple[pd.DataFrame, dict[str, Any]]) -> None:
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


def test_log_rank_equals_r(lung: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    data, expected = lung
    test = log_rank(data["time"], data["status"], data["sex"])
    assert (test.chi2, test.p) == pytest.approx(
        (expected["logrank"]["chi2"], expected["logrank"]["p"]), rel=1e-8
    )
    assert test.df == expected["logrank"]["df"]


def test_cox_equals_r(lung: tuple[pd.DataFrame, dict[str, Any]]) -> None:
    data, expected = lung
    fit = cox_regression(data, "time", "status", ["age", "sex", "ph.ecog"], missing="drop")
    published = expected["cox"]
    assert (fit.n, fit.n_events, fit.n_dropped) == (published["n"], published["events"], 1)
    for _, row in fit.coefficients.iterrows():
        by_r = published["coef"][row["term"]]
        assert row["estimate"] == pytest.approx(by_r["coef"], rel=1e-5)
        assert [row["se"], row["hazard_ratio"], row["ci_low"], row["ci_high"]] == pytest.approx(
            [by_r["se"], by_r["exp"], by_r["exp_lo"], by_r["exp_hi"]], rel=1e-5
        )
    assert fit.loglik == pytest.approx(published["loglik"][1], rel=1e-8)
    assert fit.c_index == pytest.approx(published["concordance"], rel=1e-8)


def _simulated(n: int = 200, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    times = random.exponential([[300], [500], [400]], (3, n))
    return times.min(axis=0), np.array([1, 2, 0])[times.argmin(axis=0)]


def test_incidence_and_its_interval_equal_lifelines_where_no_days_are_tied() -> None:
    days, event = _simulated()
    ours = cumulative_incidence(days, event)
    theirs = AalenJohansenFitter().fit(days, event, event_of_interest=1)
    for day in (50, 200, 400):
        row = theirs.cumulative_density_.loc[:day].iloc[-1, 0]
        limits = theirs.confidence_interval_.loc[:day].iloc[-1]
        assert ours.at(day) == pytest.approx([row, *limits], rel=1e-6)


def test_incidences_of_both_events_and_survival_add_up_with_ties() -> None:
    days, event = _simulated()
    days = np.ceil(days / 20) * 20
    own = cumulative_incidence(days, event)
    other = cumulative_incidence(days, np.choose(event, [0, 2, 1]))
    free = kaplan_meier(days, event > 0)
    for day in (100.0, 300.0):
        assert own.at(day)[0] + other.at(day)[0] + free.at(day)[0] == pytest.approx(1.0)


def test_without_competing_events_incidence_is_one_minus_survival() -> None:
    days, event = _simulated()
    event = (event == 1).astype(int)
    assert cumulative_incidence(days, event).at(250)[0] == pytest.approx(
        1 - kaplan_meier(days, event).at(250)[0]
    )


def test_a_curve_that_stays_above_a_half_has_no_median() -> None:
    curve = kaplan_meier([10, 20, 30, 40], [1, 0, 0, 0])
    assert curve.median is None
    assert curve.at_risk(0) == 4
    assert curve.at_risk(15) == 3
    assert curve.at_risk(41) == 0
    with pytest.raises(StatisticsError, match="outside the follow-up"):
        curve.at(41)


def test_clusters_change_the_error_and_not_the_estimate() -> None:
    random = np.random.default_rng(1)
    centre = np.repeat(np.arange(10), 20)
    frame = pd.DataFrame({"centre": centre, "x": random.normal(size=200) + centre / 5})
    frame["days"] = random.exponential(100 / np.exp(0.3 * frame["x"])).round() + 1
    frame["event"] = 1
    plain = cox_regression(frame, "days", "event", ["x"])
    robust = cox_regression(frame, "days", "event", ["x"], cluster="centre")
    assert robust.n_clusters == 10
    assert robust.coefficients["estimate"].iloc[0] == pytest.approx(plain.coefficients["estimate"].iloc[0])
    assert robust.coefficients["se"].iloc[0] != pytest.approx(plain.coefficients["se"].iloc[0], rel=1e-3)


@pytest.mark.parametrize(
    ("days", "event"), [([-1, 2], [1, 0]), ([1, 2], [1, 3]), ([], []), ([np.nan, np.nan], [1, 0])]
)
def test_what_is_no_survival_data_is_refused(days: list[float], event: list[float]) -> None:
    for function in (kaplan_meier, cumulative_incidence):
        with pytest.raises(StatisticsError):
            function(days, event, missing="drop")


def test_no_event_too_few_events_or_one_group_are_refused() -> None:
    frame = pd.DataFrame({"days": [1.0, 2, 3, 4], "event": [0, 0, 0, 0], "x": [1.0, 3, 2, 5]})
    with pytest.raises(StatisticsError, match="nobody had the event"):
        cox_regression(frame, "days", "event", ["x"])
    with pytest.raises(StatisticsError, match="1 events cannot"):
        cox_regression(frame.assign(event=[1, 0, 0, 0]), "days", "event", ["x"])
    with pytest.raises(StatisticsError, match="one group"):
        log_rank([1, 2], [1, 1], ["a", "a"])
    with pytest.raises(StatisticsError, match="nobody had"):
        log_rank([1, 2], [0, 0], ["a", "b"])


def test_a_separating_term_does_not_pass_for_an_estimate() -> None:
    frame = pd.DataFrame({"days": np.arange(1.0, 41), "event": np.repeat([1, 0], 20)})
    frame["x"] = (frame["event"] == 1).astype(float)
    with pytest.raises(StatisticsError, match="converge"):
        cox_regression(frame, "days", "event", ["x"])
