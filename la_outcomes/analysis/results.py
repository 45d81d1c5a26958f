"""What every analysis shares: the shape of a result and the cleaning of its input.

Rows with missing values are refused, or dropped when the caller says ``missing="drop"``; the number
dropped is part of every result that comes from rows. Infinite values are always refused.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from la_outcomes.errors import StatisticsError

Missing = Literal["raise", "drop"]
FloatArray = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Result:
    """Base of every result: frozen, without NaN, printable as a table.

    Raises
    ------
    StatisticsError
        When a field is NaN: an undefined number must be refused where it arises, never printed.
    """

    def __post_init__(self) -> None:
        for name, value in _flat(self).items():
            if isinstance(value, float) and np.isnan(value):
                raise StatisticsError(
                    f"{type(self).__name__}.{name} is not defined for these data",
                    where=name,
                    hint="look for a constant variable, a group without spread or too few rows",
                )

    def to_frame(self) -> pd.DataFrame:
        """Return one row; an interval ``x_ci`` becomes ``x_ci_low`` and ``x_ci_high``."""
        return pd.DataFrame([_flat(self)])


class Table(pd.DataFrame):
    """A result that is a table: a data frame with the `to_frame` that every result has."""

    def to_frame(self) -> pd.DataFrame:
        """Return a plain data frame with the same rows."""
        return pd.DataFrame(self)


def _flat(result: Any, prefix: str = "") -> dict[str, Any]:
    """Scalar fields by name; intervals and nested results by ``field_part``, tables and arrays left out."""
    row: dict[str, Any] = {}
    for field in fields(result):
        value, name = getattr(result, field.name), prefix + field.name
        if is_dataclass(value):
            row |= _flat(value, f"{name}_")
        elif isinstance(value, tuple) and len(value) == 2:
            row |= {f"{name}_low": value[0], f"{name}_high": value[1]}
        elif value is None or isinstance(value, str | bool | int | float | np.generic):
            row[name] = value
    return row


def columns_of(frame: pd.DataFrame | None, *values: Any) -> list[Any]:
    """Return ``values``, where a name stands for that column of ``frame``.

    Raises
    ------
    StatisticsError
        A name without a frame, or one that the frame does not have.
    """
    return [_column_of(frame, value) for value in values]


def _column_of(frame: pd.DataFrame | None, value: Any) -> Any:
    if np.ndim(value) > 0:
        return value
    if frame is None:
        raise StatisticsError(
            f"{value!r} is one value, not a column", where=value, hint="pass arrays, or names with frame="
        )
    if value not in frame.columns:
        raise StatisticsError(f"there is no column {value!r}", where=value, hint="check the column's name")
    return frame[value]


def variable_name(values: object, role: str) -> str:
    """Return how errors name a variable: a Series' own name and its role, or the role alone."""
    name = getattr(values, "name", None)
    return role if name is None else f"{name} ({role})"


def to_floats(values: ArrayLike, name: str) -> FloatArray:
    """Return a 1-D float array with NaN where a value is missing.

    Raises
    ------
    StatisticsError
        Not one-dimensional, not numbers, or infinite.
    """
    if np.ndim(values) != 1:
        raise StatisticsError(f"{name} must be one-dimensional", where=name, hint="pass one column")
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    series = pd.Series(values)
    if isinstance(series.dtype, pd.CategoricalDtype) or series.dtype.kind in "mMc":
        raise StatisticsError(f"{name} does not hold numbers", where=name, hint="convert it to numbers first")
    try:
        numbers = pd.to_numeric(series).astype("Float64")
    except (ValueError, TypeError) as error:
        raise StatisticsError(
            f"{name} does not hold numbers", where=name, hint="code categories as numbers"
        ) from error
    floats: FloatArray = np.asarray(numbers.to_numpy(dtype=float, na_value=np.nan))
    if np.isinf(floats).any():
        raise StatisticsError(
            f"{name} holds infinite values",
            where=name,
            hint="a logarithm of 0? add an offset",
        )
    return floats


