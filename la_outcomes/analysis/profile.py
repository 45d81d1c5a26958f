"""Profile-likelihood intervals of a cumulative logit model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq

from la_outcomes.analysis.cumulative_model import CumulativeModel
from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.results import require_level
from la_outcomes.errors import StatisticsError


def profile_intervals(model: CumulativeModel, level: float) -> pd.DataFrame:
    """Return term, odds_ratio, ci_low, ci_high: the odds ratios that a likelihood-ratio test at 1 - ``level``
    does not reject (Venzon and Moolgavkar 1988, Appl Stat 37:87).

    Raises
    ------
    StatisticsError
        A level outside (0, 1), a penalised fit, or a profile that never falls far enough.
    """
    require_level(level)
    if model.penalty:
        raise StatisticsError(
            "a penalised fit has no profile-likelihood interval", where="penalty", hint="fit with penalty=0"
        )
    drop = stats.chi2.ppf(level, 1)
    errors = np.sqrt(np.diag(model.fit.covariance))[model.fit.n_thresholds :]
    bounds = []
    for j, (name, error) in enumerate(zip(model.design.columns, errors, strict=True)):
        excess = _excess(model, j, drop)
        bounds.append([_crossing(excess, model.fit.beta[j], side * error, name) for side in (-1, 1)])
    low, high = np.exp(np.array(bounds).reshape(-1, 2)).T
    return pd.DataFrame(
        {
            "term": model.design.columns,
            "odds_ratio": np.exp(model.fit.beta),
            "ci_low": low,
            "ci_high": high,
        }
    )


def _excess(model: CumulativeModel, j: int, drop: float) -> Callable[[float], float]:
    """Return by how much the likelihood-ratio statistic of beta_j = value exceeds ``drop``."""
    x = model.design.matrix
    others, column = np.delete(x, j, axis=1), x[:, j]

    def excess(value: float) -> float:
        fit = fit_cumulative(others, model.codes, model.rows.weights, offset=value * column)
        return 2 * (model.fit.loglik - fit.loglik) - drop

    return excess


def _crossing(excess: Callable[[float], float], start: float, step: float, name: str) -> float:
    """Return where ``excess`` changes sign, searching from ``start`` in the direction of ``step``."""
    inner, outer = start, start + 2 * step
    for _ in range(8):
        if excess(outer) > 0:
            return float(brentq(excess, inner, outer, xtol=1e-9 * abs(step), rtol=1e-12))
        inner, outer = outer, outer + 2 * (outer - start)
    raise StatisticsError(
        f"the profile likelihood of {name} has no bound", where=name, hint="too few patients"
    )
