"""An ordered outcome as codes, with every declared level kept in sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class OrderedOutcome:
    """``codes`` 0..K-1 of the levels that occur, their ``labels``, a ``table`` (level, n) of all."""

    codes: NDArray[np.int64]
    labels: tuple[object, ...]
    table: pd.DataFrame


def ordered_outcome(values: pd.Series, weights: FloatArray) -> OrderedOutcome:
    """Order the levels of ``values``: numbers by size, an ordered categorical by its categories.

    Raises
    ------
    StatisticsError
        Text or an unordered categorical (its order is unknown), or a single level.
    """
    name = str(values.name)
    if isinstance(values.dtype, pd.CategoricalDtype):
        if not values.cat.ordered:
            raise _unordered(name)
        declared = list(values.cat.categories)
        all_codes = values.cat.codes.to_numpy().astype(np.int64)
    elif values.dtype.kind in "biuf":
        numbers, all_codes = np.unique(values.to_numpy(dtype=float), return_inverse=True)
        if len(numbers) > 100:
            raise StatisticsError(
                f"{name} has {len(numbers)} distinct values: not an ordered scale",
                where=name,
                hint="use fit_linear for a measurement, or group it",
            )
        declared = [int(number) if number.is_integer() else number for number in numbers.tolist()]
    else:
        raise _unordered(name)
    counts = np.bincount(all_codes, weights=weights, minlength=len(declared)).astype(int)
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise StatisticsError(
            f"{name} has one level only ({declared[present[0]]})",
            where=name,
            hint="check the selection of rows",
        )
    codes = np.searchsorted(present, all_codes)
    labels = tuple(declared[i] for i in present)
    return OrderedOutcome(codes, labels, pd.DataFrame({"level": declared, "n": counts}))


def _unordered(name: str) -> StatisticsError:
    return StatisticsError(
        f"the categories of {name} have no order",
        where=name,
        hint="use numbers, or pd.Categorical(values, categories=[...], ordered=True)",
    )
