"""Likelihood-ratio test of nested models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from la_outcomes.analysis.results import FloatArray, Result
from la_outcomes.analysis.terms import Design
from la_outcomes.errors import StatisticsError


class LikelihoodFit(Protocol):
    """What the test needs of a fit."""

    @property
    def loglik(self) -> float: ...

    @property
    def parameters(self) -> FloatArray: ...

    @property
    def outcome_values(self) -> FloatArray: ...

    @property
    def design(self) -> Design: ...


@dataclass(frozen=True)
class LikelihoodRatio(Result):
    """chi2 = 2 (loglik full - loglik reduced) on df = difference in parameters, and its p."""

    chi2: float
    df: int
    p: float


def likelihood_ratio(full: LikelihoodFit, reduced: LikelihoodFit) -> LikelihoodRatio:
    """Test whether the parameters that ``full`` has beyond ``reduced`` are 0.

    2 (loglik full - loglik reduced) is chi-squared (Wilks 1938, Ann Math Stat 9:60-62). Equals R
    ``anova(reduced, full)`` of polr, clm and glm fits, and ``lmtest::lrtest`` of lm fits. A small p says that
    the added terms improve the fit.

    Raises
    ------
    StatisticsError
        The models were not fitted to the same outcomes, are not nested, or are penalised.
    """
    same = full.outcome_values.shape == reduced.outcome_values.shape and np.array_equal(
        full.outcome_values, reduced.outcome_values
    )
    if not same:
        raise StatisticsError(
            "the two models were not fitted to the same patients",
            where="likelihood_ratio",
            hint="missing values differ? fit both on the rows complete for the full model",
        )
    if getattr(full, "penalty", 0.0) or getattr(reduced, "penalty", 0.0):
        raise StatisticsError(
            "a penalised likelihood has no chi-squared test", where="penalty", hint="fit with penalty=0"
        )
    df = len(full.parameters) - len(reduced.parameters)
    chi2 = 2 * (full.loglik - reduced.loglik)
    if df < 1 or not _spans(full.design.matrix, reduced.design.matrix):
        raise StatisticsError(
            "the second model is not nested in the first",
            where="likelihood_ratio",
            hint="the full model must contain every term of the reduced one; give it first",
        )
    chi2 = max(chi2, 0.0)
    return LikelihoodRatio(chi2, df, float(stats.chi2.sf(chi2, df)))


def _spans(wide: FloatArray, narrow: FloatArray) -> bool:
    """Say whether every column of ``narrow`` is a linear combination of those of ``wide`` and a constant."""
    if narrow.shape[1] == 0:
        return True
    wide, narrow = wide - wide.mean(axis=0), narrow - narrow.mean(axis=0)
    wide, narrow = wide / np.linalg.norm(wide, axis=0), narrow / np.linalg.norm(narrow, axis=0)
    left = narrow - wide @ np.linalg.lstsq(wide, narrow, rcond=None)[0]
    return bool(np.linalg.norm(left, axis=0).max() < 1e-7)
