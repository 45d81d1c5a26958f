"""Partial proportional odds: some terms may have another odds ratio at every cut-point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from la_outcomes.analysis.covariance import check_covariance, count_clusters, sandwich
from la_outcomes.analysis.model_frame import ColumnOrArray, ModelRows, coefficient_table, model_rows
from la_outcomes.analysis.ordered_outcome import OrderedOutcome, ordered_outcome
from la_outcomes.analysis.partial_newton import PartialFit, fit_partial
from la_outcomes.analysis.results import FloatArray, Missing, Result
from la_outcomes.analysis.separation import refuse_separation
from la_outcomes.analysis.terms import Design, Term
from la_outcomes.errors import StatisticsError

_COVARIANCES = ("classical", "HC0", "cluster", "CR0", "CR1")


@dataclass(frozen=True)
class PartialModel:
    """Rows, design, which columns have one coefficient and which one a cut-point, and the fit."""

    rows: ModelRows
    design: Design
    levels: OrderedOutcome
    parallel: tuple[int, ...]
    free: tuple[int, ...]
    fit: PartialFit

    @property
    def cutpoints(self) -> list[str]:
        """Names of the cut-points, ``"0|1"``."""
        return [f"{low}|{high}" for low, high in pairwise(self.levels.labels)]


@dataclass(frozen=True)
class PartialProportionalOddsFit(Result):
    """A partial proportional odds model.

    Attributes
    ----------
    coefficients : term, cutpoint (``all``, or ``"0|1"``), estimate, se, z, p, odds_ratio, ci_low, ci_high.
    thresholds : term (``"0|1"``), estimate, se.
    cov : covariance of the coefficients in the order of the table.
    others : as `ProportionalOddsFit`.
    """

    coefficients: pd.DataFrame
    thresholds: pd.DataFrame
    cov: FloatArray
    loglik: float
    aic: float
    n: int
    n_dropped: int
    levels: pd.DataFrame
    covariance: str
    n_clusters: int | None
    model: PartialModel = field(repr=False)

    @property
    def design(self) -> Design:
        """The encoded terms."""
        return self.model.design

    @property
    def parameters(self) -> FloatArray:
        """Thresholds, then coefficients in the order of the table."""
        return self.model.fit.parameters

    @property
    def outcome_values(self) -> FloatArray:
        """Level and frequency of each row, by which models on the same patients are recognised."""
        return np.column_stack([self.model.levels.codes, self.model.rows.weights])

    @property
    def df_complete(self) -> float:
        """Degrees of freedom for pooling over imputations: n - parameters, or clusters - 1."""
        return float(self.n_clusters - 1 if self.n_clusters else self.n - len(self.parameters))

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()

    def predict(self, frame: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return P(Y = level): rows of ``frame`` (default: the rows fitted) by declared levels.

        Raises
        ------
        StatisticsError
            Cut-points cross for a row: the model gives it a negative probability.
        """
        model = self.model
        matrix = model.design.matrix if frame is None else model.design.encode(frame)
        index = model.rows.frame.index if frame is None else frame.index
        k, p = len(model.cutpoints), len(model.parallel)
        gamma = self.parameters[k + p :].reshape(k, -1)
        shared = matrix[:, model.parallel] @ self.parameters[k : k + p]
        edges = self.parameters[:k] - shared[:, None] - matrix[:, model.free] @ gamma.T
        if (np.diff(edges, axis=1) < 0).any():
            raise StatisticsError(
                "cut-points cross for a row: a probability would be negative",
                where=", ".join(model.design.columns[j] for j in model.free),
                hint="predict within the range of the data, or use the proportional odds model",
            )
        probabilities = np.diff(expit(edges), axis=1, prepend=0.0, append=1.0)
        table = pd.DataFrame(probabilities, index=index, columns=list(model.levels.labels))
        return table.reindex(columns=list(self.levels["level"]), fill_value=0.0)

    def proportionality(self) -> pd.DataFrame:
        """Return term, chi2, df, p: Wald test, for each column that may differ, that it does not."""
        rows = []
        table = self.coefficients
        for term in dict.fromkeys(table.loc[table["cutpoint"] != "all", "term"]):
            places = np.flatnonzero((table["term"] == term) & (table["cutpoint"] != "all"))
            contrast = np.column_stack([np.ones(len(places) - 1), -np.eye(len(places) - 1)])
            difference = contrast @ table["estimate"].to_numpy()[places]
            cov = contrast @ self.cov[np.ix_(places, places)] @ contrast.T
            chi2 = float(difference @ np.linalg.solve(cov, difference))
            rows.append((term, chi2, len(difference), float(stats.chi2.sf(chi2, len(difference)))))
        return pd.DataFrame(rows, columns=["term", "chi2", "df", "p"])

    def with_covariance(
        self, covariance: str, frame: pd.DataFrame | None = None, cluster: ColumnOrArray | None = None
    ) -> PartialProportionalOddsFit:
        """Return the same fit with another covariance; ``frame`` is the one that was fitted."""
        return _result(replace(self.model, rows=self.model.rows.regrouped(frame, cluster)), covariance)


