"""Volumes and other skewed measurements made ready for regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from la_outcomes.analysis.results import (
    FloatArray,
    Result,
    require_rows,
    require_spread,
    to_floats,
    variable_name,
)
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class PerSD(Result):
    """``values`` = x / ``sd``, so that a coefficient is per SD; missing values stay missing."""

    values: pd.Series
    sd: float


@dataclass(frozen=True)
class Quintiles(Result):
    """``groups`` 1 (lowest) to 5 as an ordered categorical, missing where x is; ``edges`` the 6 limits;
    ``counts`` group, n, low, high."""

    groups: pd.Series
    edges: FloatArray
    counts: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return group, n, low, high."""
        return self.counts.copy()


def log_volume(volume_ml: ArrayLike, offset: float = 1.0) -> pd.Series:
    """Return ln(volume in mL + offset); missing volumes stay missing.

    State the offset: it sets how far small volumes are spread. The main exposure of the project is per SD of
    ln(la_volume_ml + 1).

    Raises
    ------
    StatisticsError
        A negative or infinite volume, a volume of 0 with an offset of 0, or no volume at all.
    """
    name = variable_name(volume_ml, "volume_ml")
    values = to_floats(volume_ml, name)
    if np.isnan(values).all():
        raise StatisticsError(f"{name} has no value at all", where=name, hint="was it measured?")
    if not (np.isfinite(offset) and offset >= 0):
        raise StatisticsError(f"an offset of {offset}", where="offset", hint="a number from 0 up, in mL")
    if (values < 0).any():
        raise StatisticsError(
            f"{name} holds negative volumes", where=name, hint="check the import: mL from 0 up"
        )
    if offset == 0 and (values == 0).any():
        raise StatisticsError(
            f"{name} holds 0 and the offset is 0", where=name, hint="use an offset, such as 1 mL"
        )
    return _series(np.log(values + offset), volume_ml)


def per_sd(x: ArrayLike, sd: float | None = None) -> PerSD:
    """Return x divided by its SD (n - 1 in the denominator), or by a fixed ``sd`` from elsewhere.

    Estimates are comparable between samples only per one fixed SD: hand the SD of the reference sample on.

    Raises
    ------
    StatisticsError
        Constant x, fewer than 2 values, infinite values, or an ``sd`` that is not positive.
    """
    name = variable_name(x, "x")
    values = to_floats(x, name)
    if sd is None:
        seen = values[~np.isnan(values)]
        require_rows(len(seen), 2, name)
        require_spread(seen, name)
        sd = float(seen.std(ddof=1))
    if not (np.isfinite(sd) and sd > 0):
        raise StatisticsError(f"an SD of {sd}", where="sd", hint="a positive number")
    return PerSD(_series(values / sd, x), sd)


def quintiles(x: ArrayLike) -> Quintiles:
    """Cut x at its 20, 40, 60 and 80 % quantiles into five groups.

    Quantiles are R's type 7. A value equal to a limit falls into the lower group, as in R
    ``cut(x, quantile(x, 0:5/5), include.lowest = TRUE)``, so equal values are never split.

    Raises
    ------
    StatisticsError
        Fewer than 5 values, infinite values, or limits that coincide because too many values are equal.
    """
    name = variable_name(x, "x")
    values = to_floats(x, name)
    seen = values[~np.isnan(values)]
    require_rows(len(seen), 5, name)
    edges = _quantiles(seen, np.linspace(0, 1, 6))
    if (np.diff(edges) <= 0).any():
        raise StatisticsError(
            f"quintiles of {name} coincide: too many equal values", where=name, hint="use fewer groups"
        )
    codes = np.searchsorted(edges[1:5], values, side="left")
    codes[np.isnan(values)] = -1
    groups = pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype([1, 2, 3, 4, 5], ordered=True))
    counts = pd.DataFrame(
        {
            "group": range(1, 6),
            "n": np.bincount(codes[codes >= 0], minlength=5),
            "low": edges[:5],
            "high": edges[1:],
        }
    )
    return Quintiles(_series(groups, x), edges, counts)


def _quantiles(values: FloatArray, shares: FloatArray) -> FloatArray:
    """R's type 7. A quantile that falls on a value is that value: a rounding error would move its ties."""
    ordered = np.sort(values)
    place = shares * (len(values) - 1)
    place = np.where(np.abs(place - np.round(place)) < 1e-9, np.round(place), place)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    edges: FloatArray = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    return edges


def _series(values: Any, like: object) -> pd.Series:
    """Return a Series with the name and index of ``like`` where it has them."""
    if isinstance(like, pd.Series):
        return pd.Series(values, index=like.index, name=like.name)
    return pd.Series(values)
