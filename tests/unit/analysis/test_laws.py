"""What must hold for every regression whatever the data: the order of rows and terms, units, names of
categories and clusters do not matter, and a frequency is a repeated row."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from la_outcomes.analysis.covariance import FewClustersWarning
from la_outcomes.analysis.linear import (
    QuantileFit,
    SplineTerm,
    fit_linear,
    fit_logistic,
    fit_quantile,
    mantel_haenszel,
    nonlinearity_test,
    restricted_cubic_spline,
)
from la_outcomes.analysis.missing import fit_imputed, pool, pool_d2, pool_wald
from la_outcomes.analysis.ordinal import fit_partial_proportional_odds, fit_proportional_odds

TERMS = ["volume", "age", "vendor"]
few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10**6)


def cohort(seed: int, n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "volume": rng.normal(size=n),
            "age": rng.normal(size=n),
            "vendor": np.array(["a", "b", "c"])[np.arange(n) % 3],
            "site": np.arange(n) % 10,
            "times": rng.integers(1, 4, n),
        }
    )
    score = 0.4 * frame["volume"] + 0.3 * frame["age"]
    return frame.assign(
        y=score + rng.normal(size=n),
        dead=(score + rng.logistic(size=n) > 0).astype(int),
        mrs=np.digitize(score + rng.logistic(size=n), [-1.2, 0, 1.2]),
    )


def partial(frame: pd.DataFrame, outcome: str, terms: list, *args: object, **more: object) -> object:
    return fit_partial_proportional_odds(frame, outcome, terms, ["age"], *args, **more)


def lower_third(frame: pd.DataFrame, outcome: str, terms: list) -> QuantileFit:
    """A quantile whose solution is unique: at the median of an even number of rows often several are best."""
    return fit_quantile(frame, outcome, terms, 0.3217)


MODELS: dict[str, tuple[Callable, str]] = {
    "linear": (fit_linear, "y"),
    "logistic": (fit_logistic, "dead"),
    "ordinal": (fit_proportional_odds, "mrs"),
    "partial": (partial, "mrs"),
    "quantile": (lower_third, "y"),
}
WEIGHTED = [name for name in MODELS if name != "quantile"]


def fitted(model: str, frame: pd.DataFrame, terms: list = TERMS, **more: object) -> pd.DataFrame:
    fit, outcome = MODELS[model]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)
        table = fit(frame, outcome, terms, **more).to_frame()
    keys = ["term", "cutpoint"] if "cutpoint" in table else ["term"]
    return table.set_index(keys)[["estimate", "se"]].sort_index()


def same(one: pd.DataFrame, other: pd.DataFrame, rel: float = 1e-6) -> None:
    assert list(one.index) == list(other.index)
    assert one.to_numpy() == pytest.approx(other.to_numpy(), rel=rel, abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
class TestRegressions:
    @few
    @given(seed=seeds)
    def test_order_of_rows_and_terms(self, model, seed):
        frame = cohort(seed)
        mixed = frame.sample(frac=1, random_state=seed % 1000)
        same(fitted(model, frame), fitted(model, mixed, TERMS[::-1]))

    @few
    @given(seed=seeds, shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100))
    def test_unit_of_a_term(self, model, seed, shift, scale):
        frame = cohort(seed)
        one, other = fitted(model, frame), fitted(model, frame.assign(volume=scale * frame["volume"] + shift))
        # an intercept or threshold moves with the shift, the other coefficients do not
        ours = [term for term in one.index if term[0] != "(Intercept)" and term != "(Intercept)"]
        factor = np.array([[scale if "volume" in (term, term[0]) else 1.0] for term in ours])
        assert other.loc[ours].to_numpy() * factor == pytest.approx(
            one.loc[ours].to_numpy(), rel=1e-5, abs=1e-8
        )

    @few
    @given(seed=seeds)
    def test_names_of_categories(self, model, seed):
        frame = cohort(seed)
        renamed = frame.assign(vendor=frame["vendor"].map({"a": "x1", "b": "x2", "c": "x3"}))
        assert fitted(model, renamed).to_numpy() == pytest.approx(
            fitted(model, frame).to_numpy(), rel=1e-6, abs=1e-9
        )


@pytest.mark.parametrize("model", WEIGHTED)
class TestWeightsAndClusters:
    @few
    @given(seed=seeds, covariance=st.sampled_from(["classical", "HC0", "cluster", "CR0", "CR1"]))
    def test_a_frequency_is_a_repeated_row(self, model, seed, covariance):
        frame = cohort(seed)
        more = {"cluster": "site"} if covariance.startswith(("cluster", "CR")) else {}
        rows = frame.loc[frame.index.repeat(frame["times"])]
        same(
            fitted(model, frame, weights="times", covariance=covariance, **more),
            fitted(model, rows, covariance=covariance, **more),
        )

    @few
    @given(seed=seeds)
    def test_names_and_order_of_clusters(self, model, seed):
        frame = cohort(seed)
        labels = np.random.default_rng(seed).permutation([f"centre {i}" for i in range(10)])
        renamed = frame.assign(site=labels[frame["site"]])
        same(
            fitted(model, frame, covariance="cluster", cluster="site"),
            fitted(model, renamed, covariance="cluster", cluster="site"),
        )


@few
@given(seed=seeds, shift=st.floats(-100, 100), scale=st.floats(0.1, 10))
def test_unit_of_the_outcome(seed, shift, scale):
    """Means and quantiles follow the outcome's unit; a negative unit mirrors a quantile."""
    frame = cohort(seed)
    for fit in (fit_linear, lower_third):
        one = fit(frame, "y", TERMS).coefficients["estimate"].to_numpy()
        other = fit(frame.assign(y=scale * frame["y"] + shift), "y", TERMS).coefficients["estimate"]
        assert (other.to_numpy() - shift * (other.index == 0)) / scale == pytest.approx(
            one, rel=1e-6, abs=1e-7
        )
    low = fit_quantile(frame, "y", ["volume"], 0.3217).coefficients["estimate"].to_numpy()
    high = (
        fit_quantile(frame.assign(y=-frame["y"]), "y", ["volume"], 0.6783).coefficients["estimate"].to_numpy()
    )
    assert high == pytest.approx(-low, rel=1e-6, abs=1e-7)


