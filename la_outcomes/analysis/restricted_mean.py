"""Restricted mean survival time: days lived up to a horizon, on average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.event_times import times_and_events
from la_outcomes.analysis.results import FloatArray, Missing, Result, columns_of, normal_quantile
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class RestrictedMean(Result):
    """Mean days without the event up to ``horizon`` (see `restricted_mean`)."""

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    horizon: float
    n: int
    n_events: int
    n_missing: int


@dataclass(frozen=True)
class RestrictedMeanDifference(Result):
    """``estimate`` = a - b in days, with its test; ``a`` and ``b`` are the two means."""

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    z: float
    p: float
    a: RestrictedMean
    b: RestrictedMean


def restricted_mean(
    days: ArrayLike,
    event: ArrayLike,
    horizon: float,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> RestrictedMean:
    """Area under the Kaplan-Meier curve from 0 to ``horizon``.

    With S the curve and A_j the area from the event time t_j to the horizon, the variance is the sum of
    A_j^2 d_j / (n_j (n_j - d_j)) (Klein and Moeschberger 2003, Survival Analysis, 2nd ed., p. 118). Equals R
    ``print(survfit(...), rmean = horizon)`` and ``survRM2::rmst2``. It needs no proportional hazards: read a
    difference as days gained over the horizon.

    Raises
    ------
    StatisticsError
        A horizon that is not positive, or beyond the last follow-up while some are still without the event.
    """
    days, event = columns_of(frame, days, event)
    z = normal_quantile(level)
    (time, happened), n_missing = times_and_events(days, event, missing, {0.0, 1.0})
    if not (np.isfinite(horizon) and horizon > 0):
        raise StatisticsError(f"a horizon of {horizon}", where="horizon", hint="days from onset, above 0")
    if horizon > time.max() and happened[time == time.max()].min() == 0:
        raise StatisticsError(
            f"the horizon of {horizon:g} lies beyond the last follow-up ({time.max():g})",
            where="horizon",
            hint="the curve says nothing there: use an earlier one",
        )
    estimate, variance = _area(time, happened, horizon)
    error = float(np.sqrt(variance))
    within = happened[time <= horizon]
    return RestrictedMean(
        estimate,
        error,
        estimate - z * error,
        estimate + z * error,
        horizon,
        len(time),
        int(within.sum()),
        n_missing,
    )


def _area(time: FloatArray, happened: FloatArray, horizon: float) -> tuple[float, float]:
    times, index = np.unique(time, return_inverse=True)
    deaths = np.bincount(index, weights=happened)
    leaving = np.bincount(index)
    at_risk = len(time) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    kept = (times <= horizon) & (deaths > 0)
    times, deaths, at_risk = times[kept], deaths[kept], at_risk[kept]
    survival = np.cumprod(1 - deaths / at_risk)
    widths = np.diff(np.concatenate([times, [horizon]]))
    after = np.cumsum((survival * widths)[::-1])[::-1]
    first = times[0] if len(times) else horizon
    left = at_risk * (at_risk - deaths)
    parts = np.divide(after**2 * deaths, left, out=np.zeros(len(left)), where=left > 0)
    return float(first + after[0] if len(times) else horizon), float(parts.sum())


def compare_restricted_mean(
    a: RestrictedMean, b: RestrictedMean, level: float = 0.95
) -> RestrictedMeanDifference:
    """Difference a - b of the restricted means of two separate groups (``survRM2::rmst2``).

    Raises
    ------
    StatisticsError
        Different horizons, or no event in either group.
    """
    if a.horizon != b.horizon:
        raise StatisticsError(f"the horizons differ: {a.horizon:g} and {b.horizon:g}", where="horizon")
    error = float(np.hypot(a.se, b.se))
    if error == 0:
        raise StatisticsError("nobody had the event in either group before the horizon", where="event")
    estimate, margin = a.estimate - b.estimate, normal_quantile(level) * error
    z = estimate / error
    p = float(2 * stats.norm.sf(abs(z)))
    return RestrictedMeanDifference(estimate, error, estimate - margin, estimate + margin, z, p, a, b)
