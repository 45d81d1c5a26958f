"""More than two raters: Fleiss' kappa, Krippendorff's alpha, Kendall's W.

Import the names from `la_outcomes.analysis.agreement`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    complete_rows,
    require_choice,
    require_rows,
    require_spread,
    to_floats,
)
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class FleissKappa(Result):
    """Fleiss' kappa (see `fleiss_kappa`); ``se_null`` and the test are against chance agreement."""

    kappa: float
    se_null: float
    z: float
    p: float
    n: int
    n_raters: int
    n_missing: int


def fleiss_kappa(ratings: ArrayLike | pd.DataFrame, *, missing: Missing = "raise") -> FleissKappa:
    """Agreement beyond chance of m raters on unordered categories; 1 is perfect, 0 is chance.

    ``kappa = (P - P_e) / (1 - P_e)``: P is the share of agreeing pairs of raters, P_e the sum of squared
    category shares. For ordered grades use `krippendorff_alpha` or `icc`, which credit near misses.

    Parameters
    ----------
    ratings : (n patients, m raters); any labels.
    missing : "raise", or "drop" patients with a missing rating and count them.

    Raises
    ------
    StatisticsError
        Fewer than two patients or raters, or a single category throughout.

    Notes
    -----
    Equals R `irr::kappam.fleiss`.

    References
    ----------
    Fleiss JL. Psychol Bull 1971;76:378-382 (kappa). Fleiss JL, Nee JCM, Landis JR. Psychol Bull
    1979;86:974-977 (standard error under chance).
    """
    table, n_missing = _complete_ratings(ratings, missing)
    n, m = table.shape
    codes, categories = pd.factorize(table.to_numpy().ravel())
    counts = np.zeros((n, len(categories)))
    np.add.at(counts, (np.repeat(np.arange(n), m), codes), 1)
    shares = counts.sum(axis=0) / (n * m)
    chance = float((shares**2).sum())
    if len(categories) == 1:
        raise StatisticsError(
            "every rating is the same category", where="ratings", hint="report the observed agreement"
        )
    agreement = float(((counts**2).sum() - n * m) / (n * m * (m - 1)))
    kappa = (agreement - chance) / (1 - chance)
    spread = (1 - chance) ** 2 - float((shares * (1 - shares) * (1 - 2 * shares)).sum())
    se_null = float(np.sqrt(2 * spread / (n * m * (m - 1)))) / (1 - chance)
    z = kappa / se_null
    return FleissKappa(kappa, se_null, z, float(2 * stats.norm.sf(abs(z))), n, m, n_missing)


def _as_table(ratings: ArrayLike | pd.DataFrame) -> pd.DataFrame:
    if np.ndim(ratings) != 2:
        raise StatisticsError(
            "ratings must be a table of two dimensions", where="ratings", hint="patients by raters"
        )
    # as objects, or a missing value among labels would become the label 'nan'
    return ratings if isinstance(ratings, pd.DataFrame) else pd.DataFrame(np.asarray(ratings, dtype=object))


def _complete_ratings(ratings: ArrayLike | pd.DataFrame, missing: Missing) -> tuple[pd.DataFrame, int]:
    table = _as_table(ratings)
    require_rows(table.shape[1], 2, "raters")
    table, n_missing = complete_rows(table, list(table.columns), missing)
    require_rows(len(table), 2, "patients")
    return table, n_missing


@dataclass(frozen=True)
class KendallsW(Result):
    """Kendall's coefficient of concordance (see `kendalls_w`); chi2 and p belong to the corrected ``w``."""

    w: float
    w_uncorrected: float
    chi2: float
    df: int
    p: float
    n: int
    n_raters: int
    n_missing: int


def kendalls_w(ratings: ArrayLike | pd.DataFrame, *, missing: Missing = "raise") -> KendallsW:
    """Agreement of m raters on the order of n patients: 0 none, 1 the same order by all.

    ``w = 12 S / (m^2 (n^3 - n) - m sum(t^3 - t))`` with S the squared deviations of rank sums and t the
    sizes of ties within a rater; ``w_uncorrected`` leaves the ties out. ``chi2 = m (n - 1) w``.

    Parameters
    ----------
    ratings : (n patients, m raters) numbers.
    missing : "raise", or "drop" patients with a missing rating and count them.

    Raises
    ------
    StatisticsError
        Fewer than two patients or raters, or a rater who ranks nobody apart.

    Notes
    -----
    Equals R `irr::kendall(correct = TRUE)`; the chi-squared test is poor below n = 8.

    References
    ----------
    Kendall MG, Babington Smith B. Ann Math Stat 1939;10:275-287. Siegel S, Castellan NJ. Nonparametric
    Statistics, 2nd ed. 1988, p. 266 (ties).
    """
    table, n_missing = _complete_ratings(ratings, missing)
    scores = np.column_stack([to_floats(table[rater], str(rater)) for rater in table])
    for rater, column in zip(table, scores.T, strict=True):
        require_spread(column, str(rater))
    n, m = scores.shape
    rank_sums = stats.rankdata(scores, axis=0).sum(axis=1)
    deviations = float(((rank_sums - rank_sums.mean()) ** 2).sum())
    ties = sum(int((t**3 - t).sum()) for t in (np.unique(c, return_counts=True)[1] for c in scores.T))
    total = m**2 * (n**3 - n)
    w = 12 * deviations / (total - m * ties)
    chi2 = m * (n - 1) * w
    p = float(stats.chi2.sf(chi2, n - 1))
    return KendallsW(w, 12 * deviations / total, chi2, n - 1, p, n, m, n_missing)


