"""Imputation and pooling: published figures, laws, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from la_outcomes.analysis.linear import fit_linear, fit_logistic
from la_outcomes.analysis.missing import (
    bootstrap_imputed,
    bootstrap_then_impute,
    fit_imputed,
    impute,
    pool,
    pool_d2,
    pool_likelihood_ratio,
    pool_wald,
)
from la_outcomes.analysis.ordinal import fit_proportional_odds, likelihood_ratio
from la_outcomes.errors import StatisticsError

FITNESS = """
44.609 11.37 178  45.313 10.07 185  54.297 8.65 156  59.571 . .  49.874 9.22 .  44.811 11.63 176
. 11.95 176  . 10.85 .  39.442 13.08 174  60.055 8.63 170  50.541 . .  37.388 14.03 186
44.754 11.12 176  47.273 . .  51.855 10.33 166  49.156 8.95 180  40.836 10.95 168  46.672 10.00 .
46.774 10.25 .  50.388 10.08 168  39.407 12.63 174  46.080 11.17 156  45.441 9.63 164  . 8.92 .
45.118 11.08 .  39.203 12.88 168  45.790 10.47 186  50.545 9.93 148  48.673 9.40 186  47.920 11.50 170
47.467 10.50 170
"""


def fitness() -> pd.DataFrame:
    """SAS/STAT User's Guide, PROC MI, Getting Started: 31 men, oxygen intake, run time, pulse."""
    values = [np.nan if cell == "." else float(cell) for cell in FITNESS.split()]
    return pd.DataFrame(np.reshape(values, (31, 3)), columns=["oxygen", "time", "pulse"])


def cohort(n: int = 300, seed: int = 1, missing: float = 0.25) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(70, 10, n)
    frame = pd.DataFrame(
        {"age": age, "volume": 0.05 * age + rng.normal(size=n), "site": rng.integers(0, 40, n)}
    )
    frame["male"] = rng.integers(0, 2, n).astype(float)
    latent = 0.6 * frame["volume"] + 0.5 * frame["male"] + rng.logistic(size=n)
    codes = np.digitize(latent, np.quantile(latent, [0.2, 0.4, 0.6, 0.8]))
    frame["mrs"] = pd.Categorical(codes, range(6), ordered=True)
    for name in ("volume", "male", "mrs"):
        frame.loc[rng.random(n) < missing * (age > 65), name] = np.nan
    return frame


class TestPublishedPooling:
    def test_sas_means(self):
        # SAS/STAT 9.2 User's Guide, PROC MIANALYZE, example 1: means of 5 imputations, EDF = 30.
        estimates = [
            [47.0120, 10.4441],
            [47.2407, 10.5040],
            [47.4995, 10.5922],
            [47.1485, 10.5279],
            [47.0042, 10.4913],
        ]
        errors = [
            [0.95984, 0.28520],
            [0.93540, 0.26661],
            [1.00766, 0.26302],
            [0.95439, 0.26405],
            [0.96528, 0.27275],
        ]
        table = pool(estimates, np.square(errors), 30, ["oxygen", "time"]).to_frame().set_index("term")
        assert table.loc["oxygen", ["estimate", "se", "df"]].astype(float).to_list() == pytest.approx(
            [47.180993, 0.990266, 26.298], rel=3e-5
        )
        assert table.loc["oxygen", ["ci_low", "ci_high"]].astype(float).to_list() == pytest.approx(
            [45.1466, 49.2154], abs=1e-4
        )
        assert table.loc["time", "se"] ** 2 == pytest.approx(0.076679, rel=1e-4)
        assert table.loc["time", "df"] == pytest.approx(26.503, rel=1e-4)

    def test_allisons_combchi(self):
        # Allison, SAS macro COMBCHI: four chi-squared statistics on 3 degrees of freedom.
        test = pool_d2([5.8, 7.2, 6.1, 8.5], 3)
        assert [test.f, test.df1, test.df2, test.p] == pytest.approx(
            [2.0540138, 3, 342.22381, 0.1060954], rel=1e-6
        )

    def test_imputed_means_of_the_fitness_data(self):
        # SAS/STAT, PROC MI, Getting Started: maximum-likelihood (EM) means 47.104, 10.555, 171.382.
        completed = impute(fitness(), m=60, seed=4, iterations=5)
        means = np.mean([frame.mean().to_numpy() for frame in completed], axis=0)
        errors = fitness().std().to_numpy() / np.sqrt(31)
        assert (np.abs(means - [47.104077, 10.554858, 171.381669]) < 0.2 * errors).all()


