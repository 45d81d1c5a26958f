"""Proportional odds: published fits, laws, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_tables import coal_miners, housing, streptomycin

from la_outcomes.analysis.ordinal import fit_proportional_odds, likelihood_ratio
from la_outcomes.errors import StatisticsError


def cohort(n: int = 200, seed: int = 1, levels: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"age": rng.normal(70, 10, n), "male": rng.integers(0, 2, n), "site": rng.integers(0, 40, n)}
    )
    latent = 0.05 * frame["age"] + 0.4 * frame["male"] + rng.logistic(size=n)
    frame["mrs"] = np.digitize(latent, np.quantile(latent, np.arange(1, levels) / levels))
    return frame


class TestPublished:
    def test_housing_equals_polr(self):
        # MASS, help page of polr and Venables and Ripley 2002, section 7.3: summary(house.plr).
        fit = fit_proportional_odds(housing(), "satisfaction", ["influence", "type", "contact"], weights="n")
        table = fit.coefficients.set_index("term")
        published = {
            "influenceMedium": (0.5663937, 0.10465285),
            "influenceHigh": (1.2888191, 0.12715612),
            "typeApartment": (-0.5723501, 0.11923824),
            "typeAtrium": (-0.3661866, 0.15517253),
            "typeTerrace": (-1.0910149, 0.15148617),
            "contactHigh": (0.3602841, 0.09553587),
        }
        for term, (estimate, error) in published.items():
            assert table.loc[term, "estimate"] == pytest.approx(estimate, abs=2e-6)
            assert table.loc[term, "se"] == pytest.approx(error, rel=1e-3)
        assert fit.thresholds["estimate"].to_numpy() == pytest.approx([-0.4961353, 0.6907083], abs=2e-6)
        assert fit.thresholds["se"].to_numpy() == pytest.approx([0.1248472, 0.1254719], rel=1e-3)
        assert -2 * fit.loglik == pytest.approx(3479.149, abs=5e-4)
        assert fit.aic == pytest.approx(3495.149, abs=5e-4)
        assert fit.n == 1681

    def test_coal_miners_equals_vglm(self):
        # VGAM, help page of propodds: vglm(cbind(normal, mild, severe) ~ let, propodds).
        miners = coal_miners().assign(log_years=lambda t: np.log(t["years"]))
        fit = fit_proportional_odds(miners, "grade", ["log_years"], weights="n")
        assert fit.coefficients["estimate"].item() == pytest.approx(2.596807, abs=1e-6)
        assert fit.thresholds["estimate"].to_numpy() == pytest.approx([9.676093, 10.581725], abs=1e-6)

    def test_streptomycin_shift(self):
        # R 4.2.2 MASS::polr and confint on the trial's own table; brant 0.3-0 with a symmetric covariance.
        fit = fit_proportional_odds(streptomycin(), "result", ["strep"], weights="n")
        assert fit.coefficients["odds_ratio"].item() == pytest.approx(5.43450442, rel=1e-5)
        profile = np.log(fit.profile_intervals()[["ci_low", "ci_high"]]).to_numpy().ravel()
        assert profile == pytest.approx([0.971386556, 2.445418433], rel=1e-4)
        omnibus = fit.brant().set_index("term").loc["omnibus"]
        assert (omnibus["chi2"], omnibus["df"]) == (pytest.approx(6.6457489592, rel=1e-6), 4)

    def test_cutpoint_odds_ratios_are_those_of_the_two_by_two_tables(self):
        # BMJ 1948;2:769: improvement (levels 5 and 6) 38 of 55 with streptomycin, 17 of 52 without.
        fit = fit_proportional_odds(streptomycin(), "result", ["strep"], weights="n")
        cut = fit.cutpoint_odds_ratios().set_index("cutpoint").loc["4|5"]
        assert cut["odds_ratio"] == pytest.approx((38 / 17) / (17 / 35), rel=1e-8)
        assert cut["n_above"] == 38 + 17

    def test_likelihood_ratio_of_housing(self):
        # Venables and Ripley 2002, section 7.3: dropterm(house.plr, test = "Chisq") gives LRT 108.239 on 2
        # degrees of freedom for influence, 55.910 on 3 for type, 14.306 on 1 for contact.
        terms = ["influence", "type", "contact"]
        full = fit_proportional_odds(housing(), "satisfaction", terms, weights="n")
        for term, chi2, df in (("influence", 108.239, 2), ("type", 55.910, 3), ("contact", 14.306, 1)):
            rest = [other for other in terms if other != term]
            test = likelihood_ratio(full, fit_proportional_odds(housing(), "satisfaction", rest, weights="n"))
            assert (test.chi2, test.df) == (pytest.approx(chi2, abs=6e-4), df)


class TestLaws:
    def test_frequency_weights_are_repeated_rows(self):
        frame = cohort().assign(n=lambda t: np.random.default_rng(3).integers(0, 4, len(t)))
        repeated = frame.loc[frame.index.repeat(frame["n"])]
        for kind, cluster in (("classical", None), ("HC0", None), ("cluster", "site")):
            weighted = fit_proportional_odds(frame, "mrs", ["age", "male"], "n", kind, cluster)
            plain = fit_proportional_odds(repeated, "mrs", ["age", "male"], None, kind, cluster)
            pd.testing.assert_frame_equal(weighted.coefficients, plain.coefficients, rtol=1e-9)
            assert weighted.c_index == pytest.approx(plain.c_index, rel=1e-12)
            assert (weighted.n, weighted.aic) == (plain.n, pytest.approx(plain.aic))

    @settings(max_examples=20, deadline=None)
    @given(shift=st.floats(-1e5, 1e5), scale=st.floats(1e-2, 1e4), seed=st.integers(0, 1000))
    def test_shift_and_scale_of_a_variable(self, shift, scale, seed):
        frame = cohort(seed=seed)
        first = fit_proportional_odds(frame, "mrs", ["age", "male"])
        moved = frame.assign(age=(frame["age"] + shift) * scale)
        second = fit_proportional_odds(moved, "mrs", ["age", "male"])
        assert second.loglik == pytest.approx(first.loglik, rel=1e-10)
        assert second.coefficients["z"].to_numpy() == pytest.approx(
            first.coefficients["z"].to_numpy(), rel=1e-5
        )
        assert second.coefficients["estimate"][0] * scale == pytest.approx(
            first.coefficients["estimate"][0], rel=1e-5
        )

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 1000))
    def test_order_of_rows_and_reversed_levels(self, seed):
        frame = cohort(seed=seed)
        first = fit_proportional_odds(frame, "mrs", ["age", "male"])
        shuffled = fit_proportional_odds(frame.sample(frac=1, random_state=seed), "mrs", ["male", "age"])
        assert shuffled.coefficients["estimate"][1] == pytest.approx(
            first.coefficients["estimate"][0], rel=1e-8
        )
        mirrored = fit_proportional_odds(frame.assign(mrs=4 - frame["mrs"]), "mrs", ["age", "male"])
        assert mirrored.coefficients["estimate"].to_numpy() == pytest.approx(
            -first.coefficients["estimate"].to_numpy(), rel=1e-6
        )
        assert mirrored.c_index == pytest.approx(first.c_index)

    def test_labels_do_not_matter(self):
        frame = cohort()
        relabelled = frame.assign(mrs=frame["mrs"].map({0: -3, 1: 0, 2: 1, 3: 10, 4: 99}))
        one, two = (fit_proportional_odds(each, "mrs", ["age"]) for each in (frame, relabelled))
        pd.testing.assert_frame_equal(one.coefficients, two.coefficients)
        assert list(two.thresholds["term"]) == ["-3|0", "0|1", "1|10", "10|99"]

    def test_every_patient_a_cluster_is_HC0_up_to_the_factor(self):
        frame = cohort()
        alone = fit_proportional_odds(frame, "mrs", ["age"], None, "CR0", np.arange(len(frame)))
        white = fit_proportional_odds(frame, "mrs", ["age"], None, "HC0")
        assert alone.cov == pytest.approx(white.cov, rel=1e-12)

    def test_cluster_factors(self):
        frame = cohort()
        fits = {
            kind: fit_proportional_odds(frame, "mrs", ["age"], None, kind, "site")
            for kind in ("CR0", "CR1", "cluster")
        }
        n, groups, parameters = 200, frame["site"].nunique(), 5
        assert fits["CR1"].cov == pytest.approx(fits["CR0"].cov * groups / (groups - 1))
        assert fits["cluster"].cov == pytest.approx(fits["CR1"].cov * (n - 1) / (n - parameters))
        assert fits["cluster"].n_clusters == groups

    def test_with_covariance_equals_a_new_fit(self):
        frame = cohort()
        frame.loc[[3, 50], "age"] = np.nan
        fresh = fit_proportional_odds(frame, "mrs", ["age"], None, "cluster", "site", "drop")
        later = fit_proportional_odds(frame, "mrs", ["age"], missing="drop").with_covariance(
            "cluster", frame, "site"
        )
        pd.testing.assert_frame_equal(fresh.coefficients, later.coefficients)
        assert later.n_dropped == 2

    def test_predictions_sum_to_one_and_average_to_the_shares(self):
        frame = cohort()
        predicted = fit_proportional_odds(frame, "mrs", ["age", "male"]).predict()
        assert predicted.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(frame)))
        shares = frame["mrs"].value_counts(normalize=True).sort_index().to_numpy()
        assert predicted.mean().to_numpy() == pytest.approx(shares, abs=0.01)

    def test_c_index_counts_pairs(self):
        frame = cohort(60)
        fit = fit_proportional_odds(frame, "mrs", ["male"])
        eta, y = frame["male"].to_numpy(), frame["mrs"].to_numpy()
        worse = y[:, None] > y[None, :]
        won = (eta[:, None] > eta[None, :]) + 0.5 * (eta[:, None] == eta[None, :])
        expected = won[worse].mean()
        assert fit.c_index == pytest.approx(max(expected, 1 - expected))

    def test_extreme_effects_stay_exact(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=4000)
        frame = pd.DataFrame({"x": x, "y": np.digitize(8 * x + rng.logistic(size=4000), [-9, -3, 3, 9])})
        fit = fit_proportional_odds(frame, "y", ["x"])
        assert fit.coefficients["estimate"].item() == pytest.approx(8, abs=0.7)


class TestLevels:
    def test_levels_without_patients_stay_visible(self):
        frame = cohort()
        frame["mrs"] = pd.Categorical(frame["mrs"].replace({2: 3}), range(7), ordered=True)
        fit = fit_proportional_odds(frame, "mrs", ["age"])
        assert fit.levels["level"].tolist() == list(range(7))
        assert fit.levels["n"].tolist()[2] == 0
        assert fit.levels["n"].sum() == len(frame)
        assert list(fit.thresholds["term"]) == ["0|1", "1|3", "3|4"]
        predicted = fit.predict(frame.head(3))
        assert list(predicted.columns) == list(range(7))
        assert (predicted[[2, 5, 6]] == 0).all(axis=None)

    def test_text_and_unordered_categories_are_refused(self):
        frame = cohort().assign(grade=lambda t: t["mrs"].map(str))
        with pytest.raises(StatisticsError, match="grade have no order"):
            fit_proportional_odds(frame, "grade", ["age"])
        frame["grade"] = pd.Categorical(frame["grade"])
        with pytest.raises(StatisticsError, match="no order"):
            fit_proportional_odds(frame, "grade", ["age"])

    def test_one_level_and_a_measurement_are_refused(self):
        with pytest.raises(StatisticsError, match="mrs has one level"):
            fit_proportional_odds(cohort().assign(mrs=2), "mrs", ["age"])
        with pytest.raises(StatisticsError, match="age has 200 distinct"):
            fit_proportional_odds(cohort(), "age", ["male"])


class TestSeparation:
    def separated(self) -> pd.DataFrame:
        return cohort(120).assign(rare=lambda t: ((t["mrs"] == 4) & (t["male"] == 1)).astype(int))

    def test_is_refused_with_the_variable(self):
        with pytest.raises(StatisticsError, match="rare separates") as caught:
            fit_proportional_odds(self.separated(), "mrs", ["age", "rare"])
        assert caught.value.where == "rare"

    def test_perfect_prediction_by_a_number(self):
        frame = cohort(50).assign(score=lambda t: t["mrs"] * 2.0)
        with pytest.raises(StatisticsError, match="score separates"):
            fit_proportional_odds(frame, "mrs", ["score"])

    def test_a_penalised_fit_is_finite_and_says_so(self):
        fit = fit_proportional_odds(self.separated(), "mrs", ["age", "rare"], penalty=1.0)
        assert fit.penalty == 1.0
        assert np.isfinite(fit.coefficients.drop(columns="term").to_numpy()).all()
        with pytest.raises(StatisticsError, match="penalised"):
            likelihood_ratio(fit, fit_proportional_odds(self.separated(), "mrs", ["age"]))

    def test_a_penalty_shrinks(self):
        plain = fit_proportional_odds(cohort(), "mrs", ["age"])
        sizes = [
            fit_proportional_odds(cohort(), "mrs", ["age"], penalty=p).coefficients["estimate"][0]
            for p in (1, 100)
        ]
        assert plain.coefficients["estimate"][0] > sizes[0] > sizes[1] > 0

    def test_separation_at_one_cut_point(self):
        frame = cohort(300).assign(rare=lambda t: ((t["mrs"] >= 3) & (t["male"] == 1)).astype(int))
        fit = fit_proportional_odds(frame, "mrs", ["age", "rare"])
        with pytest.raises(StatisticsError, match=r"rare separates .* cut-point 0\|1"):
            fit.brant()
        with pytest.raises(StatisticsError, match="rare"):
            fit.cutpoint_odds_ratios()
        assert len(fit.cutpoint_odds_ratios(penalty=1.0)) == 8

    def test_a_strong_but_finite_effect_is_not_called_separation(self):
        frame = self.separated()
        frame.loc[frame.index[frame["mrs"] == 0][0], "rare"] = 1
        assert fit_proportional_odds(frame, "mrs", ["age", "rare"]).coefficients["odds_ratio"].max() > 3


class TestBadInput:
    def test_missing_is_refused_or_counted(self):
        frame = cohort()
        frame.loc[[1, 2, 3], "age"] = np.nan
        with pytest.raises(StatisticsError, match="age is missing in 3"):
            fit_proportional_odds(frame, "mrs", ["age"])
        fit = fit_proportional_odds(frame, "mrs", ["age"], missing="drop")
        assert (fit.n, fit.n_dropped) == (197, 3)
        assert list(fit.predict().index) == list(frame.dropna().index)

    @pytest.mark.parametrize("weights", [0.5, -1])
    def test_weights_must_be_frequencies(self, weights):
        with pytest.raises(StatisticsError, match="frequencies"):
            fit_proportional_odds(cohort().assign(w=weights), "mrs", ["age"], "w")

    def test_clusters(self):
        with pytest.raises(StatisticsError, match="needs a cluster"):
            fit_proportional_odds(cohort(), "mrs", ["age"], covariance="cluster")
        with pytest.raises(StatisticsError, match="one cluster"):
            fit_proportional_odds(cohort().assign(one=1), "mrs", ["age"], None, "cluster", "one")
        with pytest.raises(StatisticsError, match="not known"):
            fit_proportional_odds(cohort(), "mrs", ["age"], covariance="HC3")
        with pytest.warns(UserWarning, match="2 clusters, fewer than 30"):
            fit_proportional_odds(cohort(), "mrs", ["age"], None, "CR0", "male")

    def test_different_patients_or_order_of_models(self):
        full = fit_proportional_odds(cohort(), "mrs", ["age", "male"])
        reduced = fit_proportional_odds(cohort(), "mrs", ["age"])
        with pytest.raises(StatisticsError, match="not nested"):
            likelihood_ratio(reduced, full)
        with pytest.raises(StatisticsError, match="not nested"):
            likelihood_ratio(full, fit_proportional_odds(cohort(), "mrs", ["site"]))
        with pytest.raises(StatisticsError, match="same patients"):
            likelihood_ratio(full, fit_proportional_odds(cohort(seed=2), "mrs", ["age"]))

    def test_an_odds_ratio_beyond_all_numbers_is_refused(self):
        with pytest.raises(StatisticsError, match="larger units"):
            fit_proportional_odds(cohort().assign(age=lambda t: t["age"] * 1e-6), "mrs", ["age"])

    def test_brant_needs_two_cut_points(self):
        frame = cohort().assign(mrs=lambda t: (t["mrs"] > 2).astype(int))
        with pytest.raises(StatisticsError, match="one cut-point"):
            fit_proportional_odds(frame, "mrs", ["age"]).brant()
