"""A cut-off fixed on development data and applied to other patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from la_outcomes.analysis.results import (
    Missing,
    Result,
    columns_of,
    complete,
    normal_quantile,
    require_choice,
    require_rows,
    variable_name,
)
from la_outcomes.analysis.roc import outcome_groups
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class CutOff(Result):
    """A cut-off chosen on development data (see `choose_cutoff`); a score at or above it is positive."""

    cutoff: float
    rule: str
    sensitivity: float
    specificity: float
    n_positive: int
    n_negative: int
    n_missing: int


@dataclass(frozen=True)
class CutOffPerformance(Result):
    """A fixed cut-off on other patients (see `apply_cutoff`).

    ``table`` : measure (sensitivity, specificity, ppv, npv, accuracy), estimate, ci_low, ci_high (Wilson), n.
    """

    table: pd.DataFrame
    cutoff: float
    n: int
    n_missing: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()


def choose_cutoff(
    y: ArrayLike,
    score: ArrayLike,
    rule: str = "youden",
    *,
    frame: pd.DataFrame | None = None,
    minimum: float = 0.9,
    missing: Missing = "raise",
) -> CutOff:
    """Choose a cut-off on development data, to be applied elsewhere with `apply_cutoff`.

    ``rule`` : ``youden`` (largest sensitivity + specificity - 1; the highest such cut-off), ``sensitivity``
    or ``specificity`` (the most of the other with at least ``minimum`` of the named one). Cut-offs lie half
    way between neighbouring scores, as R ``pROC::coords(x = "best")`` has them. Performance on the data that
    chose the cut-off is optimistic: report `apply_cutoff`'s.

    Raises
    ------
    StatisticsError
        As `auc`; an unknown rule.
    """
    y, score = columns_of(frame, y, score)
    require_choice(rule, ("youden", "sensitivity", "specificity"), "rule")
    names = variable_name(y, "outcome"), variable_name(score, "score")
    (happened, scores), n_missing = complete({names[0]: y, names[1]: score}, missing)
    positive, negative = outcome_groups(happened, scores, names[0])
    values = np.unique(scores)
    require_rows(len(values), 2, names[1])
    cuts = (values[1:] + values[:-1]) / 2
    sensitivity = 1 - np.searchsorted(np.sort(positive), cuts) / len(positive)
    specificity = np.searchsorted(np.sort(negative), cuts) / len(negative)
    gain = sensitivity + specificity
    if rule != "youden":
        held, other = (sensitivity, specificity) if rule == "sensitivity" else (specificity, sensitivity)
        gain = np.where(held >= minimum - 1e-12, other, -1.0)
        if gain.max() < 0:
            raise StatisticsError(f"no cut-off has a {rule} of {minimum}", where=names[1], hint="lower it")
    best = len(gain) - 1 - int(np.argmax(gain[::-1]))
    return CutOff(
        float(cuts[best]),
        rule,
        float(sensitivity[best]),
        float(specificity[best]),
        len(positive),
        len(negative),
        n_missing,
    )


def apply_cutoff(
    y: ArrayLike,
    score: ArrayLike,
    cutoff: float,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> CutOffPerformance:
    """Sensitivity, specificity, predictive values and accuracy of a cut-off fixed elsewhere.

    Intervals are Wilson's (1927, J Am Stat Assoc 22:209; R ``prop.test(correct = FALSE)``). Predictive values
    hold for this sample's prevalence.

    Raises
    ------
    StatisticsError
        As `auc`; nobody at or above, or nobody below, the cut-off.
    """
    y, score = columns_of(frame, y, score)
    z = normal_quantile(level)
    names = variable_name(y, "outcome"), variable_name(score, "score")
    (happened, scores), n_missing = complete({names[0]: y, names[1]: score}, missing)
    outcome_groups(happened, scores, names[0])
    called, ill = scores >= cutoff, happened == 1
    if called.all() or not called.any():
        raise StatisticsError(
            f"all patients are on one side of {cutoff:g}", where=names[1], hint="same unit?"
        )
    counts = {
        "sensitivity": (called & ill, ill),
        "specificity": (~called & ~ill, ~ill),
        "ppv": (called & ill, called),
        "npv": (~called & ~ill, ~called),
        "accuracy": (called == ill, np.ones(len(ill), dtype=bool)),
    }
    rows = [
        (name, *wilson_interval(int(hits.sum()), int(among.sum()), z), int(among.sum()))
        for name, (hits, among) in counts.items()
    ]
    table = pd.DataFrame(rows, columns=["measure", "estimate", "ci_low", "ci_high", "n"])
    return CutOffPerformance(table, float(cutoff), len(ill), n_missing)


def wilson_interval(hits: int, n: int, z: float) -> tuple[float, float, float]:
    """Return a share and Wilson's interval at the normal quantile ``z``."""
    share, square = hits / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * float(np.sqrt(share * (1 - share) / n + square / (4 * n * n)))
    return share, max(0.0, centre - half), min(1.0, centre + half)
