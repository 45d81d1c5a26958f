"""Correlation: published figures, exact tails, laws, refusals."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from la_outcomes.analysis import correlation
from la_outcomes.analysis.correlation import correlate
from la_outcomes.errors import StatisticsError

# Hollander M, Wolfe DA. 1973, p. 185-194, and R's help page of cor.test: tuna, lightness and panel score.
LIGHTNESS = [44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1]
PANEL = [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8]

METHODS = ["pearson", "spearman", "kendall"]
seeds = st.integers(0, 2**32 - 1)


def sample(seed: int, n: int = 25) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, 0.5 * x + rng.normal(size=n)


class TestPublished:
    def test_tuna(self):
        pearson = correlate(LIGHTNESS, PANEL)
        assert (pearson.estimate, pearson.p) == pytest.approx((0.5711816, 0.1082), abs=5e-5)
        assert (pearson.ci_low, pearson.ci_high) == pytest.approx((-0.1497426, 0.8955795), abs=5e-8)
        kendall = correlate(LIGHTNESS, PANEL, "kendall")
        assert (kendall.estimate, kendall.p) == pytest.approx((0.4444444, 0.1194), abs=5e-5)
        spearman = correlate(LIGHTNESS, PANEL, "spearman")
        assert (spearman.estimate, spearman.p) == pytest.approx((0.6, 0.0968), abs=5e-5)
        assert {kendall.p_method, spearman.p_method} == {"exact"}

    def test_bonett_wright_and_fieller(self):
        # Formulas of Bonett and Wright, Psychometrika 2000;65:23-28, by hand at rho = 0.6, n = 9:
        # atanh 0.6 = 0.693147; 1.959964 sqrt(1.18 / 6) = 0.869187; 1.959964 sqrt(1.06 / 6) = 0.823807;
        # Kendall at 0.4: 0.423649 -/+ 1.959964 sqrt(0.437 / 5).
        x, y = [1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 1, 2, 8, 4, 6, 9, 5, 7]
        rho = correlate(x, y, "spearman").estimate
        for method, inflation in (("Bonett-Wright", 1 + rho**2 / 2), ("Fieller", 1.06), ("Fisher", 1)):
            fit = correlate(x, y, "spearman", ci_method=method)
            margin = 1.959963984540054 * np.sqrt(inflation / 6)
            assert (fit.ci_low, fit.ci_high) == pytest.approx(
                (np.tanh(np.arctanh(rho) - margin), np.tanh(np.arctanh(rho) + margin))
            )
            assert fit.ci_method == method
        tau = correlate(x, y, "kendall")
        margin = 1.959963984540054 * np.sqrt(0.437 / 5)
        assert tau.ci_low == pytest.approx(np.tanh(np.arctanh(tau.estimate) - margin))


class TestExactTails:
    @pytest.mark.parametrize("n", [4, 5, 6, 7])
    def test_spearman_counts_all_orders(self, n):
        x, y = sample(n, n)
        s = [int(((np.arange(n) - np.array(order)) ** 2).sum()) for order in permutations(range(n))]
        observed = int(((stats.rankdata(x) - stats.rankdata(y)) ** 2).sum())
        tails = np.mean(np.array(s) <= observed), np.mean(np.array(s) >= observed)
        assert correlate(x, y, "spearman").p == pytest.approx(min(1, 2 * min(tails)))
        np.testing.assert_array_equal(np.bincount(s), correlation._permutations_by_s(n))

    def test_series_is_near_the_exact_distribution(self):
        ways = correlation._permutations_by_s(11)
        assert ways.sum() == factorial(11)
        exact = np.cumsum(ways) / ways.sum()
        for s in range(0, len(ways) // 2, 10):
            assert correlation._edgeworth_tail(s, 11) == pytest.approx(exact[s], abs=4e-4)

    def test_which_p_is_used(self):
        x, y = sample(0, 60)
        assert correlate(x, y, "spearman").p_method == "Edgeworth series"
        assert correlate(x, y, "kendall").p_method == "normal"
        assert correlate(x[:49], y[:49], "kendall").p_method == "exact"
        tied = np.round(x, 1)
        assert correlate(tied, y, "spearman").p_method == "t"
        assert correlate(tied[:20], y[:20], "kendall").p_method == "normal"
        x, y = sample(0, 1300)
        assert correlate(x, y, "spearman").p_method == "t"


class TestLaws:
    @given(seeds, st.sampled_from(METHODS))
    def test_swapping_and_row_order(self, seed, method):
        x, y = sample(seed)
        order = np.random.default_rng(seed).permutation(len(x))
        one, other = correlate(x, y, method), correlate(y[order], x[order], method)
        assert (other.estimate, other.p) == pytest.approx((one.estimate, one.p))
        assert (other.ci_low, other.ci_high) == pytest.approx((one.ci_low, one.ci_high))

    @given(seeds, st.sampled_from(METHODS), st.floats(-100, 100), st.floats(0.01, 100))
    def test_unit_and_sign(self, seed, method, shift, scale):
        x, y = sample(seed)
        one, other = correlate(x, y, method), correlate(shift - scale * x, y, method)
        assert other.estimate == pytest.approx(-one.estimate, abs=1e-9)
        assert other.p == pytest.approx(one.p, rel=1e-6)
        assert (other.ci_low, other.ci_high) == pytest.approx((-one.ci_high, -one.ci_low), abs=1e-9)

    @given(seeds, st.sampled_from(["spearman", "kendall"]))
    def test_ranks_ignore_a_monotone_transform(self, seed, method):
        x, y = sample(seed)
        one, other = correlate(x, y, method), correlate(np.exp(x), y**3, method)
        assert (other.estimate, other.p) == pytest.approx((one.estimate, one.p))


def test_perfect_correlation_has_no_width():
    fit = correlate(range(10), range(10), "spearman")
    assert (fit.estimate, fit.ci_low, fit.ci_high) == pytest.approx((1, 1, 1), abs=1e-7)
    assert fit.p < 1e-6


def test_missing_pairs():
    x, y = [*LIGHTNESS, np.nan], [*PANEL, 1.0]
    with pytest.raises(StatisticsError, match="missing in 1 of 10"):
        correlate(x, y)
    fit = correlate(x, y, missing="drop")
    assert (fit.n, fit.n_missing, fit.estimate) == (9, 1, correlate(LIGHTNESS, PANEL).estimate)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([1, 1, 1, 1, 1], {}, r"fazekas \(y\) is constant"),
        ([1, 2, np.inf, 3, 4], {}, "infinite"),
        ([1, 2, 3, 4, 5], {"method": "distance"}, "'pearson', 'spearman', 'kendall'"),
        ([1, 2, 3, 4, 5], {"ci_method": "Fieller"}, "'Fisher'"),
        ([1, 2, 3, 4, 5], {"level": 0}, "between 0 and 1"),
    ],
)
def test_refusals(y, options, message):
    with pytest.raises(StatisticsError, match=message):
        correlate([1.0, 3.0, 2.0, 5.0, 4.0], pd.Series(y, name="fazekas"), **options)


def test_too_few_pairs():
    with pytest.raises(StatisticsError, match="at least 4"):
        correlate([1, 2, 3], [1, 3, 2])
    with pytest.raises(StatisticsError, match="at least 5"):
        correlate([1, 2, 3, 4], [1, 3, 2, 4], "kendall")
