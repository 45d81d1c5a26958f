"""Who was imaged and measurable: inverse-probability weights, diagnostics, and the weighted estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from la_outcomes.analysis.logistic import fit_logistic
from la_outcomes.analysis.model_frame import coefficient_table
from la_outcomes.analysis.ordered_outcome import ordered_outcome
from la_outcomes.analysis.ordinal_newton import fit_cumulative, score_rows
from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    complete_rows,
    require_choice,
    require_spread,
)
from la_outcomes.analysis.terms import Term, build_design, term_variables
from la_outcomes.errors import StatisticsError

_LEAST_CHANCE = 1e-6


@dataclass(frozen=True)
class SelectionWeights(Result):
    """Weights of the selected patients (see `selection_weights`).

    Attributes
    ----------
    weights : one a patient of the frame, indexed as it is; NaN where not selected or incomplete.
    model : term, estimate, se, p, odds_ratio, ci_low, ci_high, of being selected.
    balance : term, all (mean), selected, weighted, smd_before, smd_after: distance of the selected from all
        patients in SDs of all. Above 0.1 after weighting: the model of selection misses something.
    n, n_selected, effective_n : patients, those selected, and Kish's (sum w)^2 / sum w^2.
    mean_weight, largest_weight, smallest_chance : near 1 when stabilised; a large weight or a small chance
        means that few patients speak for many.
    n_truncated, n_dropped : weights cut; rows left out because a term was missing.
    """

    weights: pd.Series
    model: pd.DataFrame
    balance: pd.DataFrame
    n: int
    n_selected: int
    effective_n: float
    mean_weight: float
    largest_weight: float
    smallest_chance: float
    n_truncated: int
    n_dropped: int
    stabilised: bool

    def to_frame(self) -> pd.DataFrame:
        """Return the balance table."""
        return self.balance.copy()


def selection_weights(
    frame: pd.DataFrame,
    selected: str,
    terms: Sequence[Term],
    *,
    numerator_terms: Sequence[Term] | None = (),
    truncate: float | None = None,
    missing: Missing = "raise",
) -> SelectionWeights:
    """Weights that make the selected patients look like all of them.

    w = P(selected | numerator terms) / P(selected | terms), both logistic (Robins, Hernan and Brumback 2000,
    Epidemiology 11:550; Seaman and White 2013, Stat Methods Med Res 22:278).

    Parameters
    ----------
    frame : all patients, selected or not. selected : 0/1 column (has a measurable CT).
    terms : what selection may depend on, and the outcome's covariates among them.
    numerator_terms : empty: stabilised by the marginal share; terms of the outcome's model: stabilised within
        them; None: unstabilised, 1 / P.
    truncate : share of the largest weights cut to their quantile, such as 0.01: less variance, some bias.

    How to read it: valid if, given the terms, being selected has nothing to do with what is studied, and
    everybody had some chance. Show the weighted estimate beside the plain one (`compare_weighted`).

    Raises
    ------
    StatisticsError
        Everybody or nobody selected, terms that separate the selected, a chance of practically 0.
    """
    rows, dropped = complete_rows(frame, [selected, *term_variables(terms)], missing)
    fit = fit_logistic(rows, selected, terms)
    chance = fit.predict().to_numpy()
    chosen = rows[selected].to_numpy(dtype=float) == 1
    if chance[chosen].min() < _LEAST_CHANCE:
        raise StatisticsError(
            "a selected patient had practically no chance of being so", where=selected, hint="use fewer terms"
        )
    numerator = np.ones(len(rows))
    if numerator_terms is not None:
        numerator = np.full(len(rows), chosen.mean())
        if len(numerator_terms):
            numerator = fit_logistic(rows, selected, numerator_terms).predict().to_numpy()
    weights, cut = _truncated((numerator / chance)[chosen], truncate)
    series = pd.Series(np.nan, index=frame.index, name="weight")
    series.loc[rows.index[chosen]] = weights
    return SelectionWeights(
        weights=series,
        model=fit.coefficients,
        balance=_balance(fit.design.matrix, fit.design.columns, chosen, weights),
        n=len(rows),
        n_selected=int(chosen.sum()),
        effective_n=float(weights.sum() ** 2 / (weights @ weights)),
        mean_weight=float(weights.mean()),
        largest_weight=float(weights.max()),
        smallest_chance=float(chance.min()),
        n_truncated=cut,
        n_dropped=dropped,
        stabilised=numerator_terms is not None,
    )


def _truncated(weights: FloatArray, share: float | None) -> tuple[FloatArray, int]:
    if share is None:
        return weights, 0
    if not 0 < share < 0.5:
        raise StatisticsError(f"truncate={share}", where="truncate", hint="a share such as 0.01")
    low, high = np.quantile(weights, [share, 1 - share])
    return np.clip(weights, low, high), int(((weights < low) | (weights > high)).sum())


def _balance(
    matrix: FloatArray, columns: tuple[str, ...], chosen: np.ndarray, weights: FloatArray
) -> pd.DataFrame:
    everyone, sd = matrix.mean(axis=0), matrix.std(axis=0, ddof=1)
    plain = matrix[chosen].mean(axis=0)
    weighted = weights @ matrix[chosen] / weights.sum()
    return pd.DataFrame(
        {
            "term": columns,
            "all": everyone,
            "selected": plain,
            "weighted": weighted,
            "smd_before": (plain - everyone) / sd,
            "smd_after": (weighted - everyone) / sd,
        }
    )


@dataclass(frozen=True)
class WeightedComparison(Result):
    """Plain and weighted estimates of one model (see `compare_weighted`).

    ``coefficients`` : estimate_of (``plain``, ``weighted``), term, estimate, se (robust for both), z, p,
    [odds_ratio,] ci_low, ci_high.
    """

    coefficients: pd.DataFrame
    weights: SelectionWeights
    kind: str
    n: int
    n_dropped: int

    def to_frame(self) -> pd.DataFrame:
        """Return the coefficients."""
        return self.coefficients.copy()


def compare_weighted(
    frame: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    weights: SelectionWeights,
    kind: Literal["linear", "binary", "ordinal"] = "linear",
    *,
    missing: Missing = "raise",
) -> WeightedComparison:
    """Fit a model to the selected patients without and with their weights.

    Standard errors are HC0 sandwiches that take the weights as known, which is a little too wide for weights
    from a fitted model (Robins, Rotnitzky and Zhao 1994, J Am Stat Assoc 89:846). The weighted fit equals R
    ``survey::svyglm`` and ``svyolr`` up to the factor n/(n - 1) of the variance.

    Raises
    ------
    StatisticsError
        What the models refuse; an index that is not unique.
    """
    require_choice(kind, ("linear", "binary", "ordinal"), "kind")
    if not frame.index.is_unique:
        raise StatisticsError(
            "the frame's index is not unique", where="frame", hint="frame.reset_index(drop=True)"
        )
    table = frame.assign(_weight=weights.weights.reindex(frame.index))
    table = table[table["_weight"].notna()]
    if table.empty:
        raise StatisticsError("no row of the frame has a weight", where="weights", hint="same index?")
    rows, dropped = complete_rows(table, [outcome, *term_variables(terms), "_weight"], missing)
    design = build_design(rows, terms)
    fits = []
    for name, w in (("plain", np.ones(len(rows))), ("weighted", rows["_weight"].to_numpy(dtype=float))):
        estimate, cov = _fit_weighted(rows[outcome], design.matrix, w, kind)
        part = coefficient_table(design.columns, estimate, np.sqrt(np.diag(cov)), odds=kind != "linear")
        part.insert(0, "estimate_of", name)
        fits.append(part)
    return WeightedComparison(pd.concat(fits, ignore_index=True), weights, kind, len(rows), dropped)


def _fit_weighted(
    values: pd.Series, x: FloatArray, weights: FloatArray, kind: str
) -> tuple[FloatArray, FloatArray]:
    """Slopes and their sandwich covariance."""
    name = str(values.name)
    if kind == "linear":
        y = values.to_numpy(dtype=float)
        require_spread(y, name)
        z = np.column_stack([np.ones(len(x)), x])
        bread = np.linalg.inv(z.T @ (z * weights[:, None]))
        estimate = bread @ (z.T @ (weights * y))
        scores, skip = z * (weights * (y - z @ estimate))[:, None], 1
    else:
        levels = ordered_outcome(values, np.ones(len(values)))
        if kind == "binary" and len(levels.labels) != 2:
            raise StatisticsError(
                f"{name} has {len(levels.labels)} levels", where=name, hint="kind='ordinal'?"
            )
        fit = fit_cumulative(x, levels.codes, weights)
        if fit.suspect:
            raise StatisticsError(f"the weighted fit of {name} has no finite estimate", where=name)
        estimate, bread, skip = fit.parameters, fit.covariance, fit.n_thresholds
        scores = score_rows(x, levels.codes, estimate, skip) * weights[:, None]
    cov = bread @ (scores.T @ scores) @ bread
    return estimate[skip:], cov[skip:, skip:]
