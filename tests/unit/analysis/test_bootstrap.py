"""Bootstrap: published figures, laws, failures counted, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from la_outcomes.analysis.bootstrap import (
    acceleration,
    bca_interval,
    bootstrap,
    bootstrap_draws,
    percentile_interval,
)
from la_outcomes.errors import StatisticsError

# Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993: table 14.1 (spatial test, A) and table 3.1
# (15 law schools: LSAT, GPA).
SPATIAL = np.array(
    [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
)
LSAT = [576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594]
GPA = [3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96]


def variance(resamples: np.ndarray) -> np.ndarray:
    return resamples.var(axis=1)


def mean(rows: np.ndarray) -> float:
    return float(np.mean(rows))


class TestPublished:
    def test_acceleration_of_a_variance(self):
        # p. 186: 0.061
        left_out = [np.delete(SPATIAL, i).var() for i in range(26)]
        assert acceleration(left_out) == pytest.approx(0.061, abs=5e-4)

    @pytest.mark.parametrize(
        ("method", "interval"), [("percentile", (100.8, 233.9)), ("bca", (115.8, 259.6))]
    )
    def test_variance_of_the_spatial_test(self, method, interval):
        # table 14.2, 90 % intervals from 2,000 resamples: the tolerance is their Monte-Carlo error
        fit = bootstrap(SPATIAL, variance, method=method, level=0.9, n_boot=20_000, vectorized=True)
        assert fit.estimate == pytest.approx(171.5, abs=0.05)
        assert (fit.ci_low, fit.ci_high) == pytest.approx(interval, abs=5)

    def test_correlation_of_law_schools(self):
        # p. 50: r = .776, bootstrap standard error .132 from 3,200 resamples
        table = pd.DataFrame({"lsat": LSAT, "gpa": GPA})
        fit = bootstrap(table, lambda t: np.corrcoef(t["lsat"], t["gpa"])[0, 1], method="percentile")
        assert fit.estimate == pytest.approx(0.776, abs=5e-4)
        assert fit.se == pytest.approx(0.132, abs=0.006)

    def test_order_statistics(self):
        # Davison AC, Hinkley DV. 1997, p. 194 and 203: with R = 999, the 25th and the 975th
        draws = np.random.default_rng(0).permutation(np.arange(1.0, 1000.0))
        assert percentile_interval(draws) == pytest.approx((25, 975))
        # no bias, no acceleration: BCa is the percentile interval
        assert bca_interval(np.append(draws, 1000.0), 500.5, [1, 2, 3]) == pytest.approx(
            percentile_interval(np.append(draws, 1000.0)), abs=1e-6
        )


class TestLaws:
    @settings(max_examples=25)
    @given(st.floats(-100, 100), st.floats(0.01, 100), st.sampled_from(["percentile", "bca"]))
    def test_intervals_follow_the_unit(self, shift, scale, method):
        one = bootstrap(SPATIAL, lambda r: r.mean(axis=1), n_boot=200, method=method, vectorized=True)
        other = bootstrap(
            shift + scale * SPATIAL, lambda r: r.mean(axis=1), n_boot=200, method=method, vectorized=True
        )
        assert (other.ci_low, other.ci_high) == pytest.approx(
            (shift + scale * one.ci_low, shift + scale * one.ci_high), abs=1e-6
        )

    @pytest.mark.parametrize("method", ["percentile", "bca"])
    def test_transforming_the_statistic_transforms_the_interval(self, method):
        # exact for order statistics at whole ranks; between them the interpolation differs a little
        one = bootstrap(SPATIAL, variance, n_boot=999, method=method, vectorized=True)
        other = bootstrap(
            SPATIAL, lambda r: np.log(r.var(axis=1)), n_boot=999, method=method, vectorized=True
        )
        assert (np.exp(other.ci_low), np.exp(other.ci_high)) == pytest.approx(
            (one.ci_low, one.ci_high), rel=0.03
        )

    def test_vectorized_frame_and_loop_agree(self):
        fast = bootstrap(SPATIAL, lambda r: r.mean(axis=1), n_boot=500, vectorized=True)
        slow = bootstrap(SPATIAL, mean, n_boot=500)
        frame = bootstrap(pd.DataFrame({"a": SPATIAL}), lambda t: t["a"].mean(), n_boot=500)
        assert (slow.ci_low, slow.se) == pytest.approx((fast.ci_low, fast.se))
        assert (frame.ci_low, frame.ci_high) == pytest.approx((fast.ci_low, fast.ci_high))

    def test_clusters_of_one_row_are_rows(self):
        rows = bootstrap(SPATIAL, mean, n_boot=500)
        clusters = bootstrap(SPATIAL, mean, n_boot=500, cluster=np.arange(26))
        assert (clusters.ci_low, clusters.ci_high) == pytest.approx((rows.ci_low, rows.ci_high))
        assert (clusters.n_clusters, rows.n_clusters) == (26, None)

    def test_repeated_rows_in_clusters_add_no_information(self):
        rows = bootstrap(SPATIAL, mean, n_boot=500)
        doubled = bootstrap(np.repeat(SPATIAL, 3), mean, n_boot=500, cluster=np.repeat(np.arange(26), 3))
        assert (doubled.ci_low, doubled.se) == pytest.approx((rows.ci_low, rows.se))

    def test_the_seed_decides(self):
        one, same, other = (bootstrap(SPATIAL, mean, n_boot=200, seed=s) for s in (1, 1, 2))
        assert one == same
        assert one.ci_low != other.ci_low


def test_large_data_are_resampled_in_blocks():
    data = np.random.default_rng(0).normal(size=(300_000, 2))
    draws = bootstrap_draws(data, lambda r: r[..., 0].mean(axis=1), n_boot=25, seed=0, vectorized=True)
    assert draws.shape == (25,)
    assert draws.std() == pytest.approx(1 / np.sqrt(300_000), rel=0.5)


class TestFailures:
    @staticmethod
    def rare(rows: np.ndarray) -> float:
        """Defined only where the first row was drawn."""
        if SPATIAL[0] not in rows:
            raise StatisticsError("no such patient", where="rare")
        return mean(rows)

    def test_failed_resamples_are_counted(self):
        # the smallest value is 0: a resample of 26 without it has probability (25/26)^26 = .36
        def sometimes(rows: np.ndarray) -> float:
            return float("nan") if (rows == 0).sum() > 2 else mean(rows)

        fit = bootstrap(SPATIAL, sometimes, n_boot=500, method="percentile")
        assert 0 < fit.n_failed < 50
        assert fit.n_boot == 500

    def test_too_many_failures_are_refused(self):
        with pytest.raises(StatisticsError, match=r"not defined on \d+ of 500 resamples"):
            bootstrap(SPATIAL, self.rare, n_boot=500, method="percentile")

    def test_a_jackknife_that_fails_is_refused(self):
        def needs_zero(rows: np.ndarray) -> float:
            return mean(rows) if len(rows) == 26 else float("nan")

        with pytest.raises(StatisticsError, match="without one of the rows"):
            bootstrap(SPATIAL, needs_zero, n_boot=200)

    def test_other_errors_pass_through(self):
        with pytest.raises(ZeroDivisionError):
            bootstrap(SPATIAL, lambda rows: 1 / 0, n_boot=200)


def test_refusals():
    with pytest.raises(StatisticsError, match="not defined for these data"):
        bootstrap(SPATIAL, lambda rows: float("nan"))
    with pytest.raises(StatisticsError, match="do not reach"):
        bootstrap(SPATIAL, mean, n_boot=19, method="percentile")
    with pytest.raises(StatisticsError, match="one side"):
        bootstrap(SPATIAL, lambda rows: rows.min() - len(set(rows)) / 1e3, n_boot=200)
    with pytest.raises(StatisticsError, match="one label a row"):
        bootstrap(SPATIAL, mean, cluster=[1, 2, 3])
    with pytest.raises(StatisticsError, match="every row needs a cluster"):
        bootstrap(SPATIAL, mean, cluster=[np.nan] + [1.0] * 25)
    with pytest.raises(StatisticsError, match="at least 2"):
        bootstrap(SPATIAL, mean, cluster=np.ones(26))
    with pytest.raises(StatisticsError, match="at least 2"):
        bootstrap(SPATIAL[:1], mean)
    with pytest.raises(StatisticsError, match="no clusters"):
        bootstrap(SPATIAL, lambda r: r.mean(axis=1), cluster=np.arange(26), vectorized=True)
    with pytest.raises(StatisticsError, match="'percentile', 'bca'"):
        bootstrap(SPATIAL, mean, method="basic")  # type: ignore[arg-type]
