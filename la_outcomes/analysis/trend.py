"""Order and difference between groups by ranks: a trend over grades, groups, two groups."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from la_outcomes.analysis.group_ranks import KruskalWallis, MannWhitney, kruskal_wallis, mann_whitney
from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    columns_of,
    complete,
    require_choice,
    require_rows,
    require_spread,
    to_floats,
    variable_name,
)
from la_outcomes.errors import StatisticsError

__all__ = [
    "JonckheereTerpstra",
    "KruskalWallis",
    "MannWhitney",
    "jonckheere_terpstra",
    "kruskal_wallis",
    "mann_whitney",
]

Alternative = Literal["two-sided", "increasing", "decreasing"]

_LARGEST_EXACT = 200


@dataclass(frozen=True)
class JonckheereTerpstra(Result):
    """A trend over ordered groups (see `jonckheere_terpstra`).

    Attributes
    ----------
    statistic, mean : pairs in increasing order (ties count half), and what no trend would give.
    z : (statistic - mean) / sd with the tie-corrected sd; positive when values rise with the groups.
    p, alternative, exact : p of the alternative, by the normal or the exact distribution.
    n, n_groups, n_missing : rows used, groups, rows dropped.
    """

    statistic: float
    mean: float
    z: float
    p: float
    alternative: str
    exact: bool
    n: int
    n_groups: int
    n_missing: int


def jonckheere_terpstra(
    values: ArrayLike,
    groups: ArrayLike,
    alternative: Alternative = "two-sided",
    exact: bool = False,
    *,
    frame: pd.DataFrame | None = None,
    missing: Missing = "raise",
) -> JonckheereTerpstra:
    """Test for a trend of values over ordered groups, as of volume over Fazekas grades.

    The statistic is the sum over pairs of groups i < j of the Mann-Whitney count ``#(x_i < x_j) + ties / 2``.

    Parameters
    ----------
    values, groups : n values and the group of each, or names of columns of ``frame``; groups are numbers or
        an ordered categorical.
    alternative : "two-sided", "increasing" (values rise with the groups) or "decreasing".
    exact : exact null distribution by convolution instead of the normal; no ties, up to 200 values.
    missing : "raise", or "drop" rows with a missing value and count them.

    Raises
    ------
    StatisticsError
        One group, unordered groups, constant values, or ``exact`` with ties or more than 200 values.

    Notes
    -----
    The statistic and the exact p equal R `clinfun::jonckheere.test`, which leaves ties out of its normal
    p; z equals that of `cor.test(values, groups, method = "kendall", exact = FALSE)`, which does not.

    References
    ----------
    Jonckheere AR. Biometrika 1954;41:133-145. Hollander M, Wolfe DA. Nonparametric Statistical Methods,
    2nd ed. 1999, p. 202-204 (equation 6.19 for ties).
    """
    require_choice(alternative, ("two-sided", "increasing", "decreasing"), "alternative")
    values, groups = columns_of(frame, values, groups)
    name = variable_name(values, "values")
    order = _ordered_codes(groups)
    (x, g), n_missing = complete({name: values, "groups": order}, missing)
    require_spread(x, name)
    samples = [np.sort(x[g == code]) for code in np.unique(g)]
    require_rows(len(samples), 2, "groups")
    sizes = np.array([len(sample) for sample in samples])
    statistic = _increasing_pairs(samples)
    mean = (len(x) ** 2 - float((sizes**2).sum())) / 4
    z = (statistic - mean) / sqrt(_trend_variance(sizes, np.unique(x, return_counts=True)[1]))
    rising, falling = _exact_tails(statistic, sizes, x) if exact else (stats.norm.sf(z), stats.norm.cdf(z))
    tails = {"increasing": rising, "decreasing": falling, "two-sided": min(1.0, 2 * min(rising, falling))}
    return JonckheereTerpstra(
        statistic=statistic,
        mean=mean,
        z=z,
        p=float(tails[alternative]),
        alternative=alternative,
        exact=exact,
        n=len(x),
        n_groups=len(samples),
        n_missing=n_missing,
    )


def _ordered_codes(groups: Any) -> FloatArray:
    """Groups as numbers in their order, NaN where missing."""
    dtype = getattr(groups, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        codes = np.asarray(pd.Categorical(groups).codes, dtype=float)
        return np.where(codes < 0, np.nan, codes)
    try:
        return to_floats(groups, "groups")
    except StatisticsError as error:
        raise StatisticsError(
            "groups have no order", where="groups", hint="pass numbers or an ordered categorical"
        ) from error


def _increasing_pairs(samples: list[FloatArray]) -> float:
    total = 0.0
    for i, sample in enumerate(samples[:-1]):
        later = np.sort(np.concatenate(samples[i + 1 :]))
        above = len(later) - np.searchsorted(later, sample, side="right")
        not_below = len(later) - np.searchsorted(later, sample, side="left")
        total += float((above + not_below).sum()) / 2
    return total


def _trend_variance(sizes: NDArray[np.int_], ties: NDArray[np.int_]) -> float:
    """Null variance with ties (Hollander and Wolfe 1999, equation 6.19)."""
    n, t = sizes.astype(float), ties.astype(float)
    total = float(n.sum())
    pairs = total * (total - 1)

    def cubic(m: FloatArray) -> float:
        return float((m * (m - 1) * (2 * m + 5)).sum())

    first = (pairs * (2 * total + 5) - cubic(n) - cubic(t)) / 72
    triples = float((n * (n - 1) * (n - 2)).sum()) * float((t * (t - 1) * (t - 2)).sum())
    second = triples / (36 * pairs * (total - 2)) if total > 2 else 0.0
    return first + second + float((n * (n - 1)).sum()) * float((t * (t - 1)).sum()) / (8 * pairs)


def _exact_tails(statistic: float, sizes: NDArray[np.int_], values: FloatArray) -> tuple[float, float]:
    """P(J >= statistic) and P(J <= statistic) without ties."""
    if len(np.unique(values)) < len(values):
        raise StatisticsError("values are tied", where="values", hint="exact=False corrects z for ties")
    if len(values) > _LARGEST_EXACT:
        raise StatisticsError(
            f"{len(values)} values are too many for the exact distribution",
            where="values",
            hint=f"exact=False; above {_LARGEST_EXACT} the normal is as good",
        )
    ways = _orders_by_statistic(sizes)
    observed, every = int(statistic), sum(ways)
    return sum(ways[observed:]) / every, sum(ways[: observed + 1]) / every


def _orders_by_statistic(sizes: NDArray[np.int_]) -> list[int]:
    """How many arrangements have each statistic: coefficients of the Gaussian multinomial.

    Product over the groups of the Mann-Whitney generating function prod (1 - q^(m+i)) / (1 - q^i), i = 1 ..
    size, with m the values of the groups before; in whole numbers, so nothing is lost to rounding.
    """
    before = np.cumsum(sizes)
    ways = np.zeros(int((sizes[1:] * before[:-1]).sum()) + 1, dtype=object)
    ways[0] = 1
    for m, size in zip(before[:-1], sizes[1:], strict=True):
        for i in range(1, int(size) + 1):
            step = int(m) + i
            if step < len(ways):
                ways[step:] = ways[step:] - ways[:-step]
            for offset in range(min(i, len(ways))):
                ways[offset::i] = np.cumsum(ways[offset::i])
    return list(ways)
