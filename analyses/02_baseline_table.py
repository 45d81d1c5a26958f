"""02 Baseline table.

Question        Who are the patients, by cohort and by fifth of LA volume?
Population      Everybody in the registry, or --population.
Specification   Description without tests: mean (SD), median [quartiles] or n (%), missing values counted,
                and the largest absolute standardised mean difference (SMD) between any two groups. Fifths
                are cut at the quintiles of the measured volumes of the clinical cohort (where there is none,
                of all patients); a volume on a limit belongs to the lower fifth.
Outputs         by_cohort.csv, by_quintile.csv, missing.csv, mean age and median volume as results.
"""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.names import label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.baseline import (
    baseline_variables,
    cohort_groups,
    missing_table,
    quintile_groups,
)
from la_outcomes.analysis.studies.common import main_cohort, patients_of, quintiles
from la_outcomes.analysis.study import Request, Study, run_script
from la_outcomes.analysis.tables import baseline_table


def answer(request: Request, outputs: Outputs) -> None:
    """Describe the population."""
    patients = patients_of(request, outputs)
    variables = baseline_variables(patients, request.outcome)
    by_cohort = baseline_table(patients, variables, "cohort", cohort_groups())
    outputs.table("by_cohort", by_cohort, "Patients by cohort; SMD is the largest between any two cohorts")
    outputs.table(
        "missing", missing_table(patients, request.outcome), "Patients without a value, by variable"
    )
    if request.exposure != "none":
        with outputs.attempt(f"Patients by fifth of {label(request.exposure)}"):
            describe_fifths(patients, request, outputs)
    for column in ("age_years", "la_volume_ml"):
        known = patients[column].dropna()
        if len(known):
            outputs.result("median", known.median(), specification="description", term=column, n=len(known))


def describe_fifths(patients: pd.DataFrame, request: Request, outputs: Outputs) -> None:
    """The same description by fifth of the exposure."""
    cohort, name = main_cohort(patients)
    cohort = cohort.assign(fifth=quintiles(cohort[request.exposure]))
    variables = baseline_variables(cohort, request.outcome)
    table = baseline_table(cohort, variables, "fifth", quintile_groups(cohort[request.exposure]))
    outputs.table(
        "by_quintile",
        table,
        f"Patients by fifth of {label(request.exposure)} ({name}; a tie at a limit goes to the lower fifth)",
        n=int(cohort["fifth"].notna().sum()),
    )


STUDY = Study(
    number="02",
    name="baseline_table",
    title="Baseline characteristics",
    question="Who are the patients, by cohort and by fifth of LA volume?",
    population="all patients of the registry; fifths within the clinical cohort",
    specification="Mean (SD), median [quartiles] or n (%); missing values counted; standardised mean "
    "differences; no tests.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
