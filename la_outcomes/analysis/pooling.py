"""Combining analyses of multiply imputed data: Rubin's rules and the joint tests D1, D2 and D3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True)
class PooledTest(Result):
    """Joint test of ``df1`` parameters: ``f`` on (``df1``, ``df2``), ``p``, and ``riv``, the average relative
    increase in variance due to missingness. df2 is infinite where the imputations agree."""

    f: float
    df1: int
    df2: float
    p: float
    riv: float


class PoolableFit(Protocol):
    """What D3 needs of a fit."""

    @property
    def loglik(self) -> float: ...

    @property
    def slopes(self) -> FloatArray: ...

    def loglik_at(self, slopes: FloatArray) -> float: ...


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
    q, u = _stack(estimates, covariances)
    m, p = q.shape
    names = names or [f"x{j + 1}" for j in range(p)]
    if len(names) != p:
        raise StatisticsError(
            f"{len(names)} terms for {p} estimates", where="terms", hint="one name an estimate"
        )
    within, between = u.mean(axis=0), _between(q)
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


def pool_wald(
    estimates: ArrayLike | Sequence[pd.Series], covariances: ArrayLike, df_complete: float = np.inf
) -> PooledTest:
    """Test that all p estimates given are 0: D1 (Li, Raghunathan and Rubin 1991, JASA 86:1065).

    F = Q' U^-1 Q / (p (1 + r)) with r = (1 + 1/m) trace(B U^-1)/p; denominator degrees of freedom by Reiter
    2007 (Biometrika 94:502) where ``df_complete`` is finite. Pass the estimates and the block of covariances
    of the coefficients under test. Equals R ``mice::D1`` and ``mitml::testModels(method = "D1")``.

    Raises
    ------
    StatisticsError
        As `pool`.
    """
    q, u = _stack(estimates, covariances)
    m, p = q.shape
    within = u.mean(axis=0)
    if np.linalg.matrix_rank(within) < p:
        raise StatisticsError(
            "the mean covariance is singular",
            where="covariances",
            hint="pass the block of the coefficients under test, none of which determines another",
        )
    mean = q.mean(axis=0)
    r = (1 + 1 / m) * float(np.trace(np.linalg.solve(within, _between(q)))) / p
    f = float(mean @ np.linalg.solve(within, mean)) / (p * (1 + r))
    df2 = _li_df(p, m, r) if np.isinf(df_complete) else _reiter_df(p, m, r, df_complete)
    return _test(f, p, df2, r)


def pool_d2(statistics: ArrayLike, df: int) -> PooledTest:
    """Pool m chi-squared statistics on ``df`` degrees of freedom: D2 (Li et al. 1991, Stat Sinica 1:65).

    r = (1 + 1/m) var(sqrt(d)); F = (mean(d)/df - (m + 1)/(m - 1) r)/(1 + r) on
    df2 = df^(-3/m) (m - 1) (1 + 1/r)^2. Equals R ``mice::D2`` given its statistics, and
    ``miceadds::micombine.chisquare``. Use it only where nothing but the test statistics is at hand: it is
    the least accurate of the three.

    Raises
    ------
    StatisticsError
        Fewer than 2 statistics, or a negative one.
    """
    d = np.asarray(statistics, dtype=float)
    if d.ndim != 1 or len(d) < 2 or not (np.isfinite(d) & (d >= 0)).all() or df < 1:
        raise StatisticsError(
            "D2 needs at least 2 chi-squared statistics from 0 up",
            where="statistics",
            hint="one an imputation, with the same df of at least 1",
        )
    m = len(d)
    r = (1 + 1 / m) * float(np.var(np.sqrt(d), ddof=1))
    f = max((float(d.mean()) / df - (m + 1) / (m - 1) * r) / (1 + r), 0.0)
    df2 = df ** (-3 / m) * (m - 1) * (1 + 1 / r) ** 2 if r > 0 else np.inf
    return _test(f, df, df2, r)


def pool_likelihood_ratio(full: Sequence[PoolableFit], reduced: Sequence[PoolableFit]) -> PooledTest:
    """Test nested models fitted to each imputation: D3 (Meng and Rubin 1992, Biometrika 79:103).

    With d the mean likelihood-ratio statistic and d~ the mean of those at the pooled slopes,
    r = (m + 1)/(p (m - 1)) (d - d~) and F = d~/(p (1 + r)). Intercept or thresholds and the residual variance
    are maximised out at the pooled slopes, as in R ``mice::D3``, which this equals.

    Parameters
    ----------
    full, reduced : one fit an imputation, in the same order (`ImputedFit.fits`).

    Raises
    ------
    StatisticsError
        Different numbers of fits, fewer than 2, or models that are not nested.
    """
    m = len(full)
    if m < 2 or len(reduced) != m:
        raise StatisticsError(
            "D3 needs the same number of fits of both models, at least 2",
            where="fits",
            hint="one fit an imputation",
        )
    k = len(full[0].slopes) - len(reduced[0].slopes)
    if k < 1:
        raise StatisticsError("the second model is not nested in the first", where="fits", hint="full first")
    pooled = [np.mean([fit.slopes for fit in fits], axis=0) for fits in (full, reduced)]
    own = np.mean([2 * (f.loglik - r.loglik) for f, r in zip(full, reduced, strict=True)])
    shared = np.mean(
        [2 * (f.loglik_at(pooled[0]) - r.loglik_at(pooled[1])) for f, r in zip(full, reduced, strict=True)]
    )
    r = max((m + 1) / (k * (m - 1)) * float(own - shared), 0.0)
    return _test(max(float(shared), 0.0) / (k * (1 + r)), k, _li_df(k, m, r), r)


def _names(estimates: object, terms: Sequence[str] | None) -> list[str]:
    if terms is not None:
        return list(terms)
    first = estimates[0] if isinstance(estimates, list | tuple) and len(estimates) else None
    if isinstance(estimates, pd.DataFrame):
        return [str(name) for name in estimates.columns]
    return [str(name) for name in first.index] if isinstance(first, pd.Series) else []


def _stack(
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


def _between(q: FloatArray) -> FloatArray:
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


def _li_df(k: int, m: int, r: float) -> float:
    """Denominator degrees of freedom for a large sample (Li, Raghunathan and Rubin 1991, eq. 2.6)."""
    if r <= 0:
        return np.inf
    v = k * (m - 1)
    if v > 4:
        return 4 + (v - 4) * (1 + (1 - 2 / v) / r) ** 2
    return v * (1 + 1 / k) * (1 + 1 / r) ** 2 / 2


def _reiter_df(k: int, m: int, r: float, df_complete: float) -> float:
    """Denominator degrees of freedom for a small sample (Reiter 2007, eq. 7)."""
    v = k * (m - 1)
    if v <= 4:
        return min(_li_df(k, m, r), df_complete)
    a = r * v / (v - 2)
    limit = (df_complete + 1) / (df_complete + 3) * df_complete
    c0, c1, c2 = 1 / (v - 4), limit - 2 * (1 + a), limit - 4 * (1 + a)
    if c2 <= 0:
        raise StatisticsError(
            "too few complete-data degrees of freedom for D1", where="df_complete", hint="fewer terms"
        )
    z = 1 / c2 + c0 * (
        a**2 * c1 / ((1 + a) ** 2 * c2)
        + 8 * a**2 * c1 / ((1 + a) * c2**2)
        + 4 * a**2 / ((1 + a) * c2)
        + 4 * a**2 / (c2 * c1)
        + 16 * a**2 * c1 / c2**3
        + 8 * a**2 / c2**2
    )
    return 4 + 1 / z


def _test(f: float, df1: int, df2: float, riv: float) -> PooledTest:
    p = stats.chi2.sf(f * df1, df1) if np.isinf(df2) else stats.f.sf(f, df1, df2)
    return PooledTest(f, df1, float(df2), float(p), riv)
