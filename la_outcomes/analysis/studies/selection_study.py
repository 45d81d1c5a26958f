"""Who was imaged and measured, and how well a second CT repeats the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from la_outcomes.analysis.linear import fit_logistic
from la_outcomes.analysis.names import label
from la_outcomes.analysis.results import complete_rows, require_rows
from la_outcomes.analysis.selection import SelectionWeights, compare_weighted, selection_weights
from la_outcomes.analysis.studies.baseline import baseline_variables
from la_outcomes.analysis.studies.common import OFFSET_ML, SEVERITY, Exposure, usable_terms
from la_outcomes.analysis.tables import baseline_table
from la_outcomes.analysis.test_retest import repeated_scans
from la_outcomes.errors import StatisticsError

NOT_MEASURES = (
    "la_volume_ml",
    "wmh_volume_ml",
    "icv_ml",
    "fazekas_max",
    "slice_thickness_mm",
    "manufacturer",
)
FEWEST_REPEATS = 10
FEWEST_OUTSIDE = 10


@dataclass(frozen=True)
class Step:
    """A way to be selected: its name, the words for in and out, and the column that shows it."""

    name: str
    inside: str
    outside: str
    column: str


STEPS = (
    Step("ct", "LA volume measured on CT", "not measured", "la_volume_ml"),
    Step("mri", "WMH volume measured on MRI", "no MRI volume", "wmh_volume_ml"),
)


def selected(frame: pd.DataFrame, step: Step) -> pd.Series:
    """1 where the patient is inside, else 0.

    Raises
    ------
    StatisticsError
        Everybody or nobody is inside: there is nothing to compare.
    """
    inside = frame[step.column].notna().astype(float)
    if inside.nunique() < 2:
        who = "everybody" if inside.iloc[0] else "nobody"
        raise StatisticsError(f"{who} has {step.inside}", where=step.column)
    return inside


def comparison(frame: pd.DataFrame, step: Step, outcome: str) -> pd.DataFrame:
    """Patients inside and outside, described as in a baseline table with SMDs."""
    grouped = frame.assign(inside=selected(frame, step))
    variables = [v for v in baseline_variables(frame, outcome) if v.column not in NOT_MEASURES]
    return baseline_table(grouped, variables, "inside", {1.0: step.inside, 0.0: step.outside})


def selection_odds(frame: pd.DataFrame, step: Step, covariates: Sequence[str]) -> pd.DataFrame:
    """Mutually adjusted odds ratios of being inside, complete cases.

    Raises
    ------
    StatisticsError
        A covariate separates, or fewer than 10 patients are on one side.
    """
    inside = selected(frame, step)
    kept, _ = usable_terms(frame, list(covariates))
    complete, _ = complete_rows(frame.assign(inside=inside), ["inside", *kept], "drop")
    require_rows(
        int(min((complete["inside"] == 1).sum(), (complete["inside"] == 0).sum())),
        FEWEST_OUTSIDE,
        step.inside,
    )
    kept, _ = usable_terms(complete, kept)
    fit = fit_logistic(complete.astype("Float64").astype(float), "inside", kept)
    rows = (
        fit.coefficients.iloc[1:] if fit.coefficients["term"].iloc[0] == "(Intercept)" else fit.coefficients
    )
    return pd.DataFrame(
        {
            "covariate": [label(term) for term in rows["term"]],
            "odds_ratio": rows["odds_ratio"],
            "odds_ratio_ci_low": rows["ci_low"],
            "odds_ratio_ci_high": rows["ci_high"],
            "p_value": rows["p"],
            "n": fit.n,
        }
    )


def repeat_table(repeats: pd.DataFrame) -> pd.DataFrame:
    """Two CTs of the same patient: within-patient SD, repeatability, ICC, change that can be seen.

    On ln(mL + 1), where errors are alike over volumes, and in mL. ``smallest_detectable_change`` is the
    repeatability coefficient: the change that is more than error in 95 %; on the log scale it is a ratio.

    Raises
    ------
    StatisticsError
        Fewer than ``FEWEST_REPEATS`` patients have two.
    """
    require_rows(len(repeats), FEWEST_REPEATS, "patients with two measured CTs")
    both = repeats.melt("patient_id", ["first_ml", "second_ml"], "scan", "volume_ml")
    rows = []
    scales: tuple[tuple[str, Literal["raw", "log"]], ...] = (("mL", "raw"), ("ln(mL + 1)", "log"))
    for name, scale in scales:
        found = repeated_scans(both, "patient_id", "volume_ml", order="scan", scale=scale, offset=OFFSET_ML)
        change = found.smallest_detectable_change if scale == "raw" else float(found.ratio_limit or np.nan)
        rows.append(
            {"scale": name, "n": found.n, "icc": found.icc, "icc_ci_low": found.icc_low,
             "icc_ci_high": found.icc_high, "within_sd": found.within_sd,
             "within_sd_ci_low": found.within_sd_low, "within_sd_ci_high": found.within_sd_high,
             "repeatability": found.coefficient, "bias": found.bias, "bias_p": found.bias_p,
             "smallest_detectable_change": f"{change:.2f} {'mL' if scale == 'raw' else 'times (mL + 1)'}"}
        )  # fmt: skip
    return pd.DataFrame(rows)


def weighted_odds(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, selects: Sequence[str]
) -> tuple[pd.DataFrame, SelectionWeights]:
    """The fully adjusted common odds ratio plain and weighted to all patients, and the weights' diagnostics.

    Selected is who has the exposure, the outcome and the covariates; what selection may depend on must be
    known of everybody counted. Weights are stabilised, 1 % of the largest and smallest cut.

    Raises
    ------
    StatisticsError
        Everybody is selected, or the models cannot be fitted.
    """
    covariates, _ = usable_terms(frame[frame[outcome].notna()], list(SEVERITY))
    kept, _ = usable_terms(frame, list(selects))
    needed = frame[[outcome, exposure.name, *covariates]].notna().all(axis=1)
    table = frame[[outcome, exposure.name, *dict.fromkeys([*covariates, *kept])]]
    table = table.astype("Float64").astype(float).assign(selected=needed.astype(float))
    if table["selected"].nunique() < 2:
        raise StatisticsError("everybody or nobody is complete: nothing to weight", where="selection")
    weights = selection_weights(table, "selected", kept, truncate=0.01, missing="drop")
    chosen = table[needed].assign(**{outcome: table.loc[needed, outcome]})
    found = compare_weighted(
        chosen, outcome, [exposure.name, *covariates], weights, "ordinal", missing="drop"
    )
    own = found.coefficients[found.coefficients["term"] == exposure.name]
    rows = pd.DataFrame(
        {
            "estimate_of": own["estimate_of"],
            "common_odds_ratio": own["odds_ratio"],
            "common_odds_ratio_ci_low": own["ci_low"],
            "common_odds_ratio_ci_high": own["ci_high"],
            "p_value": own["p"],
            "n": found.n,
        }
    )
    return rows.reset_index(drop=True), weights
