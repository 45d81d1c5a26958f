"""Linear, logistic and quantile regression: certified and published fits, brute force, refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from la_outcomes.analysis.linear import (
    CategoricalTerm,
    FewClustersWarning,
    NonuniqueSolutionWarning,
    SplineTerm,
    fit_linear,
    fit_logistic,
    fit_quantile,
    mantel_haenszel,
    nonlinearity_test,
    restricted_cubic_spline,
    wald_test,
    wild_cluster_bootstrap,
)
from la_outcomes.analysis.ordinal import fit_proportional_odds, likelihood_ratio
from la_outcomes.errors import StatisticsError


def cohort(n: int = 200, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"age": rng.normal(70, 10, n), "male": rng.integers(0, 2, n), "site": rng.integers(0, 40, n)}
    )
    frame["volume"] = 0.1 * frame["age"] + frame["male"] + rng.normal(size=n) * (1 + frame["male"])
    frame["poor"] = (rng.logistic(size=n) + 0.05 * (frame["age"] - 70) > 0).astype(int)
    return frame


class TestPublishedLinear:
    def test_longley_certified(self):
        # NIST Statistical Reference Datasets, Longley: certified coefficients, SEs, residual SD, R squared.
        data = sm.datasets.longley.load_pandas().data
        fit = fit_linear(data, "TOTEMP", ["GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR"])
        estimates = [
            -3482258.63459582, 15.0618722713733, -0.0358191792925910, -2.02022980381683,
            -1.03322686717359, -0.0511041056535807, 1829.15146461355,
        ]  # fmt: skip
        errors = [
            890420.383607373, 84.9149257747669, 0.0334910077722432, 0.488399681651699,
            0.214274163161675, 0.226073200069370, 455.478499142212,
        ]  # fmt: skip
        assert fit.coefficients["estimate"].to_numpy() == pytest.approx(estimates, rel=1e-8)
        assert fit.coefficients["se"].to_numpy() == pytest.approx(errors, rel=1e-8)
        assert fit.sigma == pytest.approx(304.854073561965, rel=1e-10)
        assert fit.r2 == pytest.approx(0.995479004577296, rel=1e-12)

    @pytest.mark.parametrize(
        ("kind", "errors"),
        [
            ("classical", [199.35, 5.5147, 82.922, 80.366, 7.4693]),
            ("HC0", [212.99, 3.3017, 92.188, 88.866, 6.9446]),
            ("HC1", [220.79, 3.4226, 95.566, 92.122, 7.1991]),
            ("HC2", [221.09, 3.4477, 95.672, 92.083, 7.1995]),
        ],
    )
    def test_credit_card_expenditure(self, kind, errors):
        # Greene, Econometric Analysis, 5th ed. 2003, table 11.1, p. 221.
        data = sm.datasets.ccard.load_pandas().data
        fit = fit_linear(data, "AVGEXP", ["AGE", "OWNRENT", "INCOME", "INCOMESQ"], kind)
        assert fit.coefficients["se"].to_numpy() == pytest.approx(errors, rel=5e-5)

    def test_degrees_of_freedom_of_a_rare_group(self):
        # Imbens and Kolesar 2016 (REStat 98:701), table 1: 3 of 30 in the group gives K_BM = 2.5.
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"rare": [1] * 3 + [0] * 27, "y": rng.normal(size=30), "row": range(30)})
        table = fit_linear(frame, "y", ["rare"], "CR2", "row").coefficients.set_index("term")
        assert table.loc["rare", "df"] == pytest.approx(2.5, abs=0.05)

    def test_engel_median(self):
        # Koenker, "Quantile regression in R: a vignette": summary(rq(foodexp ~ income), se = "nid").
        fit = fit_quantile(sm.datasets.engel.load_pandas().data, "foodexp", ["income"])
        assert fit.coefficients["estimate"].to_numpy() == pytest.approx([81.48225, 0.56018], rel=1e-5)
        assert fit.coefficients["se"].to_numpy() == pytest.approx([19.25066, 0.02828], rel=2e-4)


class TestPublishedLogistic:
    def test_spector_and_mazzeo(self):
        # Greene 2003, table 21.1, p. 675: logit of a better grade.
        fit = fit_logistic(sm.datasets.spector.load_pandas().data, "GRADE", ["GPA", "TUCE", "PSI"])
        assert fit.coefficients["estimate"].to_numpy() == pytest.approx(
            [-13.021, 2.826, 0.095, 2.379], abs=6e-4
        )
        assert fit.coefficients["se"].to_numpy() == pytest.approx([4.931, 1.263, 0.142, 1.065], abs=6e-4)
        assert fit.loglik == pytest.approx(-12.8896, abs=5e-5)
        assert (fit.n, fit.n_events) == (32, 11)

    def test_berkeley_admissions(self):
        # R datasets, help page of mantelhaen.test: mantelhaen.test(UCBAdmissions).
        counts = {
            "A": (512, 313, 89, 19), "B": (353, 207, 17, 8), "C": (120, 205, 202, 391),
            "D": (138, 279, 131, 244), "E": (53, 138, 94, 299), "F": (22, 351, 24, 317),
        }  # fmt: skip
        cells = [
            (department, male, admitted, n)
            for department, row in counts.items()
            for (male, admitted), n in zip([(1, 1), (1, 0), (0, 1), (0, 0)], row, strict=True)
        ]
        table = pd.DataFrame(cells, columns=["department", "male", "admitted", "n"])
        people = table.loc[table.index.repeat(table["n"])].reset_index(drop=True)
        result = mantel_haenszel(people, "admitted", "male", "department")
        assert result.odds_ratio == pytest.approx(0.9046968, abs=1e-7)
        assert (result.ci_low, result.ci_high) == pytest.approx((0.7719074, 1.0603298), abs=1e-7)
        assert result.chi2 == pytest.approx(1.5246, abs=5e-5)
        assert mantel_haenszel(
            people, "admitted", "male", "department", continuity=True
        ).chi2 == pytest.approx(1.4269, abs=5e-5)
        assert (result.n, result.n_strata) == (4526, 6)


class TestSpline:
    def test_knots_are_harrells(self):
        # Harrell 2015, table 2.3, p. 28, on the values 0, 0.001 ... 1.
        x = np.linspace(0, 1, 1001)
        assert restricted_cubic_spline(x, 5).knots == pytest.approx([0.05, 0.275, 0.5, 0.725, 0.95])
        assert restricted_cubic_spline(x, 3).knots == pytest.approx([0.1, 0.5, 0.9])

    def test_basis_by_hand(self):
        # At x = 4 with knots 1, 2, 3: [27 - 8 (3 - 1)/(3 - 2) + 1 (2 - 1)/(3 - 2)] / (3 - 1)^2 = 12 / 4.
        assert restricted_cubic_spline([4.0, 0.0], [1, 2, 3]).basis.tolist() == [[4.0, 3.0], [0.0, 0.0]]

    def test_number_of_knots_may_be_any_integer(self):
        x = np.arange(50.0)
        assert np.array_equal(
            restricted_cubic_spline(x, np.int64(4)).knots, restricted_cubic_spline(x, 4).knots
        )

    def test_is_linear_beyond_the_outer_knots(self):
        spline = restricted_cubic_spline(np.array([10.0, 11.0, 12.0, 13.0]), [1, 4, 6, 9])
        assert np.diff(spline.basis, n=2, axis=0) == pytest.approx(np.zeros((2, 3)), abs=1e-9)

    def test_nonlinearity_is_found_and_not_invented(self):
        frame = cohort(400)
        frame["curve"] = (frame["age"] - 70) ** 2 / 50 + np.random.default_rng(0).normal(size=400)
        curved = fit_linear(frame, "curve", [SplineTerm("age"), "male"])
        assert nonlinearity_test(curved, "age").p < 1e-10
        straight = fit_linear(frame, "volume", [SplineTerm("age"), "male"])
        test = nonlinearity_test(straight, "age")
        assert (test.df, test.df_residual) == (2, 395)
        assert test.p > 0.01
        line = fit_linear(frame, "volume", ["age", "male"])
        left = [(fit.sigma**2 * fit.df_residual) for fit in (line, straight)]
        f = (left[0] - left[1]) / 2 / straight.sigma**2
        assert test.statistic == pytest.approx(f, rel=1e-6)

    def test_of_an_ordinal_fit_is_chi_squared(self):
        frame = cohort(400).assign(mrs=lambda t: pd.qcut(t["volume"], 5, labels=False))
        test = nonlinearity_test(fit_proportional_odds(frame, "mrs", [SplineTerm("age", 3)]), "age")
        assert (test.df, test.df_residual) == (1, None)

    def test_refusals(self):
        with pytest.raises(StatisticsError, match="coincide"):
            restricted_cubic_spline(np.repeat([0.0, 1.0], 100), 4)
        with pytest.raises(StatisticsError, match="missing"):
            restricted_cubic_spline([1.0, np.nan], 3)
        with pytest.raises(StatisticsError, match="not a spline"):
            nonlinearity_test(fit_linear(cohort(), "volume", ["age"]), "age")


class TestCovariances:
    def brute_force_cr2(self, z, y, codes):
        """CR2 and its degrees of freedom from n by n matrices, as defined."""
        n, bread = len(y), np.linalg.inv(z.T @ z)
        rest = np.eye(n) - z @ bread @ z.T
        meat, vectors = 0, []
        for g in np.unique(codes):
            rows = codes == g
            values, directions = np.linalg.eigh(rest[np.ix_(rows, rows)])
            root = directions * np.where(values > 1e-10, np.abs(values) ** -0.5, 0) @ directions.T
            score = z[rows].T @ root @ (rest @ y)[rows]
            meat = meat + np.outer(score, score)
            vectors.append(rest[:, rows] @ root @ z[rows] @ bread)
        df = []
        for j in range(z.shape[1]):
            p = np.array([vector[:, j] for vector in vectors])
            gram = p @ p.T
            df.append(np.trace(gram) ** 2 / np.sum(gram**2))
        return bread @ meat @ bread, np.array(df)

    def test_cr2_equals_its_definition(self):
        frame = cohort(90)
        fit = fit_linear(frame, "volume", ["age", "male"], "CR2", "site")
        z = np.column_stack([np.ones(90), frame["age"], frame["male"]])
        cov, df = self.brute_force_cr2(z, frame["volume"].to_numpy(), frame["site"].to_numpy())
        assert fit.cov == pytest.approx(cov, rel=1e-8)
        assert fit.coefficients["df"].to_numpy() == pytest.approx(df, rel=1e-8)

    def test_cr2_of_single_rows_is_HC2(self):
        frame = cohort(80).assign(row=range(80))
        assert fit_linear(frame, "volume", ["age"], "CR2", "row").cov == pytest.approx(
            fit_linear(frame, "volume", ["age"], "HC2").cov, rel=1e-10
        )

    def test_logistic_cr2_is_unbiased_under_its_working_model(self):
        # The adjustment's defining property (Pustejovsky and Tipton 2018, eq. 6): with residuals that have
        # the working variance, the expected covariance is the model's own.
        from la_outcomes.analysis.cr2 import cr2_covariance

        frame = cohort(60)
        z = np.column_stack([np.ones(60), frame["age"] - 70, frame["male"]])
        share = 1 / (1 + np.exp(-0.05 * z[:, 1]))
        working = share * (1 - share)
        bread = np.linalg.inv(z.T @ (z * working[:, None]))
        codes = pd.factorize(frame["site"] // 4)[0]
        phi, hat = np.diag(1 / working), z @ bread @ (z * working[:, None]).T
        noise = (np.eye(60) - hat) @ np.sqrt(phi)
        total = sum(cr2_covariance(z, column * working, working, bread, codes)[0] for column in noise.T)
        assert total == pytest.approx(bread, rel=1e-8)

    @pytest.mark.parametrize(
        "kind", ["classical", "HC0", "HC1", "HC2", "HC3", "cluster", "CR0", "CR1", "CR2"]
    )
    def test_frequency_weights_are_repeated_rows(self, kind):
        frame = cohort().assign(n=lambda t: np.random.default_rng(3).integers(0, 4, len(t)))
        repeated = frame.loc[frame.index.repeat(frame["n"])]
        cluster = "site" if kind.startswith("C") or kind == "cluster" else None
        for fit, outcome in ((fit_linear, "volume"), (fit_logistic, "poor")):
            weighted = fit(frame, outcome, ["age", "male"], kind, cluster, weights="n")
            plain = fit(repeated, outcome, ["age", "male"], kind, cluster)
            pd.testing.assert_frame_equal(weighted.coefficients, plain.coefficients, rtol=1e-8)
            assert (weighted.n, weighted.aic) == (plain.n, pytest.approx(plain.aic))

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 100), shift=st.floats(-1e4, 1e4), scale=st.floats(1e-2, 1e3))
    def test_shift_and_scale(self, seed, shift, scale):
        frame = cohort(seed=seed)
        moved = frame.assign(age=(frame["age"] + shift) * scale)
        for kind, cluster in (("HC3", None), ("cluster", "site"), ("CR2", "site")):
            first = fit_linear(frame, "volume", ["age", "male"], kind, cluster).coefficients
            second = fit_linear(moved, "volume", ["age", "male"], kind, cluster).coefficients
            assert second["t"].to_numpy()[1:] == pytest.approx(first["t"].to_numpy()[1:], rel=1e-5)
            assert second["estimate"][1] * scale == pytest.approx(first["estimate"][1], rel=1e-5)

    def test_two_way_clusters_do_not_depend_on_their_order_or_labels(self):
        frame = cohort().assign(year=lambda t: t.index % 35)
        one = fit_linear(frame, "volume", ["age"], "cluster", ["site", "year"])
        relabelled = frame.assign(site=frame["site"].map(lambda s: f"centre {99 - s}"))
        two = fit_linear(relabelled, "volume", ["age"], "cluster", ["year", "site"])
        pd.testing.assert_frame_equal(one.coefficients, two.coefficients, rtol=1e-9)
        nested = fit_linear(
            frame.assign(hospital=frame["site"] // 1), "volume", ["age"], "CR0", ["site", "hospital"]
        )
        assert nested.cov == pytest.approx(fit_linear(frame, "volume", ["age"], "CR0", "site").cov)

    def test_standardised_betas_are_slopes_of_z_scores(self):
        frame = cohort()
        scores = (frame - frame.mean()) / frame.std()
        table = fit_linear(scores, "volume", ["age", "male"]).coefficients
        assert fit_linear(frame, "volume", ["age", "male"]).standardised["beta"].to_numpy() == pytest.approx(
            table["estimate"].to_numpy()[1:]
        )

    def test_an_intercept_far_from_the_data_does_not_hinder(self):
        rng = np.random.default_rng(0)
        year = rng.integers(2010, 2024, 300)
        dead = (rng.random(300) < 1 / (1 + np.exp(0.8 * (year - 2017)))).astype(int)
        table = fit_logistic(pd.DataFrame({"year": year, "dead": dead}), "dead", ["year"]).coefficients
        assert table["odds_ratio"][0] == np.inf
        assert table["odds_ratio"][1] == pytest.approx(np.exp(-0.8), rel=0.2)

    def test_a_median_that_is_not_unique_is_said_to_be_so(self):
        with pytest.warns(NonuniqueSolutionWarning, match="quantile of y"):
            fit_quantile(
                pd.DataFrame({"y": [1.0, 2, 3, 10, 4, 5, 6, 20], "x": [0, 0, 0, 0, 1, 1, 1, 1]}), "y", ["x"]
            )
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"y": rng.normal(size=51), "x": rng.normal(size=51)})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit_quantile(frame, "y", ["x"])

    def test_leverage_one_is_refused(self):
        frame = cohort().assign(alone=lambda t: (t.index == 0).astype(int))
        with pytest.raises(StatisticsError, match="leverage 1"):
            fit_linear(frame, "volume", ["age", "alone"], "HC3")


class TestTerms:
    def test_interaction_uses_the_declared_coding(self):
        frame = cohort().assign(sex=lambda t: t["male"].map({0: "female", 1: "male"}))
        terms = [CategoricalTerm("sex", reference="male"), "age", "age:sex"]
        names = fit_linear(frame, "volume", terms).coefficients["term"].tolist()
        assert names == ["(Intercept)", "sexfemale", "age", "age:sexfemale"]
        apart = [
            fit_linear(part, "volume", ["age"]).coefficients["estimate"][1]
            for _, part in frame.groupby("sex")
        ]
        joint = fit_linear(frame, "volume", terms).coefficients.set_index("term")["estimate"]
        assert joint["age:sexfemale"] == pytest.approx(apart[0] - apart[1])

    def test_joint_test_does_not_depend_on_the_reference(self):
        frame = cohort().assign(grade=lambda t: t["site"] % 4)
        tests = [
            wald_test(fit_linear(frame, "volume", ["age", CategoricalTerm("grade", reference=r)]), ["grade"])
            for r in (0, 3)
        ]
        assert tests[0].statistic == pytest.approx(tests[1].statistic)
        assert (tests[0].df, tests[0].df_residual) == (3, 195)

    def test_prediction_uses_learned_levels_and_knots(self):
        frame = cohort().assign(sex=lambda t: t["male"].map({0: "f", 1: "m"}))
        fit = fit_linear(frame, "volume", [SplineTerm("age"), "sex"])
        assert fit.predict(frame.iloc[[5]]).item() == pytest.approx(fit.predict().iloc[5])
        with pytest.raises(StatisticsError, match="levels the model has not seen"):
            fit.predict(frame.head(1).assign(sex="x"))
        with pytest.raises(StatisticsError, match="age is missing"):
            fit.predict(frame.head(1).assign(age=np.nan))

    def test_likelihood_ratio_of_linear_fits(self):
        frame = cohort()
        test = likelihood_ratio(
            fit_linear(frame, "volume", ["age", "male"]), fit_linear(frame, "volume", ["age"])
        )
        ratio = [
            (fit_linear(frame, "volume", terms).sigma ** 2 * (200 - 1 - len(terms)))
            for terms in (["age"], ["age", "male"])
        ]
        assert test.chi2 == pytest.approx(200 * np.log(ratio[0] / ratio[1]))

    @pytest.mark.parametrize(
        ("change", "terms", "message"),
        [
            ({"one": 1.0}, ["age", "one"], "one is constant"),
            ({"twice": lambda t: 3 - 2 * t["age"]}, ["age", "twice"], "collinearity between age, twice"),
            ({"age": np.inf}, ["age"], "age holds infinite"),
            ({"group": "a"}, ["group"], "group has one level"),
            ({"age": np.nan}, ["age"], "age has no value"),
            ({}, ["height"], "no column 'height'"),
            ({}, ["age", "age"], "twice"),
            ({"sex": ["f", "m"] * 100}, ["sex", "age:sex"], "needs age as a term"),
            ({}, ["volume"], "outcome is also a term"),
            ({}, [CategoricalTerm("male", reference=7)], "reference level 7"),
            ({"volume": 2.0}, ["age"], "volume is constant"),
        ],
    )
    def test_bad_terms_are_named(self, change, terms, message):
        with pytest.raises(StatisticsError, match=message):
            fit_linear(cohort().assign(**change), "volume", terms)

    def test_fewer_rows_than_terms(self):
        with pytest.raises(StatisticsError, match="3 rows"):
            fit_linear(cohort(3), "volume", ["age", "male", "site"])

    def test_outcomes_that_are_not_binary(self):
        with pytest.raises(StatisticsError, match="site is not coded 0 and 1"):
            fit_logistic(cohort(), "site", ["age"])
        with pytest.raises(StatisticsError, match="poor has one level"):
            fit_logistic(cohort().assign(poor=1), "poor", ["age"])

    def test_logistic_separation(self):
        frame = cohort().assign(sign=lambda t: t["poor"] * 3 + t["male"])
        with pytest.raises(StatisticsError, match="sign separates"):
            fit_logistic(frame, "poor", ["age", "sign"])

    def test_separation_by_two_variables_together(self):
        frame = cohort().assign(left=lambda t: t["poor"] + t["age"], right=lambda t: t["age"] - 0.0)
        with pytest.raises(StatisticsError, match="left, right separate the levels"):
            fit_logistic(frame, "poor", ["left", "right", "male"])

    def test_empty_cells_of_mantel_haenszel(self):
        with pytest.raises(StatisticsError, match="odds ratio of male is"):
            mantel_haenszel(cohort().assign(poor=lambda t: t["male"]), "poor", "male", "site")


class TestFewClusters:
    def clustered(self, groups: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        centre = np.repeat(np.arange(groups), 12)
        frame = pd.DataFrame(
            {"centre": centre, "x": rng.normal(size=groups)[centre] + rng.normal(size=len(centre))}
        )
        frame["y"] = rng.normal(size=groups)[centre] + rng.normal(size=len(centre))
        return frame

    def test_a_warning_below_thirty(self):
        with pytest.warns(FewClustersWarning, match="8 clusters"):
            fit_linear(self.clustered(8, 0), "y", ["x"], "cluster", "centre")

    @pytest.mark.filterwarnings("ignore::la_outcomes.analysis.covariance.FewClustersWarning")
    def test_wild_bootstrap_holds_its_level_where_the_sandwich_does_not(self):
        # Cameron, Gelbach and Miller 2008, table 2, 6-10 groups: cluster-robust rejects well above 5 %, the
        # wild cluster bootstrap-t about 5-7 %.
        rejected = {"sandwich": 0, "wild": 0}
        for seed in range(150):
            fit = fit_linear(self.clustered(7, seed), "y", ["x"], "cluster", "centre")
            rejected["sandwich"] += abs(fit.coefficients["t"][1]) > 1.96
            rejected["wild"] += wild_cluster_bootstrap(fit, "x", 199, seed=seed).p < 0.05
        assert rejected["sandwich"] / 150 > 0.1
        assert 0.01 < rejected["wild"] / 150 < 0.1

    @pytest.mark.filterwarnings("ignore::la_outcomes.analysis.covariance.FewClustersWarning")
    def test_wild_bootstrap_equals_refitting(self):
        frame = self.clustered(14, 3)
        fit = fit_linear(frame, "y", ["x"], "cluster", "centre")
        result = wild_cluster_bootstrap(fit, "x", 199, seed=5)
        draws = np.random.default_rng(5).choice(np.array([-1.0, 1.0]), size=(199, 14))
        residuals = frame["y"] - frame["y"].mean()
        t = []
        for signs in draws:
            y = frame["y"].mean() + residuals * signs[frame["centre"]]
            t.append(fit_linear(frame.assign(y=y), "y", ["x"], "CR0", "centre").coefficients["t"][1])
        own = fit_linear(frame, "y", ["x"], "CR0", "centre").coefficients["t"][1]
        assert result.p == pytest.approx((1 + np.sum(np.abs(t) >= abs(own))) / 200)
        inside = [
            wild_cluster_bootstrap(fit, "x", 199, seed=5, null=null).p
            for null in (result.ci_low, result.ci_high)
        ]
        assert inside == pytest.approx([0.05, 0.05], abs=0.015)

    def test_wild_bootstrap_refusals(self):
        fit = fit_linear(cohort(), "volume", ["age"])
        with pytest.raises(StatisticsError, match="one cluster variable"):
            wild_cluster_bootstrap(fit, "age")
        with pytest.raises(StatisticsError, match="not a term"):
            wild_cluster_bootstrap(fit, "height")
