"""The outcome given the true exposure and the other terms, in the form that corrections need: fit, draw, and
the log-likelihood of each patient at many values of the exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_expit

from la_outcomes.analysis.ordered_outcome import ordered_outcome
from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.results import FloatArray, require_choice, require_spread
from la_outcomes.errors import StatisticsError

OutcomeKind = Literal["linear", "binary", "ordinal"]
_MOST_DRAWS = 50


@dataclass(frozen=True)
class OutcomeFit:
    """``parameters`` (intercept or thresholds first), ``n_intercepts``, their ``covariance``, residual ``sd``
    (linear) and residual degrees of freedom."""

    parameters: FloatArray
    n_intercepts: int
    covariance: FloatArray
    sd: float
    df: int

    @property
    def slopes(self) -> FloatArray:
        """Coefficients without intercept or thresholds."""
        return self.parameters[self.n_intercepts :]

    @property
    def slope_covariance(self) -> FloatArray:
        """Their covariance."""
        return self.covariance[self.n_intercepts :, self.n_intercepts :]


class Outcome(Protocol):
    """One value a patient, and its model."""

    def fit(self, x: FloatArray, start: OutcomeFit | None = None) -> OutcomeFit: ...

    def draw(self, fit: OutcomeFit, rng: np.random.Generator) -> OutcomeFit: ...

    def loglik(self, fit: OutcomeFit, exposure: FloatArray, terms: FloatArray) -> FloatArray: ...

    def take(self, rows: NDArray[np.intp]) -> Outcome: ...


def read_outcome(values: pd.Series, kind: OutcomeKind) -> Outcome:
    """Return the outcome of a kind.

    Raises
    ------
    StatisticsError
        An unknown kind, text, a constant or an outcome that is not of the kind.
    """
    require_choice(kind, ("linear", "binary", "ordinal"), "kind")
    name = str(values.name)
    if kind == "linear":
        if values.dtype.kind not in "biuf":
            raise StatisticsError(f"{name} does not hold numbers", where=name, hint="kind='ordinal'?")
        y = values.to_numpy(dtype=float)
        require_spread(y, name)
        return LinearOutcome(y)
    levels = ordered_outcome(values, np.ones(len(values)))
    if kind == "binary" and len(levels.labels) != 2:
        raise StatisticsError(f"{name} has {len(levels.labels)} levels", where=name, hint="kind='ordinal'?")
    return CumulativeOutcome(levels.codes, name)


@dataclass(frozen=True)
class LinearOutcome:
    """A measurement with normal residuals of one SD."""

    y: FloatArray

    def fit(self, x: FloatArray, start: OutcomeFit | None = None) -> OutcomeFit:
        """Least squares."""
        z = np.column_stack([np.ones(len(x)), x])
        inverse = np.linalg.inv(z.T @ z)
        estimate = inverse @ (z.T @ self.y)
        df = len(z) - z.shape[1]
        variance = float(np.sum((self.y - z @ estimate) ** 2)) / df
        return OutcomeFit(estimate, 1, variance * inverse, float(np.sqrt(variance)), df)

    def draw(self, fit: OutcomeFit, rng: np.random.Generator) -> OutcomeFit:
        """Draw residual SD and coefficients from their posterior under a flat prior."""
        ratio = float(np.sqrt(fit.df / rng.chisquare(fit.df)))
        noise = np.linalg.cholesky(fit.covariance) @ rng.standard_normal(len(fit.parameters))
        return OutcomeFit(fit.parameters + ratio * noise, 1, fit.covariance, fit.sd * ratio, fit.df)

    def loglik(self, fit: OutcomeFit, exposure: FloatArray, terms: FloatArray) -> FloatArray:
        """Log-likelihood (n by G) at exposures (n by G), without constants."""
        rest = self.y - fit.parameters[0] - terms @ fit.slopes[1:]
        return -0.5 * ((rest[:, None] - fit.slopes[0] * exposure) / fit.sd) ** 2

    def take(self, rows: NDArray[np.intp]) -> LinearOutcome:
        """Return the outcomes of these patients."""
        return LinearOutcome(self.y[rows])


@dataclass(frozen=True)
class CumulativeOutcome:
    """Ordered levels 0..K-1 in a cumulative logit model; two levels are logistic regression."""

    codes: NDArray[np.int64]
    name: str

    def fit(self, x: FloatArray, start: OutcomeFit | None = None) -> OutcomeFit:
        """Maximum likelihood.

        Raises
        ------
        StatisticsError
            No finite estimate.
        """
        present, codes = np.unique(self.codes, return_inverse=True)
        usable = start is not None and start.n_intercepts == len(present) - 1
        begin = start.parameters if usable and start is not None else None
        found = None if len(present) < 2 else fit_cumulative(x, codes, start=begin)
        if found is None or found.suspect:
            raise StatisticsError(
                f"the fit of {self.name} has no finite estimate",
                where=self.name,
                hint="pool rare levels or terms",
            )
        df = len(codes) - len(found.parameters)
        return OutcomeFit(found.parameters, found.n_thresholds, found.covariance, 1.0, df)

    def draw(self, fit: OutcomeFit, rng: np.random.Generator) -> OutcomeFit:
        """Draw parameters from the normal approximation of their posterior, thresholds in order."""
        root = np.linalg.cholesky(fit.covariance)
        for _ in range(_MOST_DRAWS):
            drawn = fit.parameters + root @ rng.standard_normal(len(root))
            if (np.diff(drawn[: fit.n_intercepts]) > 0).all():
                return OutcomeFit(drawn, fit.n_intercepts, fit.covariance, 1.0, fit.df)
        raise StatisticsError(
            f"levels of {self.name} are too rare to draw thresholds", where=self.name, hint="pool levels"
        )

    def loglik(self, fit: OutcomeFit, exposure: FloatArray, terms: FloatArray) -> FloatArray:
        """Log-likelihood (n by G) at exposures (n by G), without what depends on the level alone."""
        k = fit.n_intercepts
        edges = np.concatenate([[-np.inf], fit.parameters[:k], [np.inf]])
        eta = (terms @ fit.slopes[1:])[:, None] + fit.slopes[0] * exposure
        upper, lower = edges[self.codes + 1][:, None] - eta, edges[self.codes][:, None] - eta
        # log(F(a) - F(b)) = log F(a) + log F(-b) + a term without the exposure
        return np.asarray(log_expit(upper) + log_expit(-lower))

    def take(self, rows: NDArray[np.intp]) -> CumulativeOutcome:
        """Return the outcomes of these patients."""
        return CumulativeOutcome(self.codes[rows], self.name)
