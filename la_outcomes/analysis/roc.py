"""How well a score tells patients with an outcome from those without: area under the ROC curve."""

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
    require_level,
    variable_name,
)
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class RocArea(Result):
    """Area under the ROC curve (see `auc`); ``se`` is DeLong's."""

    auc: float
    se: float
    ci_low: float
    ci_high: float
    n_positive: int
    n_negative: int
    n_missing: int
    level: float


def auc(
    y: ArrayLike,
    score: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> RocArea:
    """Probability that a patient with the outcome has a higher score than one without; ties count half.

    Parameters
    ----------
    y : 0 or 1 a patient; score : a number a patient, higher meaning more likely 1.

    Raises
    ------
    StatisticsError
        Values other than 0 and 1, or fewer than two patients in either group.

    Notes
    -----
    Equals R ``pROC::auc`` and ``ci.auc(method = "delong")`` with ``direction = "<"``: interval auc -/+ z se,
    cut to [0, 1]. The area says nothing about a cut-off chosen on the same data.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845. Sun X, Xu W. IEEE Signal Process
    Lett 2014;21:1389-1393 (placements from midranks).
    """
    y, score = columns_of(frame, y, score)
    require_level(level)
    names = variable_name(y, "outcome"), variable_name(score, "score")
    (happened, scores), n_missing = complete({names[0]: y, names[1]: score}, missing)
    positive, negative = outcome_groups(happened, scores, names[0])
    above, below = _placements(positive, negative)
    area = float(above.mean())
    variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    error = float(np.sqrt(variance))
    margin = float(stats.norm.ppf(0.5 + level / 2)) * error
    return RocArea(
        auc=area,
        se=error,
        ci_low=max(0.0, area - margin),
        ci_high=min(1.0, area + margin),
        n_positive=len(positive),
        n_negative=len(negative),
        n_missing=n_missing,
        level=level,
    )


@dataclass(frozen=True)
class RocComparison(Result):
    """Two areas on the same patients (see `compare_auc`).

    ``difference`` = first - second, with its standard error and interval; ``correlation`` of the two areas.
    """

    auc_a: float
    auc_b: float
    difference: float
    se: float
    ci_low: float
    ci_high: float
    z: float
    p: float
    correlation: float
    n_positive: int
    n_negative: int
    n_missing: int
    level: float


def compare_auc(
    y: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> RocComparison:
    """Test whether score ``a`` tells the groups apart better than ``b`` in the same patients.

    z = (A_a - A_b)/se with the covariance of the placements (DeLong et al. 1988, eq. 4-6). Equals R
    ``pROC::roc.test(method = "delong", paired = TRUE)`` on scores with ``direction = "<"``. Do not compare a
    model with its own extension on the data that fitted both: that test is too timid (Demler et al. 2012,
    Stat Med 31:2577); use the likelihood ratio, and `la_outcomes.analysis.optimism.optimism_bootstrap`.

    Raises
    ------
    StatisticsError
        As `auc`, or the scores order all pairs of patients alike (the difference has no variance).
    """
    y, a, b = columns_of(frame, y, a, b)
    z_level = normal_quantile(level)
    names = [
        variable_name(y, "outcome"),
        f"{variable_name(a, 'a')}, first score",
        f"{variable_name(b, 'b')}, second score",
    ]
    columns, n_missing = complete(dict(zip(names, (y, a, b), strict=True)), missing)
    parts = [_placements(*outcome_groups(columns[0], score, names[0])) for score in columns[1:]]
    above, below = (np.array([part[side] for part in parts]) for side in (0, 1))
    cov = np.cov(above) / above.shape[1] + np.cov(below) / below.shape[1]
    variance = float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])
    if variance <= 1e-14:
        raise StatisticsError(
            "both scores order the patients alike", where=f"{names[1]}; {names[2]}", hint="nothing to compare"
        )
    areas = above.mean(axis=1)
    difference, error = float(areas[0] - areas[1]), float(np.sqrt(variance))
    spread = float(np.sqrt(cov[0, 0] * cov[1, 1]))
    return RocComparison(
        auc_a=float(areas[0]),
        auc_b=float(areas[1]),
        difference=difference,
        se=error,
        ci_low=difference - z_level * error,
        ci_high=difference + z_level * error,
        z=difference / error,
        p=float(2 * stats.norm.sf(abs(difference / error))),
        correlation=float(cov[0, 1]) / spread if spread > 0 else 0.0,
        n_positive=above.shape[1],
        n_negative=below.shape[1],
        n_missing=n_missing,
        level=level,
    )


def outcome_groups(happened: FloatArray, scores: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
    """Return the scores of patients with and without the outcome; refuse fewer than two of either."""
    if not set(np.unique(happened)) <= {0.0, 1.0}:
        raise StatisticsError(f"{name} holds values other than 0 and 1", where=name)
    positive, negative = scores[happened == 1], scores[happened == 0]
    if min(len(positive), len(negative)) < 2:
        raise StatisticsError(
            f"{len(positive)} patients with and {len(negative)} without the outcome",
            where=name,
            hint="at least two of each are needed",
        )
    return positive, negative


def _placements(positive: FloatArray, negative: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of the other group below (for positives) and above (for negatives) each patient."""
    m, n = len(positive), len(negative)
    together = stats.rankdata(np.concatenate([positive, negative]))
    above = (together[:m] - stats.rankdata(positive)) / n
    below = 1 - (together[m:] - stats.rankdata(negative)) / m
    return above, below
