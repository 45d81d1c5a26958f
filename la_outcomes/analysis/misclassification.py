"""A binary exposure that is classified with error: reparameterised imputation with external pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from la_outcomes.analysis.exposure_imputation import pool_nested
from la_outcomes.analysis.logistic import fit_logistic
from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    complete,
    complete_rows,
    require_level,
    variable_name,
)
from la_outcomes.analysis.terms import Term, term_variables
from la_outcomes.errors import StatisticsError

_MOST_FAILURES = 0.25


@dataclass(frozen=True)
class ReparameterisedImputation(Result):
    """Coefficients with the true binary exposure imputed (see `reparameterised_imputation`).

    Attributes
    ----------
    coefficients : method (``naive``, ``reparameterised imputation``), term, estimate, se, ci_low, ci_high.
    sensitivity, specificity : of the measured class in the pairs.
    n, n_pairs, n_dropped, m, nested, seed : rows used and left out; imputations.
    assumptions : what must hold and these data cannot show. Print them with the estimate.
    """

    coefficients: pd.DataFrame
    sensitivity: float
    specificity: float
    n: int
    n_pairs: int
    n_dropped: int
    m: int
    nested: int
    seed: int
    assumptions: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the coefficients with the assumptions."""
        return self.coefficients.assign(n_pairs=self.n_pairs, assumptions="; ".join(self.assumptions))


def reparameterised_imputation(
    cohort: pd.DataFrame,
    pairs: pd.DataFrame,
    exposure: str,
    truth: str,
    predictors: list[Term],
    fit: Callable[[pd.DataFrame], Any],
    *,
    m: int = 20,
    nested: int = 3,
    seed: int = 0,
    level: float = 0.95,
    missing: Missing = "raise",
) -> ReparameterisedImputation:
    """Impute a true class from its measured one, of which external pairs show sensitivity and specificity.

    Edwards, Cole and Fox 2020 (Am J Epidemiol 189:850): the imputation model P(X = 1 | W, V) is written in
    terms of what can be learned where: sensitivity Se and specificity Sp in the pairs, P(W = 1 | V) in the
    cohort, where V holds outcome and covariates. With p = (P(W = 1 | V) + Sp - 1)/(Se + Sp - 1),

        P(X = 1 | W = 1, V) = Se p / (Se p + (1 - Sp)(1 - p)),
        P(X = 1 | W = 0, V) = (1 - Se) p / ((1 - Se) p + Sp (1 - p)).

    Prevalence may differ between pairs and cohort. Se and Sp are drawn from their posteriors (Jeffreys'
    prior), the cohort's regression from its normal approximation; nested imputations are pooled as in
    `la_outcomes.analysis.exposure_imputation.impute_true_exposure`.

    Parameters
    ----------
    exposure, truth : 0/1 columns, measured (cohort and pairs) and true (pairs), such as "over 10 mL".
    predictors : terms of P(W = 1 | V): the outcome and every covariate of ``fit``, in flexible form.
    fit : from a frame whose ``exposure`` column holds the class to a fit with ``coefficients`` (term,
        estimate, se).

    Raises
    ------
    StatisticsError
        Classes other than 0 and 1, pairs without one of the true classes, Se + Sp not above 1, or a measured
        prevalence not between 1 - Sp and Se: then these pairs cannot describe this cohort.
    """
    require_level(level)
    if m < 2 or nested < 2:
        raise StatisticsError("at least 2 draws and 2 imputations of each are needed", where="m")
    rows, dropped = complete_rows(cohort, [exposure, *term_variables(predictors)], missing)
    data = cohort.loc[rows.index].reset_index(drop=True)
    table = _classes(pairs, exposure, truth, missing)
    sensitivity, specificity = table[1, 1] / table[1].sum(), table[0, 0] / table[0].sum()
    _require_informative(sensitivity, specificity, float(data[exposure].mean()), exposure)
    naive = fit(data).coefficients
    estimates, variances = _imputed(
        data, exposure, predictors, fit, table, m, nested, np.random.default_rng(seed)
    )
    mean, errors, df = pool_nested(estimates, variances)
    margin = stats.t.ppf(0.5 + level / 2, df) * errors
    z = stats.norm.ppf(0.5 + level / 2)
    first, se = naive["estimate"].to_numpy(), naive["se"].to_numpy()
    terms = list(naive["term"])
    coefficients = pd.concat(
        [
            _rows("naive", terms, first, se, z * se),
            _rows("reparameterised imputation", terms, mean, errors, margin),
        ],
        ignore_index=True,
    )
    return ReparameterisedImputation(
        coefficients,
        sensitivity,
        specificity,
        len(data),
        int(table.sum()),
        dropped,
        m,
        nested,
        seed,
        _assumptions(exposure, truth),
    )


