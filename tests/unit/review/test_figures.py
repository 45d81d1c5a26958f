"""How bad a quality figure is, from the good end of its range to beyond its limit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.review.figures import ALL_FIGURES, add_concern, figure


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("csf_correlation", 1.0, 0.0),
        ("csf_correlation", 0.1, 1.0),
        ("csf_correlation", -0.8, 2.0),
        ("label_outside_brain_fraction", 0.0, 0.0),
        ("label_outside_brain_fraction", 0.1, 1.0),
        ("la_volume_ml", 300.0, 2.0),
        ("icv_ml", 1550.0, 0.0),
        ("icv_ml", 900.0, 1.0),
        ("icv_ml", 2200.0, 1.0),
        ("jacobian_p01", 2.2, 2.0),
        ("dsc", 0.0, 1.0),
    ],
)
def test_badness_at_known_places(column: str, value: float, expected: float) -> None:
    assert figure(column).badness(np.array([value]))[0] == pytest.approx(expected)


@given(st.sampled_from(ALL_FIGURES), st.floats(-1e4, 1e4))
def test_badness_is_above_one_exactly_outside_the_range(one, value: float) -> None:  # type: ignore[no-untyped-def]
    low, high = one.limits
    badness = one.badness(np.array([value]))[0]
    assert (badness > 1 + 1e-9) == (
        value < low - 1e-9 * (high - low) or value > high + 1e-9 * (high - low)
    ) or (abs(badness - 1) < 1e-6)


def test_concern_is_the_worst_figure_and_at_least_one_with_a_warning() -> None:
    items = pd.DataFrame(
        {one.column: [np.nan] * 3 for one in ALL_FIGURES} | {"has_warning": [False, True, False]}
    )
    items["icv_ml"] = [1550.0, 1550.0, np.nan]
    items["dsc"] = [0.4, 0.4, np.nan]
    found = add_concern(items)
    assert found["concern"].tolist() == [pytest.approx(0.6), 1.0, 0.0]
    assert found["worst"].tolist() == ["dsc", "dsc", None]
    assert found["out"].tolist() == [[], [], []]