def fit_partial_proportional_odds(
    frame: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    nonparallel: Sequence[str],
    weights: ColumnOrArray | None = None,
    covariance: str = "classical",
    cluster: ColumnOrArray | None = None,
    missing: Missing = "raise",
) -> PartialProportionalOddsFit:
    """Fit logit P(Y <= k) = theta_k - x beta - z gamma_k (Peterson and Harrell 1990, Appl Stat 39:205).

    Equals R ``VGAM::vglm(cumulative(parallel = FALSE ~ z))`` and ``ordinal::clm(nominal = ~ z)``, whose
    coefficients have the opposite sign where they model P(Y <= k).

    Parameters
    ----------
    nonparallel : terms (each also in ``terms``) whose odds ratio may differ between cut-points.
    others : as `fit_proportional_odds`.

    How to read it: each odds ratio of a nonparallel term is that of being above its cut-point. Compare with
    the common odds ratio by `likelihood_ratio(partial, proportional)`.

    Raises
    ------
    StatisticsError
        As `fit_proportional_odds`; two levels; a nonparallel term that is not in ``terms``; separation at a
        cut-point; a fit whose cut-points would cross.
    """
    rows = model_rows(frame, outcome, terms, weights=weights, cluster=cluster, missing=missing)
    levels = ordered_outcome(rows.frame[outcome], rows.weights)
    if len(levels.labels) < 3 or not nonparallel:
        raise StatisticsError(
            "partial proportional odds need 3 levels and a nonparallel term",
            where=outcome,
            hint="fit_logistic?",
        )
    design = rows.design(terms, intercepts=len(levels.labels) - 1)
    free = tuple(sorted({j for term in nonparallel for j in design.columns_of(term)}))
    parallel = tuple(j for j in range(len(design.columns)) if j not in free)
    fit = fit_partial(design.matrix[:, parallel], design.matrix[:, free], levels.codes, rows.weights)
    model = PartialModel(rows, design, levels, parallel, free, fit)
    if not fit.converged:
        _refuse(model)
    return _result(model, covariance)


def _refuse(model: PartialModel) -> None:
    """Name the variable that separates at a cut-point, or say that cut-points cross."""
    hint = "make it parallel, or pool levels"
    for cut, name in enumerate(model.cutpoints):
        above = (model.levels.codes > cut).astype(np.int64)
        try:
            refuse_separation(
                model.design.matrix,
                above,
                model.design.columns,
                outcome=f"{model.rows.outcome} at the cut-point {name}",
                hint=hint,
            )
        except StatisticsError as error:
            if "separate" in error.what:
                raise
    free = ", ".join(model.design.columns[j] for j in model.free)
    raise StatisticsError(
        f"the fit of {model.rows.outcome} did not converge: cut-points cross", where=free, hint=hint
    )


def _result(model: PartialModel, covariance: str) -> PartialProportionalOddsFit:
    rows, fit, k = model.rows, model.fit, len(model.cutpoints)
    check_covariance(covariance, _COVARIANCES, rows.clusters)
    full = fit.covariance
    if covariance != "classical":
        full = sandwich(full, fit.scores, rows.weights, rows.clusters, covariance)
    errors = np.sqrt(np.diag(full))
    columns = model.design.columns
    names = [columns[j] for j in model.parallel] + [columns[j] for _ in range(k) for j in model.free]
    cutpoints = ["all"] * len(model.parallel) + [c for c in model.cutpoints for _ in model.free]
    table = coefficient_table(names, fit.parameters[k:], errors[k:], odds=True)
    table.insert(1, "cutpoint", cutpoints)
    return PartialProportionalOddsFit(
        coefficients=table,
        thresholds=pd.DataFrame({"term": model.cutpoints, "estimate": fit.parameters[:k], "se": errors[:k]}),
        cov=full[k:, k:],
        loglik=fit.loglik,
        aic=2 * len(fit.parameters) - 2 * fit.loglik,
        n=rows.n,
        n_dropped=rows.n_dropped,
        levels=model.levels.table,
        covariance=covariance,
        n_clusters=count_clusters(rows.clusters) if rows.clusters else None,
        model=model,
    )
