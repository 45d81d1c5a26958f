"""08 Death and recurrent stroke.

Question        Do patients with more LA die sooner, or have another stroke sooner?
Population      The clinical cohort (all patients where there is none), or --population, with follow-up.
Specification   From onset to death, last contact or one year. Death: Kaplan-Meier by fifth, log-rank, Cox
                regression. Recurrence: cumulative incidence by fifth with death competing (Aalen-Johansen),
                cause-specific Cox regression and Fine and Gray's. Exposure per SD of ln(mL + 1); nested
                adjustment on the same patients, kept short because events are few.
Outputs         deaths, recurrences, death_hazard_ratios, recurrence_hazard_ratios,
                recurrence_subdistribution; figures deaths and recurrences with numbers at risk.
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies import follow_up_outputs as write
from la_outcomes.analysis.studies.common import NESTED_HAZARD, add_exposure, clinical_patients
from la_outcomes.analysis.studies.follow_up import add_follow_up
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """Write death, then recurrence; either may be missing from the registry."""
    patients, exposure = add_exposure(clinical_patients(request, outputs), request)
    patients = add_follow_up(patients)
    with outputs.attempt("Death by fifth"):
        write.deaths_by_fifth(outputs, patients, exposure)
    with outputs.attempt("Hazard of death"):
        write.hazards(outputs, patients, "death", exposure, NESTED_HAZARD)
    if patients["recurrence_days"].isna().all():
        outputs.cannot("Recurrent stroke", "no recurrence is known for anybody (recurrence_days)")
        return
    with outputs.attempt("Recurrent stroke by fifth"):
        write.recurrences_by_fifth(outputs, patients, exposure)
    with outputs.attempt("Hazard of recurrent stroke"):
        write.hazards(outputs, patients, "recurrence", exposure, NESTED_HAZARD)
    with outputs.attempt("Recurrent stroke with death competing"):
        write.subdistribution(outputs, patients, exposure, max(NESTED_HAZARD.values(), key=len))


STUDY = Study(
    number="08",
    name="death_and_recurrence",
    title="Death and recurrent stroke",
    question="Do patients with more LA die sooner, or have another stroke sooner?",
    population="clinical cohort with follow-up",
    specification="Kaplan-Meier, log-rank and Cox regression of death within a year; cumulative incidence of "
    "recurrence with death competing, cause-specific Cox regression and Fine and Gray's; errors robust to "
    "centres where there are 10.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
