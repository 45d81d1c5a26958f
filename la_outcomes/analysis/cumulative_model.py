"""A fitted cumulative logit model with the rows it came from; logistic regression is its two-level case."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from la_outcomes.analysis.batch_newton import RefitProblem, refit_many
from la_outcomes.analysis.covariance import sandwich
from la_outcomes.analysis.model_frame import ModelRows
from la_outcomes.analysis.ordinal_newton import CumulativeFit, fit_cumulative, score_rows
from la_outcomes.analysis.results import FloatArray
from la_outcomes.analysis.separation import refuse_separation
from la_outcomes.analysis.terms import Design
from la_outcomes.errors import StatisticsError

_HINT = "pool levels or groups, or ask for a penalised fit (penalty=1.0)"


@dataclass(frozen=True)
class CumulativeModel:
    """Rows, design, level of each row (0..K-1 of those that occur) and the maximum-likelihood fit."""

    rows: ModelRows
    design: Design
    codes: NDArray[np.int64]
    labels: tuple[object, ...]
    fit: CumulativeFit
    penalty: float

    @cached_property
    def scores(self) -> FloatArray:
        """Score of one patient of each row, thresholds first."""
        return score_rows(self.design.matrix, self.codes, self.fit.parameters, self.fit.n_thresholds)

    def covariance(self, kind: str) -> FloatArray:
        """Return the covariance of thresholds and coefficients: classical, HC0, cluster, CR0 or CR1."""
        if kind == "classical":
            return self.fit.covariance
        return sandwich(self.fit.covariance, self.scores, self.rows.weights, self.rows.clusters, kind)

    def loglik_at(self, slopes: FloatArray) -> float:
        """Return the log-likelihood of these rows at given coefficients, maximised over the thresholds."""
        none, weights = np.empty((len(self.codes), 0)), self.rows.weights
        return fit_cumulative(none, self.codes, weights, offset=self.design.matrix @ slopes).loglik

    def refit(self, counts: NDArray[np.integer]) -> CumulativeFit | None:
        """Fit again with ``counts`` patients of each row; None where that has no estimate."""
        kept = counts > 0
        x, codes = self.design.matrix[kept], self.codes[kept]
        present = np.unique(codes)
        if len(present) < 2 or not np.ptp(x, axis=0).all():
            return None
        weights = (self.rows.weights * counts)[kept]
        start = self.fit.parameters if len(present) == len(self.labels) else None
        ranks = np.searchsorted(present, codes)
        fit = fit_cumulative(x, ranks, weights, penalty=self.penalty, start=start)
        return None if fit.suspect else fit

    def refit_many(self, counts: NDArray[np.integer]) -> list[FloatArray]:
        """Return the parameters of each row of ``counts`` (refits by rows) that has an estimate.

        Equal to `refit` of each, together; a penalised model, and what the quick way does not settle, goes
        through `refit`.
        """
        solved = np.zeros(len(counts), dtype=bool)
        if not self.penalty:
            parameters, solved = refit_many(self._refit_problem, counts * self.rows.weights)
        estimates = []
        for place, row in enumerate(counts):
            fit = None if solved[place] else self.refit(row)
            if solved[place] or fit is not None:
                estimates.append(parameters[place] if fit is None else fit.parameters)
        return estimates

    @cached_property
    def _refit_problem(self) -> RefitProblem:
        return RefitProblem.of(self.design.matrix, self.codes, self.fit.parameters)

    def linear_predictor(self, frame: pd.DataFrame | None = None) -> FloatArray:
        """Return x beta of the model's rows, or of new ones."""
        matrix = self.design.matrix if frame is None else self.design.encode(frame)
        return matrix @ self.fit.beta

    def probabilities(self, frame: pd.DataFrame | None = None) -> FloatArray:
        """Return P(Y = level) for each level that occurs (rows by K)."""
        below = expit(self.fit.thresholds - self.linear_predictor(frame)[:, None])
        return np.diff(below, axis=1, prepend=0.0, append=1.0)


def fit_model(
    rows: ModelRows, design: Design, codes: NDArray[np.int64], labels: tuple[object, ...], penalty: float
) -> CumulativeModel:
    """Fit and refuse separation.

    Raises
    ------
    StatisticsError
        Separation (the variables are named), no convergence, a negative penalty.
    """
    if not (np.isfinite(penalty) and penalty >= 0):
        raise StatisticsError(f"a penalty of {penalty}", where="penalty", hint="a number from 0 up")
    weights = None if (rows.weights == 1).all() else rows.weights
    fit = fit_cumulative(design.matrix, codes, weights, penalty=penalty)
    if fit.suspect:
        refuse_separation(design.matrix, codes, design.columns, outcome=rows.outcome, hint=_HINT)
    return CumulativeModel(rows, design, codes, labels, fit, penalty)


def c_index(eta: FloatArray, codes: NDArray[np.int64], weights: FloatArray) -> float:
    """Return Harrell's C: of all pairs with different outcomes, the share whose worse outcome has the higher
    linear predictor, ties counting one half (``Hmisc::rcorr.cens``; 2 levels: area under the ROC curve)."""
    values, place = np.unique(eta, return_inverse=True)
    counts = np.zeros((int(codes.max()) + 1, len(values)))
    np.add.at(counts, (codes, place), weights)
    better = np.cumsum(counts, axis=0) - counts
    below = np.cumsum(better, axis=1) - better
    return float((counts * (below + better / 2)).sum() / (counts * better.sum(axis=1, keepdims=True)).sum())
