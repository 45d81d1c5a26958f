"""p-values adjusted for how many were looked at, within stated families."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from statsmodels.stats.multitest import multipletests

from la_outcomes.analysis.results import FloatArray, Table, complete_rows, require_choice, to_floats
from la_outcomes.errors import StatisticsError

_STATSMODELS = {
    "hochberg": "simes-hochberg",
    "hommel": "hommel",
    "bonferroni": "bonferroni",
    "BH": "fdr_bh",
    "BY": "fdr_by",
    "fdr": "fdr_bh",
}
METHODS = ("holm", *_STATSMODELS, "none")


def adjust(p: ArrayLike, method: str = "holm") -> FloatArray:
    """Adjust one family of p-values; equals R `p.adjust` with the same method names.

    "bonferroni", "holm", "hochberg" and "hommel" bound the chance of any false finding in the family
    (the last two need independent or positively dependent tests); "BH" (= "fdr") bounds the expected share
    of false ones among findings, "BY" so under any dependence; "none" returns p.

    Parameters
    ----------
    p : p-values of all tests of the family, the uninteresting ones too.

    Raises
    ------
    StatisticsError
        No p-value, a missing one (R counts it out of the family silently), one outside [0, 1], or an
        unknown method.

    References
    ----------
    Holm S. Scand J Stat 1979;6:65-70. Hochberg Y. Biometrika 1988;75:800-802. Hommel G. Biometrika
    1988;75:383-386. Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300. Benjamini Y, Yekutieli D.
    Ann Stat 2001;29:1165-1188.
    """
    require_choice(method, METHODS, "method")
    values = to_floats(p, "p")
    if not len(values):
        raise StatisticsError("there is no p-value to adjust", where="p", hint="an empty selection?")
    if np.isnan(values).any():
        raise StatisticsError(
            "a p-value is missing", where="p", hint="decide whether that test belongs to the family"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise StatisticsError("a p-value lies outside [0, 1]", where="p", hint="is the column another one?")
    if method == "none":
        return values
    if method == "holm":
        return _holm(values)
    return np.asarray(multipletests(values, method=_STATSMODELS[method])[1], dtype=float)


def _holm(p: FloatArray) -> FloatArray:
    # statsmodels' version runs the garbage collector on every call, a hundred times the cost of the sum
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted


def adjust_families(
    frame: pd.DataFrame, p: Hashable = "p", family: Hashable = "family", method: str = "holm"
) -> Table:
    """Adjust the p-values of each family by itself: R `ave(p, family, FUN = p.adjust)`.

    Returns
    -------
    The rows of ``frame`` in their order, with p_adjusted, n_family (tests in the row's family) and
    adjustment (the method) added.

    Raises
    ------
    StatisticsError
        As `adjust`, or a column does not exist, or a row has no family.
    """
    rows, _ = complete_rows(frame, [p, family], "raise")
    by_family = rows[p].groupby(rows[family], observed=True)
    adjusted = by_family.transform(lambda values: adjust(values.to_numpy(), method))
    return Table(frame.assign(p_adjusted=adjusted, n_family=by_family.transform("size"), adjustment=method))
