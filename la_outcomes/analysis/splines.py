"""Restricted cubic splines (Harrell)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from la_outcomes.analysis.results import FloatArray, require_rows, to_floats, variable_name
from la_outcomes.errors import StatisticsError

# Harrell, Regression Modeling Strategies, 2nd ed. 2015, Table 2.3, p. 28: the outer quantile; the others lie
# evenly between it and its mirror image.
OUTER_QUANTILES = {3: 0.10, 4: 0.05, 5: 0.05, 6: 0.05, 7: 0.025}
_HEAPED = 0.05


@dataclass(frozen=True)
class SplineBasis:
    """Columns of a restricted cubic spline: ``basis`` (n by k - 1, the first is x itself), ``knots`` (k)."""

    basis: FloatArray
    knots: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """Return the basis with columns ``x``, ``x'``, ``x''`` as ``rms::rcs`` names them."""
        return pd.DataFrame(self.basis, columns=["x" + "'" * j for j in range(self.basis.shape[1])])


def restricted_cubic_spline(x: ArrayLike, knots: int | Sequence[float] = 4) -> SplineBasis:
    """Return the restricted cubic spline basis of ``x``: cubic between knots, linear beyond them.

    With knots t_1 < ... < t_k the columns are x and, for j = 1 .. k - 2,
    [c_j - c_{k-1} (t_k - t_j) / (t_k - t_{k-1}) + c_k (t_{k-1} - t_j) / (t_k - t_{k-1})] / (t_k - t_1)^2
    where c_j = max(x - t_j, 0)^3 (Harrell 2015, eq. 2.25-2.26, p. 26). The division puts every column on
    the scale of x. Equals R ``Hmisc::rcspline.eval(x, knots, norm=2, inclx=TRUE)``.

    Parameters
    ----------
    x : n finite numbers.
    knots : number of knots, 3 to 7, placed at Harrell's quantiles (Table 2.3), or their positions.

    Read it through a test of the columns after the first (`nonlinearity_test`) and a plot, never through
    single coefficients.

    Raises
    ------
    StatisticsError
        Fewer than 3 knots, knots that coincide (x has too few distinct values), missing or infinite x.
    """
    name = variable_name(x, "x")
    values = to_floats(x, name)
    if np.isnan(values).any():
        raise StatisticsError(f"{name} has missing values", where=name, hint="drop or impute them first")
    places = knot_places(values, knots, name)
    return SplineBasis(spline_basis(values, places), places)


def knot_places(x: FloatArray, knots: int | Sequence[float], name: str) -> FloatArray:
    """Return stated positions as they are, or `default_knots` where ``knots`` is their number."""
    if np.ndim(knots) == 0:
        return default_knots(x, int(np.asarray(knots)), name=name)
    return np.asarray(knots, dtype=float)


def default_knots(x: FloatArray, n_knots: int, *, name: str = "x") -> FloatArray:
    """Return ``n_knots`` knots at Harrell's quantiles of ``x`` (R type 7), placed as ``rcspline.eval`` does.

    Below 100 values the outer knots are the fifth smallest and fifth largest value. Where at least 5 % of
    the values are equal to the smallest (volumes of 0, say) and no value between is as frequent, the first
    knot is the next larger value and the others are quantiles of what lies above it; so too at the upper
    end. With two distinct values more than knots, the knots are the inner values.

    Raises
    ------
    StatisticsError
        ``n_knots`` outside 3-7, fewer than 6 values, too few distinct values, or two knots coincide
        (``rcspline.eval`` then uses fewer knots than were asked for).
    """
    if n_knots not in OUTER_QUANTILES:
        raise StatisticsError(f"{n_knots} knots", where=name, hint="use 3 to 7 knots, or give positions")
    require_rows(len(x), 6, name)
    distinct, counts = np.unique(x, return_counts=True)
    if len(distinct) - 2 == n_knots:
        return distinct[1:-1]
    shares, outer = counts / len(x), OUTER_QUANTILES[n_knots]
    inside, first, last = x, np.empty(0), np.empty(0)
    if len(distinct) > 2 and shares[1:-1].max() < _HEAPED:
        if shares[0] >= _HEAPED:
            first, inside = distinct[1:2], inside[inside > distinct[1]]
        if shares[-1] >= _HEAPED:
            last, inside = distinct[-2:-1], inside[inside < distinct[-2]]
    knots = np.concatenate([first, _spread_knots(inside, n_knots, outer, len(first), len(last)), last])
    if len(distinct) - 2 < n_knots or np.any(np.diff(knots) <= 0):
        raise StatisticsError(
            f"knots of {name} coincide: too many equal values for {n_knots} knots",
            where=name,
            hint="use fewer knots or give their positions",
        )
    return knots


def _spread_knots(x: FloatArray, n_knots: int, outer: float, n_first: int, n_last: int) -> FloatArray:
    """Return the knots between those that heaped ends have fixed already."""
    free = n_knots - n_first - n_last
    if free == 1:
        return np.array([np.median(x)])
    knots = np.quantile(x, np.linspace(0.5 if free == 2 else outer, 1 - outer, free))
    if len(x) < 100 and len(x) >= 5:
        ordered = np.sort(x)
        knots[0] = knots[0] if n_first else ordered[4]
        knots[-1] = knots[-1] if n_last else ordered[-5]
    return knots


def spline_basis(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Return the n by k - 1 basis of `restricted_cubic_spline` at stated knots."""
    if len(knots) < 3 or np.any(np.diff(knots) <= 0) or not np.isfinite(knots).all():
        raise StatisticsError(
            "a restricted cubic spline needs at least 3 increasing knots",
            where="knots",
            hint="(1.0, 3.0, 8.0)",
        )
    last, before = knots[-1], knots[-2]
    cubes = np.maximum(x[:, None] - knots, 0.0) ** 3
    ratio_before = (last - knots[:-2]) / (last - before)
    ratio_last = (before - knots[:-2]) / (last - before)
    curved = cubes[:, :-2] - cubes[:, [-2]] * ratio_before + cubes[:, [-1]] * ratio_last
    return np.column_stack([x, curved / (last - knots[0]) ** 2])
