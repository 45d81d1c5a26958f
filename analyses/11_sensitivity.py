"""11 Sensitivity.

Question        How far do the main estimates depend on choices that could have been made otherwise?
Population      As the question each estimate comes from, or --population.
Specification   Four main estimates (common odds ratio of the mRS, hazard ratio of death, ratio of volume per
                10 years of age, CCC of CT with MRI volume), each under one alternative at a time: offset and
                scale, per intracranial volume, calibrated, another model, MRI volume, stricter quality,
                adjustment, imputation. No alternative is chosen by its result.
Outputs         odds_ratio, hazard_ratio, age_ratio, concordance: each a table and a specification curve.
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.common import main_cohort, patients_of, with_other_model
from la_outcomes.analysis.studies.sensitivity import MAIN_ESTIMATES
from la_outcomes.analysis.studies.sensitivity_outputs import write_curve
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """One specification curve an estimate."""
    if request.exposure == "none":
        outputs.note("No exposure was asked for: there is no main estimate to vary.")
        return
    patients = with_other_model(patients_of(request, outputs), request)
    clinical, _ = main_cohort(patients)
    for main in MAIN_ESTIMATES:
        with outputs.attempt(main.printed):
            rows = clinical if main.clinical_only else patients
            write_curve(outputs, rows, request, request.exposure, main)


STUDY = Study(
    number="11",
    name="sensitivity",
    title="Sensitivity of the main estimates",
    question="How far do the main estimates depend on choices that could have been made otherwise?",
    population="as the question each estimate comes from",
    specification="Each main estimate under one alternative at a time (scale, volume, quality, adjustment, "
    "missing values, weights), as specification curve.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
