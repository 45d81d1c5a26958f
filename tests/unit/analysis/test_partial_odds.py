"""Partial proportional odds: published fit, laws, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from published_tables import coal_miners, housing

from la_outcomes.analysis.ordinal import (
    fit_partial_proportional_odds,
    fit_proportional_odds,
    likelihood_ratio,
)
from la_outcomes.errors import StatisticsError


def cohort(n: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"age": rng.normal(70, 10, n), "male": rng.integers(0, 2, n), "site": rng.integers(0, 40, n)}
    )
    latent = 0.05 * frame["age"] + 0.4 * frame["male"] + rng.logistic(size=n)
    frame["mrs"] = np.digitize(latent, np.quantile(latent, [0.25, 0.5, 0.75]))
    return frame


def test_coal_miners_equals_vglm():
    # VGAM: vglm(cbind(normal, mild, severe) ~ let, cumulative(reverse = TRUE, parallel = FALSE), pneumo).
    miners = coal_miners().assign(log_years=lambda t: np.log(t["years"]))
    fit = fit_partial_proportional_odds(miners, "grade", ["log_years"], ["log_years"], "n")
    assert fit.coefficients["estimate"].to_list() == pytest.approx([2.571300, 2.743550], abs=1e-5)
    assert fit.thresholds["estimate"].to_list() == pytest.approx([9.593308, 11.104791], abs=5e-5)
    assert fit.coefficients["cutpoint"].to_list() == ["normal|mild", "mild|severe"]


def test_all_terms_free_and_two_columns_is_near_separate_regressions():
    frame = cohort(4000)
    fit = fit_partial_proportional_odds(frame, "mrs", ["age", "male"], ["age", "male"])
    apart = fit_proportional_odds(frame, "mrs", ["age", "male"]).cutpoint_odds_ratios()
    assert fit.coefficients["estimate"].to_numpy() == pytest.approx(apart["estimate"].to_numpy(), abs=0.05)


def test_scores_sum_to_zero_and_every_patient_a_cluster_is_HC0():
    frame = cohort()
    fit = fit_partial_proportional_odds(frame, "mrs", ["age", "male"], ["male"])
    assert fit.model.fit.scores.sum(axis=0) == pytest.approx(np.zeros(7), abs=1e-6)
    white = fit.with_covariance("HC0")
    alone = fit.with_covariance("CR0", frame, np.arange(len(frame)))
    assert white.cov == pytest.approx(alone.cov)
    assert np.sqrt(np.diag(white.cov)) == pytest.approx(np.sqrt(np.diag(fit.cov)), rel=0.2)


def test_frequency_weights_are_repeated_rows():
    table = housing()
    people = table.loc[table.index.repeat(table["n"])]
    arguments = ("satisfaction", ["influence", "type", "contact"], ["type"])
    one, two = (
        fit_partial_proportional_odds(table, *arguments, "n"),
        fit_partial_proportional_odds(people, *arguments),
    )
    pd.testing.assert_frame_equal(one.coefficients, two.coefficients, rtol=1e-8)
    assert one.aic == pytest.approx(two.aic)


def test_shift_and_scale():
    frame = cohort()
    one = fit_partial_proportional_odds(frame, "mrs", ["age", "male"], ["age"]).coefficients
    moved = frame.assign(age=(frame["age"] - 3000) * 7)
    two = fit_partial_proportional_odds(moved, "mrs", ["age", "male"], ["age"]).coefficients
    assert two["z"].to_numpy() == pytest.approx(one["z"].to_numpy(), rel=1e-5)


def test_departure_from_proportionality_is_found():
    rng = np.random.default_rng(0)
    male = rng.integers(0, 2, 3000)
    below = 1 / (1 + np.exp(-np.subtract.outer([-1.0, 0.5], np.zeros(3000)) + np.outer([1.2, 0.0], male)))
    frame = pd.DataFrame({"male": male, "mrs": (rng.random(3000) > below).sum(axis=0)})
    partial = fit_partial_proportional_odds(frame, "mrs", ["male"], ["male"])
    assert partial.coefficients["estimate"].to_list() == pytest.approx([1.2, 0.0], abs=0.2)
    assert partial.proportionality()["p"].item() < 1e-6
    assert likelihood_ratio(partial, fit_proportional_odds(frame, "mrs", ["male"])).p < 1e-6


def test_predictions_sum_to_one_with_empty_levels():
    frame = cohort().assign(mrs=lambda t: pd.Categorical(t["mrs"], range(6), ordered=True))
    predicted = fit_partial_proportional_odds(frame, "mrs", ["age", "male"], ["male"]).predict()
    assert list(predicted.columns) == list(range(6))
    assert predicted.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(frame)))


def test_predictions_beyond_the_crossing_are_refused():
    frame = cohort()
    fit = fit_partial_proportional_odds(frame, "mrs", ["age"], ["age"])
    slopes = fit.coefficients["estimate"].to_numpy()
    far = -1e6 if slopes[1] > slopes[0] else 1e6
    with pytest.raises(StatisticsError, match="cut-points cross"):
        fit.predict(pd.DataFrame({"age": [far, -far]}))


def test_refusals():
    frame = cohort()
    with pytest.raises(StatisticsError, match="height is not a term"):
        fit_partial_proportional_odds(frame, "mrs", ["age"], ["height"])
    with pytest.raises(StatisticsError, match="3 levels"):
        fit_partial_proportional_odds(frame.assign(mrs=frame["mrs"] > 1), "mrs", ["age"], ["age"])
    rare = frame.assign(rare=((frame["mrs"] >= 2) & (frame["male"] == 1)).astype(int))
    with pytest.raises(StatisticsError, match=r"rare separates .* cut-point 0\|1"):
        fit_partial_proportional_odds(rare, "mrs", ["age", "rare"], ["rare"])
