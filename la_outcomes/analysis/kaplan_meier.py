"""Survival curves and the log-rank test (lifelines, refused where they are not defined)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils import median_survival_times
from numpy.typing import ArrayLike

from la_outcomes.analysis.event_times import require_events, times_and_events
from la_outcomes.analysis.results import Missing, Result, columns_of, complete_rows
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class SurvivalCurve(Result):
    """A Kaplan-Meier curve (see `kaplan_meier`).

    Attributes
    ----------
    table : time, survival, ci_low, ci_high (log-log, as R ``conf.type = "log-log"``), at_risk, events,
        censored; one row a distinct time, the first at time 0.
    median, median_low, median_high : in days; None where the curve does not come down to a half.
    """

    table: pd.DataFrame
    n: int
    n_events: int
    n_missing: int
    median: float | None
    median_low: float | None
    median_high: float | None

    def at(self, time: float) -> tuple[float, float, float]:
        """Survival and its interval at a time, within follow-up.

        Raises
        ------
        StatisticsError
            A time before 0 or after the last follow-up: the curve says nothing there.
        """
        last = float(self.table["time"].iloc[-1])
        if not 0 <= time <= last:
            raise StatisticsError(f"day {time:g} is outside the follow-up (0 to {last:g})", where="time")
        row = self.table[self.table["time"] <= time].iloc[-1]
        return float(row["survival"]), float(row["ci_low"]), float(row["ci_high"])

    def at_risk(self, time: float) -> int:
        """Patients still followed just before a time."""
        later = self.table["time"] >= time
        return int(self.table.loc[later, "at_risk"].iloc[0]) if later.any() else 0


def kaplan_meier(
    days: ArrayLike,
    event: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> SurvivalCurve:
    """Kaplan-Meier estimate of survival (R ``survival::survfit``).

    Raises
    ------
    StatisticsError
        Negative times, events other than 0 and 1, or no patient.
    """
    days, event = columns_of(frame, days, event)
    (time, happened), n_missing = times_and_events(days, event, missing, {0.0, 1.0})
    fitter = KaplanMeierFitter(alpha=1 - level).fit(time, happened)
    interval = fitter.confidence_interval_
    limits = median_survival_times(interval)
    counts = fitter.event_table
    table = pd.DataFrame(
        {
            "time": counts.index.to_numpy(),
            "survival": fitter.survival_function_.iloc[:, 0].to_numpy(),
            "ci_low": interval.iloc[:, 0].to_numpy(),
            "ci_high": interval.iloc[:, 1].to_numpy(),
            "at_risk": counts["at_risk"].to_numpy(),
            "events": counts["observed"].to_numpy(),
            "censored": counts["censored"].to_numpy(),
        }
    )
    low, high = (_reached(value) for value in limits.iloc[0])
    median = _reached(fitter.median_survival_time_)
    return SurvivalCurve(table, len(time), int(happened.sum()), n_missing, median, low, high)


def _reached(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class LogRank(Result):
    """Log-rank test of k survival curves: chi2 on df = k - 1."""

    chi2: float
    df: int
    p: float
    n: int
    n_events: int


def log_rank(
    days: ArrayLike,
    event: ArrayLike,
    group: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    missing: Missing = "raise",
) -> LogRank:
    """Test of no difference between the groups' survival (R ``survival::survdiff``).

    Raises
    ------
    StatisticsError
        One group only, or no event.
    """
    days, event, group = columns_of(frame, days, event, group)
    frame = pd.DataFrame({"days": np.asarray(days), "event": np.asarray(event), "group": np.asarray(group)})
    kept, _ = complete_rows(frame, ["days", "event", "group"], missing)
    (time, happened), _ = times_and_events(kept["days"], kept["event"], "raise", {0.0, 1.0})
    n_groups = kept["group"].nunique()
    if n_groups < 2:
        raise StatisticsError("there is one group only", where="group")
    require_events(happened)
    test = multivariate_logrank_test(time, kept["group"], happened)
    return LogRank(
        float(test.test_statistic), n_groups - 1, float(test.p_value), len(kept), int(happened.sum())
    )
