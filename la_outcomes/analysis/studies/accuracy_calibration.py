"""CT volumes before and after calibration to the volume that MRI shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.linear import fit_linear
from la_outcomes.analysis.names import cohort_label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.results import require_rows
from la_outcomes.analysis.studies.accuracy import Comparison, agreement_row, both_known, cohorts_of
from la_outcomes.errors import StatisticsError

RAW = Comparison("raw_v_mri", "la_volume_ml", "wmh_volume_ml")
CALIBRATED = Comparison("calibrated_v_mri", "calibrated_ml", "wmh_volume_ml")
FEWEST = 10
FITTED_ON = "internal_validation"
_SHOWN = (
    "n", "ccc", "ccc_ci_low", "ccc_ci_high", "slope", "slope_ci_low", "slope_ci_high", "bias_ml",
    "bias_ml_ci_low", "bias_ml_ci_high", "mean_absolute_error_ml", "mean_absolute_error_ml_ci_low",
    "mean_absolute_error_ml_ci_high", "sd_difference_ml",
)  # fmt: skip


@dataclass(frozen=True)
class CalibratedPairs:
    """Pairs with column ``calibrated_ml``, where it comes from in words, and the cohorts it may judge."""

    pairs: pd.DataFrame
    source: str


def calibrate_pairs(pairs: pd.DataFrame) -> CalibratedPairs:
    """The model's own calibration, else a line of ln(MRI mL + 1) on ln(CT mL + 1) from internal validation.

    Patients that the line was fitted on are not among the pairs returned.

    Raises
    ------
    StatisticsError
        Neither is there.
    """
    own = pairs["la_volume_calibrated_ml"]
    if own.notna().sum() >= FEWEST:
        return CalibratedPairs(pairs.assign(calibrated_ml=own.astype(float)), "the model's own calibration")
    development = both_known(pairs[pairs["cohort"] == FITTED_ON], RAW)
    if len(development) < FEWEST:
        raise StatisticsError(
            f"volumes were not calibrated, and {len(development)} pairs of internal validation fit no line",
            where="la_volume_calibrated_ml",
        )
    logs = pd.DataFrame({"y": _log(development["wmh_volume_ml"]), "x": _log(development["la_volume_ml"])})
    intercept, slope = fit_linear(logs, "y", ["x"], covariance="HC3").parameters
    others = pairs[pairs["cohort"] != FITTED_ON]
    fitted = np.expm1(intercept + slope * _log(others["la_volume_ml"])).clip(lower=0)
    words = (
        f"ln(MRI mL + 1) = {intercept:.3f} + {slope:.3f} ln(CT mL + 1), fitted on {len(development)} pairs "
        "of internal validation"
    )
    return CalibratedPairs(others.assign(calibrated_ml=fitted), words)


def _log(volume: pd.Series) -> pd.Series:
    return pd.Series(np.log1p(volume.astype(float)), index=volume.index)


def before_and_after(outputs: Outputs, pairs: pd.DataFrame, seed: int) -> None:
    """Agreement with WMH on MRI by cohort, before and after calibration, in the same patients."""
    calibrated = calibrate_pairs(pairs)
    rows = []
    for code, own in cohorts_of(both_known(calibrated.pairs, CALIBRATED)).items():
        if len(own) < 4:
            continue
        for name, comparison in (("before", RAW), ("after", CALIBRATED)):
            found = agreement_row(own, comparison, seed)
            kept = {column: found[column] for column in _SHOWN}
            rows.append({"cohort": cohort_label(code), "calibration": name, **kept})
    require_rows(len(rows), 1, "calibrated volumes of tested cohorts")
    table = pd.DataFrame(rows)
    said = f"LA volume on CT v WMH volume on MRI before and after calibration ({calibrated.source})"
    outputs.table("calibration", table, said, n=int(table.loc[table["calibration"] == "after", "n"].sum()))
    for row in table.to_dict("records"):
        outputs.result(
            "ccc", row["ccc"], specification=f"LA on CT v WMH on MRI, {row['calibration']} calibration",
            n=row["n"], ci=(row["ccc_ci_low"], row["ccc_ci_high"]), term=row["cohort"],
        )  # fmt: skip
