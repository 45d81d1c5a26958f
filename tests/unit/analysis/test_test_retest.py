"""Repeatability against published figures, laws, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from agreement_tables import JUDGES, MINI, MINI_AGAIN, WRIGHT, WRIGHT_AGAIN
from hypothesis import given, settings
from hypothesis import strategies as st

from la_outcomes.analysis.agreement import icc
from la_outcomes.analysis.test_retest import repeated_scans
from la_outcomes.errors import StatisticsError


def long(*columns: list[float]) -> pd.DataFrame:
    n = len(columns[0])
    parts = [pd.DataFrame({"patient": range(n), "time": t, "value": v}) for t, v in enumerate(columns)]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("first", "second", "published"), [(WRIGHT, WRIGHT_AGAIN, 15.3), (MINI, MINI_AGAIN, 19.9)]
)
def test_peak_flow_of_bland_and_altman(first, second, published) -> None:
    """Within-subject SDs of both meters: Bland and Altman 1999, Stat Methods Med Res 8:135."""
    result = repeated_scans(long(first, second), "patient", "value", order="time")
    assert result.within_sd == pytest.approx(published, abs=0.05)
    assert result.coefficient == pytest.approx(1.96 * np.sqrt(2) * published, rel=0.01)
    assert result.bias == pytest.approx(np.mean(second) - np.mean(first))
    assert result.n == 17


def test_icc_of_shrout_and_fleiss() -> None:
    """Table 2 of Shrout and Fleiss 1979: ICC(1,1) = .17."""
    data = long(*JUDGES.T)
    result = repeated_scans(data, "patient", "value")
    assert result.icc == pytest.approx(0.17, abs=0.005)
    other = icc(data, "patient", "time", "value").set_index("type").loc["ICC1"]
    assert [result.icc, result.icc_low, result.icc_high] == pytest.approx(
        [other["icc"], other["ci_low"], other["ci_high"]]
    )
    assert result.bias is None


def simulated(n: int = 3000, within: float = 0.5, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), rng.integers(1, 4, n))
    return pd.DataFrame(
        {"patient": patient, "value": rng.normal(size=n)[patient] + within * rng.normal(size=len(patient))}
    )


def test_known_spread_is_found_with_unequal_repeats() -> None:
    data = simulated()
    result = repeated_scans(data, "patient", "value")
    assert result.within_sd_low < 0.5 < result.within_sd_high
    assert result.icc == pytest.approx(1 / 1.25, abs=0.02)
    assert result.n + result.n_single == 3000
    assert result.smallest_detectable_group_change == pytest.approx(result.coefficient / np.sqrt(result.n))
    assert result.size_p > 0.001


def test_log_scale_gives_ratios() -> None:
    data = simulated(within=0.2).assign(value=lambda d: np.exp(d["value"]))
    assert repeated_scans(data, "patient", "value").size_p < 1e-6
    result = repeated_scans(data, "patient", "value", scale="log")
    assert result.within_cv == pytest.approx(0.202, abs=0.01)
    assert result.ratio_limit == pytest.approx(np.exp(1.96 * np.sqrt(2) * 0.2), rel=0.03)


@given(scale=st.floats(0.01, 100), shift=st.floats(-1000, 1000), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_spread_follows_the_unit_and_icc_does_not(scale: float, shift: float, seed: int) -> None:
    data = simulated(40, seed=seed)
    moved = data.assign(value=shift + scale * data["value"]).sample(frac=1, random_state=seed)
    a, b = repeated_scans(data, "patient", "value"), repeated_scans(moved, "patient", "value")
    assert b.within_sd == pytest.approx(scale * a.within_sd, rel=1e-6)
    assert b.icc == pytest.approx(a.icc, rel=1e-5, abs=1e-6)


def test_what_says_nothing_about_repeats_is_refused() -> None:
    with pytest.raises(StatisticsError, match="at least 3"):
        repeated_scans(long([1.0, 2, 3, 4]), "patient", "value")
    with pytest.raises(StatisticsError, match="agree exactly"):
        repeated_scans(long([1.0, 2, 3], [1.0, 2, 3]), "patient", "value")
    with pytest.raises(StatisticsError, match="negative volumes"):
        repeated_scans(long([-1.0, 2, 3], [1.0, 2, 4]), "patient", "value", scale="log")
    with pytest.raises(StatisticsError, match="missing in 1"):
        repeated_scans(long([1.0, 2, np.nan], [1.0, 2, 4]), "patient", "value")
