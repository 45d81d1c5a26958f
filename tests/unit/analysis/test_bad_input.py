"""Every fault that data bring, in every function that can meet it: an error with the variable and a hint,
never a NaN in a table and never another exception."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes import analysis
from la_outcomes.analysis.agreement import (
    bland_altman,
    fleiss_kappa,
    icc,
    kendalls_w,
    krippendorff_alpha,
    lins_ccc,
    repeatability,
    weighted_kappa,
)
from la_outcomes.analysis.bootstrap import bootstrap
from la_outcomes.analysis.correlation import ccc_homogeneity, correlate, homogeneity
from la_outcomes.analysis.disclosure import round_counts, suppress_counts, suppress_table
from la_outcomes.analysis.linear import (
    SplineTerm,
    fit_linear,
    fit_logistic,
    fit_quantile,
    mantel_haenszel,
    restricted_cubic_spline,
)
from la_outcomes.analysis.missing import fit_imputed, impute, pool, pool_d2, pool_wald
from la_outcomes.analysis.multiplicity import adjust, adjust_families
from la_outcomes.analysis.ordinal import fit_partial_proportional_odds, fit_proportional_odds
from la_outcomes.analysis.transforms import log_volume, per_sd, quintiles
from la_outcomes.analysis.trend import jonckheere_terpstra, kruskal_wallis, mann_whitney
from la_outcomes.errors import StatisticsError

N = 40
RNG = np.random.default_rng(0)


def cohort(**changes: object) -> pd.DataFrame:
    """Forty patients without a fault, but for the columns changed."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "volume": rng.gamma(2, 5, N),
            "age": rng.normal(68, 12, N),
            "mrs": np.arange(N) % 5,
            "dead": np.tile([0, 1, 0, 0, 1], 8),
            "site": np.repeat(np.arange(8), 5),
            "sex": np.tile(["F", "M", "M", "F"], 10),
        }
    )
    return frame.assign(**changes)


MODELS: dict[str, Callable[..., object]] = {
    "fit_linear": lambda d, terms=("volume", "age"), **more: (
        fit_linear(d, "age2", list(terms), **more)
        if "age2" in d
        else fit_linear(d.assign(age2=d["mrs"] + 0.0), "age2", list(terms), **more)
    ),
    "fit_logistic": lambda d, terms=("volume", "age"), **more: fit_logistic(d, "dead", list(terms), **more),
    "fit_quantile": lambda d, terms=("volume", "age"), **more: fit_quantile(d, "mrs", list(terms), **more),
    "fit_proportional_odds": lambda d, terms=("volume", "age"), **more: fit_proportional_odds(
        d, "mrs", list(terms), **more
    ),
    "fit_partial_proportional_odds": lambda d, terms=("volume", "age"), **more: fit_partial_proportional_odds(
        d, "mrs", list(terms), [terms[0]], **more
    ),
}
PAIRS: dict[str, Callable[..., object]] = {
    "lins_ccc": lins_ccc,
    "bland_altman": bland_altman,
    "correlate pearson": correlate,
    "correlate spearman": lambda x, y: correlate(x, y, "spearman"),
    "correlate kendall": lambda x, y: correlate(x, y, "kendall"),
    "repeatability": repeatability,
    "ccc_homogeneity": lambda x, y: ccc_homogeneity(x, y, np.arange(len(y)) % 2, n_boot=50),
}
GROUPED: dict[str, Callable[..., object]] = {
    "jonckheere_terpstra": jonckheere_terpstra,
    "kruskal_wallis": kruskal_wallis,
}
ONE: dict[str, Callable[..., object]] = {
    "log_volume": log_volume,
    "per_sd": per_sd,
    "quintiles": quintiles,
    "restricted_cubic_spline": restricted_cubic_spline,
}


