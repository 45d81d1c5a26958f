from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis import results
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class _Part(results.Result):
    estimate: float


@dataclass(frozen=True)
class _Whole(results.Result):
    zou_ci: tuple[float, float]
    part: _Part
    table: pd.DataFrame
    method: str = "exact"


def test_a_result_becomes_one_row_with_intervals_and_parts_spelled_out() -> None:
    row = _Whole((-1.0, 2.0), _Part(0.5), pd.DataFrame()).to_frame()
    assert row.columns.tolist() == ["zou_ci_low", "zou_ci_high", "part_estimate", "method"]
    assert row.iloc[0].tolist() == [-1.0, 2.0, 0.5, "exact"]


@pytest.mark.parametrize("bad", [float("nan"), np.float64("nan")])
def test_a_result_never_holds_nan(bad: float) -> None:
    with pytest.raises(StatisticsError, match="estimate is not defined"):
        _Part(bad)
    with pytest.raises(StatisticsError, match="zou_ci_high"):
        _Whole((0.0, bad), _Part(0.5), pd.DataFrame())


def test_missing_rows_are_refused_with_the_variable_or_dropped_and_counted() -> None:
    columns = {"age": [1.0, np.nan, 3.0], "nihss": [4, 5, None]}
    with pytest.raises(StatisticsError, match="age is missing in 1 of 3 rows"):
        results.complete(columns)
    (age, nihss), dropped = results.complete(columns, "drop")
    assert age.tolist() == [1.0]
    assert nihss.tolist() == [4.0]
    assert dropped == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.inf], "infinite"),
        ([1.0, -np.inf], "infinite"),
        (["a", "b"], "numbers"),
        ([1j, 2.0], "numbers"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "numbers"),
        (pd.Categorical([1, 2]), "numbers"),
        ([[1.0, 2.0], [3.0, 4.0]], "one-dimensional"),
        ([np.nan, np.nan], "no value at all"),
        ([1.0, 2.0, 3.0], "differ in length"),
    ],
)
def test_unusable_columns_are_refused_by_name(values: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message) as caught:
        results.complete({"la_volume_ml": values, "age": [1, 2]})  # type: ignore[dict-item]
    assert "la_volume_ml" in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, None, 3], dtype="Int64"),
        pd.Series([1.0, None, 3.0]),
        [1, None, 3],
        np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
        np.ma.array([1, 2, 3], mask=[0, 1, 0]),
        np.array([1.0, np.nan, 3.0], dtype=np.float32),
    ],
)
def test_every_way_to_write_missing_is_missing(values: object) -> None:
    np.testing.assert_array_equal(results.to_floats(values, "x"), [1.0, np.nan, 3.0])  # type: ignore[arg-type]


def test_complete_rows_keeps_other_types_and_names_an_unknown_column() -> None:
    frame = pd.DataFrame({"sex": ["f", None, "m"], "age": [1, 2, 3], "other": [np.nan] * 3})
    kept, dropped = results.complete_rows(frame, ["sex", "age", "sex"], "drop")
    assert kept["sex"].tolist() == ["f", "m"]
    assert dropped == 1
    with pytest.raises(StatisticsError, match="no column 'ages'"):
        results.complete_rows(frame, ["ages"])
    with pytest.raises(StatisticsError, match="infinite"):
        results.complete_rows(pd.DataFrame({"age": [1.0, np.inf]}), ["age"])
    with pytest.raises(StatisticsError, match="one of 'raise', 'drop'"):
        results.complete_rows(frame, ["age"], "ignore")  # type: ignore[arg-type]
    with pytest.raises(StatisticsError, match="no row is complete"):
        results.complete_rows(pd.DataFrame({"a": [1, None], "b": [None, 1]}), ["a", "b"], "drop")


def test_constant_up_to_rounding_is_constant() -> None:
    with pytest.raises(StatisticsError, match="age is constant"):
        results.require_spread(np.array([0.3, 0.1 + 0.2]), "age")
    results.require_spread(np.array([1e9, 1e9 + 1e-3]), "age")


def test_names_and_bounds() -> None:
    assert results.variable_name(pd.Series([1], name="age"), "x") == "age (x)"
    assert results.variable_name([1], "x") == "x"
    with pytest.raises(StatisticsError, match="2 complete rows"):
        results.require_rows(2, 3, "age")
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        results.require_level(95)
