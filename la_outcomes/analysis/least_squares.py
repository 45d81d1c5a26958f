"""Linear regression with the covariances of R's sandwich and clubSandwich."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.covariance import count_clusters
from la_outcomes.analysis.model_frame import ColumnOrArray, ModelRows, coefficient_table, model_rows
from la_outcomes.analysis.results import FloatArray, Missing, Result
from la_outcomes.analysis.terms import Design, Term
from la_outcomes.analysis.working_regression import WorkingRegression
from la_outcomes.errors import StatisticsError

LinearCovariance = Literal["classical", "HC0", "HC1", "HC2", "HC3", "cluster", "CR0", "CR1", "CR2"]


@dataclass(frozen=True)
class LinearModel:
    """Rows, design and least-squares solution (``estimates``: intercept first) of a linear model."""

    rows: ModelRows
    design: Design
    outcome: FloatArray
    estimates: FloatArray
    working: WorkingRegression


@dataclass(frozen=True)
class LinearFit(Result):
    """A linear model.

    Attributes
    ----------
    coefficients : term, estimate, se, t, df, p, ci_low, ci_high; ``(Intercept)`` first. df is n - k, the
        number of clusters - 1, or Satterthwaite's for CR2.
    cov : k by k covariance of the coefficients, of the kind ``covariance``.
    standardised : term, beta: change of the outcome in its SDs per SD of the column.
    r2, r2_adjusted, sigma : share of variance explained, the same penalised for terms, residual SD.
    loglik, aic : Gaussian log-likelihood at the maximum-likelihood variance; R ``logLik`` and ``AIC``.
    n, n_dropped, df_residual : patients used, rows left out, n - k.
    covariance, n_clusters : kind of covariance; clusters of the clustering with fewest, None without.
    """

    coefficients: pd.DataFrame
    cov: FloatArray
    standardised: pd.DataFrame
    r2: float
    r2_adjusted: float
    sigma: float
    loglik: float
    aic: float
    n: int
    n_dropped: int
    df_residual: int
    covariance: str
    n_clusters: int | None
    model: LinearModel = field(repr=False)

    @property
    def design(self) -> Design:
        """The encoded terms."""
        return self.model.design

    @property
    def parameters(self) -> FloatArray:
        """Coefficients, the intercept first."""
        return self.model.estimates

    @property
    def slopes(self) -> FloatArray:
        """Coefficients without the intercept."""
        return self.model.estimates[1:]

    @property
    def outcome_values(self) -> FloatArray:
        """Outcome and frequency of each row, by which models on the same patients are recognised."""
        return np.column_stack([self.model.outcome, self.model.rows.weights])

    @property
    def df_complete(self) -> float:
        """Degrees of freedom for pooling over imputations: n - k, or clusters - 1."""
        return float(self.n_clusters - 1 if self.n_clusters else self.df_residual)

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()

    def loglik_at(self, slopes: FloatArray) -> float:
        """Return the log-likelihood at given slopes, maximised over intercept and residual variance."""
        weights = self.model.rows.weights
        residuals = self.model.outcome - self.model.design.matrix @ slopes
        return _gaussian_loglik(residuals - np.average(residuals, weights=weights), weights)

    def refit(self, counts: NDArray[np.integer]) -> FloatArray | None:
        """Return the coefficients with ``counts`` patients of each row; None where there are none."""
        working = self.model.working
        kept = counts > 0
        z, root = working.z[kept], np.sqrt((working.frequencies * counts)[kept])
        solution, _, rank, _ = np.linalg.lstsq(z * root[:, None], self.model.outcome[kept] * root, rcond=None)
        return working.back @ solution if rank == z.shape[1] else None

    def refit_many(self, counts: NDArray[np.integer]) -> list[FloatArray]:
        """Return the coefficients of each row of ``counts`` (refits by rows) that has an estimate."""
        return [each for each in map(self.refit, counts) if each is not None]

    def predict(self, frame: pd.DataFrame | None = None) -> pd.Series:
        """Return the fitted mean of each row of ``frame`` (default: the rows fitted).

        Raises
        ------
        StatisticsError
            A column of the model is absent, missing or has a level the model has not seen.
        """
        rows = self.model.rows.frame if frame is None else frame
        matrix = self.model.design.matrix if frame is None else self.model.design.encode(frame)
        fitted = self.parameters[0] + matrix @ self.parameters[1:]
        return pd.Series(fitted, index=rows.index, name=self.model.rows.outcome)

    def with_covariance(
        self,
        covariance: LinearCovariance,
        frame: pd.DataFrame | None = None,
        cluster: ColumnOrArray | None = None,
    ) -> LinearFit:
        """Return the same fit with another covariance; ``frame`` is the one that was fitted."""
        return _result(replace(self.model, rows=self.model.rows.regrouped(frame, cluster)), covariance)


def fit_linear(
    frame: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    covariance: LinearCovariance = "classical",
    cluster: ColumnOrArray | None = None,
    missing: Missing = "raise",
    weights: ColumnOrArray | None = None,
) -> LinearFit:
    """Fit y = intercept + x beta + error by least squares; equals R ``lm``.

    beta = (X'X)^-1 X'y; its covariance is sigma^2 (X'X)^-1, or the sandwich (X'X)^-1 M (X'X)^-1 with M a sum
    over rows or clusters of products of X'e.

    Parameters
    ----------
    frame, outcome, terms : one row a patient; a numeric column; see `la_outcomes.analysis.terms`.
    covariance : ``classical`` (equal variances), ``HC0``-``HC3`` (``sandwich::vcovHC``), ``cluster``
        (``sandwich::vcovCL``, HC1), ``CR1`` (HC0 with G/(G - 1)), ``CR0`` (HC0 with no factor), ``CR2``
        (``clubSandwich``, for few clusters). See `la_outcomes.analysis.covariance`.
    cluster : a column, several columns (two-way: Cameron, Gelbach and Miller 2011) or one label a row.
    missing : ``raise``, or ``drop`` incomplete rows and count them.
    weights : frequencies, as a column or one whole number a row.

    How to read it: the outcome's mean differs by ``estimate`` between patients one unit of x apart who are
    alike in the other terms. t and intervals use n - k degrees of freedom, clusters - 1 where clustered
    (``lmtest::coeftest`` would use n - k), Satterthwaite's for CR2.

    References
    ----------
    White H. Econometrica 1980;48:817-838 (HC0). MacKinnon JG, White H. J Econom 1985;29:305-325
    (HC1-HC3). Liang KY, Zeger SL. Biometrika 1986;73:13-22 (clusters). Cameron AC, Gelbach JB, Miller
    DL. J Bus Econ Stat 2011;29:238-249 (two-way). Pustejovsky JE, Tipton E. J Bus Econ Stat 2018;36:672-683
    (CR2).

    Raises
    ------
    StatisticsError
        Constant outcome, constant or collinear columns, fewer rows than terms, missing or infinite values;
        the variable is named.
    """
    rows = model_rows(frame, outcome, terms, weights=weights, cluster=cluster, missing=missing)
    y = rows.measurement()
    return _result(_solve(rows, rows.design(terms), y), covariance)


def _solve(rows: ModelRows, design: Design, y: FloatArray) -> LinearModel:
    """Least squares by QR of scaled columns, the intercept taken out by centring."""
    weights, total = rows.weights, rows.weights.sum()
    means = weights @ design.matrix / total
    centred = design.matrix - means
    scales = np.sqrt(weights @ np.square(centred) / total)
    scaled, root = centred / scales, np.sqrt(weights)
    q, r = np.linalg.qr(scaled * root[:, None])
    mean = weights @ y / total
    slopes = np.linalg.solve(r, q.T @ (root * (y - mean)))
    residuals = y - mean - scaled @ slopes
    k = len(slopes) + 1
    inverse = np.linalg.inv(r)
    bread = np.zeros((k, k))
    bread[0, 0], bread[1:, 1:] = 1 / total, inverse @ inverse.T
    back = np.diag(np.concatenate([[1.0], 1 / scales]))
    back[0, 1:] = -means / scales
    estimates = back @ np.concatenate([[mean], slopes])
    variance = weights @ residuals**2 / (total - k) if total > k else np.nan
    z = np.column_stack([np.ones(len(y)), scaled])
    working = WorkingRegression(z, residuals, np.ones(len(y)), weights, bread, variance * bread, back)
    return LinearModel(rows, design, y, estimates, working)


def _result(model: LinearModel, covariance: str) -> LinearFit:
    rows, working = model.rows, model.working
    n, k = rows.n, len(model.estimates)
    if n <= k:
        raise StatisticsError(
            f"{n} rows leave no variance for {k} coefficients",
            where=", ".join(model.design.columns),
            hint="use fewer terms or more patients",
        )
    cov, df = working.covariance(covariance, rows.clusters)
    table = coefficient_table(
        ("(Intercept)", *model.design.columns),
        model.estimates,
        np.sqrt(np.diag(cov)),
        df=n - k if df is None else df,
    )
    left = float(rows.weights @ working.residuals**2)
    centred = model.outcome - np.average(model.outcome, weights=rows.weights)
    spread = float(rows.weights @ centred**2)
    loglik = _gaussian_loglik(working.residuals, rows.weights)
    return LinearFit(
        coefficients=table,
        cov=cov,
        standardised=_standardised(model, spread),
        r2=1 - left / spread,
        r2_adjusted=1 - left / spread * (n - 1) / (n - k),
        sigma=float(np.sqrt(left / (n - k))),
        loglik=loglik,
        aic=2 * (k + 1) - 2 * loglik,
        n=n,
        n_dropped=rows.n_dropped,
        df_residual=n - k,
        covariance=covariance,
        n_clusters=count_clusters(rows.clusters) if rows.clusters else None,
        model=model,
    )


def _standardised(model: LinearModel, spread: float) -> pd.DataFrame:
    """Slopes of the scaled columns, in SDs of the outcome."""
    sd = np.sqrt(spread / model.rows.n)
    slopes = model.estimates[1:] / np.diag(model.working.back)[1:]
    return pd.DataFrame({"term": model.design.columns, "beta": slopes / sd})


def _gaussian_loglik(residuals: FloatArray, weights: FloatArray) -> float:
    n = weights.sum()
    return float(-n / 2 * (np.log(2 * np.pi * (weights @ residuals**2) / n) + 1))
