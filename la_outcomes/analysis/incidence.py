"""Cumulative incidence with a competing event: Aalen-Johansen, ties exact (lifelines jitters tied days)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.event_times import times_and_events
from la_outcomes.analysis.results import FloatArray, Missing, Result, columns_of


@dataclass(frozen=True)
class CumulativeIncidence(Result):
    """Share of patients with the event over time, others removed by a competing one (Aalen-Johansen).

    Attributes
    ----------
    table : time, incidence, ci_low, ci_high, at_risk, events, competing; one row a distinct time.
    n, n_events, n_competing, n_missing : patients, events, competing events, rows dropped.
    """

    table: pd.DataFrame
    n: int
    n_events: int
    n_competing: int
    n_missing: int

    def at(self, time: float) -> tuple[float, float, float]:
        """Incidence and its interval at a time; 0 before the first event."""
        before = self.table[self.table["time"] <= time]
        if before.empty:
            return 0.0, 0.0, 0.0
        row = before.iloc[-1]
        return float(row["incidence"]), float(row["ci_low"]), float(row["ci_high"])


def cumulative_incidence(
    days: ArrayLike,
    event: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> CumulativeIncidence:
    """Aalen-Johansen estimate of the incidence of event 1 when event 2 (death) competes.

    ``F(t) = sum over t_j <= t of S(t_j -) d_1j / n_j`` with S of both events together; the interval is on
    the log(-log) scale with the delta-method variance of Marubini and Valsecchi (1995, p. 341). 1 minus
    Kaplan-Meier with deaths censored would overstate it. Equals R ``survival::survfit`` with states.

    Raises
    ------
    StatisticsError
        Negative times, or events other than 0, 1 and 2.
    """
    days, event = columns_of(frame, days, event)
    (time, code), n_missing = times_and_events(days, event, missing, {0.0, 1.0, 2.0})
    counts = _counts_by_time(time, code)
    at_risk, events, competing = (counts[name].to_numpy(float) for name in ("at_risk", "events", "competing"))
    any_event = events + competing
    before = np.concatenate([[1.0], np.cumprod(1 - any_event / at_risk)[:-1]])
    incidence = np.cumsum(before * events / at_risk)
    error = np.sqrt(_incidence_variance(at_risk, events, competing, before, incidence))
    low, high = _log_log_interval(incidence, error, level)
    table = counts.assign(incidence=incidence, ci_low=low, ci_high=high)
    order = ["time", "incidence", "ci_low", "ci_high", "at_risk", "events", "competing"]
    return CumulativeIncidence(
        table[order], len(time), int((code == 1).sum()), int((code == 2).sum()), n_missing
    )


def _counts_by_time(time: FloatArray, code: FloatArray) -> pd.DataFrame:
    times, index, leaving = np.unique(time, return_inverse=True, return_counts=True)
    at_risk = len(time) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    of_kind = [np.bincount(index, weights=code == kind, minlength=len(times)) for kind in (1, 2)]
    return pd.DataFrame(
        {
            "time": times,
            "at_risk": at_risk,
            "events": of_kind[0].astype(int),
            "competing": of_kind[1].astype(int),
        }
    )


def _incidence_variance(
    at_risk: FloatArray, events: FloatArray, competing: FloatArray, before: FloatArray, incidence: FloatArray
) -> FloatArray:
    """Variance of F(t) at each time, by the expansion of (F(t) - F(t_j))^2 into running sums."""
    any_event = events + competing
    denominator = at_risk * (at_risk - any_event)
    hazard = np.divide(any_event, denominator, out=np.zeros_like(at_risk), where=denominator > 0)
    own = before**2 * events * (at_risk - events) / at_risk**3
    cross = before * events / at_risk**2
    a = incidence**2 * np.cumsum(hazard) - 2 * incidence * np.cumsum(incidence * hazard)
    a += np.cumsum(incidence**2 * hazard)
    b = np.cumsum(own)
    c = incidence * np.cumsum(cross) - np.cumsum(incidence * cross)
    return np.maximum(a + b - 2 * c, 0.0)


def _log_log_interval(share: FloatArray, error: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    inside = (share > 0) & (share < 1)
    safe = np.where(inside, share, 0.5)
    spread = stats.norm.ppf(0.5 + level / 2) * error / np.abs(safe * np.log(safe))
    low, high = safe ** np.exp(spread), safe ** np.exp(-spread)
    return np.where(inside, low, share), np.where(inside, high, share)
