"""Proportional-odds regression of an ordered outcome such as the modified Rankin scale.

logit P(Y <= k) = theta_k - x beta, so exp(beta) is the common odds ratio and a value above 1 means a shift
to higher levels (a worse modified Rankin score).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.brant import brant_test, cutpoint_table
from la_outcomes.analysis.covariance import check_covariance, count_clusters
from la_outcomes.analysis.cumulative_model import CumulativeModel, c_index, fit_model
from la_outcomes.analysis.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from la_outcomes.analysis.model_frame import ColumnOrArray, coefficient_table, model_rows
from la_outcomes.analysis.ordered_outcome import OrderedOutcome, ordered_outcome
from la_outcomes.analysis.partial_odds import PartialProportionalOddsFit, fit_partial_proportional_odds
from la_outcomes.analysis.profile import profile_intervals
from la_outcomes.analysis.results import FloatArray, Missing, Result
from la_outcomes.analysis.terms import Design, Term

__all__ = [
    "LikelihoodRatio",
    "PartialProportionalOddsFit",
    "ProportionalOddsFit",
    "fit_partial_proportional_odds",
    "fit_proportional_odds",
    "likelihood_ratio",
]

OrdinalCovariance = Literal["classical", "HC0", "cluster", "CR0", "CR1"]
_COVARIANCES = ("classical", "HC0", "cluster", "CR0", "CR1")


@dataclass(frozen=True)
class ProportionalOddsFit(Result):
    """A proportional-odds model.

    Attributes
    ----------
    coefficients : term, estimate (log odds ratio), se, z, p, odds_ratio, ci_low, ci_high (Wald, of the odds
        ratio).
    thresholds : term (``"0|1"``), estimate, se.
    cov : p by p covariance of the coefficients alone, of the kind ``covariance``.
    loglik, aic : maximised log-likelihood without constants of the multinomial; -2 loglik + 2 parameters
        (effective parameters where penalised).
    n, n_dropped : patients used (sum of frequencies), rows left out because of missing values.
    levels : level and n of every declared level, also those that no patient has.
    covariance, n_clusters : kind of covariance; clusters of the clustering with fewest, None without.
    penalty : 0, or the ridge penalty: then estimates are shrunk towards no effect.
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
    penalty: float
    model: CumulativeModel = field(repr=False)

    @cached_property
    def c_index(self) -> float:
        """Concordance of linear predictor and outcome over pairs that differ in outcome; 0.5 is chance."""
        return c_index(self.model.linear_predictor(), self.model.codes, self.model.rows.weights)

    @property
    def design(self) -> Design:
        """The encoded terms."""
        return self.model.design

    @property
    def parameters(self) -> FloatArray:
        """Thresholds, then coefficients."""
        return self.model.fit.parameters

    @property
    def slopes(self) -> FloatArray:
        """Coefficients without thresholds."""
        return self.model.fit.beta

    @property
    def outcome_values(self) -> FloatArray:
        """Level (0..K-1) and frequency of each row, by which models on the same patients are recognised."""
        return np.column_stack([self.model.codes, self.model.rows.weights])

    @property
    def df_complete(self) -> float:
        """Degrees of freedom for pooling over imputations: n - parameters, or clusters - 1."""
        return float(self.n_clusters - 1 if self.n_clusters else self.n - len(self.parameters))

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()

    def loglik_at(self, slopes: FloatArray) -> float:
        """Return the log-likelihood at given slopes, maximised over the thresholds."""
        return self.model.loglik_at(slopes)

    def refit(self, counts: NDArray[np.integer]) -> FloatArray | None:
        """Return the coefficients with ``counts`` patients of each row; None where there are none."""
        fit = self.model.refit(counts)
        return None if fit is None else fit.beta

    def refit_many(self, counts: NDArray[np.integer]) -> list[FloatArray]:
        """Return the coefficients of each row of ``counts`` (refits by rows) that has an estimate."""
        # a refit in which a level has nobody has fewer thresholds: the coefficients are the last ones
        return [each[len(each) - len(self.slopes) :] for each in self.model.refit_many(counts)]

    def predict(self, frame: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return P(Y = level), one row a row of ``frame`` (default: the rows fitted), one column a declared
        level; a level that no patient had is predicted 0.

        Raises
        ------
        StatisticsError
            A column of the model is absent, missing or has a level the model has not seen.
        """
        index = self.model.rows.frame.index if frame is None else frame.index
        table = pd.DataFrame(self.model.probabilities(frame), index=index, columns=list(self.model.labels))
        return table.reindex(columns=list(self.levels["level"]), fill_value=0.0)

    def profile_intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Return term, odds_ratio, ci_low, ci_high from the profile likelihood (R ``MASS:::confint.polr``,
        here without its spline interpolation). Prefer it to Wald intervals in small samples."""
        return profile_intervals(self.model, level)

    def brant(self) -> pd.DataFrame:
        """Return Brant's test of proportional odds: term (``omnibus`` first), chi2, df, p.

        See `la_outcomes.analysis.brant.brant_test`.
        """
        return brant_test(self.model)

    def cutpoint_odds_ratios(self, penalty: float = 0.0) -> pd.DataFrame:
        """Return the odds ratio of Y > k for each cut-point k, from separate logistic regressions.

        See `la_outcomes.analysis.brant.cutpoint_table`.
        """
        return cutpoint_table(self.model, penalty)

    def with_covariance(
        self,
        covariance: OrdinalCovariance,
        frame: pd.DataFrame | None = None,
        cluster: ColumnOrArray | None = None,
    ) -> ProportionalOddsFit:
        """Return the same fit with another covariance; ``frame`` is the one that was fitted."""
        rows = self.model.rows.regrouped(frame, cluster)
        levels = OrderedOutcome(self.model.codes, self.model.labels, self.levels)
        return _result(replace(self.model, rows=rows), levels, covariance)


def fit_proportional_odds(
    frame: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    weights: ColumnOrArray | None = None,
    covariance: OrdinalCovariance = "classical",
    cluster: ColumnOrArray | None = None,
    missing: Missing = "raise",
    penalty: float = 0.0,
) -> ProportionalOddsFit:
    """Fit logit P(Y <= k) = theta_k - x beta by maximum likelihood.

    McCullagh 1980 (JRSS B 42:109-142, equation 2.1).

    Equals R ``MASS::polr`` and ``ordinal::clm``; coefficients equal ``rms::lrm``'s (its intercepts have the
    opposite sign).

    Parameters
    ----------
    frame : one row a patient, or a row a group of equal patients with ``weights``.
    outcome : numbers (levels in their order) or an ordered categorical, whose empty levels stay visible.
    terms : see `la_outcomes.analysis.terms`.
    weights : frequencies, as a column or one whole number a row.
    covariance : ``classical`` (observed information), ``HC0`` (``sandwich::sandwich``), ``cluster``
        (``sandwich::vcovCL`` HC1), ``CR1`` (vcovCL's default for polr: HC0 with G/(G - 1)) or ``CR0``
        (``rms::robcov``: no factor).
    cluster : a column, several (multi-way) or one label a row.
    missing : ``raise``, or ``drop`` incomplete rows and count them.
    penalty : lambda of a ridge penalty lambda/2 sum (beta_j sd_j)^2 (``rms::lrm(penalty=)`` where
        all columns are numbers), for data in which separation makes the estimate infinite. Its
        intervals are those of a shrunk estimate.

    How to read it: one patient's odds of being above any cut-point, against another's whose x is one unit
    lower, are multiplied by the common odds ratio. It averages over the cut-points even where the odds are
    not proportional: show `ProportionalOddsFit.cutpoint_odds_ratios` beside it, and do not choose the model
    by `ProportionalOddsFit.brant`.

    Raises
    ------
    StatisticsError
        Unordered or single-level outcome, separation, constant or collinear columns, fewer rows than
        parameters, missing or infinite values; the variable is named.
    """
    rows = model_rows(frame, outcome, terms, weights=weights, cluster=cluster, missing=missing)
    levels = ordered_outcome(rows.frame[outcome], rows.weights)
    design = rows.design(terms, intercepts=len(levels.labels) - 1)
    model = fit_model(rows, design, levels.codes, levels.labels, penalty)
    return _result(model, levels, covariance)


def _result(model: CumulativeModel, levels: OrderedOutcome, covariance: str) -> ProportionalOddsFit:
    rows, fit = model.rows, model.fit
    check_covariance(covariance, _COVARIANCES, rows.clusters)
    full = model.covariance(covariance)
    errors, k = np.sqrt(np.diag(full)), fit.n_thresholds
    return ProportionalOddsFit(
        coefficients=coefficient_table(model.design.columns, fit.beta, errors[k:], odds=True),
        thresholds=_threshold_table(levels.labels, fit.thresholds, errors[:k]),
        cov=full[k:, k:],
        loglik=fit.loglik,
        aic=2 * fit.effective_parameters - 2 * fit.loglik,
        n=rows.n,
        n_dropped=rows.n_dropped,
        levels=levels.table,
        covariance=covariance,
        n_clusters=count_clusters(rows.clusters) if rows.clusters else None,
        penalty=model.penalty,
        model=model,
    )


def _threshold_table(
    labels: tuple[object, ...], estimates: FloatArray, errors: NDArray[np.float64]
) -> pd.DataFrame:
    names = [f"{low}|{high}" for low, high in pairwise(labels)]
    return pd.DataFrame({"term": names, "estimate": estimates, "se": errors})
