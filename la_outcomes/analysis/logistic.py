"""Logistic regression: the two-level cumulative model with its intercept's sign turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from la_outcomes.analysis.covariance import count_clusters
from la_outcomes.analysis.cumulative_model import CumulativeModel, c_index, fit_model
from la_outcomes.analysis.model_frame import ColumnOrArray, coefficient_table, model_rows
from la_outcomes.analysis.profile import profile_intervals
from la_outcomes.analysis.results import FloatArray, Missing, Result
from la_outcomes.analysis.terms import Design, Term
from la_outcomes.analysis.working_regression import WorkingRegression
from la_outcomes.errors import StatisticsError

LogisticCovariance = Literal["classical", "HC0", "HC1", "HC2", "HC3", "cluster", "CR0", "CR1", "CR2"]


@dataclass(frozen=True)
class LogisticFit(Result):
    """A logistic regression.

    Attributes
    ----------
    coefficients : term, estimate (log odds ratio), se, z (t and df for CR2), p, odds_ratio, ci_low, ci_high
        (of the odds ratio); ``(Intercept)`` first, whose odds_ratio is the odds where all columns are 0.
    cov : k by k covariance of the coefficients, of the kind ``covariance``.
    loglik, aic : as R ``logLik`` and ``AIC`` of ``glm(family = binomial)`` on one row a patient.
    n, n_events, n_dropped : patients used, with the outcome, rows left out.
    covariance, n_clusters : kind of covariance; clusters of the clustering with fewest, None without.
    penalty : 0, or the ridge penalty: then estimates are shrunk towards no effect.
    """

    coefficients: pd.DataFrame
    cov: FloatArray
    loglik: float
    aic: float
    n: int
    n_events: int
    n_dropped: int
    covariance: str
    n_clusters: int | None
    penalty: float
    model: CumulativeModel = field(repr=False)

    @cached_property
    def c_index(self) -> float:
        """Area under the ROC curve of the linear predictor."""
        return c_index(self.model.linear_predictor(), self.model.codes, self.model.rows.weights)

    @property
    def design(self) -> Design:
        """The encoded terms."""
        return self.model.design

    @property
    def parameters(self) -> FloatArray:
        """Coefficients, the intercept first."""
        fit = self.model.fit
        return np.concatenate([-fit.thresholds, fit.beta])

    @property
    def slopes(self) -> FloatArray:
        """Coefficients without the intercept."""
        return self.model.fit.beta

    @property
    def outcome_values(self) -> FloatArray:
        """Outcome and frequency of each row, by which models on the same patients are recognised."""
        return np.column_stack([self.model.codes, self.model.rows.weights])

    @property
    def df_complete(self) -> float:
        """Degrees of freedom for pooling over imputations: n - k, or clusters - 1."""
        return float(self.n_clusters - 1 if self.n_clusters else self.n - len(self.parameters))

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()

    def loglik_at(self, slopes: FloatArray) -> float:
        """Return the log-likelihood at given slopes, maximised over the intercept."""
        return self.model.loglik_at(slopes)

    def refit(self, counts: NDArray[np.integer]) -> FloatArray | None:
        """Return the coefficients with ``counts`` patients of each row; None where there are none."""
        fit = self.model.refit(counts)
        return None if fit is None else np.concatenate([-fit.thresholds, fit.beta])

    def refit_many(self, counts: NDArray[np.integer]) -> list[FloatArray]:
        """Return the coefficients of each row of ``counts`` (refits by rows) that has an estimate."""
        turn = np.where(np.arange(len(self.parameters)) == 0, -1.0, 1.0)
        return [turn * each for each in self.model.refit_many(counts)]

    def predict(self, frame: pd.DataFrame | None = None) -> pd.Series:
        """Return the probability of the outcome for each row of ``frame`` (default: the rows fitted)."""
        index = self.model.rows.frame.index if frame is None else frame.index
        return pd.Series(self.model.probabilities(frame)[:, 1], index=index, name=self.model.rows.outcome)

    def profile_intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Return term, odds_ratio, ci_low, ci_high from the profile likelihood (R ``MASS:::confint.glm``)."""
        return profile_intervals(self.model, level)

    def with_covariance(
        self,
        covariance: LogisticCovariance,
        frame: pd.DataFrame | None = None,
        cluster: ColumnOrArray | None = None,
    ) -> LogisticFit:
        """Return the same fit with another covariance; ``frame`` is the one that was fitted."""
        return _result(replace(self.model, rows=self.model.rows.regrouped(frame, cluster)), covariance)


