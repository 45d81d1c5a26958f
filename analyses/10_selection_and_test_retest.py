"""10 Selection and test-retest.

Question        Who was imaged and measured, does that change the estimates, and does a second CT give the
                same volume?
Population      The clinical cohort (all where there is none), or --population; repeats: everybody with two
                measured non-contrast CTs.
Specification   Patients with and without a CT volume, and with and without an MRI volume, compared by SMD;
                logistic regression of being measured on age, sex, risk factors and severity; the common odds
                ratio weighted by the inverse chance of being complete. Repeats: the two earliest CTs by the
                model that counts; within-patient SD, smallest detectable change, ICC, in mL and ln(mL + 1).
Outputs         ct_patients, ct_odds, mri_patients, mri_odds, weighted, balance, repeats; figures of the odds
                ratios and repeats.
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies import selection_outputs as write
from la_outcomes.analysis.studies.common import RISK_FACTORS, add_exposure, clinical_patients
from la_outcomes.analysis.study import Request, Study, run_script

SELECTS = [*RISK_FACTORS, "nihss_admission", "reperfusion"]


def answer(request: Request, outputs: Outputs) -> None:
    """Who is inside, then how well the measurement repeats."""
    patients = clinical_patients(request, outputs)
    write.who_was_measured(outputs, patients, request.outcome, SELECTS)
    if request.exposure != "none":
        with outputs.attempt("Estimate weighted to all patients"):
            frame, exposure = add_exposure(patients, request)
            write.weighted(outputs, frame, request, exposure, SELECTS)
    with outputs.attempt("Test-retest of LA volume"):
        write.repeats(outputs, request)


STUDY = Study(
    number="10",
    name="selection_and_test_retest",
    title="Selection and test-retest",
    question="Who was imaged and measured, does that change estimates, does a second CT repeat the first?",
    population="clinical cohort; repeats: everybody with two measured CTs",
    specification="Standardised mean differences and logistic regression of being measured; inverse-"
    "probability weights beside the plain estimate; repeats by "
    "within-patient SD, repeatability coefficient, ICC and smallest detectable change.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
