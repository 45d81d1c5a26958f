"""Time to event: laws that hold for any data, small figures by hand, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import AalenJohansenFitter

from la_outcomes.analysis.linear import CategoricalTerm, SplineTerm
from la_outcomes.analysis.survival import (
    compare_restricted_mean,
    cox_regression,
    cumulative_incidence,
    fit_fine_gray,
    kaplan_meier,
    log_rank,
    restricted_mean,
)
from la_outcomes.errors import StatisticsError


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


def _competing(n: int = 200, seed: int = 3) -> pd.DataFrame:
    days, event = _simulated(n, seed)
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 2))
    return pd.DataFrame({"days": days * np.exp(-0.5 * x[:, 0]), "event": event, "x": x[:, 0], "z": x[:, 1]})


def test_fine_and_gray_without_a_competing_event_is_cox() -> None:
    frame = _competing().query("event != 2")
    ours = fit_fine_gray(frame, "days", "event", ["x", "z"]).coefficients
    cox = cox_regression(frame, "days", "event", ["x", "z"]).coefficients
    assert list(ours["estimate"]) == pytest.approx(list(cox["estimate"]), rel=1e-6)


@given(shift=st.floats(-3, 3), scale=st.floats(0.1, 5), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_fine_and_gray_follows_the_unit_and_not_the_order_of_rows(
    shift: float, scale: float, seed: int
) -> None:
    frame = _competing()
    first = fit_fine_gray(frame, "days", "event", ["x", "z"]).coefficients
    moved = frame.assign(x=shift + scale * frame["x"], days=2 * frame["days"]).sample(
        frac=1, random_state=seed
    )
    other = fit_fine_gray(moved, "days", "event", ["x", "z"]).coefficients
    assert other["estimate"][0] * scale == pytest.approx(first["estimate"][0], rel=1e-6)
    assert list(other["z"]) == pytest.approx(list(first["z"]), rel=1e-6)


def test_fine_and_gray_predicts_the_observed_incidence_at_the_mean() -> None:
    frame = _competing(400)
    fit = fit_fine_gray(frame, "days", "event", ["z"])
    curve = cumulative_incidence(frame["days"], frame["event"])
    assert fit.predict(frame, [150.0])[150.0].mean() == pytest.approx(curve.at(150)[0], abs=0.01)
    with pytest.raises(StatisticsError, match="times must lie"):
        fit.predict(frame, [-1.0])


def test_fine_and_gray_sums_residuals_by_cluster() -> None:
    frame = _competing().assign(pair=lambda t: np.arange(len(t)) // 2)
    own = frame.assign(own=np.arange(len(frame)))
    plain = fit_fine_gray(frame, "days", "event", ["x"])
    each = fit_fine_gray(own, "days", "event", ["x"], cluster="own")
    pairs = fit_fine_gray(frame, "days", "event", ["x"], cluster="pair")
    assert each.coefficients["se"][0] == pytest.approx(plain.coefficients["se"][0])
    assert (pairs.n_clusters, each.n_clusters) == (100, 200)
    assert pairs.coefficients["se"][0] != pytest.approx(plain.coefficients["se"][0], rel=1e-4)


def test_fine_and_gray_refuses_what_it_cannot_fit() -> None:
    frame = _competing(60)
    with pytest.raises(StatisticsError, match="nobody had the event"):
        fit_fine_gray(frame.assign(event=2 * (frame["event"] == 2)), "days", "event", ["x"])
    with pytest.raises(StatisticsError, match="events are coded"):
        fit_fine_gray(frame.assign(event=frame["event"] + 1), "days", "event", ["x"])
    with pytest.raises(StatisticsError, match="did not converge"):
        fit_fine_gray(frame.assign(x=(frame["event"] == 1) * 1.0), "days", "event", ["x"])
    with pytest.raises(StatisticsError, match="covariance="):
        fit_fine_gray(frame, "days", "event", ["x"], covariance="HC3")  # type: ignore[arg-type]


def test_terms_of_several_columns_are_tested_together() -> None:
    frame = _competing(300).query("event != 2").assign(group=lambda t: pd.Categorical(np.arange(len(t)) % 3))
    fit = cox_regression(frame, "days", "event", [SplineTerm("x", 4), CategoricalTerm("group")])
    table = fit.proportional_hazards.set_index("term")
    assert list(fit.coefficients["term"]) == ["x", "x'", "x''", "group1", "group2"]
    assert table.loc["x (all)", "df"] == 3
    assert table.loc["group (all)", "df"] == 2
    assert table.loc["global", "df"] == 5


def test_the_restricted_mean_is_the_mean_when_all_have_died() -> None:
    mean = restricted_mean([10.0, 20, 30, 60], [1, 1, 1, 1], 100)
    assert mean.estimate == pytest.approx(30)
    assert mean.n_events == 4


def test_the_restricted_mean_counts_days_before_the_horizon_only() -> None:
    mean = restricted_mean([10.0, 20, 30, 40], [1, 0, 1, 0], 35)
    # S is 1 to day 10, 3/4 to day 30, 3/8 to day 35
    assert mean.estimate == pytest.approx(10 + 20 * 0.75 + 5 * 0.375)
    with pytest.raises(StatisticsError, match="beyond the last follow-up"):
        restricted_mean([10.0, 20], [1, 0], 30)
    with pytest.raises(StatisticsError, match="horizon of -1"):
        restricted_mean([10.0, 20], [1, 0], -1)


def test_swapping_groups_turns_the_difference_of_means() -> None:
    days, event = _simulated(100)
    a, b = (restricted_mean(days[half::2], event[half::2] == 1, 200) for half in (0, 1))
    forth, back = compare_restricted_mean(a, b), compare_restricted_mean(b, a)
    assert (forth.estimate, forth.p) == pytest.approx((-back.estimate, back.p))
    with pytest.raises(StatisticsError, match="horizons differ"):
        compare_restricted_mean(a, restricted_mean(days, event == 1, 100))
