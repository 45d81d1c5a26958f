"""Finding separation: directions in which the likelihood of a cumulative logit model rises for ever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError


def separated_columns(x: FloatArray, codes: NDArray[np.integer]) -> list[int]:
    """Return the columns whose coefficients have no finite maximum-likelihood estimate.

    A direction (thresholds, coefficients) along which no row's probability falls and at least one rises
    exists exactly when complete or quasi-complete separation does (Albert and Anderson 1984, Biometrika
    71:1; the linear programme is Konis 2007, R ``detectseparation``), here for ordered levels: for a row of
    level y, theta_y - x beta must not fall and theta_{y-1} - x beta must not rise.

    Columns that separate by themselves are returned; where none does, a smallest set that separates together.
    """
    found = _separating(x, codes, list(range(x.shape[1])))
    alone = [j for j in found if _separating(x, codes, [j])]
    if alone:
        return alone
    for j in list(found):
        rest = [other for other in found if other != j]
        if rest and _separating(x, codes, rest):
            found = rest
    return found


def _separating(x: FloatArray, codes: NDArray[np.integer], columns: list[int]) -> list[int]:
    """Return those of ``columns`` that the steepest separating direction moves along."""
    k = int(codes.max())
    chosen = x[:, columns]
    scaled = (chosen - chosen.mean(axis=0)) / chosen.std(axis=0)
    rows = np.unique(np.column_stack([codes, scaled]), axis=0)
    levels = rows[:, 0].astype(int)
    has_upper, has_lower = levels < k, levels > 0
    upper = np.hstack([np.eye(k + 1)[levels][:, :k], -rows[:, 1:]])[has_upper]
    lower = np.hstack([-np.eye(k + 1)[levels - 1][:, :k], rows[:, 1:]])[has_lower]
    gains = np.vstack([upper, lower])
    bounds = np.zeros(len(gains))
    solution = linprog(-gains.sum(axis=0), A_ub=-gains, b_ub=bounds, bounds=(-1, 1), method="highs")
    if not solution.success or -solution.fun < 1e-7:
        return []
    return [columns[j] for j in np.flatnonzero(np.abs(solution.x[k:]) > 1e-7)]


def refuse_separation(
    x: FloatArray, codes: NDArray[np.integer], columns: Sequence[str], *, outcome: str, hint: str
) -> None:
    """Raise the error that names the separating variables, or says that the fit did not converge.

    Raises
    ------
    StatisticsError
        Always: called when a fit is suspect.
    """
    names = [columns[j] for j in separated_columns(x, codes)]
    if names:
        listed = ", ".join(names)
        raise StatisticsError(
            f"{listed} separate{'s' if len(names) == 1 else ''} the levels of {outcome} perfectly: "
            "the odds ratio is infinite",
            where=listed,
            hint=hint,
        )
    raise StatisticsError(
        f"the fit of {outcome} did not converge", where=outcome, hint="rescale or leave out extreme variables"
    )