def refused(work: Callable[[], object], variable: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        work()
    error = caught.value
    assert error.hint, f"no hint: {error}"
    assert error.where, f"no place: {error}"
    assert variable in f"{error.what} {error.where}", error


def good(name: str) -> pd.Series:
    return pd.Series(np.random.default_rng(3).normal(10, 2, N), name=name)


@pytest.mark.parametrize("model", MODELS)
class TestModels:
    def test_constant_column(self, model):
        refused(lambda: MODELS[model](cohort(volume=3.0)), "volume")

    def test_perfect_collinearity(self, model):
        frame = cohort()
        refused(lambda: MODELS[model](frame.assign(age=2 * frame["volume"] + 1)), "volume")

    def test_one_level(self, model):
        refused(lambda: MODELS[model](cohort(sex="F"), ("sex", "age")), "sex")

    def test_fewer_rows_than_terms(self, model):
        frame = cohort().head(5).assign(dead=[0, 1, 0, 1, 0])
        extra = pd.DataFrame(RNG.normal(size=(5, 6)), columns=[f"x{j}" for j in range(6)])
        refused(lambda: MODELS[model](frame.join(extra), tuple(extra)), "x0")

    @pytest.mark.parametrize("column", ["volume", "age"])
    def test_infinite_values(self, model, column):
        frame = cohort()
        frame.loc[3, column] = np.inf
        refused(lambda: MODELS[model](frame), column)

    def test_all_missing_column(self, model):
        refused(lambda: MODELS[model](cohort(volume=np.nan)), "volume")
        refused(lambda: MODELS[model](cohort(volume=np.nan), missing="drop"), "volume")

    def test_missing_values(self, model):
        frame = cohort()
        frame.loc[2, "volume"] = np.nan
        refused(lambda: MODELS[model](frame), "volume")

    def test_absent_column(self, model):
        refused(lambda: MODELS[model](cohort().drop(columns="volume")), "volume")

    def test_no_rows(self, model):
        refused(lambda: MODELS[model](cohort().head(0)), "")

    def test_one_cluster(self, model):
        if model == "fit_quantile":
            pytest.skip("quantile regression takes no clusters")
        refused(lambda: MODELS[model](cohort(site=1), covariance="cluster", cluster="site"), "cluster")


@pytest.mark.parametrize(
    ("model", "outcome"),
    [
        (fit_linear, "age"),
        (fit_logistic, "dead"),
        (fit_quantile, "age"),
        (fit_proportional_odds, "mrs"),
        (lambda d, y, t: fit_partial_proportional_odds(d, y, t, t), "mrs"),
    ],
)
class TestOutcomes:
    def test_constant(self, model, outcome):
        refused(lambda: model(cohort(**{outcome: 1}), outcome, ["volume"]), outcome)

    def test_infinite(self, model, outcome):
        frame = cohort().astype({outcome: float})
        frame.loc[0, outcome] = np.inf
        refused(lambda: model(frame, outcome, ["volume"]), outcome)

    def test_all_missing(self, model, outcome):
        refused(lambda: model(cohort(**{outcome: np.nan}), outcome, ["volume"]), outcome)

    def test_text(self, model, outcome):
        words = np.array(["mild", "severe", "none"])[np.arange(N) % 3]
        refused(lambda: model(cohort(**{outcome: words}), outcome, ["volume"]), outcome)

    def test_unordered_categories(self, model, outcome):
        words = pd.Categorical(np.array(["mild", "severe", "none"])[np.arange(N) % 3])
        refused(lambda: model(cohort(**{outcome: words}), outcome, ["volume"]), outcome)


@pytest.mark.parametrize("pair", PAIRS)
class TestPairs:
    def test_zero_variance(self, pair):
        if pair in ("bland_altman", "repeatability"):
            refused(lambda: PAIRS[pair](good("ct"), good("ct") * 1.0), "")
        else:
            refused(
                lambda: PAIRS[pair](good("ct"), pd.Series(np.ones(N), name="mri")),
                "mri" if pair != "ccc_homogeneity" else "(y)",
            )

    def test_infinite(self, pair):
        refused(
            lambda: PAIRS[pair](good("ct"), good("mri").replace({good("mri")[2]: np.inf})),
            "mri",
        )

    def test_all_missing(self, pair):
        refused(
            lambda: PAIRS[pair](good("ct"), pd.Series(np.nan, index=range(N), name="mri")),
            "mri",
        )

    def test_too_few(self, pair):
        refused(lambda: PAIRS[pair]([1.0], [2.0]), "")

    def test_different_lengths(self, pair):
        refused(lambda: PAIRS[pair](good("ct"), good("mri").head(9)), "")

    def test_text(self, pair):
        refused(
            lambda: PAIRS[pair](good("ct"), pd.Series(["a"] * N, name="mri")),
            "mri",
        )

    def test_nothing(self, pair):
        refused(lambda: PAIRS[pair]([], []), "")


@pytest.mark.parametrize("test", GROUPED)
class TestGroups:
    def test_constant(self, test):
        refused(lambda: GROUPED[test](pd.Series(np.ones(N), name="volume"), np.arange(N) % 3), "volume")

    def test_one_level(self, test):
        refused(lambda: GROUPED[test](good("volume"), np.ones(N)), "groups")

    def test_infinite(self, test):
        refused(
            lambda: GROUPED[test](good("volume").replace({good("volume")[0]: np.inf}), np.arange(N) % 3),
            "volume",
        )

    def test_all_missing(self, test):
        refused(
            lambda: GROUPED[test](pd.Series(np.nan, index=range(N), name="volume"), np.arange(N) % 3),
            "volume",
        )

    def test_different_lengths(self, test):
        refused(lambda: GROUPED[test](good("volume"), [1, 2]), "groups")

    def test_nothing(self, test):
        refused(lambda: GROUPED[test]([], []), "")


def test_unordered_categories_as_ordered_groups():
    refused(lambda: jonckheere_terpstra(good("volume"), pd.Categorical(["a", "b"] * 20)), "groups")


@pytest.mark.parametrize("work", ONE)
class TestOneColumn:
    def test_infinite(self, work):
        refused(lambda: ONE[work](good("volume").replace({good("volume")[0]: np.inf})), "volume")

    def test_constant(self, work):
        if work == "log_volume":
            pytest.skip("the logarithm of a constant is defined")
        refused(lambda: ONE[work](pd.Series(np.ones(N), name="volume")), "volume")

    def test_all_missing(self, work):
        refused(lambda: ONE[work](pd.Series(np.nan, index=range(N), name="volume")), "volume")

    def test_text(self, work):
        refused(lambda: ONE[work](pd.Series(["a"] * N, name="volume")), "volume")


NEGATIVE = pd.Series([-1.0, *np.arange(1.0, N)], name="volume")


@pytest.mark.parametrize(
    "work",
    [
        lambda: log_volume(NEGATIVE),
        lambda: bland_altman(NEGATIVE, good("other"), "log"),
        lambda: bland_altman(good("other"), NEGATIVE, "log", offset=0.5),
    ],
)
def test_negative_volume_to_a_logarithm(work):
    refused(work, "volume")


RATINGS = np.random.default_rng(5).integers(0, 3, (N, 3))
HOLES = RATINGS.astype(float)
HOLES[:, 1] = np.nan
TIDY = pd.DataFrame(RATINGS, columns=["a", "b", "c"]).reset_index().melt("index", var_name="reader")


@pytest.mark.parametrize(
    ("work", "variable"),
    [
        (lambda: fleiss_kappa(np.ones((N, 3))), "ratings"),
        (lambda: fleiss_kappa(HOLES), ""),
        (lambda: fleiss_kappa(RATINGS[:, :1]), "raters"),
        (lambda: fleiss_kappa(RATINGS[:1]), "patients"),
        (lambda: kendalls_w(np.column_stack([RATINGS[:, 0], np.ones(N)])), "1"),
        (lambda: kendalls_w(HOLES), "1"),
        (lambda: kendalls_w(RATINGS[:, :1]), "raters"),
        (lambda: krippendorff_alpha(np.ones((3, N))), "ratings"),
        (lambda: krippendorff_alpha(np.full((3, N), np.nan)), "ratings"),
        (lambda: krippendorff_alpha([["a", "b"], ["a", "c"]], "interval"), "ratings"),
        (lambda: weighted_kappa(np.ones(N), RATINGS[:, 0], [0, 1, 2]), "a"),
        (lambda: weighted_kappa(RATINGS[:, 0], RATINGS[:, 1], [0, 1]), "a"),
        (lambda: weighted_kappa(RATINGS[:, 0], RATINGS[:, 1], [0]), "categories"),
        (lambda: weighted_kappa(HOLES[:, 1], RATINGS[:, 1], [0, 1, 2]), "a"),
        (lambda: weighted_kappa(RATINGS[:, 0], RATINGS[:, 1], [0, 1, 2], np.ones((2, 2))), "weights"),
        (lambda: weighted_kappa(RATINGS[:, 0], RATINGS[:9, 1], [0, 1, 2]), "a"),
        (lambda: icc(TIDY.assign(value=1), "index", "reader", "value"), "value"),
        (lambda: icc(TIDY.assign(value=np.nan), "index", "reader", "value"), ""),
        (lambda: icc(TIDY.assign(value=np.inf), "index", "reader", "value"), "value"),
        (lambda: icc(TIDY.assign(reader="a"), "index", "reader", "value"), "value"),
        (lambda: icc(TIDY[TIDY["reader"] == "a"], "index", "reader", "value"), "reader"),
        (lambda: icc(TIDY[TIDY["index"] == 0], "index", "reader", "value"), "index"),
        (lambda: icc(TIDY, "index", "reader", "score"), "score"),
        (lambda: mann_whitney(np.ones(5), np.ones(7)), "x"),
        (lambda: mann_whitney([], [1.0, 2.0]), "x"),
        (lambda: mann_whitney([np.inf, 1.0], [1.0, 2.0]), "x"),
        (lambda: homogeneity([0.5], [20]), "groups"),
        (lambda: homogeneity([0.5, 1.0], [20, 30]), "r"),
        (lambda: homogeneity([0.5, np.nan], [20, 30]), "r"),
        (lambda: homogeneity([0.5, 0.4], [20, 3]), "n"),
        (lambda: adjust([0.1, np.nan]), "p"),
        (lambda: adjust([]), "p"),
        (lambda: adjust([0.1, 1.2]), "p"),
        (lambda: adjust([0.1], "tukey"), "method"),
        (lambda: adjust_families(pd.DataFrame({"p": [0.1]})), "family"),
        (lambda: suppress_counts([1, -2]), "counts"),
        (lambda: suppress_counts([1, np.nan]), "counts"),
        (lambda: round_counts([1.5]), "counts"),
        (lambda: round_counts([np.inf]), "counts"),
        (lambda: suppress_table(pd.DataFrame()), "counts"),
        (lambda: bootstrap(np.ones(1), np.mean), "data"),
        (lambda: bootstrap(np.arange(9.0), lambda v: np.nan), "statistic"),
        (lambda: bootstrap(np.arange(9.0), np.mean, cluster=np.ones(9)), "cluster"),
        (lambda: pool([1.0], [0.1]), "estimates"),
        (lambda: pool([1.0, np.nan], [0.1, 0.1]), "estimates"),
        (lambda: pool([1.0, 2.0], [0.1, 0.0]), "covariances"),
        (lambda: pool_wald([[1.0, 2.0]], [np.eye(2)]), "estimates"),
        (lambda: pool_wald([[1.0, 2.0]] * 3, [np.ones((2, 2))] * 3), "covariances"),
        (lambda: pool_d2([1.0], 1), "statistics"),
        (lambda: pool_d2([1.0, -1.0], 1), "statistics"),
        (lambda: impute(cohort(volume=np.nan)), "volume"),
        (lambda: impute(cohort(volume=np.where(np.arange(N) < 5, np.nan, 3.0))), "volume"),
        (lambda: impute(cohort(volume=np.where(np.arange(N) < 5, np.nan, np.inf))), "volume"),
        (lambda: impute(cohort().assign(sex=pd.Categorical(["a", "b", "c", None] * 10))), "sex"),
        (lambda: impute(cohort().where(cohort()["site"] > 0).head(9)), ""),
        (lambda: impute(cohort(), m=1), "m"),
        (lambda: fit_imputed(lambda d: fit_linear(d, "age", ["volume"]), [cohort()]), "imputations"),
        (lambda: mantel_haenszel(cohort(exposed=1), "dead", "exposed", "site"), "exposed"),
        (lambda: mantel_haenszel(cohort(exposed=2), "dead", "exposed", "site"), "exposed"),
        (lambda: mantel_haenszel(cohort(exposed=np.nan), "dead", "exposed", "site"), "exposed"),
        (lambda: fit_linear(cohort(), "age", [SplineTerm("dead", 4)]), "dead"),
        (lambda: fit_quantile(cohort(), "age", ["volume"], quantile=1.0), "quantile"),
        (lambda: fit_quantile(cohort(), "age", ["volume"], quantile=0.999), "quantile"),
        (lambda: lins_ccc(good("x"), good("y"), level=1.0), "level"),
        (lambda: correlate(good("x"), good("y"), "biweight"), "method"),
        (lambda: bland_altman(good("x"), good("y"), "square"), "scale"),
        (lambda: fit_linear(cohort(), "age", ["volume"], "HC9"), "covariance"),
        (lambda: fit_linear(cohort(), "age", ["volume"], "cluster"), "cluster"),
        (lambda: fit_proportional_odds(cohort(), "mrs", ["volume"], weights=np.full(N, 0.5)), "weights"),
        (lambda: fit_proportional_odds(cohort(), "mrs", ["volume"], penalty=-1.0), "penalty"),
    ],
)
def test_every_other_fault(work, variable):
    refused(work, variable)


MODULES = """
agreement batch_newton bootstrap brant codings correlation correlation_comparison covariance cr2
cumulative_model disclosure group_ranks homogeneity imputation_draws impute imputed_bootstrap
imputed_fit intraclass kappa least_squares likelihood_ratio limits_of_agreement logistic
mantel_haenszel model_frame multiplicity ordered_outcome ordinal partial_odds pooled_tests pooling
profile quantile reliability results separation splines terms transforms trend wald wild_bootstrap
working_regression
"""


@pytest.mark.parametrize("module", MODULES.split())
def test_every_refusal_has_a_place_and_a_hint(module):
    """Refusals that no test here reaches are written with both too."""
    path = Path(analysis.__path__[0]) / f"{module}.py"
    bare = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "StatisticsError"
        if not {"where", "hint"} <= {keyword.arg for keyword in node.keywords}
    ]
    assert bare == []
