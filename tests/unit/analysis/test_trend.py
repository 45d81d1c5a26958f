"""Trend and groups by ranks: published figures, exact tails, laws, refusals."""

from __future__ import annotations

from itertools import permutations
from math import factorial, prod

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from la_outcomes.analysis.trend import _orders_by_statistic, jonckheere_terpstra, kruskal_wallis, mann_whitney
from la_outcomes.errors import StatisticsError

# Hollander M, Wolfe DA. Nonparametric Statistical Methods, 2nd ed. 1999, example 6.2: pieces processed by
# 18 workers who knew nothing, something or all of their output.
PIECES = [40, 35, 38, 43, 44, 41, 38, 40, 47, 44, 40, 42, 48, 40, 45, 43, 46, 44]
KNOWLEDGE = np.repeat([0, 1, 2], 6)

# Dobson AJ. 1983, p. 9: dried weight of plants, control and two treatments (R: PlantGrowth).
PLANTS = {
    "ctrl": [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    "trt1": [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    "trt2": [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
}
WEIGHTS = np.concatenate(list(PLANTS.values()))
ARMS = np.repeat(list(PLANTS), 10)

seeds = st.integers(0, 2**32 - 1)


class TestPublished:
    def test_jonckheere_terpstra(self):
        # Hollander and Wolfe: J = 79, J* = 2.04 with ties, p = .0207
        fit = jonckheere_terpstra(PIECES, KNOWLEDGE, "increasing")
        assert (fit.statistic, fit.mean) == (79, 54)
        assert (fit.z, fit.p) == pytest.approx((2.04, 0.0207), abs=5e-3)

    def test_exact_distribution(self):
        # table A.13 for groups of 6, 6, 6: P(J >= 79) = .0231, P(J >= 75) = .0490
        ways = _orders_by_statistic(np.array([6, 6, 6]))
        assert sum(ways[79:]) / sum(ways) == pytest.approx(0.0231, abs=5e-5)
        assert sum(ways[75:]) / sum(ways) == pytest.approx(0.0490, abs=5e-5)

    def test_kruskal_wallis(self):
        # Hollander and Wolfe 1973, p. 116, and R's help page of kruskal.test: mucociliary efficiency
        values = [2.9, 3.0, 2.5, 2.6, 3.2, 3.8, 2.7, 4.0, 2.4, 2.8, 3.4, 3.7, 2.2, 2.0]
        fit = kruskal_wallis(values, ["normal"] * 5 + ["obstructive"] * 4 + ["asbestosis"] * 5)
        assert (fit.statistic, fit.df, fit.p) == pytest.approx((0.77143, 2, 0.68), abs=5e-4)

    def test_dunn(self):
        # PlantGrowth in R: kruskal.test 7.9882, p .01842; Dunn's p .264, .0912, .00500, by Bonferroni .791,
        # .273, .0150 (rstatix::dunn_test).
        fit = kruskal_wallis(WEIGHTS, ARMS, "bonferroni")
        assert (fit.statistic, fit.p) == pytest.approx((7.9882, 0.01842), abs=5e-5)
        assert fit.post_hoc["p"].tolist() == pytest.approx([0.264, 0.0912, 0.005], abs=5e-4)
        assert fit.post_hoc["p_adjusted"].tolist() == pytest.approx([0.791, 0.273, 0.015], abs=5e-4)
        assert fit.post_hoc["z"].round(2).tolist() == [1.12, -1.69, -2.81]

    def test_mann_whitney(self):
        # Hollander and Wolfe 1973, p. 69, and R's help page of wilcox.test: W = 35, one-sided p .1272
        term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
        fit = mann_whitney(term, [1.15, 0.88, 0.90, 0.74, 1.21])
        assert (fit.statistic, fit.p, fit.exact) == (35, pytest.approx(2 * 0.1272, abs=1e-4), True)
        assert fit.probability_of_superiority == 0.7


class TestExact:
    def test_tails_count_all_orders(self):
        groups = np.array([1, 1, 2, 3, 3])
        statistics = [jonckheere_terpstra(order, groups).statistic for order in permutations(range(5))]
        for values in ([2, 0, 1, 4, 3], [4, 3, 2, 0, 1]):
            fit = jonckheere_terpstra(values, groups, "increasing", exact=True)
            assert fit.p == pytest.approx(np.mean(np.array(statistics) >= fit.statistic))

    @given(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    def test_distribution_is_complete_and_symmetric(self, sizes):
        ways = _orders_by_statistic(np.array(sizes))
        assert sum(ways) == factorial(sum(sizes)) // prod(map(factorial, sizes))
        assert ways == ways[::-1]

    def test_two_groups_are_mann_whitney(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=9), rng.normal(size=7)
        trend = jonckheere_terpstra(np.concatenate([x, y]), [0] * 9 + [1] * 7, exact=True)
        assert trend.statistic == mann_whitney(y, x).statistic
        assert trend.p == pytest.approx(mann_whitney(y, x).p)

    def test_normal_is_near_exact_at_200(self):
        rng = np.random.default_rng(1)
        values = rng.normal(size=200) + np.repeat([0, 0.1, 0.2, 0.3], 50)
        groups = np.repeat(np.arange(4), 50)
        exact = jonckheere_terpstra(values, groups, exact=True).p
        assert jonckheere_terpstra(values, groups).p == pytest.approx(exact, rel=0.02)


class TestLaws:
    @given(seeds, st.integers(2, 5))
    def test_z_is_kendalls(self, seed, k):
        rng = np.random.default_rng(seed)
        groups = np.concatenate([np.arange(k), rng.integers(k, size=40)])
        values = rng.integers(0, 8, size=len(groups)) + 0.3 * groups.round()
        fit = jonckheere_terpstra(values, groups)
        kendall = stats.kendalltau(values, groups, method="asymptotic")
        assert fit.p == pytest.approx(kendall.pvalue)
        assert np.sign(fit.z) == np.sign(kendall.statistic)

    @given(seeds)
    def test_transform_order_and_direction(self, seed):
        rng = np.random.default_rng(seed)
        values, groups = rng.normal(size=30), rng.permutation(np.repeat([1, 2, 3], 10))
        order = rng.permutation(30)
        rising = jonckheere_terpstra(values, groups, "increasing")
        moved = jonckheere_terpstra(np.exp(values[order]), 10 * groups[order], "increasing")
        turned = jonckheere_terpstra(values, -groups, "decreasing")
        assert (moved.statistic, moved.p) == (rising.statistic, rising.p)
        assert (turned.z, turned.p) == pytest.approx((-rising.z, rising.p))

    @settings(max_examples=25)
    @given(seeds)
    def test_relabelling_groups(self, seed):
        values = np.random.default_rng(seed).normal(size=30)
        one, other = kruskal_wallis(values, ARMS), kruskal_wallis(np.exp(values), pd.factorize(ARMS)[0])
        assert (other.statistic, other.p) == pytest.approx((one.statistic, one.p))
        assert other.post_hoc["p_adjusted"].tolist() == pytest.approx(one.post_hoc["p_adjusted"].tolist())

    @given(seeds)
    def test_swapping_two_groups(self, seed):
        rng = np.random.default_rng(seed)
        x, y = rng.integers(0, 6, 12).astype(float), rng.normal(size=8)
        one, other = mann_whitney(x, y), mann_whitney(y, x)
        assert one.probability_of_superiority == pytest.approx(1 - other.probability_of_superiority)
        assert one.p == pytest.approx(other.p)

    def test_two_groups_squared_z_is_kruskal_wallis(self):
        fit = kruskal_wallis(WEIGHTS[:20], ARMS[:20])
        assert fit.post_hoc["z"].iloc[0] ** 2 == pytest.approx(fit.statistic)


def test_ordered_categories_keep_their_order():
    grades = pd.Categorical(
        np.array(["none", "mild", "severe"])[KNOWLEDGE], ["none", "mild", "severe"], ordered=True
    )
    assert jonckheere_terpstra(PIECES, grades).statistic == 79
    assert jonckheere_terpstra(PIECES, pd.Series(grades, index=range(50, 68))).statistic == 79


def test_missing_rows():
    values, groups = [*PIECES, None, 40.0], [*KNOWLEDGE, 1, np.nan]
    with pytest.raises(StatisticsError, match="missing"):
        jonckheere_terpstra(values, groups)
    fit = jonckheere_terpstra(values, groups, missing="drop")
    assert (fit.statistic, fit.n_missing) == (79, 2)
    assert kruskal_wallis(values, groups, missing="drop").n == 18
    assert mann_whitney([1.0, 2.0, np.nan], [3.0], missing="drop").n_missing == 1


def test_refusals():
    with pytest.raises(StatisticsError, match="groups have no order"):
        jonckheere_terpstra(PIECES, np.array(["a", "b", "c"])[KNOWLEDGE])
    with pytest.raises(StatisticsError, match="groups have no order"):
        jonckheere_terpstra(PIECES, pd.Categorical(KNOWLEDGE))
    with pytest.raises(StatisticsError, match="at least 2"):
        jonckheere_terpstra(PIECES, np.zeros(18))
    with pytest.raises(StatisticsError, match=r"la_volume_ml.*constant"):
        jonckheere_terpstra(pd.Series(np.ones(18), name="la_volume_ml"), KNOWLEDGE)
    with pytest.raises(StatisticsError, match="tied"):
        jonckheere_terpstra(PIECES, KNOWLEDGE, exact=True)
    with pytest.raises(StatisticsError, match="too many"):
        jonckheere_terpstra(np.arange(201), np.arange(201) % 3, exact=True)
    with pytest.raises(StatisticsError, match="'increasing'"):
        jonckheere_terpstra(PIECES, KNOWLEDGE, "greater")  # type: ignore[arg-type]
    with pytest.raises(StatisticsError, match="constant"):
        kruskal_wallis(np.ones(18), KNOWLEDGE)
    with pytest.raises(StatisticsError, match="'holm'"):
        kruskal_wallis(PIECES, KNOWLEDGE, "tukey")
    with pytest.raises(StatisticsError, match="differ in length"):
        kruskal_wallis(PIECES, KNOWLEDGE[1:])
    with pytest.raises(StatisticsError, match="constant"):
        mann_whitney([1, 1], [1, 1, 1])
    with pytest.raises(StatisticsError, match="infinite"):
        mann_whitney([1, np.inf], [1, 2])
    with pytest.raises(StatisticsError, match="no value at all"):
        mann_whitney([], [1, 2])
