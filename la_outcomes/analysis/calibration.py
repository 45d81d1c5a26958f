"""Whether predicted risks are as large as what happens, and whether acting on them does good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import logit

from la_outcomes.analysis.cutoff import wilson_interval
from la_outcomes.analysis.logistic import fit_logistic
from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.reclassification import require_binary, require_risk
from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    columns_of,
    complete,
    normal_quantile,
    require_rows,
)
from la_outcomes.analysis.splines import default_knots, spline_basis
from la_outcomes.errors import StatisticsError

_CURVE_POINTS = 50


@dataclass(frozen=True)
class Calibration(Result):
    """Calibration of predicted risks (see `calibration`).

    Attributes
    ----------
    table : term (``intercept``, ``slope``), estimate, se, ci_low, ci_high. Perfect: 0 and 1.
    observed, expected, ratio : mean outcome, mean risk, observed/expected.
    brier, scaled_brier : mean squared error of the risks; share of the base rate's error that they remove.
    groups : risk (mean), observed, ci_low, ci_high (Wilson), n, of groups of equal size by risk.
    curve : risk, observed, ci_low, ci_high, a smooth (restricted cubic spline of the logit, 4 knots) over
        the 1st to 99th percentile of risk.
    """

    table: pd.DataFrame
    observed: float
    expected: float
    ratio: float
    brier: float
    scaled_brier: float
    groups: pd.DataFrame
    curve: pd.DataFrame
    n: int
    n_events: int
    n_missing: int

    def to_frame(self) -> pd.DataFrame:
        """Return intercept and slope."""
        return self.table.copy()


def calibration(
    y: ArrayLike,
    risk: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    groups: int = 10,
    level: float = 0.95,
    missing: Missing = "raise",
) -> Calibration:
    """Compare predicted risks with outcomes on patients that did not fit the model.

    Slope: b of logit P(Y = 1) = a + b logit(risk). Intercept: a with b fixed at 1 ("calibration in the
    large") (Cox 1958, Biometrika 45:562; Van Calster et al. 2019, BMC Med 17:230). Equals R
    ``rms::val.prob`` (Slope, Brier) and ``glm(y ~ offset(qlogis(risk)))``. A slope below 1 means risks too
    extreme, as after overfitting; an intercept above 0 means risks too low.

    Raises
    ------
    StatisticsError
        Risks of exactly 0 or 1 (their logit is infinite), outcomes other than 0 and 1, constant risks, fewer
        patients than groups.
    """
    y, risk = columns_of(frame, y, risk)
    z = normal_quantile(level)
    (happened, predicted), n_missing = complete({"outcome": y, "risk": risk}, missing)
    require_binary(happened, "outcome")
    require_risk(predicted, "risk")
    require_rows(len(predicted), max(2 * groups, 20), "risk")
    if predicted.min() <= 0 or predicted.max() >= 1:
        raise StatisticsError(
            "a predicted risk is exactly 0 or 1", where="risk", hint="its logit is infinite"
        )
    score = logit(predicted)
    brier, rate = float(np.mean((happened - predicted) ** 2)), float(happened.mean())
    return Calibration(
        table=_intercept_and_slope(happened, score, z),
        observed=rate,
        expected=float(predicted.mean()),
        ratio=rate / float(predicted.mean()),
        brier=brier,
        scaled_brier=1 - brier / (rate * (1 - rate)),
        groups=_by_group(happened, predicted, groups, z),
        curve=_smooth(happened, score, z),
        n=len(happened),
        n_events=int(happened.sum()),
        n_missing=n_missing,
    )


def _intercept_and_slope(happened: FloatArray, score: FloatArray, z: float) -> pd.DataFrame:
    fixed = fit_cumulative(np.empty((len(score), 0)), happened.astype(np.int64), offset=score)
    slope = fit_logistic(
        pd.DataFrame({"y": happened, "logit of the risk": score}), "y", ["logit of the risk"]
    )
    row = slope.coefficients.iloc[1]
    table = pd.DataFrame(
        {
            "term": ["intercept", "slope"],
            "estimate": [-fixed.thresholds[0], row["estimate"]],
            "se": [np.sqrt(fixed.covariance[0, 0]), row["se"]],
        }
    )
    return table.assign(
        ci_low=table["estimate"] - z * table["se"], ci_high=table["estimate"] + z * table["se"]
    )


def _by_group(happened: FloatArray, risk: FloatArray, groups: int, z: float) -> pd.DataFrame:
    order = np.argsort(risk, kind="stable")
    rows = []
    for part in np.array_split(order, groups):
        share, low, high = wilson_interval(int(happened[part].sum()), len(part), z)
        rows.append((float(risk[part].mean()), share, low, high, len(part)))
    return pd.DataFrame(rows, columns=["risk", "observed", "ci_low", "ci_high", "n"])


def _smooth(happened: FloatArray, score: FloatArray, z: float) -> pd.DataFrame:
    """A logistic regression on a spline of the logit; a line where too few risks differ for 4 knots."""
    try:
        knots = default_knots(score, 4)
        low, high = np.quantile(score, [0.01, 0.99])
        basis, at = spline_basis(score, knots), np.linspace(float(low), float(high), _CURVE_POINTS)
        columns = spline_basis(at, knots)
    except StatisticsError:
        basis, at = score[:, None], np.linspace(score.min(), score.max(), _CURVE_POINTS)
        columns = at[:, None]
    fit = fit_cumulative(basis, happened.astype(np.int64))
    if fit.suspect:
        raise StatisticsError(
            "the risks separate the outcomes", where="risk", hint="was the model fitted on these?"
        )
    design = np.column_stack([-np.ones(len(at)), columns])
    eta = design @ fit.parameters
    spread = z * np.sqrt(np.einsum("ij,jk,ik->i", design, fit.covariance, design))
    risks = [1 / (1 + np.exp(-value)) for value in (at, eta, eta - spread, eta + spread)]
    return pd.DataFrame(dict(zip(("risk", "observed", "ci_low", "ci_high"), risks, strict=True)))


@dataclass(frozen=True)
class NetBenefit(Result):
    """Decision curve (see `net_benefit`).

    ``table`` : model (each risk's name, ``treat all``, ``treat none``), threshold, net_benefit,
    treated (share), true_positives, false_positives (shares of all patients).
    """

    table: pd.DataFrame
    n: int
    n_events: int
    n_missing: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()


def net_benefit(
    y: ArrayLike,
    risks: dict[str, ArrayLike],
    thresholds: Sequence[float] = tuple(np.arange(1, 100) / 100),
    *,
    frame: pd.DataFrame | None = None,
    missing: Missing = "raise",
) -> NetBenefit:
    """Net benefit of treating those whose risk is at or above a threshold.

    TP/n - FP/n * t/(1 - t) at threshold t, the risk at which treating is worth its harm (Vickers and Elkin
    2006, Med Decis Making 26:565; R ``dcurves::dca``). A model is of use where it lies above "treat all" and
    "treat none"; the threshold is set by the decision, not by the data.

    Raises
    ------
    StatisticsError
        Thresholds not between 0 and 1, risks outside 0 to 1, outcomes other than 0 and 1.
    """
    limits = np.asarray(thresholds, dtype=float)
    if limits.size == 0 or limits.min() <= 0 or limits.max() >= 1:
        raise StatisticsError("thresholds must lie between 0 and 1", where="thresholds")
    if {"treat all", "treat none"} & set(risks) or not risks:
        raise StatisticsError("name each set of risks, and not as a strategy", where="risks")
    outcome, *values = columns_of(frame, y, *risks.values())
    named = dict(zip(risks, values, strict=True))
    columns, n_missing = complete({"outcome": outcome, **named}, missing)
    happened = columns[0]
    require_binary(happened, "outcome")
    tables = [_benefit("treat all", happened, np.ones(len(happened)), limits)]
    tables.append(_benefit("treat none", happened, np.zeros(len(happened)), limits))
    for name, risk in zip(risks, columns[1:], strict=True):
        require_risk(risk, name)
        tables.append(_benefit(name, happened, risk, limits))
    table = pd.concat(tables, ignore_index=True)
    return NetBenefit(table, len(happened), int(happened.sum()), n_missing)


def _benefit(name: str, happened: FloatArray, risk: FloatArray, limits: FloatArray) -> pd.DataFrame:
    treated = risk[:, None] >= limits
    hits = (treated & (happened[:, None] == 1)).mean(axis=0)
    harms = treated.mean(axis=0) - hits
    return pd.DataFrame(
        {
            "model": name,
            "threshold": limits,
            "net_benefit": hits - harms * limits / (1 - limits),
            "treated": treated.mean(axis=0),
            "true_positives": hits,
            "false_positives": harms,
        }
    )