def fit_logistic(
    frame: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    covariance: LogisticCovariance = "classical",
    cluster: ColumnOrArray | None = None,
    missing: Missing = "raise",
    weights: ColumnOrArray | None = None,
    penalty: float = 0.0,
) -> LogisticFit:
    """Fit logit P(Y = 1) = intercept + x beta by maximum likelihood; equals R ``glm(family = binomial)``.

    Parameters
    ----------
    outcome : 0/1, true/false, or a categorical of two levels, of which the second is the event.
    penalty : lambda of a ridge penalty lambda/2 sum (beta_j sd_j)^2 (``rms::lrm(penalty=)`` where
        all columns are numbers), for separated data.
    others : as `la_outcomes.analysis.least_squares.fit_linear`. ``cluster`` is ``vcovCL`` HC1; what
        ``vcovCL`` does by default for glm (HC0 with G/(G - 1)) is ``CR1`` here.

    How to read it: the odds of the outcome are multiplied by ``odds_ratio`` for each unit of x between
    patients alike in the other terms.

    References
    ----------
    McCullagh P, Nelder JA. Generalized Linear Models, 2nd ed. 1989, section 4.4, p. 114-120. Covariances as
    `la_outcomes.analysis.least_squares.fit_linear`; those of a GLM: Zeileis A. J Stat Softw 2006;16(9):1-16.

    Raises
    ------
    StatisticsError
        An outcome that is not binary, separation, constant or collinear columns, fewer rows than
        parameters, missing or infinite values; the variable is named.
    """
    rows = model_rows(frame, outcome, terms, weights=weights, cluster=cluster, missing=missing)
    codes = _events(rows.frame[outcome])
    model = fit_model(rows, rows.design(terms), codes, (0, 1), penalty)
    return _result(model, covariance)


def _events(values: pd.Series) -> NDArray[np.int64]:
    """Return 0/1 codes.

    Raises
    ------
    StatisticsError
        Another number of values than two, or numbers other than 0 and 1.
    """
    name = str(values.name)
    if isinstance(values.dtype, pd.CategoricalDtype):
        if len(values.cat.categories) != 2:
            raise StatisticsError(
                f"{name} has {len(values.cat.categories)} levels", where=name, hint="two are needed"
            )
        codes = values.cat.codes.to_numpy().astype(np.int64)
    elif values.dtype.kind in "biuf" and set(values.unique()) <= {0, 1}:
        codes = values.to_numpy(dtype=float).astype(np.int64)
    else:
        raise StatisticsError(f"{name} is not coded 0 and 1", where=name, hint="recode the outcome")
    if codes.min() == codes.max():
        raise StatisticsError(
            f"{name} has one level only", where=name, hint="no events, or events alone: check the rows"
        )
    return codes


def _result(model: CumulativeModel, covariance: str) -> LogisticFit:
    rows, fit = model.rows, model.fit
    estimates = np.concatenate([-fit.thresholds, fit.beta])
    cov, df = _working(model).covariance(covariance, rows.clusters)
    return LogisticFit(
        coefficients=coefficient_table(
            ("(Intercept)", *model.design.columns),
            estimates,
            np.sqrt(np.diag(cov)),
            df=df if covariance == "CR2" else None,
            odds=True,
        ),
        cov=cov,
        loglik=fit.loglik,
        aic=2 * fit.effective_parameters - 2 * fit.loglik,
        n=rows.n,
        n_events=int(rows.weights @ model.codes),
        n_dropped=rows.n_dropped,
        covariance=covariance,
        n_clusters=count_clusters(rows.clusters) if rows.clusters else None,
        penalty=model.penalty,
        model=model,
    )


def _working(model: CumulativeModel) -> WorkingRegression:
    turn = np.ones(len(model.fit.parameters))
    turn[0] = -1.0
    bread = model.fit.covariance * np.outer(turn, turn)
    share = expit(model.linear_predictor() - model.fit.thresholds[0])
    z = np.column_stack([np.ones(len(share)), model.design.matrix])
    return WorkingRegression(
        z, model.codes - share, share * (1 - share), model.rows.weights, bread, bread, np.eye(len(turn))
    )
