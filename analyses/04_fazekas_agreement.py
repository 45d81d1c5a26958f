"""04 Fazekas agreement.

Question        Do two readers agree on the Fazekas grade on CT, does LA volume rise with it, and does volume
                find grade 2 and above?
Population      All patients with a grade, or those of --population.
Specification   First readings; linear and quadratic weighted kappa. Volume by fazekas_max (rater 1):
                Spearman and Kendall correlation, Jonckheere-Terpstra trend; Pearson only because published
                figures (0.832 external, 0.891 US) are Pearson's. AUC (DeLong) with a cut-off fixed by the
                Youden index on training and internal validation, tested on the other cohorts.
Outputs         readers, grades, association, discrimination as CSV; figure volume_by_grade.
"""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.grades import grade_figure
from la_outcomes.analysis.names import cohort_label, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.studies.fazekas import (
    TESTED,
    association_rows,
    discrimination_rows,
    fix_cut_off,
    graded,
    reader_agreement,
    volume_by_grade,
)
from la_outcomes.analysis.studies.fazekas_outputs import record_association, record_auc, write_kappa
from la_outcomes.analysis.study import Request, Study, run_script

VOLUME = "la_volume_ml"
GRADES_FOUND = (2, 1, 3)


def answer(request: Request, outputs: Outputs) -> None:
    """Readers first, then volume against grade, then discrimination."""
    patients = patients_of(request, outputs)
    with outputs.attempt("Agreement of readers"):
        write_kappa(outputs, reader_agreement(patients))
    known = graded(patients, VOLUME)
    said = f"{label(VOLUME)} by Fazekas grade (maximum, rater 1)"
    outputs.table("grades", volume_by_grade(known), said, n=len(known))
    outputs.figure(
        "volume_by_grade", grade_figure(known, label(VOLUME)), said + "; boxes: quartiles", n=len(known),
        alt="Box plots of volume that rise with the Fazekas grade",
    )  # fmt: skip
    with outputs.attempt("Association of volume and grade"):
        rows = association_rows(known, "all")
        for code in TESTED:
            own = known[known["cohort"] == code]
            if own["grade"].nunique() > 1 and len(own) > 9:
                rows += association_rows(own, cohort_label(code))
        outputs.table("association", pd.DataFrame(rows), "Association of volume and grade", n=len(known))
        record_association(outputs, rows)
    with outputs.attempt("Discrimination of grades by volume"):
        found = []
        for grade in GRADES_FOUND:
            found += discrimination_rows(known, fix_cut_off(known, grade))
        said = "Finding a grade by volume; cut-off fixed on training and internal validation (Youden)"
        n_tested = int(known["cohort"].isin(TESTED).sum())
        outputs.table("discrimination", pd.DataFrame(found), said, n=n_tested)
        record_auc(outputs, found)


STUDY = Study(
    number="04",
    name="fazekas_agreement",
    title="Fazekas grades",
    question="Do readers agree on the Fazekas grade on CT, does volume rise with it, does it find grade ≥ 2?",
    population="all patients with a Fazekas grade on CT",
    specification="Weighted kappa (linear and quadratic) of first readings; Spearman, Kendall, Jonckheere-"
    "Terpstra, Pearson; AUC by DeLong with the cut-off fixed on development cohorts.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
