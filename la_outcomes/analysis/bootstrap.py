"""Bootstrap intervals over patients, or over clusters of patients, from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Interval,
    Result,
    require_choice,
    require_level,
    require_rows,
)
from la_outcomes.errors import StatisticsError

Rows = pd.DataFrame | NDArray[Any]
IndexArray = NDArray[np.intp]

_MOST_FAILURES = 0.1
_BLOCK_VALUES = 2_000_000


@dataclass(frozen=True)
class Bootstrap(Result):
    """A bootstrap interval (see `bootstrap`).

    Attributes
    ----------
    estimate : statistic of the data as they are.
    se : standard deviation of the resampled statistics.
    ci_low, ci_high, level, method : interval, its level, and "percentile" or "bca".
    n_boot, n_failed, seed : resamples drawn, those on which the statistic was not defined, and the seed.
    n, n_clusters : rows, and clusters (None when rows were resampled).
    """

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    level: float
    method: str
    n_boot: int
    n_failed: int
    seed: int
    n: int
    n_clusters: int | None


def bootstrap(
    data: Rows,
    statistic: Callable[[Any], Any],
    *,
    method: Literal["percentile", "bca"] = "bca",
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    cluster: ArrayLike | None = None,
    vectorized: bool = False,
) -> Bootstrap:
    """Bootstrap interval of any statistic of a table; one row a patient.

    Parameters
    ----------
    data : data frame or array with n rows, resampled with replacement.
    statistic : takes such a table and returns a number; StatisticsError or NaN on a resample counts as
        failed. With ``vectorized`` it takes an array (resamples, n, ...) and returns a number a resample.
    method : "percentile", or "bca" (bias-corrected and accelerated; the jackknife costs n calls more).
    n_boot, seed, level : resamples, seed of `numpy.random.default_rng`, confidence level.
    cluster : cluster of each row (centre); then whole clusters are resampled. Below about 20 clusters the
        interval is too narrow.

    Raises
    ------
    StatisticsError
        Fewer than two rows or clusters, the statistic is not defined on the data or on more than a tenth
        of the resamples, or too few resamples for the level.

    Notes
    -----
    Given the same draws, equals R `boot::boot.ci` (type "perc"; "bca" with jackknife influence values,
    where no draw equals the estimate). Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993,
    p. 170, 184-188; Davison AC, Hinkley DV. Bootstrap Methods and their Application. 1997, p. 100 (clusters).
    """
    require_level(level)
    require_choice(method, ("percentile", "bca"), "method")
    groups = _cluster_rows(cluster, len(data))
    estimate = _value(statistic, data, vectorized)
    if not np.isfinite(estimate):
        raise StatisticsError(
            "the statistic is not defined for these data", where="statistic", hint="try it on the data alone"
        )
    draws = bootstrap_draws(data, statistic, n_boot=n_boot, seed=seed, cluster=cluster, vectorized=vectorized)
    if method == "percentile":
        low, high = percentile_interval(draws, level)
    else:
        jackknife = _jackknife(data, statistic, groups, vectorized)
        low, high = bca_interval(draws, estimate, jackknife, level)
    return Bootstrap(
        estimate=estimate,
        se=float(draws.std(ddof=1)),
        ci_low=low,
        ci_high=high,
        level=level,
        method=method,
        n_boot=n_boot,
        n_failed=n_boot - len(draws),
        seed=seed,
        n=len(data),
        n_clusters=None if groups is None else len(groups),
    )


def bootstrap_draws(
    data: Rows,
    statistic: Callable[[Any], Any],
    *,
    n_boot: int,
    seed: int,
    cluster: ArrayLike | None = None,
    vectorized: bool = False,
) -> FloatArray:
    """Return the statistic of each resample on which it is defined (see `bootstrap` for the arguments).

    Raises
    ------
    StatisticsError
        More than a tenth of the resamples failed, or a vectorized statistic was asked to take clusters.
    """
    groups = _cluster_rows(cluster, len(data))
    if vectorized and (groups is not None or isinstance(data, pd.DataFrame)):
        raise StatisticsError(
            "a vectorized statistic needs an array and no clusters", where="vectorized", hint="leave it out"
        )
    rng = np.random.default_rng(seed)
    if vectorized:
        draws = _vectorized_draws(np.asarray(data), statistic, n_boot, rng)
    else:
        resamples = _resamples(len(data), groups, n_boot, rng)
        draws = np.array([_value(statistic, _take(data, rows)) for rows in resamples])
    defined = draws[np.isfinite(draws)]
    if len(defined) < (1 - _MOST_FAILURES) * n_boot:
        raise StatisticsError(
            f"the statistic was not defined on {n_boot - len(defined)} of {n_boot} resamples",
            where="statistic",
            hint="rare categories vanish from resamples; merge them, or use an analytic interval",
        )
    return defined


def percentile_interval(draws: ArrayLike, level: float = 0.95) -> Interval:
    """Percentile interval of bootstrap draws (R `boot::boot.ci`, type "perc")."""
    require_level(level)
    values = np.asarray(draws, dtype=float)
    tails = (0.5 - level / 2, 0.5 + level / 2)
    return _order_statistic(values, tails[0]), _order_statistic(values, tails[1])


def bca_interval(draws: ArrayLike, estimate: float, jackknife: ArrayLike, level: float = 0.95) -> Interval:
    """Bias-corrected and accelerated interval of bootstrap draws.

    ``z0 = qnorm(share of draws below the estimate)``, ties counting half, ``a`` as in `acceleration`, and
    each tail alpha moves to ``pnorm(z0 + (z0 + z_alpha) / (1 - a (z0 + z_alpha)))``.

    Parameters
    ----------
    draws, estimate : resampled statistics, and that of the data.
    jackknife : the statistic with each row (cluster) left out in turn.

    Raises
    ------
    StatisticsError
        All draws lie on one side of the estimate, or the tail asked for lies beyond the draws.

    References
    ----------
    Efron B, Tibshirani RJ. 1993, p. 184-188, equations 14.10, 14.14 and 14.15.
    """
    require_level(level)
    values = np.asarray(draws, dtype=float)
    # draws that equal the estimate but for rounding count half, or z0 would depend on the unit
    gap = values - estimate
    tied = np.abs(gap) <= 1e-10 * values.std()
    below = float(np.mean((gap < 0) & ~tied) + np.mean(tied) / 2)
    if below in (0.0, 1.0):
        raise StatisticsError(
            "all resamples lie on one side of the estimate", where="statistic", hint="method='percentile'"
        )
    z0, a = stats.norm.ppf(below), acceleration(jackknife)
    z = z0 + stats.norm.ppf([0.5 - level / 2, 0.5 + level / 2])
    low, high = stats.norm.cdf(z0 + z / (1 - a * z))
    return _order_statistic(values, low), _order_statistic(values, high)


def acceleration(jackknife: ArrayLike) -> float:
    """Acceleration of the BCa interval: a sixth of the skewness of the jackknife values, 0 if they agree.

    References
    ----------
    Efron B, Tibshirani RJ. 1993, p. 186, equation 14.15 (0.061 for the variance of the spatial test data).
    """
    values = np.asarray(jackknife, dtype=float)
    influence = values.mean() - values
    scale = float((influence**2).sum()) ** 1.5
    return float((influence**3).sum()) / (6 * scale) if scale > 0 else 0.0


def _order_statistic(draws: FloatArray, alpha: float) -> float:
    """The alpha quantile: order statistic (B + 1) alpha, interpolated on the normal scale."""
    n = len(draws)
    rank = (n + 1) * alpha
    if not 1 - 1e-9 <= rank <= n + 1e-9 or n < 2:
        raise StatisticsError(
            f"{n} resamples do not reach the {alpha:.5f} quantile", where="n_boot", hint="draw more resamples"
        )
    k = min(max(int(rank), 1), n - 1)
    below, above = np.partition(draws, [k - 1, k])[[k - 1, k]]
    z, z_below, z_above = stats.norm.ppf([alpha, k / (n + 1), (k + 1) / (n + 1)])
    return float(below + (z - z_below) / (z_above - z_below) * (above - below))


def _cluster_rows(cluster: ArrayLike | None, n: int) -> list[IndexArray] | None:
    """Row numbers of each cluster, in order of first appearance."""
    require_rows(n, 2, "data")
    if cluster is None:
        return None
    labels = pd.Series(np.asarray(cluster))
    if len(labels) != n or labels.isna().any():
        raise StatisticsError("every row needs a cluster", where="cluster", hint="one label a row")
    codes, names = pd.factorize(labels)
    require_rows(len(names), 2, "cluster")
    return [np.flatnonzero(codes == code) for code in range(len(names))]


def _resamples(
    n: int, groups: list[IndexArray] | None, n_boot: int, rng: np.random.Generator
) -> Iterator[IndexArray]:
    for _ in range(n_boot):
        if groups is None:
            yield rng.integers(n, size=n)
        else:
            yield np.concatenate([groups[g] for g in rng.integers(len(groups), size=len(groups))])


def _vectorized_draws(
    data: NDArray[Any], statistic: Callable[[Any], Any], n_boot: int, rng: np.random.Generator
) -> FloatArray:
    block = max(1, _BLOCK_VALUES // data.size)
    sizes = [min(block, n_boot - start) for start in range(0, n_boot, block)]
    blocks = (rng.integers(len(data), size=(size, len(data))) for size in sizes)
    return np.concatenate([np.asarray(statistic(data[rows]), dtype=float) for rows in blocks])


def _take(data: Rows, rows: IndexArray) -> Rows:
    return data.iloc[rows] if isinstance(data, pd.DataFrame) else data[rows]


def _value(statistic: Callable[[Any], Any], data: Rows, vectorized: bool = False) -> float:
    """The statistic of one table; NaN where it is not defined."""
    try:
        return float(statistic(np.asarray(data)[None])[0] if vectorized else statistic(data))
    except StatisticsError:
        return float("nan")


def _jackknife(
    data: Rows, statistic: Callable[[Any], Any], groups: list[IndexArray] | None, vectorized: bool
) -> FloatArray:
    everyone = np.arange(len(data))
    parts = groups if groups is not None else [everyone[i : i + 1] for i in everyone]
    values = np.array([_value(statistic, _take(data, np.delete(everyone, p)), vectorized) for p in parts])
    if not np.isfinite(values).all():
        raise StatisticsError(
            "the statistic is not defined without one of the rows or clusters",
            where="statistic",
            hint="method='percentile' does not need the jackknife",
        )
    return values
