"""Wald tests of several coefficients of one fit, and of the curved part of a spline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import stats

from la_outcomes.analysis.results import FloatArray, Result
from la_outcomes.analysis.terms import Design
from la_outcomes.errors import StatisticsError


class WaldFit(Protocol):
    """What the tests need of a fit."""

    @property
    def coefficients(self) -> pd.DataFrame: ...

    @property
    def cov(self) -> FloatArray: ...

    @property
    def design(self) -> Design: ...


@dataclass(frozen=True)
class WaldTest(Result):
    """A joint test.

    Attributes
    ----------
    statistic : chi-squared on ``df``, or where ``df_residual`` is a number F on (``df``, ``df_residual``).
    p : of no effect of all coefficients tested.
    """

    statistic: float
    df: int
    df_residual: float | None
    p: float


def wald_test(fit: WaldFit, terms: Sequence[str]) -> WaldTest:
    """Test that all coefficients of ``terms`` are 0: b' V^-1 b (F = that / df for linear fits).

    Equals the rows of R ``rms::anova`` and ``aod::wald.test``. Use it for a variable with several columns
    instead of reading its single p-values.

    Raises
    ------
    StatisticsError
        A term that the model does not have.
    """
    return _test(fit, [j for term in terms for j in fit.design.columns_of(term)])


def nonlinearity_test(fit: WaldFit, variable: str) -> WaldTest:
    """Test that the effect of a `SplineTerm` is a straight line: all its columns after the first are 0.

    Equals the row "Nonlinear" of R ``rms::anova`` (Harrell 2015, p. 26). A small p says that one slope does
    not describe the relation; a large one does not prove that it does.

    Raises
    ------
    StatisticsError
        ``variable`` is not a spline of the model.
    """
    columns = fit.design.columns_of(variable)
    if len(columns) < 2 or not fit.design.columns[columns[1]].endswith("'"):
        raise StatisticsError(
            f"{variable} is not a spline in this model", where=variable, hint="give it as SplineTerm(...)"
        )
    return _test(fit, columns[1:])


def _test(fit: WaldFit, columns: Sequence[int]) -> WaldTest:
    table = fit.coefficients
    place = {term: i for i, term in enumerate(table["term"])}
    chosen = [place[fit.design.columns[j]] for j in columns]
    estimates = table["estimate"].to_numpy()[chosen]
    chi2 = float(estimates @ np.linalg.solve(fit.cov[np.ix_(chosen, chosen)], estimates))
    if "df" not in table:
        return WaldTest(chi2, len(chosen), None, float(stats.chi2.sf(chi2, len(chosen))))
    residual = float(table["df"].to_numpy()[chosen].min())
    f = chi2 / len(chosen)
    return WaldTest(f, len(chosen), residual, float(stats.f.sf(f, len(chosen), residual)))
