"""Who was imaged and measured, and how well a second CT repeats the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.agreement import bland_altman, repeatability
from la_outcomes.analysis.intraclass import icc
from la_outcomes.analysis.linear import fit_logistic
from la_outcomes.analysis.names import label
from la_outcomes.analysis.results import complete_rows, require_rows, require_spread
from la_outcomes.analysis.studies.baseline import baseline_variables
from la_outcomes.analysis.studies.common import OFFSET_ML, usable_terms
from la_outcomes.analysis.tables import baseline_table
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

    On ln(mL + 1), where errors are alike over volumes, and in mL. ``repeatability`` is 1.96 root 2 times the
    within-patient SD: the smallest change that is more than error in 95 %; on the log scale it is a ratio.

    Raises
    ------
    StatisticsError
        Fewer than ``FEWEST_REPEATS`` patients have two.
    """
    require_rows(len(repeats), FEWEST_REPEATS, "patients with two measured CTs")
    first, second = repeats["first_ml"].astype(float), repeats["second_ml"].astype(float)
    rows = []
    for name, x, y in (
        ("mL", first, second),
        ("ln(mL + 1)", np.log(first + OFFSET_ML), np.log(second + OFFSET_ML)),
    ):
        require_spread(np.asarray(x, dtype=float), name)
        found = repeatability(x, y)
        tidy = pd.DataFrame(
            {"patient": np.tile(np.arange(len(x)), 2), "scan": np.repeat([1, 2], len(x)),
             "volume": np.concatenate([x, y])}
        )  # fmt: skip
        own = icc(tidy, "patient", "scan", "volume").set_index("type").loc["ICC2"]
        bias = bland_altman(y, x)
        change = found.coefficient if name == "mL" else float(np.exp(found.coefficient))
        rows.append(
            {"scale": name, "n": found.n, "icc": own["icc"], "icc_ci_low": own["ci_low"],
             "icc_ci_high": own["ci_high"], "within_sd": found.within_sd, "repeatability": found.coefficient,
             "smallest_detectable_change": f"{change:.2f} {'mL' if name == 'mL' else 'times (mL + 1)'}",
             "bias": bias.bias, "bias_ci_low": bias.bias_ci[0], "bias_ci_high": bias.bias_ci[1]}
        )  # fmt: skip
    return pd.DataFrame(rows)
