"""Concordance of a score with an ordered outcome, and of two scores in the same patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    columns_of,
    complete,
    normal_quantile,
    require_rows,
)
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class Concordance(Result):
    """Harrell's C with the infinitesimal jackknife's standard error (see `concordance`)."""

    c_index: float
    se: float
    ci_low: float
    ci_high: float
    n: int
    n_pairs: int
    n_missing: int


@dataclass(frozen=True)
class ConcordanceDifference(Result):
    """``difference`` = C of ``a`` - C of ``b`` in the same patients (see `compare_concordance`)."""

    c_a: float
    c_b: float
    difference: float
    se: float
    ci_low: float
    ci_high: float
    z: float
    p: float
    n: int
    n_missing: int


def concordance(
    y: ArrayLike,
    score: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> Concordance:
    """Share of pairs with different outcomes whose worse outcome has the higher score; ties count half.

    The standard error is the root of the sum of squared case-weight derivatives (N_i - C D_i)/D, with N_i and
    D_i a patient's concordant and usable pairs. Equals R ``survival::concordance(y ~ score)``.

    Parameters
    ----------
    y : numbers in their order, such as the modified Rankin score; two levels give the ROC area.

    Raises
    ------
    StatisticsError
        One outcome only, missing values, or fewer than 3 patients.
    """
    y, score = columns_of(frame, y, score)
    z = normal_quantile(level)
    (levels, values), n_missing = complete({"outcome": y, "score": score}, missing)
    c_index, parts, pairs = _concordance(levels, values)
    error = float(np.sqrt(parts @ parts))
    return Concordance(
        c_index,
        error,
        max(0.0, c_index - z * error),
        min(1.0, c_index + z * error),
        len(levels),
        pairs,
        n_missing,
    )


def compare_concordance(
    y: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> ConcordanceDifference:
    """Difference of two scores' C in the same patients (R ``survival::concordance`` of two fits: ``vcov``).

    For a model and its own extension use the likelihood ratio as the test and this interval as the size, with
    `la_outcomes.analysis.optimism.optimism_bootstrap`.

    Raises
    ------
    StatisticsError
        As `concordance`, or scores that order the patients alike.
    """
    y, a, b = columns_of(frame, y, a, b)
    z_level = normal_quantile(level)
    (levels, first, second), n_missing = complete({"outcome": y, "a": a, "b": b}, missing)
    c_a, parts_a, _ = _concordance(levels, first)
    c_b, parts_b, _ = _concordance(levels, second)
    error = float(np.sqrt(np.sum((parts_a - parts_b) ** 2)))
    if error < 1e-12:
        raise StatisticsError("both scores order the patients alike", where="a, b", hint="nothing to compare")
    difference = c_a - c_b
    z = difference / error
    return ConcordanceDifference(
        c_a=c_a,
        c_b=c_b,
        difference=difference,
        se=error,
        ci_low=difference - z_level * error,
        ci_high=difference + z_level * error,
        z=z,
        p=float(2 * stats.norm.sf(abs(z))),
        n=len(levels),
        n_missing=n_missing,
    )


def _concordance(levels: FloatArray, score: FloatArray) -> tuple[float, FloatArray, int]:
    """C, each patient's derivative, and the number of usable pairs."""
    require_rows(len(levels), 3, "outcome")
    values, codes = np.unique(levels, return_inverse=True)
    if len(values) < 2:
        raise StatisticsError("all outcomes are equal", where="outcome", hint="check the selection of rows")
    counts = np.bincount(codes)
    own, usable = np.zeros(len(levels)), (len(levels) - counts[codes]).astype(float)
    for level in range(len(values)):
        ordered = np.sort(score[codes == level])
        below = np.searchsorted(ordered, score, side="left")
        up_to = np.searchsorted(ordered, score, side="right")
        lower = (below + up_to) / 2
        own += np.where(codes > level, lower, np.where(codes < level, len(ordered) - lower, 0.0))
    pairs = usable.sum() / 2
    c_index = float(own.sum() / 2 / pairs)
    return c_index, (own - c_index * usable) / pairs, int(pairs)
