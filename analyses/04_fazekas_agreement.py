"""04 Fazekas agreement.

Question        Do two readers agree on the Fazekas grade on CT, does LA volume rise with it, and does volume
                find the grade?
Population      All patients with a grade, or those of --population.
Specification   First readings; linear and quadratic weighted kappa. Volume by fazekas_max (rater 1):
                Spearman and Kendall correlation, Jonckheere-Terpstra trend; Pearson only because published
                figures (0.832 external, 0.891 US) are Pearson's. AUC (DeLong) for >= 1, >= 2 and = 3 with
                cut-offs fixed by the Youden index on training and internal validation, tested on the other
                cohorts; the grade these cut-offs give, by quadratic kappa beside the readers'.
Outputs         readers, grades, association, discrimination, derived_grade; figures volume_by_grade, roc.
"""

from __future__ import annotations

from la_outcomes.analysis.figures.grades import grade_figure
from la_outcomes.analysis.names import label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies import fazekas_outputs as write
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.studies.fazekas import graded, reader_agreement, volume_by_grade
from la_outcomes.analysis.study import Request, Study, run_script

VOLUME = "la_volume_ml"
GRADES_FOUND = (1, 2, 3)


def answer(request: Request, outputs: Outputs) -> None:
    """Readers first, then volume against grade, then discrimination."""
    patients = patients_of(request, outputs)
    with outputs.attempt("Agreement of readers"):
        write.write_kappa(outputs, reader_agreement(patients))
    known = graded(patients, VOLUME)
    said = f"{label(VOLUME)} by Fazekas grade (maximum, rater 1)"
    outputs.table("grades", volume_by_grade(known), said, n=len(known))
    outputs.figure(
        "volume_by_grade", grade_figure(known, label(VOLUME)),
        said + "; boxes: quartiles; whiskers to 1.5 quartile distances on the log scale", n=len(known),
        alt="Box plots of volume that rise with the Fazekas grade",
    )  # fmt: skip
    with outputs.attempt("Association of volume and grade"):
        write.association(outputs, known)
    with outputs.attempt("Discrimination of grades by volume"):
        write.discrimination(outputs, known, GRADES_FOUND)


STUDY = Study(
    number="04",
    name="fazekas_agreement",
    title="Fazekas grades",
    question="Do readers agree on the Fazekas grade on CT, does volume rise with it, does it find the grade?",
    population="all patients with a Fazekas grade on CT",
    specification="Weighted kappa (linear and quadratic) of first readings; Spearman, Kendall, Jonckheere-"
    "Terpstra, Pearson; AUC by DeLong with cut-offs fixed on the development cohorts by the Youden index.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