class TestPooling:
    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 1000), m=st.integers(2, 30))
    def test_identical_imputations_give_the_single_analysis(self, seed, m):
        rng = np.random.default_rng(seed)
        estimate, root = rng.normal(size=3), rng.normal(size=(3, 3))
        cov = root @ root.T + np.eye(3)
        pooled = pool([estimate] * m, [cov] * m, 20.0)
        assert pooled.cov == pytest.approx(cov)
        assert pooled.coefficients["estimate"].to_numpy() == pytest.approx(estimate)
        assert pooled.coefficients["riv"].to_numpy() == pytest.approx(0)
        assert pooled.coefficients["df"].to_numpy() == pytest.approx(21 / 23 * 20)
        wald = estimate @ np.linalg.solve(cov, estimate)
        for test in (pool_wald([estimate] * m, [cov] * m), pool_d2([wald] * m, 3)):
            assert test.f == pytest.approx(wald / 3)
            assert test.df2 > 1e12

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
    def test_order_and_scale(self, seed, scale):
        rng = np.random.default_rng(seed)
        q, u = rng.normal(size=(6, 2)), rng.random((6, 2)) + 0.1
        first, second = (
            pool(q, u, 50).coefficients,
            pool(scale * q[::-1], scale**2 * u[::-1], 50).coefficients,
        )
        assert second["t"].to_numpy() == pytest.approx(first["t"].to_numpy())
        assert second["fmi"].to_numpy() == pytest.approx(first["fmi"].to_numpy())

    def test_one_parameter_d1_is_the_pooled_t_squared(self):
        rng = np.random.default_rng(0)
        q, u = rng.normal(1, 0.3, 8), rng.random(8) + 0.5
        assert pool_wald(q, u).f == pytest.approx(pool(q, u).coefficients["t"].item() ** 2)
        assert pool_wald(q, u).riv == pytest.approx(pool(q, u).coefficients["riv"].item())

    def test_d3_of_identical_data_is_the_likelihood_ratio(self):
        frame = cohort(missing=0).assign(poor=lambda t: (t["mrs"].astype(int) > 2).astype(int))
        for fit, outcome in (
            (fit_linear, "volume"),
            (fit_logistic, "poor"),
            (fit_proportional_odds, "mrs"),
        ):
            full, reduced = fit(frame, outcome, ["age", "male"]), fit(frame, outcome, ["age"])
            test = pool_likelihood_ratio([full] * 4, [reduced] * 4)
            assert test.f == pytest.approx(likelihood_ratio(full, reduced).chi2, rel=1e-6)
            assert test.riv == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize(
        ("estimates", "covariances", "message"),
        [
            ([1.0], [1.0], "at least 2"),
            ([1.0, 2.0], [1.0, 0.0], "not positive"),
            ([1.0, np.nan], [1.0, 1.0], "missing or infinite"),
            ([[1.0, 2.0]] * 3, [np.eye(3)] * 3, "do not fit"),
        ],
    )
    def test_refusals(self, estimates, covariances, message):
        with pytest.raises(StatisticsError, match=message):
            pool(estimates, covariances)


