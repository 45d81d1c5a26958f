"""Order and difference between groups by ranks: a trend over grades, groups, two groups."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from la_outcomes.analysis.multiplicity import METHODS, adjust
from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    columns_of,
    complete,
    complete_rows,
    require_choice,
    require_rows,
    require_spread,
    to_floats,
    variable_name,
)
from la_outcomes.errors import StatisticsError

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


@dataclass(frozen=True)
class KruskalWallis(Result):
    """A difference between groups by ranks (see `kruskal_wallis`).

    Attributes
    ----------
    statistic, df, p : tie-corrected H, groups - 1, p by chi-squared.
    post_hoc : one row a pair: group_a, group_b, mean_rank_difference (a - b), z, p, p_adjusted (Dunn).
    adjustment : method of p_adjusted.
    """

    statistic: float
    df: int
    p: float
    post_hoc: pd.DataFrame
    adjustment: str
    n: int
    n_missing: int


def kruskal_wallis(
    values: ArrayLike,
    groups: ArrayLike,
    adjustment: str = "holm",
    *,
    frame: pd.DataFrame | None = None,
    missing: Missing = "raise",
) -> KruskalWallis:
    """Kruskal-Wallis test with Dunn's comparison of every pair of groups.

    Dunn's ``z = (mean rank a - mean rank b) / sqrt(v (1/n_a + 1/n_b))`` with
    ``v = N (N + 1) / 12 - sum(t^3 - t) / (12 (N - 1))``, ranks over all groups, two-sided p. Where the
    groups have an order, `jonckheere_terpstra` has more power.

    Parameters
    ----------
    values, groups : n values and the group of each, or names of columns of ``frame``.
    adjustment : method of `la_outcomes.analysis.multiplicity.adjust` over the pairs.
    missing : "raise", or "drop" rows with a missing value and count them.

    Raises
    ------
    StatisticsError
        One group, constant values, or an unknown adjustment.

    Notes
    -----
    Equals R `kruskal.test` and `FSA::dunnTest(two.sided = TRUE)`; `dunn.test::dunn.test` halves p.

    References
    ----------
    Kruskal WH, Wallis WA. J Am Stat Assoc 1952;47:583-621. Dunn OJ. Technometrics 1964;6:241-252.
    """
    require_choice(adjustment, METHODS, "adjustment")
    values, groups = columns_of(frame, values, groups)
    name = variable_name(values, "values")
    labels = np.asarray(groups, dtype=object)
    numbers = to_floats(values, name)
    if len(labels) != len(numbers):
        raise StatisticsError("values and groups differ in length", where="groups", hint="one label a value")
    frame = pd.DataFrame({name: numbers, "groups": labels})
    frame, n_missing = complete_rows(frame, [name, "groups"], missing)
    require_spread(frame[name].to_numpy(), name)
    samples = {label: part.to_numpy() for label, part in frame.groupby("groups", observed=True)[name]}
    require_rows(len(samples), 2, "groups")
    test = stats.kruskal(*samples.values())
    return KruskalWallis(
        statistic=float(test.statistic),
        df=len(samples) - 1,
        p=float(test.pvalue),
        post_hoc=_dunn(frame[name].to_numpy(), frame["groups"], adjustment),
        adjustment=adjustment,
        n=len(frame),
        n_missing=n_missing,
    )


def _dunn(values: FloatArray, groups: pd.Series, adjustment: str) -> pd.DataFrame:
    n = len(values)
    ties = np.unique(values, return_counts=True)[1].astype(float)
    variance = n * (n + 1) / 12 - float((ties**3 - ties).sum()) / (12 * (n - 1))
    ranks = pd.Series(stats.rankdata(values), index=groups.index).groupby(groups, observed=True)
    means, sizes = ranks.mean(), ranks.size()
    pairs = list(combinations(means.index, 2))
    difference = np.array([means[a] - means[b] for a, b in pairs])
    z = difference / np.sqrt([variance * (1 / sizes[a] + 1 / sizes[b]) for a, b in pairs])
    p = 2 * stats.norm.sf(np.abs(z))
    return pd.DataFrame(
        {
            "group_a": [a for a, _ in pairs],
            "group_b": [b for _, b in pairs],
            "mean_rank_difference": difference,
            "z": z,
            "p": p,
            "p_adjusted": adjust(p, adjustment),
        }
    )


@dataclass(frozen=True)
class MannWhitney(Result):
    """Two groups by ranks (see `mann_whitney`).

    Attributes
    ----------
    statistic : pairs in which x is larger, ties counting half (R's W).
    probability_of_superiority : statistic / (n_x n_y): the chance that a patient of x exceeds one of y.
    p, exact : two-sided p and whether it is exact.
    """

    statistic: float
    probability_of_superiority: float
    p: float
    exact: bool
    n_x: int
    n_y: int
    n_missing: int


def mann_whitney(
    x: ArrayLike, y: ArrayLike, *, continuity: bool = True, missing: Missing = "raise"
) -> MannWhitney:
    """Wilcoxon-Mann-Whitney test of two groups of different patients, lengths as they come.

    Exact below 50 a group without ties, else normal with tie correction and, unless ``continuity`` is
    False, continuity correction: the rule and the numbers of R `wilcox.test(x, y, correct = continuity)`.

    Raises
    ------
    StatisticsError
        An empty group, or all values the same.

    References
    ----------
    Mann HB, Whitney DR. Ann Math Stat 1947;18:50-60.
    """
    names = variable_name(x, "x"), variable_name(y, "y")
    (first,), missing_x = complete({names[0]: x}, missing)
    (second,), missing_y = complete({names[1]: y}, missing)
    both = np.concatenate([first, second])
    require_spread(both, " and ".join(names))
    exact = len(np.unique(both)) == len(both) and max(len(first), len(second)) < 50
    method = "exact" if exact else "asymptotic"
    test = stats.mannwhitneyu(first, second, use_continuity=continuity, method=method)
    statistic = float(test.statistic)
    return MannWhitney(
        statistic=statistic,
        probability_of_superiority=statistic / (len(first) * len(second)),
        p=float(test.pvalue),
        exact=exact,
        n_x=len(first),
        n_y=len(second),
        n_missing=missing_x + missing_y,
    )
