"""How well a volume tells patients with an outcome from those without: area under the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    complete,
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


def auc(outcome: ArrayLike, score: ArrayLike, *, level: float = 0.95, missing: Missing = "raise") -> RocArea:
    """Probability that a patient with the outcome has a higher score than one without; ties count half.

    Parameters
    ----------
    outcome : 0 or 1 a patient; score : a number a patient, higher meaning more likely 1.

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
    require_level(level)
    names = variable_name(outcome, "outcome"), variable_name(score, "score")
    (happened, scores), n_missing = complete({names[0]: outcome, names[1]: score}, missing)
    positive, negative = _groups(happened, scores, names[0])
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


def _groups(happened: FloatArray, scores: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
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
