"""Differences between groups by ranks. Import the names from `la_outcomes.analysis.trend`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
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
