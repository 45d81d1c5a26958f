"""The common odds ratio of the true volume (MRI) where the cohort has CT volumes with an error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from la_outcomes.analysis.cohort import load_pairs
from la_outcomes.analysis.measurement_error import (
    CorrectedEffect,
    ErrorSpecification,
    impute_true_exposure,
    regression_calibration,
)
from la_outcomes.analysis.results import require_rows
from la_outcomes.analysis.studies.common import Exposure
from la_outcomes.analysis.studies.outcome_imputed import Estimate
from la_outcomes.analysis.studies.outcome_mrs import same_patients
from la_outcomes.analysis.study import Request
from la_outcomes.errors import StatisticsError

FEWEST_PAIRS = 30
N_BOOT = 200
DRAWS = 20
MOST_CORRECTED = 20_000
_VOLUMES = ("la_volume_ml", "wmh_volume_ml")
_LOGS = ("ln_la_volume", "ln_wmh_volume")


def error_pairs(request: Request, cohort: pd.DataFrame) -> pd.DataFrame:
    """CT-FLAIR pairs of patients outside ``cohort`` and outside the training cohort, one a patient.

    Raises
    ------
    StatisticsError
        Fewer than ``FEWEST_PAIRS``.
    """
    pairs = load_pairs(request.registry)
    outside = ~pairs["patient_id"].isin(cohort["patient_id"]) & (pairs["cohort"] != "training")
    pairs = (
        pairs[outside].sort_values(["patient_id", "days_between", "scan_id"]).drop_duplicates("patient_id")
    )
    pairs = pairs.assign(ln_infarct=np.log1p(pairs["infarct_volume_ml"].astype(float)))
    pairs = pairs.dropna(subset=["la_volume_ml", "wmh_volume_ml"])
    require_rows(len(pairs), FEWEST_PAIRS, "external pairs with CT and MRI volume")
    return pairs.reset_index(drop=True)


def corrected(
    frame: pd.DataFrame, request: Request, exposure: Exposure, covariates: Sequence[str]
) -> tuple[list[Estimate], tuple[str, ...]]:
    """Regression calibration and multiple imputation that is valid for external pairs; what both assume.

    The error may depend on infarct volume where that is known on both sides. Complete cases; per the same SD
    as the naive estimate.

    Raises
    ------
    StatisticsError
        Another exposure than the CT volume, too few pairs, or more than ``MOST_CORRECTED`` patients.
    """
    if exposure.column != "la_volume_ml":
        raise StatisticsError("only the CT volume has MRI pairs that show its error", where=exposure.column)
    rows = same_patients(frame, request.outcome, exposure.name, covariates)
    if len(rows) > MOST_CORRECTED:
        raise StatisticsError(f"left out above {MOST_CORRECTED:,} patients", where="measurement error")
    pairs = error_pairs(request, frame)
    by_infarct = "ln_infarct" in covariates and pairs["ln_infarct"].nunique() > 1
    specification = _specification(rows, pairs, exposure, by_infarct)
    names = [request.outcome, *_VOLUMES[:1], *_LOGS[:1], *covariates]
    cohort = _with_logs(rows)[names].astype("Float64").astype(float)
    known = _with_logs(pairs)[[*_VOLUMES, *_LOGS, "ln_infarct"]].astype(float)
    terms = list(covariates)
    calibrated = regression_calibration(
        cohort, known, request.outcome, terms, specification, "ordinal", n_boot=N_BOOT, seed=request.seed,
        missing="drop", jobs=request.jobs,
    )  # fmt: skip
    imputed = impute_true_exposure(
        cohort, known, request.outcome, terms, specification, "ordinal", m=DRAWS, seed=request.seed,
        missing="drop", jobs=request.jobs,
    )  # fmt: skip
    found = [_estimate("regression calibration", calibrated), _estimate("multiple imputation", imputed)]
    return found, imputed.assumptions


def _specification(
    cohort: pd.DataFrame, pairs: pd.DataFrame, exposure: Exposure, by_infarct: bool
) -> ErrorSpecification:
    """A volume of 0 as "not seen" where pairs show how often that is; else as ln(0 + 1), a number."""
    unseen = (cohort["la_volume_ml"] == 0).any() and not (pairs["la_volume_ml"] == 0).any()
    names, offset = (_LOGS, None) if unseen else (_VOLUMES, 1.0)
    terms = ["ln_infarct"] if by_infarct else []
    return ErrorSpecification(*names, error_terms=terms, offset=offset, sd=exposure.sd)


def _with_logs(frame: pd.DataFrame) -> pd.DataFrame:
    logs = {
        log: np.log1p(frame[volume].astype(float))
        for volume, log in zip(_VOLUMES, _LOGS, strict=True)
        if volume in frame
    }
    return frame.assign(**logs)


def _estimate(name: str, effect: CorrectedEffect) -> Estimate:
    own = effect.effect()
    how = f"{effect.replicates} {'resamples' if 'calibration' in name else 'imputations'}"
    return Estimate(
        f"corrected for measurement error by {name} ({how}, {effect.n_pairs:,} external pairs)",
        float(own["estimate"]), float(own["ci_low"]), float(own["ci_high"]), n=effect.n,
    )  # fmt: skip