class TestImpute:
    def test_keeps_what_was_seen_and_the_types(self):
        frame = cohort().assign(
            sex=lambda t: t["male"].map({0.0: "f", 1.0: "m"}), stroke=lambda t: t["age"] > 70
        )
        completed = impute(frame, m=3, seed=1, iterations=2, exclude=["site"])
        assert len(completed) == 3
        for result in completed:
            assert not result.isna().any(axis=None)
            pd.testing.assert_series_equal(result.dtypes, frame.dtypes)
            pd.testing.assert_frame_equal(result.where(frame.notna()), frame.where(frame.notna()))
            assert set(result["volume"]) <= set(frame["volume"].dropna())
            assert set(result["male"]) == {0.0, 1.0}
        assert completed.variables.set_index("variable")["method"].to_dict() == {
            "male": "logistic", "sex": "logistic", "mrs": "ordinal", "volume": "pmm",
        }  # fmt: skip

    def test_same_seed_same_values_and_prefix(self):
        frame = cohort()
        first, more = impute(frame, m=2, seed=9, iterations=2), impute(frame, m=4, seed=9, iterations=2)
        pd.testing.assert_frame_equal(first[1], more[1])
        assert not first[0].equals(impute(frame, m=2, seed=10, iterations=2)[0])

    def test_imputation_restores_an_effect_that_complete_cases_miss(self):
        # Volume is missing by age and outcome: complete cases are biased, imputation given both is not.
        rng = np.random.default_rng(3)
        n = 4000
        frame = pd.DataFrame({"x": rng.normal(size=n)})
        frame["y"] = frame["x"] + rng.normal(size=n)
        frame["aux"] = frame["x"] + 0.3 * rng.normal(size=n)
        frame.loc[rng.random(n) < 1 / (1 + np.exp(-2 * frame["y"])), "x"] = np.nan
        pooled = fit_imputed(lambda d: fit_linear(d, "y", ["x"]), impute(frame, m=5, seed=1, iterations=5))
        complete = fit_linear(frame, "y", ["x"], missing="drop")
        assert abs(complete.coefficients["estimate"][0]) > 0.3
        table = pooled.coefficients.set_index("term")
        assert table["estimate"].to_list() == pytest.approx([0.0, 1.0], abs=0.06)

    def test_draws_include_the_uncertainty_of_the_parameters(self):
        # 6 observed of 12: the spread of imputed means must exceed that of draws from fixed parameters.
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"x": rng.normal(size=60)})
        frame["grade"] = (frame["x"] + rng.normal(size=60) > 0).astype(float)
        frame.loc[20:, "grade"] = np.nan
        completed = impute(frame, m=200, seed=1, iterations=1)
        share = np.array([result["grade"][20:].mean() for result in completed])
        within = share.mean() * (1 - share.mean()) / 40
        assert share.var() > 1.5 * within

    def test_separated_predictor_does_not_break_the_draws(self):
        frame = cohort().assign(sign=lambda t: t["mrs"].cat.codes.clip(0))
        result = impute(frame, m=2, seed=1, iterations=2, exclude=["site"])
        assert not result[0].isna().any(axis=None)

    def test_trace_and_plot(self):
        completed = impute(cohort(), m=2, seed=1, iterations=3)
        assert len(completed.trace) == 3 * 2 * 3
        assert np.isfinite(completed.trace[["mean", "sd"]].to_numpy()).all()
        assert len(completed.plot_convergence().axes) == 6
        assert completed.to_frame()["imputation"].value_counts().to_list() == [300, 300]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"empty": np.nan}, "empty has no value"),
            ({"volume": np.inf}, "volume holds infinite"),
            ({"note": lambda t: [f"patient {i}" for i in range(len(t))]}, "note has 300 categories"),
            ({"type": lambda t: pd.Categorical(["a", "b", "c", None] * 75)}, "no order"),
            ({"same": lambda t: [1.0, None, 1.0] * 100}, "same is constant"),
            ({"day": pd.Timestamp("2020-01-01")}, "neither number nor category"),
        ],
    )
    def test_bad_columns_are_named(self, change, message):
        with pytest.raises(StatisticsError, match=message):
            impute(cohort().assign(**change), m=2)

    def test_bad_arguments(self):
        with pytest.raises(StatisticsError, match="m must be"):
            impute(cohort(), m=1)
        with pytest.raises(StatisticsError, match="no column 'sitee'"):
            impute(cohort(), m=2, exclude=["sitee"])
        with pytest.raises(StatisticsError, match="ordinal does not fit"):
            impute(cohort(), m=2, methods={"male": "ordinal"})
        with pytest.raises(StatisticsError, match="observed values for"):
            impute(cohort().head(8), m=2)


class TestFitImputed:
    def test_clustered_ordinal_in_one_call(self):
        completed = impute(cohort(), m=4, seed=1, iterations=3)
        analyse = lambda d: fit_proportional_odds(d, "mrs", ["volume", "age", "male"])  # noqa: E731
        pooled = fit_imputed(analyse, completed, "site")
        one = fit_proportional_odds(completed[2], "mrs", ["volume", "age", "male"], None, "cluster", "site")
        assert pooled.fits[2].cov == pytest.approx(one.cov)
        by_hand = pool([f.coefficients["estimate"] for f in pooled.fits], [f.cov for f in pooled.fits], 39)
        assert pooled.coefficients["df"].to_numpy() == pytest.approx(by_hand.coefficients["df"].to_numpy())
        assert pooled.coefficients["odds_ratio"].to_numpy() == pytest.approx(
            np.exp(pooled.coefficients["estimate"].to_numpy())
        )

    def test_satterthwaite_degrees_of_freedom_carry_over(self):
        completed = impute(cohort(), m=3, seed=1, iterations=2)
        pooled = fit_imputed(lambda d: fit_linear(d, "volume", ["age"]), completed, "site", "CR2")
        df = np.mean([fit.coefficients["df"] for fit in pooled.fits], axis=0)
        assert (pooled.coefficients["df"].to_numpy() < df).all()

    def test_few_clusters_warn_once(self):
        completed = impute(cohort().assign(site=lambda t: t["site"] % 5), m=3, seed=1, iterations=2)
        with pytest.warns(UserWarning, match="5 clusters") as caught:
            fit_imputed(lambda d: fit_linear(d, "volume", ["age"]), completed, "site")
        assert len(caught) == 1


