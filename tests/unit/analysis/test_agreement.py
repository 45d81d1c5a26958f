"""Two continuous measurements: published figures, laws, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from agreement_tables import MINI, MINI_AGAIN, WRIGHT, WRIGHT_AGAIN
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from la_outcomes.analysis.agreement import bland_altman, lins_ccc, repeatability
from la_outcomes.errors import StatisticsError

shifts = st.floats(-1e3, 1e3)
scales = st.floats(1e-2, 1e2)
seeds = st.integers(0, 2**32 - 1)


def volumes(seed: int, n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.lognormal(2, 1, n)
    return x, 0.8 * x + rng.normal(1, 2, n)


class TestPublished:
    def test_peak_flow_limits_of_agreement(self):
        # Lancet 1986, p. 308-309; the paper rounds its bias to -2.1 before it goes on.
        fit = bland_altman(WRIGHT, MINI, multiplier=2)
        assert fit.bias == pytest.approx(-2.1, abs=0.05)
        assert fit.sd == pytest.approx(38.8, abs=0.05)
        assert (fit.loa_low, fit.loa_high) == pytest.approx((-79.7, 75.5), abs=0.1)
        assert fit.bias_ci == pytest.approx((-22.0, 17.8), abs=0.05)
        assert fit.loa_low_approximate_ci == pytest.approx((-114.3, -45.1), abs=0.2)
        assert fit.loa_high_approximate_ci == pytest.approx((40.9, 110.1), abs=0.2)

    def test_peak_flow_repeatability(self):
        # Lancet 1986, p. 309: 43.2 and 56.4 l/min, sums of squares rounded.
        assert repeatability(WRIGHT, WRIGHT_AGAIN, multiplier=2).coefficient == pytest.approx(43.2, abs=0.1)
        assert repeatability(MINI, MINI_AGAIN, multiplier=2).coefficient == pytest.approx(56.4, abs=0.1)

    def test_peak_flow_concordance(self):
        # R 4.2.2, epiR 2.0.57: epi.ccc
        fit = lins_ccc(WRIGHT, MINI)
        assert fit.ccc == pytest.approx(0.942742431427484, rel=1e-9)
        assert (fit.ci_low, fit.ci_high) == pytest.approx((0.85049187316856, 0.978726279170122), rel=1e-9)
        assert fit.asymptotic_ci == pytest.approx((0.886654656649574, 0.998830206205395), rel=1e-9)

    def test_exact_limits_are_one_sided_tolerance_factors(self):
        # Natrella MG. Experimental Statistics. NBS Handbook 91, 1963, table A-7: n = 10, 95 % of the
        # population with 95 % confidence: k = 2.911.
        x = np.arange(10.0)
        fit = bland_altman(x, np.zeros(10) + [0, 1] * 5, multiplier=stats.norm.ppf(0.95), level=0.90)
        assert (fit.loa_high_exact_ci[1] - fit.bias) / fit.sd == pytest.approx(2.911, abs=5e-4)


def test_exact_limits_cover_by_integration():
    # P(mean + k sd > mu + 1.96 sigma) over the chi distribution of sd must be 97.5 %
    n = 17
    fit = bland_altman(WRIGHT, MINI)
    for edge, probability in zip(fit.loa_high_exact_ci, (0.025, 0.975), strict=True):
        k = (edge - fit.bias) / fit.sd

        def inner(c: float, k: float = k) -> float:
            shift = k * c / np.sqrt(n - 1) - fit.multiplier
            return stats.norm.cdf(shift * np.sqrt(n)) * stats.chi.pdf(c, n - 1)

        assert integrate.quad(inner, 0, 12, epsabs=1e-12)[0] == pytest.approx(probability, abs=1e-8)


class TestLaws:
    @given(seeds, shifts, scales)
    def test_concordance_ignores_a_common_unit(self, seed, shift, scale):
        x, y = volumes(seed)
        one, other = lins_ccc(x, y), lins_ccc(shift + scale * x, shift + scale * y)
        assert other.ccc == pytest.approx(one.ccc, abs=1e-8)
        assert (other.ci_low, other.ci_high) == pytest.approx((one.ci_low, one.ci_high), abs=1e-7)

    @given(seeds)
    def test_concordance_of_swapped_measurements(self, seed):
        x, y = volumes(seed)
        one, other = lins_ccc(x, y), lins_ccc(y, x)
        assert (other.ccc, other.ci_low) == pytest.approx((one.ccc, one.ci_low))
        assert other.scale_shift == pytest.approx(1 / one.scale_shift)
        assert other.location_shift == pytest.approx(-one.location_shift)
        assert one.ccc == pytest.approx(one.pearson_r * one.bias_correction)

    @given(seeds, shifts, scales)
    def test_limits_move_with_the_unit(self, seed, shift, scale):
        x, y = volumes(seed)
        one, other = bland_altman(x, y), bland_altman(scale * x + shift, scale * y)
        for name in ("bias", "loa_low", "loa_high"):
            assert getattr(other, name) == pytest.approx(scale * getattr(one, name) + shift, abs=1e-7)
        assert other.sd == pytest.approx(scale * one.sd, rel=1e-7)

    @given(seeds)
    def test_swapping_mirrors_the_limits(self, seed):
        x, y = volumes(seed)
        one, other = bland_altman(x, y), bland_altman(y, x)
        assert (other.bias, other.loa_low) == pytest.approx((-one.bias, -one.loa_high))
        low, high = one.loa_high_exact_ci
        assert other.loa_low_exact_ci == pytest.approx((-high, -low))
        assert other.proportional_p == pytest.approx(one.proportional_p)

    @given(seeds, scales)
    def test_ratios_of_volumes_ignore_the_unit(self, seed, scale):
        x, y = (np.abs(values) + 0.1 for values in volumes(seed))
        one, other = bland_altman(x, y, "log"), bland_altman(scale * x, scale * y, "log")
        assert other.loa_high_ratio == pytest.approx(one.loa_high_ratio, rel=1e-7)
        assert one.bias_ratio == pytest.approx(stats.gmean(x) / stats.gmean(y))

    @given(seeds)
    def test_row_order_does_not_matter(self, seed):
        x, y = volumes(seed)
        order = np.random.default_rng(seed + 1).permutation(len(x))
        assert lins_ccc(x[order], y[order]).ccc == pytest.approx(lins_ccc(x, y).ccc)
        assert bland_altman(x[order], y[order]).sd == pytest.approx(bland_altman(x, y).sd)


def test_perfect_and_reversed_agreement_have_no_width():
    perfect = lins_ccc([1, 2, 3, 4], [1, 2, 3, 4])
    assert (perfect.ccc, perfect.ci_low, perfect.ci_high) == pytest.approx((1, 1, 1), abs=1e-12)
    reversed_ = lins_ccc([1, 2, 3], [3, 2, 1])
    assert (reversed_.ccc, reversed_.ci_low, reversed_.ci_high) == pytest.approx((-1, -1, -1))


def test_uncorrelated_measurements_have_an_interval():
    fit = lins_ccc([1, 1, 3, 3], [1, 3, 1, 3])
    assert fit.ccc == 0
    assert fit.ci_low == pytest.approx(-fit.ci_high)
    assert fit.ci_high > 0


def test_missing_pairs_are_refused_or_counted():
    x, y = [*WRIGHT, np.nan], [*MINI, 400]
    with pytest.raises(StatisticsError, match="missing in 1 of 18"):
        lins_ccc(x, y)
    assert lins_ccc(x, y, missing="drop").n_missing == 1
    assert bland_altman(x, y, missing="drop").bias == bland_altman(WRIGHT, MINI).bias
    assert repeatability(x, y, missing="drop").n == 17


def test_rows_of_the_table():
    row = bland_altman(WRIGHT, MINI).to_frame().iloc[0]
    assert row["loa_low_exact_ci_high"] == bland_altman(WRIGHT, MINI).loa_low_exact_ci[1]
    assert row["bias_ratio"] is None
    assert {"ccc", "ci_low", "ci_high", "asymptotic_ci_low"} <= set(lins_ccc(WRIGHT, MINI).to_frame())


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], "la_volume_ml.*constant"),
        ([1.0, 2.0], [1.0, 2.0], "at least 3"),
        ([1.0, 2.0, np.inf], [1.0, 2.0, 3.0], "infinite"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "differ in length"),
    ],
)
def test_refusals_name_the_variable(x, y, message):
    with pytest.raises(StatisticsError, match=message):
        lins_ccc(pd.Series(x, name="la_volume_ml"), y)


def test_limits_are_refused_where_they_mean_nothing():
    with pytest.raises(StatisticsError, match="difference x - y is constant"):
        bland_altman([1, 2, 3], [0, 1, 2])
    with pytest.raises(StatisticsError, match="mean of x and y is constant"):
        bland_altman([1, 2, 3], [3, 2, 1])
    with pytest.raises(StatisticsError, match=r"ln\(0\) .*offset above 0"):
        bland_altman([0, 1, 2], [1, 2, 4], "log")
    assert bland_altman([0, 1, 2], [1, 2, 4], "log", 1).offset == 1
    with pytest.raises(StatisticsError, match="ln\\(-1\\)"):
        bland_altman([-2, 1, 2], [1, 2, 4], "log", 1)
    with pytest.raises(StatisticsError, match="scale='cube'"):
        bland_altman([1, 2, 3], [1, 2, 4], "cube")  # type: ignore[arg-type]
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        bland_altman([1, 2, 3], [1, 2, 4], level=95)
    with pytest.raises(StatisticsError, match="identical"):
        repeatability([1, 2, 3], [1, 2, 3])
