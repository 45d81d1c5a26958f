"""Disclosure control: no small count is readable, and differences of shown counts give none back."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.analysis import protected


@given(st.integers(0, 10_000))
def test_a_count_is_hidden_or_rounded_to_five(n: int) -> None:
    with protected.protecting(True):
        shown = protected.count_text(n)
    if 1 <= n <= 7:
        assert shown == "≤7"
    else:
        assert int(shown.replace(",", "")) % 5 == 0
        assert abs(int(shown.replace(",", "")) - n) <= 2
    assert protected.count_text(n) == f"{n:,}"


def test_tables_sentences_and_shares_are_covered() -> None:
    frame = pd.DataFrame(
        {
            "variable": ["Patients, n", "Diabetes, n (%)", "Age"],
            "a": ["1,234", "3 (0.2 %)", "69.1 (12.0)"],
            "b": ["5", "2 (40.0 %)", "70.0 (3.0)"],
        }
    )
    with protected.protecting(True):
        shown = protected.table(frame)
        said = protected.sentence("Death. n = 1,233, 4 events.")
    assert list(shown["a"]) == ["1,235", "≤7", "69.1 (12.0)"]
    assert list(shown["b"]) == ["≤7", "", ""]
    assert said == "Death. n = 1,235, ≤7 events."
    assert protected.table(frame) is frame


def test_estimates_about_a_few_patients_are_left_out() -> None:
    frame = pd.DataFrame({"group": ["x", "y"], "n": [6, 88], "ccc": [0.912, 0.8], "m": [20, 20]})
    with protected.protecting(True):
        shown = protected.table(frame)
    assert list(shown["n"]) == ["≤7", "90"]
    assert pd.isna(shown["ccc"].iloc[0])
    assert shown["ccc"].iloc[1] == pytest.approx(0.8)
    assert list(shown["m"]) == [20, 20]
