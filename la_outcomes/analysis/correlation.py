"""Correlation of two variables; comparing correlations lives beside it and is importable from here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import atanh, exp, sqrt, tanh
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from la_outcomes.analysis.correlation_comparison import (
    DependentComparison,
    HypothesisTest,
    IndependentComparison,
    NonoverlappingComparison,
    compare_dependent,
    compare_dependent_nonoverlapping,
    compare_independent,
)
from la_outcomes.analysis.homogeneity import (
    CccHomogeneity,
    Homogeneity,
    ccc_homogeneity,
    homogeneity,
)
from la_outcomes.analysis.results import (
    FloatArray,
    Interval,
    Missing,
    Result,
    columns_of,
    complete_pair,
    normal_quantile,
    require_choice,
)

__all__ = [
    "CccHomogeneity",
    "Correlation",
    "DependentComparison",
    "Homogeneity",
    "HypothesisTest",
    "IndependentComparison",
    "NonoverlappingComparison",
    "ccc_homogeneity",
    "compare_dependent",
    "compare_dependent_nonoverlapping",
    "compare_independent",
    "correlate",
    "homogeneity",
]

Method = Literal["pearson", "spearman", "kendall"]
IntervalMethod = Literal["Fisher", "Bonett-Wright", "Fieller"]

_INTERVALS: dict[str, tuple[str, ...]] = {
    "pearson": ("Fisher",),
    "spearman": ("Bonett-Wright", "Fieller", "Fisher"),
    "kendall": ("Fieller",),
}


@dataclass(frozen=True)
class Correlation(Result):
    """A correlation coefficient (see `correlate`).

    Attributes
    ----------
    estimate : Pearson's r, Spearman's rho or Kendall's tau-b.
    ci_low, ci_high, ci_method, level : interval, "Fisher", "Bonett-Wright" or "Fieller", and its level.
    p, p_method : two-sided p of no association, by "t", "exact", "Edgeworth series" or "normal".
    method, n, n_missing : as asked for; pairs used; pairs dropped.
    """

    estimate: float
    ci_low: float
    ci_high: float
    ci_method: str
    p: float
    p_method: str
    method: str
    level: float
    n: int
    n_missing: int


def correlate(
    x: ArrayLike,
    y: ArrayLike,
    method: Method = "pearson",
    *,
    frame: pd.DataFrame | None = None,
    ci_method: IntervalMethod | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> Correlation:
    """Correlation of two variables with its interval and p.

    Intervals are ``tanh(atanh(estimate) -/+ z se)``: Pearson, Fisher, se = 1/sqrt(n - 3); Spearman, by
    default Bonett-Wright, sqrt((1 + rho^2/2)/(n - 3)), or Fieller, sqrt(1.06/(n - 3)), or Fisher; Kendall,
    Fieller, sqrt(0.437/(n - 4)). The rank correlation answers for skewed volumes; neither says that two
    measurements agree (`lins_ccc`).

    Parameters
    ----------
    x, y : n values of the same patients, matched by position; or names of columns of ``frame``.
    method : "pearson", "spearman" or "kendall" (tau-b).
    ci_method : another interval for Spearman; None takes the default.
    level, missing : confidence level; "raise", or "drop" pairs with a missing value and count them.

    Raises
    ------
    StatisticsError
        A constant variable, or fewer than 4 pairs (5 for Kendall).

    Notes
    -----
    p equals R `cor.test`: t for Pearson; without ties, Spearman up to n = 1290 by AS 89 (exact up to 9) and
    Kendall below n = 50 exact; with ties Spearman by t and Kendall by the tie-corrected normal.

    References
    ----------
    Fisher RA. Metron 1921;1:3-32. Bonett DG, Wright TA. Psychometrika 2000;65:23-28, p. 24. Fieller EC,
    Hartley HO, Pearson ES. Biometrika 1957;44:470-481. Best DJ, Roberts DE. Appl Stat 1975;24:377-379.
    """
    require_choice(method, tuple(_INTERVALS), "method")
    interval = ci_method or _INTERVALS[method][0]
    require_choice(interval, _INTERVALS[method], "ci_method")
    z = normal_quantile(level)
    x, y = columns_of(frame, x, y)
    first, second, n_missing = complete_pair(x, y, missing, 5 if method == "kendall" else 4)
    estimate, p, p_method = _estimate(first, second, method)
    low, high = _interval(estimate, z * _standard_error(estimate, len(first), method, interval))
    return Correlation(
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        ci_method=interval,
        p=p,
        p_method=p_method,
        method=method,
        level=level,
        n=len(first),
        n_missing=n_missing,
    )


def _estimate(x: FloatArray, y: FloatArray, method: str) -> tuple[float, float, str]:
    """Coefficient, its two-sided p and how that was found."""
    n = len(x)
    tied = min(len(np.unique(x)), len(np.unique(y))) < n
    if method == "kendall":
        exact = not tied and n < 50
        test = stats.kendalltau(x, y, method="exact" if exact else "asymptotic")
        return float(test.statistic), float(test.pvalue), "exact" if exact else "normal"
    if method == "spearman":
        x, y = stats.rankdata(x), stats.rankdata(y)
    test = stats.pearsonr(x, y)
    r = float(test.statistic)
    if method == "pearson" or tied or n > 1290:
        return r, float(test.pvalue), "t"
    return r, _spearman_p(r, n), "exact" if n <= 9 else "Edgeworth series"


def _standard_error(estimate: float, n: int, method: str, interval: str) -> float:
    """Standard error on the scale of Fisher's z."""
    if method == "kendall":
        return sqrt(0.437 / (n - 4))
    inflation = {"Fisher": 1.0, "Bonett-Wright": 1 + estimate**2 / 2, "Fieller": 1.06}[interval]
    return sqrt(inflation / (n - 3))


