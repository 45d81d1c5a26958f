"""Homogeneity of correlations and of concordance: published figures, laws, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.analysis.correlation import ccc_homogeneity, homogeneity
from la_outcomes.errors import StatisticsError

# Sepal length and width of three species of iris (Anderson 1935), 50 each.
IRIS = [0.74254668566516, 0.525910717282825, 0.457227816394113]


def scans(seed: int, n: int = 60, noise: tuple[float, ...] = (1.0, 1.0)) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(noise)), n)
    x = rng.normal(10, 3, len(groups))
    return x, x + rng.normal(0, np.array(noise)[groups]), groups


class TestPublished:
    def test_iris(self):
        # R 4.2.2, metafor 3.8-1: rma(measure = "ZCOR", method = "FE")
        fit = homogeneity(IRIS, [50, 50, 50])
        assert (fit.q, fit.df, fit.p) == pytest.approx((5.64158388031687, 2, 0.0595587570557998))
        assert (fit.i2, fit.pooled) == pytest.approx((64.548962801424, 0.590306377498266))
        assert fit.pooled_ci == pytest.approx((0.472339513582114, 0.687497595865154))


class TestLaws:
    @given(st.permutations(range(3)))
    def test_order_of_groups(self, order):
        n = np.array([40, 50, 60])
        one, other = homogeneity(IRIS, n), homogeneity(np.array(IRIS)[order], n[order])
        assert (other.q, other.pooled) == pytest.approx((one.q, one.pooled))

    @given(st.floats(-0.99, 0.99), st.lists(st.integers(4, 1000), min_size=2, max_size=6))
    def test_one_correlation_is_homogeneous(self, r, n):
        fit = homogeneity([r] * len(n), n)
        assert fit.q == pytest.approx(0, abs=1e-9)
        assert (fit.i2, fit.pooled) == pytest.approx((0, r), abs=1e-9)

    def test_relabelling_groups_and_swapping_measurements(self):
        x, y, groups = scans(1)
        one = ccc_homogeneity(x, y, groups, n_boot=200)
        other = ccc_homogeneity(y, x, np.array(["a", "b"])[groups], n_boot=200)
        assert (other.q, other.p) == pytest.approx((one.q, one.p))
        assert other.groups["bias"].tolist() == pytest.approx((-one.groups["bias"]).tolist())


class TestConcordance:
    def test_groups_are_described(self):
        x, y, groups = scans(2)
        row = ccc_homogeneity(x, y, groups, n_boot=200).groups.iloc[1]
        fit = lins_ccc(x[groups == 1], y[groups == 1])
        assert (row["ccc"], row["ci_low"], row["n"]) == (fit.ccc, fit.ci_low, 60)
        assert row["bias"] == pytest.approx((x - y)[groups == 1].mean())
        assert row["sd_x"] == pytest.approx(np.std(x[groups == 1], ddof=1))

    def test_weights_are_near_lins_standard_errors(self):
        # with Lin's asymptotic variance in place of the bootstrap's, Q must come out nearly the same
        x, y, groups = scans(3, n=400, noise=(1.0, 1.3))
        fit = ccc_homogeneity(x, y, groups)
        half_widths = np.arctanh(fit.groups["ci_high"]) - np.arctanh(fit.groups["ccc"])
        weights = (1.959963984540054 / half_widths) ** 2
        z = np.arctanh(fit.groups["ccc"])
        q = (weights * (z - np.average(z, weights=weights)) ** 2).sum()
        assert fit.q == pytest.approx(q, rel=0.15)

    def test_a_true_difference_is_found_and_none_is_not(self):
        different = ccc_homogeneity(*scans(4, n=150, noise=(0.5, 3.0)), n_boot=500)
        assert different.p == pytest.approx(1 / 501)
        assert ccc_homogeneity(*scans(5, n=150), n_boot=500).p > 0.05

    @pytest.mark.slow
    def test_size_of_the_test(self):
        # 5 % of 400 samples under the null, within 3 Monte-Carlo standard errors
        found = [ccc_homogeneity(*scans(seed, n=80), n_boot=400).p <= 0.05 for seed in range(400)]
        assert np.mean(found) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 400))

    def test_the_seed_decides(self):
        x, y, groups = scans(6)
        one, same, other = (ccc_homogeneity(x, y, groups, n_boot=300, seed=s) for s in (1, 1, 2))
        assert one.p == same.p
        assert one.q != other.q
        assert {"CCC", "same"} <= set(one.null.split())

    def test_missing_rows(self):
        x, y, groups = scans(7)
        labels = groups.astype(object)
        labels[0] = None
        with pytest.raises(StatisticsError, match="groups is missing in 1"):
            ccc_homogeneity(x, y, labels)
        assert ccc_homogeneity(x, y, labels, n_boot=100, missing="drop").n_missing == 1


def test_refusals():
    with pytest.raises(StatisticsError, match="groups"):
        homogeneity([0.5], [50])
    with pytest.raises(StatisticsError, match="differ in length"):
        homogeneity([0.5, 0.6], [50])
    for r, n in (([0.5, 1.0], [50, 50]), ([0.5, np.nan], [50, 50]), ([0.5, 0.5], [50, 3])):
        with pytest.raises(StatisticsError, match="at least 4 patients"):
            homogeneity(r, n)
    x, y, groups = scans(8)
    with pytest.raises(StatisticsError, match="groups"):
        ccc_homogeneity(x, y, np.zeros(len(x)))
    with pytest.raises(StatisticsError, match="differ in length"):
        ccc_homogeneity(x, y, groups[1:])
    with pytest.raises(StatisticsError, match=r"at least 4 are needed .*group 1"):
        ccc_homogeneity(x[:62], y[:62], groups[:62])
    with pytest.raises(StatisticsError, match=r"group 1 .*constant"):
        ccc_homogeneity(x, np.where(groups == 1, 5.0, y), groups)
    with pytest.raises(StatisticsError, match="group 1 agrees perfectly"):
        ccc_homogeneity(x, np.where(groups == 1, x, y), groups)
