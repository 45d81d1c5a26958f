"""Grambsch and Therneau's test of proportional hazards, as an exact score test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from la_outcomes.analysis.results import FloatArray
from la_outcomes.analysis.terms import Design


def proportional_hazards_test(
    design: Design, time: FloatArray, happened: FloatArray, slopes: FloatArray, strata: NDArray[np.int64]
) -> pd.DataFrame:
    """Test whether each coefficient drifts with 1 - the Kaplan-Meier curve.

    The model gets x g(t) beside x, with g the transformed time, and its score is tested at no drift
    (Grambsch and Therneau 1994, Biometrika 81:515). Equals R ``survival::cox.zph`` from version 3.0 on
    (``transform = "km"``, ``terms = FALSE`` for columns); Efron's ties.

    Returns
    -------
    term, chi2, df, p: one row a column, one a term of several columns, and ``global``.
    """
    columns = design.matrix.shape[1]
    drift = _transformed_times(time, happened)
    score = np.zeros(columns)
    blocks = np.zeros((3, columns, columns))
    centred = design.matrix - design.matrix.mean(axis=0)
    for stratum in np.unique(strata):
        inside = strata == stratum
        part, sums = _stratum(centred[inside], time[inside], happened[inside], slopes, drift[inside])
        score += part
        blocks += sums
    adjusted = blocks[2] - blocks[1] @ np.linalg.solve(blocks[0], blocks[1])
    rows = [_row(name, [j], score, adjusted) for j, name in enumerate(design.columns)]
    for source in dict.fromkeys(design.sources):
        places = [j for j, name in enumerate(design.sources) if name == source]
        if len(places) > 1:
            rows.append(_row(f"{source} (all)", places, score, adjusted))
    rows.append(_row("global", list(range(columns)), score, adjusted))
    return pd.DataFrame(rows, columns=["term", "chi2", "df", "p"])


def _row(
    name: str, places: list[int], score: FloatArray, adjusted: FloatArray
) -> tuple[str, float, int, float]:
    part = score[places]
    chi2 = float(part @ np.linalg.solve(adjusted[np.ix_(places, places)], part))
    return name, chi2, len(places), float(stats.chi2.sf(chi2, len(places)))


def _transformed_times(time: FloatArray, happened: FloatArray) -> FloatArray:
    """1 - Kaplan-Meier just before each row's time, all strata together."""
    _, index = np.unique(time, return_inverse=True)
    deaths, leaving = np.bincount(index, weights=happened), np.bincount(index)
    at_risk = len(time) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    survival = np.cumprod(1 - deaths / at_risk)
    return np.asarray(1 - np.concatenate([[1.0], survival[:-1]])[index])


def _stratum(
    x: FloatArray, time: FloatArray, happened: FloatArray, slopes: FloatArray, drift: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Score of the drift, and the information weighted by 1, g and g^2, over one stratum's deaths."""
    p = x.shape[1]
    order = np.argsort(time, kind="stable")
    x, time, happened, drift = x[order], time[order], happened[order], drift[order]
    risk = np.exp(x @ slopes)
    squares = (risk[:, None, None] * x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    columns = np.column_stack([risk, risk[:, None] * x, squares])
    from_here = np.cumsum(columns[::-1], axis=0)[::-1]
    score, blocks = np.zeros(p), np.zeros((3, p, p))
    for day in np.unique(time[happened == 1]):
        first = np.searchsorted(time, day)
        died = np.flatnonzero((time == day) & (happened == 1))
        g = drift[died[0]]
        own = columns[died].sum(axis=0)
        for step in range(len(died)):
            sums = from_here[first] - step / len(died) * own
            mean = sums[1 : p + 1] / sums[0]
            variance = sums[p + 1 :].reshape(p, p) / sums[0] - np.outer(mean, mean)
            score += g * (x[died[step]] - mean)
            blocks += np.array([1.0, g, g * g])[:, None, None] * variance
    return score, blocks
