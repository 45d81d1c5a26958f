"""Quantile regression, exact by linear programming."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse, stats
from scipy.optimize import linprog

from la_outcomes.analysis.model_frame import coefficient_table, model_rows
from la_outcomes.analysis.results import FloatArray, Missing, Result
from la_outcomes.analysis.terms import Design, Term
from la_outcomes.errors import StatisticsError

_TOUCHING = 1e-9


class NonuniqueSolutionWarning(UserWarning):
    """The quantile regression has several equally good solutions."""


@dataclass(frozen=True)
class QuantileFit(Result):
    """A linear model of one quantile.

    Attributes
    ----------
    coefficients : term, estimate, se, t, df (n - k), p, ci_low, ci_high; ``(Intercept)`` first.
    cov : k by k covariance.
    quantile : which quantile, in (0, 1).
    n, n_dropped : patients used, rows left out.
    """

    coefficients: pd.DataFrame
    cov: FloatArray
    quantile: float
    n: int
    n_dropped: int
    design: Design = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()


def fit_quantile(
    frame: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    quantile: float = 0.5,
    missing: Missing = "raise",
) -> QuantileFit:
    """Fit the ``quantile`` of the outcome as intercept + x beta (Koenker and Bassett 1978, Econometrica
    46:33-50).

    Minimises sum of r (quantile - [r < 0]) over residuals r, exactly: equals R ``quantreg::rq``. Standard
    errors are Hendricks and Koenker's sandwich with the Hall-Sheather bandwidth (Koenker 2005, section
    3.4.2), ``summary.rq(se = "nid")``, which lets the spread depend on x.

    How to read it: the median (or other quantile) of the outcome differs by ``estimate`` between patients
    one unit of x apart. Robust against the long right tail of volumes.

    Warns
    -----
    NonuniqueSolutionWarning
        Other coefficients fit as well, as at the median of an even number of rows with categorical terms; R
        says "Solution may be nonunique", and may print another of them.

    Raises
    ------
    StatisticsError
        As `fit_linear`; a quantile outside (0, 1) or too close to its ends for n.
    """
    if not 0 < quantile < 1:
        raise StatisticsError(
            f"quantile {quantile} is not between 0 and 1", where="quantile", hint="0.5: median"
        )
    rows = model_rows(frame, outcome, terms, missing=missing)
    y = rows.measurement()
    design = rows.design(terms)
    x = np.column_stack([np.ones(len(y)), design.matrix])
    estimates, unique = _minimise(x, y, quantile)
    if not unique:
        warnings.warn(
            f"several solutions fit the {quantile} quantile of {outcome} equally well: one is given",
            NonuniqueSolutionWarning,
            stacklevel=2,
        )
    cov = _sandwich(x, y, quantile)
    names = ("(Intercept)", *design.columns)
    table = coefficient_table(names, estimates, np.sqrt(np.diag(cov)), df=len(y) - x.shape[1])
    return QuantileFit(table, cov, quantile, rows.n, rows.n_dropped, design)


def _minimise(x: FloatArray, y: FloatArray, quantile: float) -> tuple[FloatArray, bool]:
    """Return the coefficients of a best solution, and whether it is the only one.

    The multiplier of a row without residual lies strictly between quantile - 1 and quantile where it is.
    """
    n, k = x.shape
    cost = np.concatenate([np.zeros(k), np.full(n, quantile), np.full(n, 1 - quantile)])
    equations = sparse.hstack([sparse.csr_matrix(x), sparse.eye(n), -sparse.eye(n)], format="csr")
    bounds = [(None, None)] * k + [(0, None)] * (2 * n)
    solution = linprog(cost, A_eq=equations, b_eq=y, bounds=bounds, method="highs")
    if not solution.success:
        raise StatisticsError(
            f"quantile {quantile}: no solution was found", where="quantile", hint="fewer terms?"
        )
    touching = solution.x[k : k + n] + solution.x[k + n :] < _TOUCHING * np.ptp(y)
    multipliers = solution.eqlin.marginals[touching]
    inside = (multipliers > quantile - 1 + 1e-9) & (multipliers < quantile - 1e-9)
    # the solver is right to about 1e-7; the rows that the solution passes through give it exactly
    exact, _, rank, _ = np.linalg.lstsq(x[touching], y[touching], rcond=None)
    estimates: FloatArray = exact if rank == k else solution.x[:k]
    return estimates, bool(inside.all())


def _sandwich(x: FloatArray, y: FloatArray, quantile: float) -> FloatArray:
    """tau (1 - tau) H^-1 X'X H^-1, H = sum f_i x x', f_i the density from the quantiles at tau +- h."""
    width = _bandwidth(quantile, len(y))
    while quantile - width < 0 or quantile + width > 1:
        width /= 2
    spread = x @ (_minimise(x, y, quantile + width)[0] - _minimise(x, y, quantile - width)[0])
    # a row through which both pass has no spread, and as in R no weight
    apart = spread > _TOUCHING * np.ptp(y)
    density = np.where(apart, 2 * width / np.where(apart, spread, 1.0), 0.0)
    if np.linalg.matrix_rank(x * np.sqrt(density)[:, None]) < x.shape[1]:
        raise StatisticsError(
            f"too few rows to estimate the density at quantile {quantile}",
            where="quantile",
            hint="use a quantile nearer to the median, or fewer terms",
        )
    bread = np.linalg.inv(x.T @ (x * density[:, None]))
    cov: FloatArray = quantile * (1 - quantile) * bread @ (x.T @ x) @ bread
    return cov


def _bandwidth(quantile: float, n: int) -> float:
    """Hall and Sheather 1988 (JRSS B 50:381) at 95 %."""
    z = stats.norm.ppf(quantile)
    ratio = 1.5 * stats.norm.pdf(z) ** 2 / (2 * z**2 + 1)
    return float(n ** (-1 / 3) * stats.norm.ppf(0.975) ** (2 / 3) * ratio ** (1 / 3))
