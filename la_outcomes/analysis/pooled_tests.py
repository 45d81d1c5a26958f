"""Joint tests over multiply imputed data: D1, D2 and D3. See `la_outcomes.analysis.missing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.pooling import between_covariance, stack_estimates
from la_outcomes.analysis.results import FloatArray, Result
from la_outcomes.errors import StatisticsError


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
    q, u = stack_estimates(estimates, covariances)
    m, p = q.shape
    within = u.mean(axis=0)
    if np.linalg.matrix_rank(within) < p:
        raise StatisticsError(
            "the mean covariance is singular",
            where="covariances",
            hint="pass the block of the coefficients under test, none of which determines another",
        )
    mean = q.mean(axis=0)
    r = (1 + 1 / m) * float(np.trace(np.linalg.solve(within, between_covariance(q)))) / p
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
