"""Comparing two correlations: published figures, laws, refusals."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.analysis.correlation import (
    compare_dependent,
    compare_dependent_nonoverlapping,
    compare_independent,
)
from la_outcomes.errors import StatisticsError


class TestPublished:
    def test_independent(self):
        # Cohen, Cohen, West, Aiken. 2003, p. 49; Zou GY. Psychol Methods 2007;12:399-413, p. 406.
        assert compare_independent(0.657, 62, 0.430, 143).z == pytest.approx(2.110737, abs=5e-7)
        assert compare_independent(0.49, 145, 0.36, 87).zou_ci == pytest.approx((-0.087, 0.359), abs=5e-4)

    def test_sharing_a_variable(self):
        # Silver, Hittner, May (DEPCOR). Appl Psychol Meas 2006;30:152-153; Steiger 1980, case A, as
        # recomputed by cocor (the paper rounds the covariance to -.8913); Zou 2007, p. 409.
        fit = compare_dependent(0.3, 0.4, 0.5, 100)
        assert (fit.williams.statistic, fit.williams.p) == pytest.approx((-1.0767, 0.2843), abs=5e-5)
        assert (fit.steiger.statistic, fit.steiger.p) == pytest.approx((-1.0718, 0.2838), abs=5e-5)
        steiger = compare_dependent(0.4, 0.5, 0.1, 103).steiger.statistic
        assert steiger == pytest.approx(-0.8887185, abs=5e-8)
        zou = compare_dependent(0.396, 0.179, 0.088, 66).zou_ci
        assert zou == pytest.approx((-0.093, 0.517), abs=5e-4)

    def test_sharing_no_variable(self):
        # Steiger 1980, case B (p. 249: -1.4045 with rounded logarithms); DEPCOR 2006; Zou 2007, p. 410.
        case_b = compare_dependent_nonoverlapping(0.5, 0.6, 0.8, 0.5, 0.5, 0.7, 103)
        assert case_b.steiger.statistic == pytest.approx(-1.4050, abs=5e-5)
        depcor = compare_dependent_nonoverlapping(0.3, 0.4, 0.5, 0.8, 0.6, 0.7, 100)
        assert (depcor.steiger.statistic, depcor.steiger.p) == pytest.approx((-1.0744, 0.2827), abs=5e-5)
        zou = compare_dependent_nonoverlapping(0.396, 0.189, 0.208, 0.143, 0.023, 0.423, 66).zou_ci
        assert zou == pytest.approx((-0.096, 0.501), abs=5e-4)


def correlations(seed: int, k: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(40, k)) + rng.normal(size=(40, 1))
    return np.corrcoef(mixed.T)


seeds = st.integers(0, 2**32 - 1)


class TestLaws:
    @given(seeds)
    def test_swapping_the_two(self, seed):
        r = correlations(seed, 4)
        one, other = (
            compare_dependent(a, b, r[1, 2], 40) for a, b in ((r[0, 1], r[0, 2]), (r[0, 2], r[0, 1]))
        )
        assert other.williams.statistic == pytest.approx(-one.williams.statistic)
        assert other.steiger.p == pytest.approx(one.steiger.p)
        assert other.zou_ci == pytest.approx((-one.zou_ci[1], -one.zou_ci[0]))
        pair = compare_dependent_nonoverlapping(r[0, 1], r[2, 3], r[0, 2], r[0, 3], r[1, 2], r[1, 3], 40)
        back = compare_dependent_nonoverlapping(r[2, 3], r[0, 1], r[0, 2], r[1, 2], r[0, 3], r[1, 3], 40)
        assert back.steiger.statistic == pytest.approx(-pair.steiger.statistic)

    @given(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.integers(5, 500))
    def test_unrelated_variables_are_like_different_patients(self, r1, r2, n):
        same = compare_dependent_nonoverlapping(r1, r2, 0, 0, 0, 0, n)
        other = compare_independent(r1, n, r2, n)
        assert same.zou_ci == pytest.approx(other.zou_ci)
        assert same.steiger.statistic == pytest.approx(other.z)

    @given(st.floats(-0.9, 0.9), st.integers(5, 500))
    def test_equal_correlations(self, r, n):
        fit = compare_independent(r, n, r, n)
        assert (fit.z, fit.p) == (0, 1)
        assert fit.zou_ci[0] == pytest.approx(-fit.zou_ci[1])

    @given(seeds)
    def test_turning_the_shared_variable_turns_the_sign(self, seed):
        r = correlations(seed, 3)
        one = compare_dependent(r[0, 1], r[0, 2], r[1, 2], 40)
        other = compare_dependent(-r[0, 1], -r[0, 2], r[1, 2], 40)
        assert other.williams.p == pytest.approx(one.williams.p)
        assert other.difference == pytest.approx(-one.difference)


def test_table_spells_out_both_tests():
    row = compare_dependent(0.3, 0.4, 0.5, 100).to_frame().iloc[0]
    assert row["williams_df"] == 97
    assert row["steiger_df"] is None
    assert row["zou_ci_low"] < row["difference"] < row["zou_ci_high"]


def test_refusals():
    for bad in (1, -1, 1.5, nan):
        with pytest.raises(StatisticsError, match="r_xz"):
            compare_dependent(0.3, bad, 0.5, 100)
    with pytest.raises(StatisticsError, match="at least 4"):
        compare_independent(0.3, 3, 0.5, 100)
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        compare_independent(0.3, 30, 0.5, 100, level=95)
    with (
        pytest.raises(StatisticsError, match="no residual variance"),
        pytest.warns(UserWarning, match="cannot occur together"),
    ):
        compare_dependent(0.9, -0.9, 0.9, 50)
    with pytest.raises(StatisticsError, match="same quantity"):
        compare_dependent_nonoverlapping(0.5, 0.5, 1 - 1e-14, 0.5, 0.5, 1 - 1e-14, 50)
