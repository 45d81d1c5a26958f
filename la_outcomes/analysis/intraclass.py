"""Intraclass correlation of a balanced design. Import the name from `la_outcomes.analysis.agreement`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Interval,
    Missing,
    Table,
    complete_rows,
    require_level,
    require_rows,
    require_spread,
    to_floats,
)
from la_outcomes.errors import StatisticsError


def icc(
    frame: pd.DataFrame,
    targets: Hashable,
    raters: Hashable,
    ratings: Hashable,
    *,
    level: float = 0.95,
    missing: Missing = "raise",
) -> Table:
    """Intraclass correlations of a balanced design: every rater rates every target once.

    Rows: ICC1 (each target has its own raters), ICC2 (these raters are a sample; absolute agreement),
    ICC3 (these raters only; consistency), and ICC1k, ICC2k, ICC3k for the mean of all k raters. For
    "would another reader give the same volume?" read ICC2.

    Parameters
    ----------
    frame : tidy table, one row a rating; ``targets``, ``raters``, ``ratings`` name its columns.
    level : confidence level of the intervals.
    missing : "raise", or "drop" targets that lack a rating and count them.

    Returns
    -------
    Table with type, icc, ci_low, ci_high, f, df1, df2, p, n_targets, n_raters, n_missing (targets).

    Raises
    ------
    StatisticsError
        Fewer than two targets or raters, a target rated twice by one rater, or constant ratings.

    Notes
    -----
    Equals R `psych::ICC(lmer = FALSE)`; ICC2 and ICC3 equal `irr::icc` "twoway" agreement, consistency.

    References
    ----------
    Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428, p. 423-424. McGraw KO, Wong SP. Psychol Methods
    1996;1:30-46, table 7 (intervals; Satterthwaite's degrees of freedom for ICC2).
    """
    require_level(level)
    scores, n_missing = _balanced(frame, targets, raters, ratings, missing)
    n, k = scores.shape
    squares = _mean_squares(scores)
    rows = [*_one_way(squares, n, k, level), *_two_way(squares, n, k, level)]
    table = pd.DataFrame(rows, columns=["type", "icc", "ci_low", "ci_high", "f", "df1", "df2", "p"])
    order = table["type"].map(["ICC1", "ICC2", "ICC3", "ICC1k", "ICC2k", "ICC3k"].index)
    table = table.iloc[np.argsort(order)].reset_index(drop=True)
    return Table(table.assign(n_targets=n, n_raters=k, n_missing=n_missing))


def _balanced(
    frame: pd.DataFrame, targets: Hashable, raters: Hashable, ratings: Hashable, missing: Missing
) -> tuple[FloatArray, int]:
    """Scores (targets, raters), and how many targets were dropped."""
    rows, _ = complete_rows(frame, [targets, raters], "raise")
    values = to_floats(frame[ratings], str(ratings)) if ratings in frame else None
    if values is None:
        raise StatisticsError(f"there is no column {ratings!r}", where=ratings, hint="check its name")
    if rows.duplicated().any():
        raise StatisticsError(
            "a target has two ratings by one rater", where=ratings, hint="keep one, or average them first"
        )
    wide = rows.assign(_value=values).pivot(index=targets, columns=raters, values="_value")
    wide, n_missing = complete_rows(wide, list(wide.columns), missing)
    require_rows(len(wide), 2, str(targets))
    require_rows(wide.shape[1], 2, str(raters))
    require_spread(wide.to_numpy().ravel(), str(ratings))
    return wide.to_numpy(), n_missing


@dataclass(frozen=True)
class _MeanSquares:
    targets: float
    raters: float
    within: float
    residual: float


def _mean_squares(scores: FloatArray) -> _MeanSquares:
    n, k = scores.shape
    centred = scores - scores.mean()
    by_target, by_rater = centred.mean(axis=1), centred.mean(axis=0)
    residual = centred - by_target[:, None] - by_rater
    return _MeanSquares(
        targets=float(k * (by_target**2).sum() / (n - 1)),
        raters=float(n * (by_rater**2).sum() / (k - 1)),
        within=float(((centred - by_target[:, None]) ** 2).sum() / (n * (k - 1))),
        residual=float((residual**2).sum() / ((n - 1) * (k - 1))),
    )


_Row = tuple[str | float, ...]


def _one_way(squares: _MeanSquares, n: int, k: int, level: float) -> list[_Row]:
    return _ratio_rows("ICC1", squares.targets, squares.within, (n - 1, n * (k - 1)), k, level)


def _two_way(squares: _MeanSquares, n: int, k: int, level: float) -> list[_Row]:
    degrees = (n - 1, (n - 1) * (k - 1))
    consistency = _ratio_rows("ICC3", squares.targets, squares.residual, degrees, k, level)
    gap = squares.targets - squares.residual
    single = gap / (
        squares.targets + (k - 1) * squares.residual + k * (squares.raters - squares.residual) / n
    )
    low, high = _agreement_interval(squares, n, k, single, level)
    test = consistency[0][4:]
    return [
        *consistency,
        ("ICC2", single, low, high, *test),
        ("ICC2k", *(_mean_of_raters(v, k) for v in (single, low, high)), *test),
    ]


def _ratio_rows(
    name: str, between: float, error: float, degrees: tuple[int, int], k: int, level: float
) -> list[_Row]:
    """Single and mean-of-k coefficients that depend on the ratio ``between / error`` alone."""
    df1, df2 = degrees
    ratio = between / error if error > 0 else np.inf
    upper = 0.5 + level / 2
    # the interval divides or multiplies the ratio by a quantile; written so that error = 0 gives 1
    factors = [1.0, float(stats.f.ppf(upper, df1, df2)), 1 / float(stats.f.ppf(upper, df2, df1))]
    single = [(between - f * error) / (between + (k - 1) * f * error) for f in factors]
    mean = [_mean_of_raters(value, k) for value in single]
    test = (float(ratio), df1, df2, float(stats.f.sf(ratio, df1, df2)))
    return [(name, *single, *test), (f"{name}k", *mean, *test)]


def _mean_of_raters(single: float, k: int) -> float:
    """Spearman-Brown: reliability of the mean of k raters; -inf where targets do not differ at all."""
    denominator = 1 + (k - 1) * single
    return k * single / denominator if denominator > 0 else -np.inf


def _agreement_interval(squares: _MeanSquares, n: int, k: int, single: float, level: float) -> Interval:
    """Interval of ICC2 with Satterthwaite's degrees of freedom."""
    rater_part = k * single * squares.raters
    error_part = (n * (1 + (k - 1) * single) - k * single) * squares.residual
    degrees = (n - 1) * (k - 1)
    scale = (n - 1) * rater_part**2 + error_part**2
    v = degrees * (rater_part + error_part) ** 2 / scale if scale > 0 else degrees
    f_low, f_high = stats.f.ppf(0.5 + level / 2, [n - 1, v], [v, n - 1])
    rest = k * squares.raters + (k * n - k - n) * squares.residual
    low = n * (squares.targets - f_low * squares.residual) / (f_low * rest + n * squares.targets)
    high = n * (f_high * squares.targets - squares.residual) / (rest + n * f_high * squares.targets)
    return float(low), float(high)
