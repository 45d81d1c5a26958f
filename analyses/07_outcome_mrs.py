"""07 Outcome: the modified Rankin scale.

Question        Is a larger LA volume associated with a worse mRS, and how far is that explained by age, risk
                factors and the severity of the stroke?
Population      The clinical cohort (all patients where there is none), or --population; complete cases, and
                beside them 20 imputations by chained equations.
Specification   Proportional odds: logit P(mRS <= k) = theta_k - x beta; common odds ratio exp(beta) > 1 is
                worse. Exposure per SD of ln(mL + 1). Nested on the same patients: crude; age and sex; risk
                factors and pre-stroke mRS; fully adjusted. NIHSS and infarct volume may be mediators, so
                the specification before them is shown beside. Errors robust to centres where there are 10.
                Brant's test, cut-point odds ratios and partial proportional odds show proportionality;
                nothing is chosen by them. Beside them 0-2 and 0-1, and interactions with severity.
Outputs         specifications, estimates (with the truth of a simulation), cut_points, brant, partial_odds,
                binary, interactions, fifths, covariates;
                figures: forest of specifications, cut-points, interactions, stacked bars, shape.
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies import outcome_mrs_outputs as write
from la_outcomes.analysis.studies import outcome_secondary_outputs as secondary
from la_outcomes.analysis.studies.common import NESTED_MRS, SEVERITY, add_exposure, clinical_patients
from la_outcomes.analysis.studies.outcome_covariates import covariates
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """Answer with an exposure, or describe the covariates alone where none was asked for."""
    patients = clinical_patients(request, outputs)
    with outputs.attempt("Covariates of the mRS"):
        covariates(outputs, patients, request.outcome, SEVERITY)
    if request.exposure == "none":
        return
    patients, exposure = add_exposure(patients, request)
    with outputs.attempt("Common odds ratios"):
        fitted = write.specifications(outputs, patients, request.outcome, exposure, NESTED_MRS)
        write.proportionality(outputs, fitted[-1], exposure)
        write.estimates(outputs, patients, request, fitted[-1], exposure)
        with outputs.attempt("Partial proportional odds"):
            secondary.partial(outputs, patients, request.outcome, exposure, fitted[-1])
        with outputs.attempt("mRS in two groups"):
            secondary.binary(outputs, patients, request.outcome, exposure, NESTED_MRS)
        with outputs.attempt("Interaction with severity and treatment"):
            secondary.effect_modification(outputs, patients, request.outcome, exposure, fitted[-1])
    with outputs.attempt("Fifths of volume"):
        write.fifths(outputs, patients, request.outcome, exposure, SEVERITY)
    with outputs.attempt("Shape of the association"):
        write.shape(outputs, patients, request.outcome, exposure, SEVERITY)


STUDY = Study(
    number="07",
    name="outcome_mrs",
    title="Outcome: modified Rankin scale",
    question="Is a larger LA volume associated with a worse mRS, before and after adjustment?",
    population="clinical cohort; complete cases, with imputation beside them",
    specification="Proportional-odds regression; common odds ratio above 1 means a worse mRS; nested "
    "specifications on the same patients; cut-point odds ratios and Brant's test shown, never a gate.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
