"""Table 1 against a published trial, and numbers as readers expect them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.studies.common import quintile_edges, quintiles
from la_outcomes.analysis.tables import (
    Variable,
    baseline_table,
    for_reading,
    interval,
    number,
    p_value,
    standardised_difference,
)
from la_outcomes.errors import StatisticsError


@pytest.fixture(scope="module")
def trial() -> pd.DataFrame:
    folder = os.environ.get("LA_OUTCOMES_REFERENCE")
    if not folder:
        pytest.skip("LA_OUTCOMES_REFERENCE is not set: the published data are not at hand")
    data = pd.read_csv(Path(folder) / "statistics" / "indo_rct.csv")
    return data.assign(female=(data["gender"] == "1_female").astype(float))


def test_standardised_differences_equal_the_published_trial_s(trial: pd.DataFrame) -> None:
    placebo, indometacin = (trial[trial["rx"] == arm] for arm in ("0_placebo", "1_indomethacin"))
    age = standardised_difference(placebo["age"], indometacin["age"], "mean")
    assert age == pytest.approx(-0.117730906289444, rel=1e-9)
    female = standardised_difference(placebo["female"], indometacin["female"], "yes")
    assert abs(female or 0) == pytest.approx(0.0695462967496546, rel=1e-9)
    levels = standardised_difference(placebo["gender"], indometacin["gender"], "levels")
    assert levels == pytest.approx(abs(female or 0), rel=1e-9)


def test_a_baseline_table_prints_what_the_trial_published(trial: pd.DataFrame) -> None:
    variables = [
        Variable("age", "Age, mean (SD)", "mean"),
        Variable("risk", "Risk, median [quartiles]", "median"),
        Variable("site", "Site, n (%)", "levels"),
    ]
    arms = {"0_placebo": "placebo", "1_indomethacin": "indometacin"}
    table = baseline_table(trial, variables, "rx", arms).set_index("variable")
    assert table.loc["Patients, n", "placebo"] == "307"
    assert table.loc["Age, mean (SD)", "placebo"] == "46.0 (13.1)"
    assert table.loc["Age, mean (SD)", "smd"] == "0.12"
    assert table.loc["Risk, median [quartiles]", "indometacin"] == "2.5 [2, 3]"
    assert table.loc["   1_UM", "placebo"] == "87 (28.3 %)"


def test_missing_values_are_counted_and_percentages_are_of_the_known() -> None:
    frame = pd.DataFrame({"arm": ["a"] * 4, "yes": [1, 0, np.nan, np.nan], "none": [np.nan] * 4})
    table = baseline_table(
        frame, [Variable("yes", "yes", "yes"), Variable("none", "none", "mean")], "arm", {"a": "A"}
    )
    assert table.set_index("variable").loc["yes"].to_dict() == {"A": "1 (50.0 %)", "missing": "2", "smd": ""}
    assert table.set_index("variable").loc["none", "missing"] == "all"
    with pytest.raises(StatisticsError, match="no patient"):
        baseline_table(frame, [], "arm", {"b": "B"})


def test_what_does_not_vary_has_no_standardised_difference() -> None:
    constant = pd.Series([2.0, 2.0])
    assert standardised_difference(constant, constant, "mean") is None
    assert standardised_difference(constant, constant, "levels") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (1234.5, "1,234"), (0, "0"),
     (-1.5, "-1.50"), (float("inf"), "infinite")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0001, "<0.001"), (0.0042, "0.004"), (0.049, "0.05"), (0.5, "0.50")]
)
def test_p_values(value: float, text: str) -> None:
    assert p_value(value) == text


def test_intervals_have_equal_digits() -> None:
    assert interval(1.293, 1.114, 1.5) == "1.29 (1.11 to 1.50)"
    assert interval(0.951, 0.94, 0.96) == "0.951 (0.940 to 0.960)"
    assert interval(1.35, float("nan"), float("nan")) == "1.35"
    assert interval(float("nan"), 1, 2) == ""


def test_reading_joins_an_estimate_with_its_interval_and_leaves_missing_cells_empty() -> None:
    table = pd.DataFrame(
        {"term": ["a", "b"], "hr": [1.5, np.nan], "hr_ci_low": [1.1, np.nan], "hr_ci_high": [2.0, np.nan],
         "p_value": [0.0001, np.nan], "n": [1200, 3], "done": [True, False]}
    )  # fmt: skip
    shown = for_reading(table)
    assert list(shown) == ["Term", "Hr (95 % CI)", "p", "n", "Done"]
    assert shown.iloc[0].tolist() == ["a", "1.50 (1.10 to 2.00)", "<0.001", "1,200", "yes"]
    assert shown.iloc[1].tolist() == ["b", "", "", "3", "no"]


def test_ties_go_to_the_lower_fifth_and_unmeasured_to_none() -> None:
    volume = pd.Series([0.0, 0, 1, 2, 3, 4, 5, 6, 7, 8, np.nan])
    fifth = quintiles(volume)
    edges = quintile_edges(volume)
    assert np.isnan(fifth.iloc[-1])
    assert fifth.iloc[0] == fifth.iloc[1] == 1
    assert quintiles(pd.Series([*volume.dropna(), edges[0]])).iloc[-1] == 1
    with pytest.raises(StatisticsError, match="fifths"):
        quintiles(pd.Series([1.0, 1, 1, 2]))
