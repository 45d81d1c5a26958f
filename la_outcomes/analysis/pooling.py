"""Combining analyses of multiply imputed data by Rubin's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import FloatArray, Result
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class Pooled(Result):
    """Pooled estimates.

    Attributes
    ----------
    coefficients : term, estimate, se, t, df (Barnard-Rubin), p, ci_low, ci_high, fmi (fraction of missing
        information), riv (relative increase in variance), lambda (share of variance due to missingness).
    cov : total covariance, mean within + (1 + 1/m) between (p by p).
    m : imputations.
    """

    coefficients: pd.DataFrame
    cov: FloatArray
    m: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()


def pool(
    estimates: ArrayLike | Sequence[pd.Series],
    covariances: ArrayLike,
    df_complete: ArrayLike = np.inf,
    terms: Sequence[str] | None = None,
) -> Pooled:
    """Pool m estimates by Rubin's rules (Rubin 1987, pp. 76-77) with Barnard and Rubin's degrees of freedom.

    Q = mean, T = U + (1 + 1/m) B, lambda = (1 + 1/m) B / T, riv = (1 + 1/m) B / U,
    1/df = lambda^2/(m - 1) + (df_c + 3)/((df_c + 1) df_c (1 - lambda)) (Barnard and Rubin 1999, Biometrika
    86:948, eq. 3), fmi = (riv + 2/(df + 3))/(riv + 1). Equals R ``mice::pool`` and ``pool.scalar``.

    Parameters
    ----------
    estimates : m by p, or m scalars; Series give the terms' names.
    covariances : m by p by p, or m by p variances, or m variances of scalars.
    df_complete : degrees of freedom that complete data would have (n - k); infinite for a large sample. One
        number, or one a coefficient.
    terms : p names.

    How to read fmi: the share of information about this coefficient that the missing values took; about
    100 fmi imputations keep the results repeatable (White, Royston and Wood 2011).

    Raises
    ------
    StatisticsError
        Fewer than 2 imputations, shapes that do not fit, variances that are not positive.
    """
    names = _names(estimates, terms)
    q, u = stack_estimates(estimates, covariances)
    m, p = q.shape
    names = names or [f"x{j + 1}" for j in range(p)]
    if len(names) != p:
        raise StatisticsError(
            f"{len(names)} terms for {p} estimates", where="terms", hint="one name an estimate"
        )
    within, between = u.mean(axis=0), between_covariance(q)
    total = within + (1 + 1 / m) * between
    variance, inflation = np.diag(total), (1 + 1 / m) * np.diag(between)
    share, riv = inflation / variance, inflation / np.diag(within)
    df = barnard_rubin_df(share, m, np.broadcast_to(np.asarray(df_complete, dtype=float), (p,)))
    return Pooled(_pooled_table(names, q.mean(axis=0), np.sqrt(variance), df, riv, share), total, m)


def barnard_rubin_df(share: FloatArray, m: int, df_complete: FloatArray) -> FloatArray:
    """Return Barnard and Rubin's degrees of freedom; ``share`` is lambda. Infinite complete-data degrees give
    Rubin's (1987) (m - 1)/lambda^2."""
    if not (df_complete > 0).all():
        raise StatisticsError(
            "complete-data degrees of freedom are not positive", where="df_complete", hint="n - k"
        )
    finite = np.where(np.isinf(df_complete), 1.0, df_complete)
    observed = (finite + 1) / (finite + 3) * finite * (1 - share)
    inverse = share**2 / (m - 1) + np.where(np.isinf(df_complete), 0.0, 1 / observed)
    with np.errstate(divide="ignore"):
        return np.asarray(1 / inverse)


def _names(estimates: object, terms: Sequence[str] | None) -> list[str]:
    if terms is not None:
        return list(terms)
    first = estimates[0] if isinstance(estimates, list | tuple) and len(estimates) else None
    if isinstance(estimates, pd.DataFrame):
        return [str(name) for name in estimates.columns]
    return [str(name) for name in first.index] if isinstance(first, pd.Series) else []


def stack_estimates(
    estimates: ArrayLike | Sequence[pd.Series], covariances: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return estimates m by p and covariances m by p by p, checked."""
    q = np.asarray(estimates, dtype=float)
    u = np.asarray(covariances, dtype=float)
    q = q[:, None] if q.ndim == 1 else q
    u = u[:, None] if u.ndim == 1 else u
    if u.ndim == 2:
        u = u[:, :, None] * np.eye(u.shape[1])
    if q.ndim != 2 or u.shape != (*q.shape, q.shape[1]):
        raise StatisticsError(
            f"estimates {q.shape} and covariances {u.shape} do not fit",
            where="covariances",
            hint="m by p estimates need m by p by p covariances",
        )
    if len(q) < 2:
        raise StatisticsError(
            "pooling needs at least 2 imputations", where="estimates", hint="one row an imputation"
        )
    if not (np.isfinite(q).all() and np.isfinite(u).all()):
        raise StatisticsError(
            "an estimate or covariance is missing or infinite",
            where="estimates, covariances",
            hint="a fit that did not converge?",
        )
    if (np.diagonal(u, axis1=1, axis2=2) <= 0).any():
        raise StatisticsError(
            "a variance is not positive", where="covariances", hint="pass variances, not standard errors"
        )
    return q, u


def between_covariance(q: FloatArray) -> FloatArray:
    """Return the covariance of m by p estimates between imputations."""
    centred = q - q.mean(axis=0)
    between: FloatArray = centred.T @ centred / (len(q) - 1)
    return between


def _pooled_table(
    names: list[str],
    estimates: FloatArray,
    errors: FloatArray,
    df: FloatArray,
    riv: FloatArray,
    share: FloatArray,
) -> pd.DataFrame:
    t = estimates / errors
    margin = stats.t.ppf(0.975, df) * errors
    return pd.DataFrame(
        {
            "term": names,
            "estimate": estimates,
            "se": errors,
            "t": t,
            "df": df,
            "p": 2 * stats.t.sf(np.abs(t), df),
            "ci_low": estimates - margin,
            "ci_high": estimates + margin,
            "fmi": (riv + 2 / (df + 3)) / (riv + 1),
            "riv": riv,
            "lambda": share,
        }
    )