def _interval(estimate: float, margin: float) -> Interval:
    """Back from Fisher's z; a perfect correlation has no width there, as in R."""
    if abs(estimate) >= 1:
        return estimate, estimate
    return tanh(atanh(estimate) - margin), tanh(atanh(estimate) + margin)


def _spearman_p(rho: float, n: int) -> float:
    """Two-sided p without ties from S, the sum of squared rank differences, doubling the nearer tail."""
    cubic = n**3 - n
    s = round(cubic * (1 - rho) / 6)
    s = min(s, cubic // 3 - s)  # the null distribution is symmetric: take the lower tail
    if n <= 9:
        ways = _permutations_by_s(n)
        tail = float(ways[: s + 1].sum() / ways.sum())
    else:
        tail = _edgeworth_tail(s, n)
    return min(2 * tail, 1.0)


@lru_cache
def _permutations_by_s(n: int) -> NDArray[np.int64]:
    """How many of the n! orders have each value of S, built up place by place over sets of used ranks."""
    start = np.zeros((n**3 - n) // 3 + 1, dtype=np.int64)
    start[0] = 1
    ways = {0: start}
    for place in range(n):
        longer: dict[int, NDArray[np.int64]] = {}
        for used, counts in ways.items():
            for rank in (r for r in range(n) if not used >> r & 1):
                key = used | 1 << rank
                longer[key] = longer.get(key, 0) + np.roll(counts, (place - rank) ** 2)
        ways = longer
    return ways[(1 << n) - 1]


def _edgeworth_tail(s: int, n: int) -> float:
    """P(S <= s), s in the lower half, by the series of algorithm AS 89; S takes even values only."""
    b = 1 / n
    x = (6 * (s + 1) * b / (n**2 - 1) - 1) * sqrt(n - 1)
    y = x**2
    inner = 0.0072 - 0.0831 * b + y * b * (0.0131 - 4.6e-4 * y)
    middle = -0.0758 + b * (0.1033 + 0.3932 * b) - y * b * (0.0879 + 0.0151 * b - y * inner)
    u = x * b * (0.2274 + b * (0.2531 + 0.1745 * b) + y * middle)
    return float(np.clip(stats.norm.cdf(x) - u / exp(y / 2), 0, 1))