def complete_rows(
    frame: pd.DataFrame, columns: Sequence[Hashable], missing: Missing = "raise"
) -> tuple[pd.DataFrame, int]:
    """Return the rows of ``frame[columns]`` without missing values, and how many were dropped.

    Raises
    ------
    StatisticsError
        A column does not exist, is all missing, holds infinite values, or holds missing values while
        ``missing="raise"``.
    """
    require_choice(missing, ("raise", "drop"), "missing")
    wanted = list(dict.fromkeys(columns))
    for column in wanted:
        _check_column(frame, column, missing)
    kept = frame[wanted].dropna()
    if kept.empty:
        raise StatisticsError("no row is complete", where=", ".join(map(str, wanted)), hint="impute first")
    return kept, len(frame) - len(kept)


def _check_column(frame: pd.DataFrame, column: Hashable, missing: Missing) -> None:
    if column not in frame.columns:
        raise StatisticsError(f"there is no column {column!r}", where=column, hint="check the column's name")
    values = frame[column]
    n_missing = int(values.isna().sum())
    if n_missing == len(values):
        raise StatisticsError(f"{column} has no value at all", where=column, hint="leave the variable out")
    if n_missing and missing == "raise":
        raise StatisticsError(
            f"{column} is missing in {n_missing} of {len(values)} rows",
            where=column,
            hint="pass missing='drop' to use complete rows and have the rest counted, or impute",
        )
    if values.dtype.kind == "f" and np.isinf(values.to_numpy(dtype=float, na_value=np.nan)).any():
        raise StatisticsError(f"{column} holds infinite values", where=column, hint="a logarithm of 0?")


def complete(columns: Mapping[str, ArrayLike], missing: Missing = "raise") -> tuple[list[FloatArray], int]:
    """Return equally long numeric columns, matched by position, without missing rows, and how many were
    dropped.

    Raises
    ------
    StatisticsError
        As `to_floats` and `complete_rows`, or the columns differ in length.
    """
    floats = [to_floats(values, name) for name, values in columns.items()]
    lengths = {name: len(values) for name, values in zip(columns, floats, strict=True)}
    if len(set(lengths.values())) > 1:
        raise StatisticsError(
            f"columns differ in length: {lengths}", where=", ".join(lengths), hint="one value a row in each"
        )
    frame = pd.DataFrame(dict(enumerate(floats))).set_axis(list(columns), axis=1)
    kept, dropped = complete_rows(frame, list(columns), missing)
    return [kept[name].to_numpy() for name in columns], dropped


def complete_pair(
    x: ArrayLike, y: ArrayLike, missing: Missing, minimum: int
) -> tuple[FloatArray, FloatArray, int]:
    """Return two columns matched by position, without missing rows, and how many were dropped.

    Raises
    ------
    StatisticsError
        As `complete`, or a column is constant, or fewer than ``minimum`` rows are complete.
    """
    names = variable_name(x, "x"), variable_name(y, "y")
    (first, second), dropped = complete({names[0]: x, names[1]: y}, missing)
    require_rows(len(first), minimum, " and ".join(names))
    require_spread(first, names[0])
    require_spread(second, names[1])
    return first, second, dropped


def require_spread(values: FloatArray, name: str) -> None:
    """Refuse a variable whose values are all the same, up to rounding."""
    if np.ptp(values) <= 4 * np.finfo(float).eps * np.max(np.abs(values)):
        raise StatisticsError(
            f"{name} is constant", where=name, hint="the statistic needs a variable that varies between rows"
        )


def require_rows(n: int, minimum: int, name: str) -> None:
    """Refuse fewer complete rows than the statistic needs."""
    if n < minimum:
        raise StatisticsError(
            f"{n} complete rows, at least {minimum} are needed", where=name, hint="add rows or pool groups"
        )


def normal_quantile(level: float) -> float:
    """Return the two-sided standard normal quantile of a confidence level, 1.96 for 0.95.

    Raises
    ------
    StatisticsError
        The level is not between 0 and 1.
    """
    require_level(level)
    return float(stats.norm.ppf(0.5 + level / 2))


def require_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0 < level < 1:
        raise StatisticsError(
            f"a confidence level of {level} is not between 0 and 1", where="level", hint="0.95 means 95 %"
        )


def require_choice(value: object, choices: Sequence[object], name: str) -> None:
    """Refuse an argument that is none of its choices."""
    if value not in choices:
        raise StatisticsError(
            f"{name}={value!r} is not known", where=name, hint="use one of " + ", ".join(map(repr, choices))
        )
