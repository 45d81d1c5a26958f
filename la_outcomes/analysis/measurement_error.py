"""Effects of a true exposure when the cohort has a measured one: the names that analyses import."""

from la_outcomes.analysis.error_specification import ErrorSpecification
from la_outcomes.analysis.exposure_imputation import impute_true_exposure, pool_nested
from la_outcomes.analysis.misclassification import (
    ReparameterisedImputation,
    reparameterised_imputation,
)
from la_outcomes.analysis.regression_calibration import CorrectedEffect, regression_calibration

__all__ = [
    "CorrectedEffect",
    "ErrorSpecification",
    "ReparameterisedImputation",
    "impute_true_exposure",
    "pool_nested",
    "regression_calibration",
    "reparameterised_imputation",
]
