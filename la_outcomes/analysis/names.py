"""How variables and groups are called in tables and figures, with the dictionary's units."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from la_outcomes.dictionary import load_dictionary

_SHORT = {
    "age_years": "Age",
    "sex": "Sex",
    "female": "Female sex",
    "reperfusion": "Any reperfusion treatment",
    "ln_infarct": "Infarct volume (as ln(mL + 1))",
    "ln_infarct_mni": "Infarct volume in MNI space (as ln(mL + 1))",
    "hypertension": "Hypertension",
    "diabetes": "Diabetes",
    "hyperlipidaemia": "Hyperlipidaemia",
    "smoking": "Current smoking",
    "atrial_fibrillation": "Atrial fibrillation",
    "prior_stroke": "Prior stroke",
    "bmi_kg_m2": "Body mass index",
    "systolic_bp_mmhg": "Systolic blood pressure",
    "glucose_mmol_l": "Glucose",
    "nihss_admission": "NIHSS",
    "pre_stroke_mrs": "Pre-stroke mRS",
    "reperfusion_treatment": "Reperfusion treatment",
    "infarct_volume_ml": "Infarct volume",
    "infarct_volume_mni_ml": "Infarct volume (MNI space)",
    "onset_to_ct_hours": "Onset to CT",
    "la_volume_ml": "LA volume on CT",
    "wmh_volume_ml": "WMH volume on MRI",
    "label_volume_ml": "Pseudo-label volume",
    "icv_ml": "Intracranial volume",
    "brain_volume_ml": "Brain volume",
    "fazekas_max": "Fazekas grade (maximum)",
    "mrs_3m": "mRS at 3 months",
    "mrs_discharge": "mRS at discharge",
    "slice_thickness_mm": "CT slice thickness",
    "manufacturer": "CT vendor",
    "kernel": "CT kernel",
    "site": "Centre",
    "death_days": "Time to death",
    "recurrence_days": "Time to recurrence",
    "cohort": "Cohort",
}
_TABLES = ("patients", "scans", "clinical", "outcomes", "la_measurements", "wmh_measurements")


@cache
def unit(column: str) -> str | None:
    """The dictionary's unit of a column of the cohort; None where it has none."""
    dictionary = load_dictionary()
    for table in _TABLES:
        if column in dictionary.tables[table].columns:
            return dictionary.tables[table].columns[column].unit
    return None


def label(column: str) -> str:
    """The name to print, without a unit; an unknown column keeps its own name."""
    return _SHORT.get(column, column.replace("_", " "))


def in_words(columns: Sequence[str]) -> str:
    """Several names to print, in a sentence: ``age, female sex, NIHSS``."""
    printed = [label(column) for column in columns]
    return ", ".join(name if name[1:2].isupper() else name[:1].lower() + name[1:] for name in printed)


def label_with_unit(column: str) -> str:
    """The name to print with its unit: ``Age, years``."""
    printed = unit(column)
    return f"{label(column)}, {printed}" if printed else label(column)


def cohort_label(code: str) -> str:
    """A cohort's name to print: ``external test``."""
    return code.replace("us_test", "US test").replace("_", " ")