@few
@given(seed=seeds)
def test_reversed_levels_turn_the_sign(seed):
    frame = cohort(seed)
    one = fit_proportional_odds(frame, "mrs", TERMS)
    other = fit_proportional_odds(frame.assign(mrs=3 - frame["mrs"]), "mrs", TERMS)
    assert other.coefficients["estimate"].to_numpy() == pytest.approx(
        -one.coefficients["estimate"].to_numpy(), rel=1e-6, abs=1e-9
    )
    assert other.loglik == pytest.approx(one.loglik, rel=1e-10)
    assert other.brant()["chi2"].to_numpy() == pytest.approx(one.brant()["chi2"].to_numpy(), rel=1e-6)
    assert other.c_index == pytest.approx(one.c_index, rel=1e-9)


@few
@given(seed=seeds)
def test_swapped_exposure_inverts_mantel_haenszel(seed):
    frame = cohort(seed).assign(exposed=lambda d: (d["volume"] > 0).astype(int))
    one = mantel_haenszel(frame, "dead", "exposed", "vendor")
    other = mantel_haenszel(frame.assign(exposed=1 - frame["exposed"]), "dead", "exposed", "vendor")
    transposed = mantel_haenszel(frame, "exposed", "dead", "vendor")
    assert other.odds_ratio == pytest.approx(1 / one.odds_ratio, rel=1e-9)
    assert (other.ci_low, other.ci_high) == pytest.approx((1 / one.ci_high, 1 / one.ci_low), rel=1e-9)
    assert (transposed.odds_ratio, transposed.p) == pytest.approx((one.odds_ratio, one.p), rel=1e-9)


@few
@given(seed=seeds, shift=st.floats(-50, 50), scale=st.floats(0.1, 20))
def test_a_spline_does_not_depend_on_the_unit(seed, shift, scale):
    frame = cohort(seed, 150)
    moved = frame.assign(volume=scale * frame["volume"] + shift)
    tests = [
        nonlinearity_test(fit_linear(rows, "y", [SplineTerm("volume", 4), "age"]), "volume")
        for rows in (frame, moved)
    ]
    assert tests[1].p == pytest.approx(tests[0].p, rel=1e-5)
    one, other = (restricted_cubic_spline(rows["volume"], 5) for rows in (frame, moved))
    assert other.basis[:, 1:] / scale == pytest.approx(one.basis[:, 1:], rel=1e-6, abs=1e-6)


@few
@given(seed=seeds, m=st.integers(2, 8))
def test_pooling_identical_imputations_changes_nothing(seed, m):
    frame = cohort(seed)
    fit = fit_proportional_odds(frame, "mrs", TERMS)
    pooled = fit_imputed(lambda d: fit_proportional_odds(d, "mrs", TERMS), [frame] * m).coefficients
    for name in ("estimate", "se"):
        assert pooled[name].to_numpy() == pytest.approx(fit.coefficients[name].to_numpy(), rel=1e-10)
    assert pooled["riv"].to_numpy() == pytest.approx(np.zeros(4), abs=1e-12)
    test = pool_wald([fit.slopes] * m, [fit.cov] * m)
    chi2 = fit.slopes @ np.linalg.solve(fit.cov, fit.slopes)
    assert test.f * test.df1 == pytest.approx(chi2, rel=1e-9)
    assert pool_d2([chi2] * m, 4).f * 4 == pytest.approx(chi2, rel=1e-9)


@few
@given(seed=seeds)
def test_pooling_does_not_depend_on_the_order_of_imputations(seed):
    rng = np.random.default_rng(seed)
    q, u = rng.normal(size=(6, 2)), np.array([np.diag(rng.uniform(0.5, 1, 2)) for _ in range(6)])
    order = rng.permutation(6)
    one, other = pool(q, u, 30).coefficients, pool(q[order], u[order], 30).coefficients
    assert one.drop(columns="term").to_numpy() == pytest.approx(
        other.drop(columns="term").to_numpy(), rel=1e-9
    )