def _assumptions(exposure: str, truth: str) -> tuple[str, ...]:
    return (
        f"transportability: sensitivity and specificity of {exposure} for {truth} are the pairs'; the "
        "prevalence need not be",
        f"non-differential error: given {truth}, {exposure} tells nothing more about outcome and covariates",
        f"P({exposure} = 1) given outcome and covariates is logistic in the predictors",
    )


def _rows(
    method: str, terms: list[Any], mean: FloatArray, errors: FloatArray, margin: FloatArray
) -> pd.DataFrame:
    columns = {"estimate": mean, "se": errors, "ci_low": mean - margin, "ci_high": mean + margin}
    return pd.DataFrame({"method": method, "term": terms} | columns)


def _classes(pairs: pd.DataFrame, exposure: str, truth: str, missing: Missing) -> FloatArray:
    """Counts by true (rows) and measured (columns) class."""
    for column in (exposure, truth):
        if column not in pairs:
            raise StatisticsError(f"the pairs have no column {column!r}", where=column)
    names = variable_name(pairs[truth], "truth"), variable_name(pairs[exposure], "exposure")
    (true, measured), _ = complete({names[0]: pairs[truth], names[1]: pairs[exposure]}, missing)
    for values, name in ((true, truth), (measured, exposure)):
        if not set(np.unique(values)) <= {0.0, 1.0}:
            raise StatisticsError(f"{name} holds values other than 0 and 1", where=name)
    table = np.array([[np.sum((true == t) & (measured == w)) for w in (0, 1)] for t in (0, 1)], dtype=float)
    if (table.sum(axis=1) == 0).any():
        raise StatisticsError(f"the pairs show one class of {truth} only", where=truth, hint="add pairs")
    return table


def _require_informative(sensitivity: float, specificity: float, prevalence: float, name: str) -> None:
    if sensitivity + specificity <= 1:
        raise StatisticsError(
            f"{name} is no better than chance in the pairs", where=name, hint="check its coding"
        )
    if not 1 - specificity < prevalence < sensitivity:
        raise StatisticsError(
            f"{100 * prevalence:.1f} % of the cohort have {name}; with these pairs it must lie between "
            f"{100 * (1 - specificity):.1f} and {100 * sensitivity:.1f} %",
            where=name,
            hint="sensitivity and specificity do not carry over to this cohort",
        )


def _imputed(
    data: pd.DataFrame,
    exposure: str,
    predictors: list[Term],
    fit: Callable[[pd.DataFrame], Any],
    table: FloatArray,
    m: int,
    nested: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Estimates and variances (m, nested, p) of the imputed data sets."""
    model = fit_logistic(data, exposure, predictors)
    z = np.column_stack([np.ones(len(data)), model.design.matrix])
    root = np.linalg.cholesky(model.cov)
    draws: list[list[FloatArray]] = []
    failed = 0
    while len(draws) < m:
        sensitivity, specificity = (
            rng.beta(table[1, 1] + 0.5, table[1, 0] + 0.5),
            rng.beta(table[0, 0] + 0.5, table[0, 1] + 0.5),
        )
        try:
            if sensitivity + specificity <= 1:
                raise StatisticsError("a draw no better than chance", where=exposure)
            chances = (
                _true_chance(
                    z @ (model.parameters + root @ rng.standard_normal(len(root))), sensitivity, specificity
                )
                for _ in range(nested)
            )
            draws.append([_fit_imputed(data, exposure, each, fit, rng) for each in chances])
        except StatisticsError as error:
            failed += 1
            if failed > _MOST_FAILURES * m:
                raise StatisticsError(
                    f"{failed} draws have no estimate", where=exposure, hint=str(error)
                ) from error
    values = np.array(draws)
    return values[:, :, 0], values[:, :, 1]


def _true_chance(eta: FloatArray, sensitivity: float, specificity: float) -> FloatArray:
    """P(X = 1 | W, V) for W = 0 and 1 (n by 2)."""
    positive = 1 / (1 + np.exp(-eta))
    share = np.clip((positive + specificity - 1) / (sensitivity + specificity - 1), 1e-9, 1 - 1e-9)
    if_one = sensitivity * share / (sensitivity * share + (1 - specificity) * (1 - share))
    if_zero = (1 - sensitivity) * share / ((1 - sensitivity) * share + specificity * (1 - share))
    return np.column_stack([if_zero, if_one])


def _fit_imputed(
    data: pd.DataFrame,
    exposure: str,
    chances: FloatArray,
    fit: Callable[[pd.DataFrame], Any],
    rng: np.random.Generator,
) -> FloatArray:
    """Estimates and variances (2 by p) of one imputation."""
    chance = chances[np.arange(len(data)), data[exposure].to_numpy(dtype=int)]
    drawn = (rng.random(len(data)) < chance).astype(int)
    table = fit(data.assign(**{exposure: drawn})).coefficients
    return np.array([table["estimate"].to_numpy(), table["se"].to_numpy() ** 2])
