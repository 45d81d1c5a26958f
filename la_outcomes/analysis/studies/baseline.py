"""Which variables describe the patients, and by what they are grouped."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise

import pandas as pd

from la_outcomes.analysis.names import cohort_label, label, label_with_unit
from la_outcomes.analysis.studies.cohort_flow import COHORTS
from la_outcomes.analysis.studies.common import quintile_edges
from la_outcomes.analysis.tables import Kind, Variable

_KINDS: dict[str, Kind] = {
    "age_years": "mean",
    "female": "yes",
    "hypertension": "yes",
    "diabetes": "yes",
    "hyperlipidaemia": "yes",
    "smoking": "yes",
    "atrial_fibrillation": "yes",
    "prior_stroke": "yes",
    "bmi_kg_m2": "mean",
    "systolic_bp_mmhg": "mean",
    "glucose_mmol_l": "median",
    "nihss_admission": "median",
    "pre_stroke_mrs": "levels",
    "reperfusion_treatment": "levels",
    "infarct_volume_ml": "median",
    "infarct_volume_mni_ml": "median",
    "onset_to_ct_hours": "median",
    "la_volume_ml": "median",
    "wmh_volume_ml": "median",
    "icv_ml": "mean",
    "fazekas_max": "levels",
    "slice_thickness_mm": "median",
    "manufacturer": "levels",
}


def baseline_variables(frame: pd.DataFrame, outcome: str) -> list[Variable]:
    """The variables that anybody has a value of, and the outcome; the rest is left to the missing table."""
    kinds: dict[str, Kind] = {**_KINDS, outcome: "levels"}
    known = {name: kind for name, kind in kinds.items() if frame[name].notna().any()}
    return [Variable(name, _printed(name, kind), kind) for name, kind in known.items()]


def _printed(name: str, kind: Kind) -> str:
    if kind in ("yes", "levels"):
        return f"{label(name)}, n (%)"
    statistic = "mean (SD)" if kind == "mean" else "median [quartiles]"
    return f"{label_with_unit(name)}, {statistic}"


def cohort_groups() -> dict[Hashable, str]:
    """Cohorts in the order of the study, with the names to print."""
    return {code: cohort_label(code) for code in COHORTS}


def quintile_groups(volume: pd.Series) -> dict[Hashable, str]:
    """Fifths 1 to 5 with their limits in mL; a volume on a limit belongs to the lower fifth."""
    edges = [f"{edge:.1f}" for edge in quintile_edges(volume)]
    printed = [f"Q1 (≤{edges[0]} mL)"]
    printed += [f"Q{i} (>{low} to {high} mL)" for i, (low, high) in enumerate(pairwise(edges), start=2)]
    printed.append(f"Q5 (>{edges[3]} mL)")
    return {float(i + 1): name for i, name in enumerate(printed)}


def missing_table(frame: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """How many patients lack each variable, overall and by cohort, the most missing first."""
    names = [*_KINDS, outcome]
    absent = frame[names].isna()
    table = pd.DataFrame(
        {
            "variable": [label("sex" if name == "female" else name) for name in names],
            "missing": absent.sum().to_numpy(),
            "missing_percent": (100 * absent.mean()).round(1).to_numpy(),
        }
    )
    for code in COHORTS:
        if (frame["cohort"] == code).any():
            table[cohort_label(code)] = absent[frame["cohort"] == code].sum().to_numpy()
    return table.sort_values("missing", ascending=False, kind="stable").reset_index(drop=True)