class TestBootstrap:
    def test_fixed_imputations_agree_with_the_model(self):
        # Linear-model theory is the published figure: the bootstrap SE of a mean is its textbook SE.
        completed = impute(cohort(), m=3, seed=1, iterations=2)
        for fit in (
            lambda d: fit_linear(d, "volume", ["age", "male"]),
            lambda d: fit_proportional_odds(d, "mrs", ["volume", "male"]),
            lambda d: fit_logistic(d.assign(old=(d["age"] > 70) * 1), "old", ["volume"]),
        ):
            fitted = fit_imputed(fit, completed)
            result = bootstrap_imputed(fitted, 100, seed=2)
            assert result.coefficients["se"].to_numpy() == pytest.approx(
                fitted.coefficients["se"].to_numpy(), rel=0.35
            )
            assert (result.coefficients["percentile_low"] < fitted.coefficients["estimate"]).all()
            assert result.n_failed == 0

    def test_refit_equals_a_weighted_fit(self):
        frame = cohort(missing=0).assign(n=lambda t: np.random.default_rng(1).integers(0, 3, len(t)))
        counts = frame["n"].to_numpy()
        ordinal = fit_proportional_odds(frame, "mrs", ["volume", "age"])
        weighted = fit_proportional_odds(frame, "mrs", ["volume", "age"], "n")
        assert ordinal.refit(counts) == pytest.approx(weighted.coefficients["estimate"].to_numpy(), rel=1e-8)
        linear = fit_linear(frame, "volume", ["age", "male"])
        again = fit_linear(frame, "volume", ["age", "male"], weights="n")
        assert linear.refit(counts) == pytest.approx(again.coefficients["estimate"].to_numpy(), rel=1e-8)

    def test_clusters_are_drawn_whole(self):
        frame = cohort(missing=0).assign(site=lambda t: t["site"] % 8)
        frame["volume"] += frame["site"]
        fitted = fit_imputed(lambda d: fit_linear(d, "volume", ["age"]), [frame, frame])
        rows = bootstrap_imputed(fitted, 200, seed=1).coefficients["se"][0]
        whole = bootstrap_imputed(fitted, 200, seed=1, cluster=frame["site"]).coefficients["se"][0]
        assert np.isfinite([rows, whole]).all()
        assert rows != whole

    def test_variance_of_bootstrap_then_impute_by_hand(self):
        # von Hippel and Bartlett 2021, section 3.2, on 2 resamples with 2 imputations: values 1, 3 and 5, 9:
        # MSB = 2 * var(2, 7) = 25, MSW = (2 + 8)/2 = 5, V = 3/4 * 25 - 5/2 = 16.25.
        from la_outcomes.analysis.imputed_bootstrap import _nested_table

        table = _nested_table(["x"], np.array([[[1.0], [3.0]], [[5.0], [9.0]]]))
        assert table["estimate"].item() == 4.5
        assert table["se"].item() ** 2 == pytest.approx(16.25)

    def test_bootstrap_then_impute_is_near_rubin(self):
        frame = cohort(150)
        fit = lambda d: fit_linear(d, "volume", ["age", "male"])  # noqa: E731
        options = {"exclude": ["site"], "iterations": 2}
        nested = bootstrap_then_impute(fit, frame, 20, 2, seed=1, options=options).coefficients
        rubin = fit_imputed(fit, impute(frame, m=10, seed=1, **options)).coefficients
        assert nested["se"].to_numpy() == pytest.approx(rubin["se"].to_numpy(), rel=0.6)
        assert nested["estimate"].to_numpy() == pytest.approx(rubin["estimate"].to_numpy(), abs=0.5)

    def test_weights_are_refused(self):
        frame = cohort(missing=0).assign(n=2)
        fitted = fit_imputed(lambda d: fit_linear(d, "volume", ["age"], weights="n"), [frame, frame])
        with pytest.raises(StatisticsError, match="one row a patient"):
            bootstrap_imputed(fitted, 10)
