"""Time to death or recurrence: Kaplan-Meier, log-rank, Cox regression and cumulative incidence.

Kaplan-Meier, log-rank and Cox are lifelines' (Efron's ties), refused where they are not defined and returned
as tables. The cumulative incidence is computed here, because lifelines breaks tied days by random jitter.
Times are days from onset; an event is 1 (happened) or 0 (censored), a competing one 2.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from lifelines.statistics import multivariate_logrank_test, proportional_hazard_test
from lifelines.utils import median_survival_times
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import FloatArray, Missing, Result, complete, complete_rows
from la_outcomes.analysis.terms import Term, build_design, term_variables
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
    days: ArrayLike, event: ArrayLike, *, level: float = 0.95, missing: Missing = "raise"
) -> SurvivalCurve:
    """Kaplan-Meier estimate of survival (R ``survival::survfit``).

    Raises
    ------
    StatisticsError
        Negative times, events other than 0 and 1, or no patient.
    """
    (time, happened), n_missing = _times_and_events(days, event, missing, {0.0, 1.0})
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


def _times_and_events(
    days: ArrayLike, event: ArrayLike, missing: Missing, allowed: set[float]
) -> tuple[list[FloatArray], int]:
    columns, n_missing = complete({"days": days, "event": event}, missing)
    time, code = columns
    if time.min() < 0:
        raise StatisticsError("a time is negative", where="days", hint="count from onset")
    if not set(np.unique(code)) <= allowed:
        raise StatisticsError(
            f"events are coded {sorted(set(np.unique(code)))}",
            where="event",
            hint=f"allowed: {sorted(allowed)}",
        )
    return columns, n_missing


@dataclass(frozen=True)
class LogRank(Result):
    """Log-rank test of k survival curves: chi2 on df = k - 1."""

    chi2: float
    df: int
    p: float
    n: int
    n_events: int


def log_rank(days: ArrayLike, event: ArrayLike, group: ArrayLike, *, missing: Missing = "raise") -> LogRank:
    """Test of no difference between the groups' survival (R ``survival::survdiff``).

    Raises
    ------
    StatisticsError
        One group only, or no event.
    """
    frame = pd.DataFrame({"days": np.asarray(days), "event": np.asarray(event), "group": np.asarray(group)})
    kept, _ = complete_rows(frame, ["days", "event", "group"], missing)
    (time, happened), _ = _times_and_events(kept["days"], kept["event"], "raise", {0.0, 1.0})
    n_groups = kept["group"].nunique()
    if n_groups < 2:
        raise StatisticsError("there is one group only", where="group")
    _require_events(happened)
    test = multivariate_logrank_test(time, kept["group"], happened)
    return LogRank(
        float(test.test_statistic), n_groups - 1, float(test.p_value), len(kept), int(happened.sum())
    )


def _require_events(happened: FloatArray) -> None:
    if not happened.any():
        raise StatisticsError("nobody had the event", where="event", hint="report the number at risk")


@dataclass(frozen=True)
class CoxFit(Result):
    """A Cox regression (see `cox_regression`).

    Attributes
    ----------
    coefficients : term, estimate (log hazard ratio), se, z, p, hazard_ratio, ci_low, ci_high.
    proportional_hazards : term, chi2, df, p of Grambsch and Therneau's 1994 test (Kaplan-Meier transform,
        one term at a time; R's ``cox.zph`` before survival 3.0). Shown, never a gate.
    covariance : "classical", or "cluster" (robust, n_clusters).
    """

    coefficients: pd.DataFrame
    proportional_hazards: pd.DataFrame
    loglik: float
    c_index: float
    n: int
    n_events: int
    n_dropped: int
    covariance: str
    n_clusters: int | None


def cox_regression(
    frame: pd.DataFrame,
    days: str,
    event: str,
    terms: Sequence[Term],
    *,
    cluster: str | None = None,
    missing: Missing = "raise",
) -> CoxFit:
    """Cox proportional hazards with Efron's ties (R ``survival::coxph``); terms are coded as in R.

    Raises
    ------
    StatisticsError
        Nobody had the event, fewer events than terms, a constant or collinear term, or no convergence.
    """
    needed = [days, event, *term_variables(terms), *([cluster] if cluster else [])]
    rows, dropped = complete_rows(frame, needed, missing)
    (time, happened), _ = _times_and_events(rows[days], rows[event], "raise", {0.0, 1.0})
    _require_events(happened)
    design = build_design(rows, terms)
    if happened.sum() <= len(design.columns):
        raise StatisticsError(
            f"{int(happened.sum())} events cannot estimate {len(design.columns)} coefficients",
            where=event,
            hint="use fewer terms",
        )
    table = pd.DataFrame(design.matrix, columns=list(design.columns)).assign(_days=time, _event=happened)
    if cluster:
        table["_cluster"] = pd.factorize(rows[cluster])[0]
    fitter = _fit_cox(table, "_cluster" if cluster else None)
    return CoxFit(
        coefficients=_cox_table(fitter),
        proportional_hazards=_proportional_hazards(fitter, table),
        loglik=float(fitter.log_likelihood_),
        c_index=float(fitter.concordance_index_),
        n=len(rows),
        n_events=int(happened.sum()),
        n_dropped=dropped,
        covariance="cluster" if cluster else "classical",
        n_clusters=int(table["_cluster"].nunique()) if cluster else None,
    )


def _fit_cox(table: pd.DataFrame, cluster: str | None) -> CoxPHFitter:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            return CoxPHFitter().fit(table, "_days", "_event", cluster_col=cluster)
    except (ConvergenceError, ConvergenceWarning) as error:
        raise StatisticsError(
            "the Cox regression did not converge",
            where=", ".join(str(name) for name in table if not str(name).startswith("_")),
            hint="look for a term that separates events from non-events, or use fewer terms",
        ) from error


def _cox_table(fitter: CoxPHFitter) -> pd.DataFrame:
    summary = fitter.summary
    return pd.DataFrame(
        {
            "term": summary.index,
            "estimate": summary["coef"],
            "se": summary["se(coef)"],
            "z": summary["z"],
            "p": summary["p"],
            "hazard_ratio": summary["exp(coef)"],
            "ci_low": summary["exp(coef) lower 95%"],
            "ci_high": summary["exp(coef) upper 95%"],
        }
    ).reset_index(drop=True)


def _proportional_hazards(fitter: CoxPHFitter, table: pd.DataFrame) -> pd.DataFrame:
    summary = proportional_hazard_test(fitter, table, time_transform="km").summary
    shown = {"term": summary.index, "chi2": summary["test_statistic"], "df": 1, "p": summary["p"]}
    return pd.DataFrame(shown).reset_index(drop=True)


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
    days: ArrayLike, event: ArrayLike, *, level: float = 0.95, missing: Missing = "raise"
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
    (time, code), n_missing = _times_and_events(days, event, missing, {0.0, 1.0, 2.0})
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
