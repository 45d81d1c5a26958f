"""The public names of the statistics: modules, functions, arguments in their order with their defaults, and
the fields of the results. Users' scripts depend on them; a change here is a change of the interface."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis import agreement, correlation, linear, missing, ordinal, trend
from la_outcomes.errors import StatisticsError

NONE = inspect.Parameter.empty
SIGNATURES: dict[str, dict[str, list[tuple[str, object]]]] = {
    "agreement": {
        "lins_ccc": [("x", NONE), ("y", NONE)],
        "bland_altman": [("x", NONE), ("y", NONE), ("scale", "raw"), ("offset", 0)],
        "icc": [("frame", NONE), ("targets", NONE), ("raters", NONE), ("ratings", NONE)],
        "weighted_kappa": [("a", NONE), ("b", NONE), ("categories", NONE), ("weights", "linear")],
        "fleiss_kappa": [("ratings", NONE)],
        "krippendorff_alpha": [("ratings", NONE), ("level", "nominal")],
        "kendalls_w": [("ratings", NONE)],
    },
    "correlation": {
        "correlate": [("x", NONE), ("y", NONE), ("method", "pearson")],
        "compare_independent": [("r1", NONE), ("n1", NONE), ("r2", NONE), ("n2", NONE)],
        "compare_dependent": [("r_xy", NONE), ("r_xz", NONE), ("r_yz", NONE), ("n", NONE)],
        "compare_dependent_nonoverlapping": [
            (name, NONE) for name in ("r_xy", "r_vw", "r_xv", "r_xw", "r_yv", "r_yw", "n")
        ],
        "homogeneity": [("r", NONE), ("n", NONE)],
        "ccc_homogeneity": [("x", NONE), ("y", NONE), ("groups", NONE)],
    },
    "trend": {
        "jonckheere_terpstra": [
            ("values", NONE),
            ("groups", NONE),
            ("alternative", "two-sided"),
            ("exact", False),
        ],
        "kruskal_wallis": [("values", NONE), ("groups", NONE)],
    },
    "linear": {
        name: [
            ("frame", NONE),
            ("outcome", NONE),
            ("terms", NONE),
            ("covariance", "classical"),
            ("cluster", None),
        ]
        for name in ("fit_linear", "fit_logistic")
    }
    | {
        "fit_quantile": [("frame", NONE), ("outcome", NONE), ("terms", NONE), ("quantile", 0.5)],
        "mantel_haenszel": [("frame", NONE), ("outcome", NONE), ("exposure", NONE), ("strata", NONE)],
        "restricted_cubic_spline": [("x", NONE), ("knots", 4)],
        "nonlinearity_test": [("fit", NONE), ("variable", NONE)],
        "wild_cluster_bootstrap": [("fit", NONE), ("term", NONE)],
    },
    "ordinal": {
        "fit_proportional_odds": [
            ("frame", NONE),
            ("outcome", NONE),
            ("terms", NONE),
            ("weights", None),
            ("covariance", "classical"),
            ("cluster", None),
        ],
        "fit_partial_proportional_odds": [
            ("frame", NONE),
            ("outcome", NONE),
            ("terms", NONE),
            ("nonparallel", NONE),
        ],
        "likelihood_ratio": [("full", NONE), ("reduced", NONE)],
    },
    "missing": {
        "impute": [("frame", NONE), ("m", 20), ("seed", 0)],
        "pool": [("estimates", NONE), ("covariances", NONE), ("df_complete", np.inf)],
        "pool_wald": [("estimates", NONE), ("covariances", NONE), ("df_complete", np.inf)],
        "pool_d2": [("statistics", NONE), ("df", NONE)],
        "pool_likelihood_ratio": [("full", NONE), ("reduced", NONE)],
        "fit_imputed": [("fit", NONE), ("imputations", NONE), ("cluster", None)],
        "bootstrap_imputed": [("fitted", NONE), ("replicates", 1000)],
        "bootstrap_then_impute": [("fit", NONE), ("frame", NONE), ("replicates", 200), ("m", 2)],
    },
    "bootstrap": {"bootstrap": [("data", NONE), ("statistic", NONE)]},
    "multiplicity": {
        "adjust": [("p", NONE), ("method", "holm")],
        "adjust_families": [("frame", NONE), ("p", "p"), ("family", "family"), ("method", "holm")],
    },
    "disclosure": {
        "suppress_counts": [("counts", NONE), ("threshold", 7)],
        "suppress_table": [("counts", NONE), ("threshold", 7)],
        "round_counts": [("counts", NONE), ("base", 5)],
    },
}
CASES = [(module, name) for module, functions in SIGNATURES.items() for name in functions]


@pytest.mark.parametrize(("module", "name"), CASES)
def test_signature(module, name):
    function = getattr(import_module(f"la_outcomes.analysis.{module}"), name)
    parameters = list(inspect.signature(function).parameters.values())
    expected = SIGNATURES[module][name]
    assert [(p.name, p.default) for p in parameters[: len(expected)]] == expected
    assert all(p.default is not NONE for p in parameters[len(expected) :]), "a further argument is required"
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters[: len(expected)])


@pytest.mark.parametrize(("module", "name"), [case for case in CASES if case[0] != "disclosure"])
def test_docstring_says_source_page_and_what_it_equals_in_r(module, name):
    text = inspect.getdoc(getattr(import_module(f"la_outcomes.analysis.{module}"), name)) or ""
    assert "Raises" in text
    assert re.search(r"\bR\s+`", text), "which R function gives the same?"
    if name not in ("adjust_families",):
        assert re.search(r"\b(19|20)\d\d\b", text), "no source"
        assert re.search(r"\d+:\d+|p\. \d+|section \d", text), "no page"


N = 60
RNG = np.random.default_rng(0)
X, Y = RNG.normal(10, 2, N), RNG.normal(10, 2, N)
RATINGS = np.random.default_rng(1).integers(0, 3, (N, 3))


def cohort() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"volume": rng.normal(size=N), "age": rng.normal(size=N), "site": np.arange(N) % 40})
    return frame.assign(
        y=frame["volume"] + rng.normal(size=N), dead=np.arange(N) % 2, mrs=rng.permutation(np.arange(N) % 4)
    )


TERMS = ["volume", "age"]


def imputed() -> missing.ImputedFit:
    frame = cohort()[["y", "volume", "age"]]
    frame.loc[:9, "volume"] = np.nan
    return missing.fit_imputed(lambda d: linear.fit_linear(d, "y", TERMS), missing.impute(frame, 3, 1))


RESULTS: dict[str, tuple[object, str]] = {
    "lins_ccc": (
        lambda: agreement.lins_ccc(X, Y),
        "ccc ci_low ci_high asymptotic_ci scale_shift location_shift bias_correction pearson_r n",
    ),
    "bland_altman": (
        lambda: agreement.bland_altman(X, Y),
        "bias sd loa_low loa_high loa_low_exact_ci loa_high_exact_ci loa_low_approximate_ci "
        "loa_high_approximate_ci proportional_slope proportional_p",
    ),
    "weighted_kappa": (
        lambda: agreement.weighted_kappa(RATINGS[:, 0], RATINGS[:, 1], [0, 1, 2]),
        "kappa se se_null ci_low ci_high observed",
    ),
    "fleiss_kappa": (lambda: agreement.fleiss_kappa(RATINGS), "kappa se_null z p n"),
    "krippendorff_alpha": (lambda: agreement.krippendorff_alpha(RATINGS.T), "alpha n"),
    "kendalls_w": (lambda: agreement.kendalls_w(RATINGS), "w chi2 df p n"),
    "correlate": (lambda: correlation.correlate(X, Y), "estimate ci_low ci_high ci_method p n"),
    "compare_independent": (lambda: correlation.compare_independent(0.5, 30, 0.4, 40), "z p zou_ci"),
    "compare_dependent": (
        lambda: correlation.compare_dependent(0.5, 0.4, 0.3, 50),
        "williams steiger zou_ci",
    ),
    "nonoverlapping": (
        lambda: correlation.compare_dependent_nonoverlapping(0.5, 0.4, 0.3, 0.2, 0.3, 0.2, 50),
        "steiger zou_ci",
    ),
    "homogeneity": (lambda: correlation.homogeneity([0.5, 0.4], [30, 40]), "q df p i2 pooled"),
    "ccc_homogeneity": (
        lambda: correlation.ccc_homogeneity(X, Y, np.arange(N) % 2, n_boot=99),
        "q df p pooled groups",
    ),
    "jonckheere_terpstra": (lambda: trend.jonckheere_terpstra(X, RATINGS[:, 0]), "statistic z p"),
    "kruskal_wallis": (lambda: trend.kruskal_wallis(X, RATINGS[:, 0]), "statistic df p post_hoc"),
    "fit_linear": (
        lambda: linear.fit_linear(cohort(), "y", TERMS),
        "coefficients standardised r2 n cov",
    ),
    "fit_logistic": (lambda: linear.fit_logistic(cohort(), "dead", TERMS), "coefficients cov loglik aic n"),
    "fit_quantile": (lambda: linear.fit_quantile(cohort(), "y", TERMS), "coefficients cov n"),
    "restricted_cubic_spline": (lambda: linear.restricted_cubic_spline(X, 4), "basis knots"),
    "nonlinearity_test": (
        lambda: linear.nonlinearity_test(
            linear.fit_linear(cohort(), "y", [linear.SplineTerm("volume")]), "volume"
        ),
        "statistic df p",
    ),
    "fit_proportional_odds": (
        lambda: ordinal.fit_proportional_odds(cohort(), "mrs", TERMS),
        "coefficients thresholds cov loglik aic c_index n predict brant cutpoint_odds_ratios "
        "profile_intervals levels",
    ),
    "fit_partial_proportional_odds": (
        lambda: ordinal.fit_partial_proportional_odds(cohort(), "mrs", TERMS, nonparallel=["volume"]),
        "coefficients thresholds cov loglik aic n",
    ),
    "likelihood_ratio": (
        lambda: ordinal.likelihood_ratio(
            ordinal.fit_proportional_odds(cohort(), "mrs", TERMS),
            ordinal.fit_proportional_odds(cohort(), "mrs", TERMS[:1]),
        ),
        "chi2 df p",
    ),
    "impute": (
        lambda: missing.impute(cohort().assign(age=lambda d: d["age"].where(d.index > 5)), 2, 1),
        "frames plot_convergence trace",
    ),
    "pool": (lambda: missing.pool([[1.0], [2.0]], [[[1.0]], [[1.0]]], 20), "coefficients cov m"),
    "pool_wald": (lambda: missing.pool_wald([[1.0], [2.0]], [[[1.0]], [[1.0]]], 20), "f df1 df2 p riv"),
    "pool_d2": (lambda: missing.pool_d2([1.0, 2.0], 1), "f df1 df2 p riv"),
    "fit_imputed": (imputed, "coefficients cov m n fits"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_result(name):
    work, wanted = RESULTS[name]
    result = work()
    assert [field for field in wanted.split() if not hasattr(result, field)] == []
    assert is_dataclass(result)
    assert type(result).__dataclass_params__.frozen
    assert fields(result)
    table = result.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert len(table) > 0
    if hasattr(result, "coefficients"):
        assert table.columns[0] == "term"


def test_icc_is_a_table():
    tidy = pd.DataFrame(RATINGS).reset_index().melt("index")
    table = agreement.icc(tidy, "index", "variable", "value")
    assert list(table["type"]) == ["ICC1", "ICC2", "ICC3", "ICC1k", "ICC2k", "ICC3k"]
    assert {"icc", "ci_low", "ci_high"} <= set(table)
    assert type(table.to_frame()) is pd.DataFrame


COLUMNS = {
    "linear": "term estimate se t p ci_low ci_high",
    "logistic": "term estimate se z p odds_ratio ci_low ci_high",
    "quantile": "term estimate se t p ci_low ci_high",
    "ordinal": "term estimate se z p odds_ratio ci_low ci_high",
    "pooled": "term estimate se df ci_low ci_high p fmi riv",
}


@pytest.mark.parametrize("model", COLUMNS)
def test_columns_of_coefficients(model):
    fits = {
        "linear": lambda: linear.fit_linear(cohort(), "y", TERMS),
        "logistic": lambda: linear.fit_logistic(cohort(), "dead", TERMS),
        "quantile": lambda: linear.fit_quantile(cohort(), "y", TERMS),
        "ordinal": lambda: ordinal.fit_proportional_odds(cohort(), "mrs", TERMS),
        "pooled": imputed,
    }
    assert set(COLUMNS[model].split()) <= set(fits[model]().to_frame().columns)


def test_tables_of_the_ordinal_fit():
    fit = ordinal.fit_proportional_odds(cohort(), "mrs", TERMS)
    assert list(fit.brant().columns) == ["term", "chi2", "df", "p"]
    assert list(fit.brant()["term"]) == ["omnibus", *TERMS]
    assert {"cutpoint", "term", "odds_ratio", "ci_low", "ci_high"} <= set(fit.cutpoint_odds_ratios())
    assert list(fit.thresholds.columns) == ["term", "estimate", "se"]
    assert fit.cov.shape == (2, 2)


@pytest.mark.parametrize("covariance", ["classical", "HC0", "HC1", "HC2", "HC3", "cluster", "CR2"])
def test_covariances(covariance):
    clustered = covariance in ("cluster", "CR2")
    for fit, outcome in ((linear.fit_linear, "y"), (linear.fit_logistic, "dead")):
        result = fit(cohort(), outcome, TERMS, covariance, "site" if clustered else None)
        assert result.covariance == covariance


PAIRED = {
    "lins_ccc": lambda *pair, **more: agreement.lins_ccc(*pair, **more).ccc,
    "bland_altman": lambda *pair, **more: agreement.bland_altman(*pair, **more).bias,
    "correlate": lambda *pair, **more: correlation.correlate(*pair, **more).estimate,
    "repeatability": lambda *pair, **more: agreement.repeatability(*pair, **more).within_sd,
}
GROUPED = {
    "jonckheere_terpstra": lambda *pair, **more: trend.jonckheere_terpstra(*pair, **more).z,
    "kruskal_wallis": lambda *pair, **more: trend.kruskal_wallis(*pair, **more).statistic,
    "weighted_kappa": lambda a, b, **more: agreement.weighted_kappa(a, b, [0, 1, 2], **more).kappa,
    "ccc_homogeneity": lambda a, b, **more: (
        correlation.ccc_homogeneity(a, "y" if more else Y, b, n_boot=99, **more).q
    ),
}


@pytest.mark.parametrize("name", [*PAIRED, *GROUPED])
def test_arrays_lists_series_and_columns_of_a_frame(name):
    first, second = (X, Y) if name in PAIRED else (X, RATINGS[:, 0])
    first = RATINGS[:, 1] if name == "weighted_kappa" else first
    work = (PAIRED | GROUPED)[name]
    frame = pd.DataFrame({"a": first, "b": second, "y": Y}, index=np.arange(N)[::-1])
    values = [
        work(first, second),
        work(first.tolist(), second.tolist()),
        work(pd.Series(first), frame["b"]),
        work("a", "b", frame=frame),
    ]
    assert values == pytest.approx([values[0]] * 4, rel=1e-12)


TYPES = {
    "nullable": lambda d: d.convert_dtypes(),
    "arrow": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "small": lambda d: d.astype({"mrs": "int8", "dead": bool, "sex": "category"}),
}


@pytest.mark.filterwarnings("ignore::la_outcomes.analysis.quantile.NonuniqueSolutionWarning")
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "work",
    [
        lambda d: linear.fit_linear(d, "y", ["volume", "sex"], "CR1", "site"),
        lambda d: linear.fit_logistic(d, "dead", ["volume", "sex"]),
        lambda d: linear.fit_quantile(d, "y", ["volume", "sex"]),
        lambda d: linear.mantel_haenszel(d, "dead", "high", "sex"),
        lambda d: ordinal.fit_proportional_odds(d, "mrs", ["volume", "sex"]),
        lambda d: ordinal.fit_partial_proportional_odds(d, "mrs", ["volume", "age"], ["age"]),
        lambda d: correlation.correlate("volume", "age", "kendall", frame=d),
        lambda d: agreement.weighted_kappa("mrs", "mrs2", range(4), frame=d),
        lambda d: trend.jonckheere_terpstra("y", "mrs", frame=d),
        lambda d: trend.kruskal_wallis("y", "sex", frame=d),
        lambda d: missing.fit_imputed(
            lambda e: linear.fit_linear(e, "y", ["volume", "sex"]),
            missing.impute(d.assign(volume=d["volume"].where(d.index > 5)), 2, 1, exclude=["site"]),
        ),
    ],
)
def test_types_of_columns_do_not_matter(work, kind):
    frame = cohort().assign(
        sex=lambda d: np.where(d.index % 3 == 0, "F", "M"),
        high=lambda d: (d["age"] > 0).astype(int),
        mrs2=lambda d: d["mrs"].to_numpy()[::-1],
    )
    plain, other = work(frame).to_frame(), work(TYPES[kind](frame)).to_frame()
    pd.testing.assert_frame_equal(plain, other, check_dtype=False, rtol=1e-9)


def test_infinite_values_of_a_nullable_column_are_refused():
    frame = cohort().astype({"y": "Float64"})
    frame.loc[3, "y"] = np.inf
    with pytest.raises(StatisticsError, match="y holds infinite"):
        linear.fit_linear(frame, "y", TERMS)
