"""The fully adjusted common odds ratio with missing values imputed, beside complete case and truth."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.analysis.covariance import FewClustersWarning
from la_outcomes.analysis.missing import ImputedFit, fit_imputed, impute
from la_outcomes.analysis.ordinal import fit_proportional_odds
from la_outcomes.analysis.studies.common import Exposure, cluster_column, usable_terms
from la_outcomes.analysis.studies.outcome_mrs import FittedSpecification
from la_outcomes.analysis.study import OUTCOMES
from la_outcomes.analysis.tables import records
from la_outcomes.errors import StatisticsError

IMPUTATIONS = 20
MOST_IMPUTED = 100_000


@dataclass(frozen=True)
class Estimate:
    """A log common odds ratio of the exposure with its interval, and what it rests on."""

    name: str
    log_or: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int | None = None
    m: int | None = None

    def row(self, true_log_or: float | None) -> dict[str, Any]:
        """One row of the table of estimates."""
        row: dict[str, Any] = {"estimate_of": self.name, "common_odds_ratio": np.exp(self.log_or)}
        if self.low is not None and self.high is not None:
            row["common_odds_ratio_ci_low"] = np.exp(self.low)
            row["common_odds_ratio_ci_high"] = np.exp(self.high)
        row |= {"p_value": self.p, "n": self.n, "m": self.m}
        if true_log_or:
            row["share_of_true_log_odds"] = self.log_or / true_log_or
        return row


def complete_case(fitted: FittedSpecification, term: str) -> Estimate:
    """The estimate of a specification fitted to complete patients."""
    low, high = (float(np.log(fitted.number(term, end))) for end in ("ci_low", "ci_high"))
    return Estimate(
        "complete case", fitted.number(term, "estimate"), low, high, fitted.number(term, "p"), fitted.fit.n
    )


def imputed(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, covariates: Sequence[str], name: str, seed: int
) -> Estimate:
    """Chained equations (pmm) over outcome, exposure, covariates and the other mRS; Rubin pooling.

    Degrees of freedom by Barnard and Rubin; errors clustered by centre as in the complete case.

    Raises
    ------
    StatisticsError
        Too many patients for imputation, nothing is missing, or a model cannot be fitted.
    """
    if len(frame) > MOST_IMPUTED:
        raise StatisticsError(f"more than {MOST_IMPUTED:,} patients are not imputed", where="imputation")
    kept, _ = usable_terms(frame[frame[outcome].notna()], list(covariates))
    auxiliary, _ = usable_terms(frame, [other for other in OUTCOMES if other != outcome])
    data = frame[[outcome, exposure.name, *kept, *auxiliary]].astype("Float64").astype(float)
    if not data[[outcome, exposure.name, *kept]].isna().any().any():
        raise StatisticsError("nothing is missing", where="imputation", hint="read the complete case")
    pooled = _fit(data, outcome, [exposure.name, *kept], frame, seed)
    own = records(pooled.coefficients[pooled.coefficients["term"] == exposure.name])[0]
    return Estimate(name, own["estimate"], own["ci_low"], own["ci_high"], own["p"], pooled.n, pooled.m)


AUXILIARY = ("bmi_kg_m2", "systolic_bp_mmhg", "ln_infarct", "ln_infarct_mni")


def imputed_coefficients(frame: pd.DataFrame, outcome: str, names: Sequence[str], seed: int) -> ImputedFit:
    """Mutually adjusted covariates with missing values imputed, without any volume of LA.

    Patients about whom nothing but the identifier is known are left out; body mass index, blood pressure,
    infarct volumes and the other mRS help to impute.

    Raises
    ------
    StatisticsError
        As `imputed`.
    """
    if len(frame) > MOST_IMPUTED:
        raise StatisticsError(f"more than {MOST_IMPUTED:,} patients are not imputed", where="imputation")
    kept, _ = usable_terms(frame[frame[outcome].notna()], list(names))
    others = [name for name in (*AUXILIARY, *OUTCOMES) if name != outcome and name not in kept]
    auxiliary, _ = usable_terms(frame, others)
    data = frame[[outcome, *kept, *auxiliary]].astype("Float64").astype(float)
    known = data[[outcome, *kept]].notna().any(axis=1)
    if not data.loc[known, [outcome, *kept]].isna().any().any():
        raise StatisticsError("nothing is missing", where="imputation", hint="read the complete case")
    rows = frame[known].reset_index(drop=True)
    return _fit(data[known].reset_index(drop=True), outcome, kept, rows, seed)


def _fit(
    data: pd.DataFrame, outcome: str, terms: Sequence[str], frame: pd.DataFrame, seed: int
) -> ImputedFit:
    completed = impute(data, m=IMPUTATIONS, seed=seed)
    cluster = cluster_column(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)  # captions say it: see errors_in_words
        return fit_imputed(
            lambda each: fit_proportional_odds(each, outcome, list(terms)),
            completed,
            cluster=None if cluster is None else frame[cluster].to_numpy(),
        )


def truth(exposure: Exposure) -> Estimate | None:
    """The simulation's conditional log common odds ratio, per the same fixed SD; None where there is none."""
    known = exposure.truth
    if known is None or known.log_or is None:
        return None
    return Estimate("simulation's truth (conditional, per SD of ln(true tissue mL + 1))", known.log_or)
