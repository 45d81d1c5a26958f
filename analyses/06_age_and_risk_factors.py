"""06 Age and risk factors.

Question        Which patients have more LA: how do age and vascular risk factors relate to its volume?
Population      All patients with a volume, or those of --population; complete cases.
Specification   Linear models of ln(mL + 1), read as ratios of (mL + 1): each factor crude, with age and sex,
                and with all others, on the same patients. Errors CR2 by centre where there are 10 centres,
                else HC3. Age beside it as a restricted cubic spline (4 knots), others at their means.
                Standardised betas compare factors; ratios of yes v no are what a reader needs. Quantile
                regression beside it, since volumes are skewed.
Outputs         ratios, quantiles; figures forest (fully adjusted), age, partial_effects.
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies import risk_factors_outputs as write
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.studies.risk_factors import (
    DECADES,
    SYSTOLIC,
    complete_patients,
    ratio_table,
    with_log_volume,
)
from la_outcomes.analysis.study import Request, Study, run_script

ALWAYS = [DECADES, "female"]
FACTORS = [*ALWAYS, "hypertension", "diabetes", "hyperlipidaemia", "smoking", "atrial_fibrillation",
           "prior_stroke", SYSTOLIC]  # fmt: skip


def answer(request: Request, outputs: Outputs) -> None:
    """Ratios of volume, then the shape along age."""
    volume = "la_volume_ml" if request.exposure == "none" else request.exposure
    patients = with_log_volume(patients_of(request, outputs), volume)
    complete, terms, left_out = complete_patients(patients, FACTORS)
    table, fits = ratio_table(complete, terms, ALWAYS)
    write.ratios(outputs, table, fits["full"], left_out, volume)
    write.partial(outputs, fits["full"], complete, terms, volume)
    if DECADES in terms:
        with outputs.attempt("Volume along age"):
            write.shape(outputs, complete, terms, volume)
    with outputs.attempt("Quantile regression of volume"):
        write.quantiles(outputs, complete, terms, volume)


STUDY = Study(
    number="06",
    name="age_and_risk_factors",
    title="Age and risk factors",
    question="How do age and vascular risk factors relate to the volume of LA?",
    population="all patients with a volume, complete cases",
    specification="Linear models of ln(mL + 1) read as ratios; crude, with age and sex, and full on the same "
    "patients; CR2 errors by centre (HC3 with fewer than 10); age also as restricted cubic spline (4 "
    "knots); quantile regression at 25, 50, 75 and 90 %.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