@dataclass(frozen=True)
class KrippendorffAlpha(Result):
    """Krippendorff's alpha (see `krippendorff_alpha`).

    Attributes
    ----------
    alpha : estimate; observed_disagreement, expected_disagreement : alpha is 1 minus their ratio.
    n : units with at least two ratings; n_missing : units left out because they had fewer.
    """

    alpha: float
    observed_disagreement: float
    expected_disagreement: float
    level: str
    n: int
    n_raters: int
    n_missing: int


Scale = Literal["nominal", "ordinal", "interval", "ratio"]


def krippendorff_alpha(ratings: ArrayLike | pd.DataFrame, level: Scale = "nominal") -> KrippendorffAlpha:
    """Agreement of raters who need not have rated every unit: 1 is perfect, 0 is chance.

    ``alpha = 1 - D_o / D_e``: mean squared difference of ratings within units over that between all
    ratings, with the difference of the level of measurement. Above 0.8 is usually called reliable.

    Parameters
    ----------
    ratings : (m raters, n units), **one row a rater** as in Krippendorff's reliability data matrix and R;
        missing ratings are NaN or None and simply do not count. Numbers, or any labels when nominal.
    level : "nominal", "ordinal", "interval" or "ratio" (values of one sign, or 0).

    Raises
    ------
    StatisticsError
        No unit rated twice, every rating the same, or values of both signs on a ratio scale.

    Notes
    -----
    Equals R `irr::kripp.alpha` wherever a rating is missing; with none missing and more than two raters
    irr 0.84.1 does not divide by the raters of a unit, and its small-sample term then differs.

    References
    ----------
    Krippendorff K. Content Analysis, 2nd ed. 2004, p. 221-236.
    """
    require_choice(level, ("nominal", "ordinal", "interval", "ratio"), "level")
    units = _as_table(ratings).T
    rated = units[units.notna().sum(axis=1) >= 2]
    if rated.empty:
        raise StatisticsError("no unit has two ratings", where="ratings", hint="one row a rater")
    values, coincidences = _coincidences(rated, level)
    if len(values) == 1:
        raise StatisticsError("every rating is the same", where="ratings", hint="report the agreement")
    totals = coincidences.sum(axis=1)
    squared = _DIFFERENCES[level](values, totals)
    expected = np.outer(totals, totals) / (totals.sum() - 1)
    d_o = float((coincidences * squared).sum() / totals.sum())
    d_e = float((expected * squared).sum() / totals.sum())
    left_out = len(units) - len(rated)
    return KrippendorffAlpha(1 - d_o / d_e, d_o, d_e, level, len(rated), units.shape[1], left_out)


def _coincidences(units: pd.DataFrame, level: Scale) -> tuple[FloatArray, FloatArray]:
    """Sorted values and their coincidence matrix: pairs within a unit, each weighted 1 / (ratings - 1)."""
    flat = units.to_numpy().ravel()
    place = np.repeat(np.arange(len(units)), units.shape[1])
    present = pd.notna(flat)
    if level == "nominal":
        codes, labels = pd.factorize(flat[present])
        values = np.arange(len(labels), dtype=float)
    else:
        values, codes = np.unique(to_floats(flat[present], "ratings"), return_inverse=True)
    counts = np.zeros((len(units), len(values)))
    np.add.at(counts, (place[present], codes), 1)
    weight = 1 / (counts.sum(axis=1) - 1)
    pairs = (counts * weight[:, None]).T @ counts - np.diag((counts * weight[:, None]).sum(axis=0))
    return values, pairs


def _ordinal_difference(values: FloatArray, totals: FloatArray) -> FloatArray:
    # the distance between two grades counts the ratings that lie between them
    middle = np.cumsum(totals) - totals / 2
    return np.subtract.outer(middle, middle) ** 2


def _ratio_difference(values: FloatArray, totals: FloatArray) -> FloatArray:
    if values[0] < 0 < values[-1]:
        raise StatisticsError("a ratio scale has one sign", where="ratings", hint="use level='interval'")
    sums = np.add.outer(values, values)
    return (np.subtract.outer(values, values) / np.where(sums == 0, 1, sums)) ** 2


_DIFFERENCES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "nominal": lambda values, totals: 1 - np.eye(len(values)),
    "ordinal": _ordinal_difference,
    "interval": lambda values, totals: np.subtract.outer(values, values) ** 2,
    "ratio": _ratio_difference,
}
