"""How the values of one term become columns of a design, and back for new rows; see `terms`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
import pandas as pd

from la_outcomes.analysis.results import FloatArray
from la_outcomes.analysis.splines import spline_basis
from la_outcomes.errors import StatisticsError


class Coding(Protocol):
    """How the values of a term become columns; learned once, applied to any frame."""

    @property
    def variables(self) -> tuple[str, ...]: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    def encode(self, frame: pd.DataFrame) -> FloatArray: ...


@dataclass(frozen=True)
class Numeric:
    """A number as it is: one column."""

    name: str

    @property
    def variables(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def encode(self, frame: pd.DataFrame) -> FloatArray:
        return numbers(frame, self.name)[:, None]


@dataclass(frozen=True)
class Categories:
    """One 0/1 column a level but the first, which is the reference."""

    name: str
    levels: tuple[Hashable, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}{level}" for level in self.levels[1:])

    def encode(self, frame: pd.DataFrame) -> FloatArray:
        values = column(frame, self.name)
        unknown = set(values.unique()) - set(self.levels)
        if unknown:
            raise StatisticsError(
                f"{self.name} has levels the model has not seen: {sorted(map(str, unknown))}",
                where=self.name,
                hint=f"levels of the model: {', '.join(map(str, self.levels))}",
            )
        return np.column_stack([(values == level).to_numpy(dtype=float) for level in self.levels[1:]])


@dataclass(frozen=True)
class Spline:
    """A restricted cubic spline: the number itself and len(knots) - 2 further columns (Harrell)."""

    name: str
    knots: tuple[float, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.name + "'" * order for order in range(len(self.knots) - 1))

    def encode(self, frame: pd.DataFrame) -> FloatArray:
        return spline_basis(numbers(frame, self.name), np.array(self.knots))


@dataclass(frozen=True)
class Interaction:
    """Products of the parts' columns."""

    parts: tuple[Coding, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.variables)

    @property
    def columns(self) -> tuple[str, ...]:
        # As in R the first part varies fastest.
        names = product(*(part.columns for part in reversed(self.parts)))
        return tuple(":".join(reversed(combination)) for combination in names)

    def encode(self, frame: pd.DataFrame) -> FloatArray:
        blocks = [part.encode(frame) for part in self.parts]
        columns = product(*(block.T for block in reversed(blocks)))
        return np.column_stack([np.prod(combination, axis=0) for combination in columns])


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column; raises ``StatisticsError`` where there is none of this name."""
    if name not in frame.columns:
        raise StatisticsError(f"there is no column {name!r}", where=name, hint="check the column's name")
    return frame[name]


def numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    """(n,) values of one column, missing as NaN; raises ``StatisticsError`` where it holds no numbers."""
    values = column(frame, name)
    if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype.kind not in "biuf":
        raise StatisticsError(f"{name} does not hold numbers", where=name, hint="use CategoricalTerm")
    numbers: FloatArray = values.to_numpy(dtype=float, na_value=np.nan)
    return numbers
