"""09 Which measure.

Question        In the same patients, which tells most about the mRS beyond what is known anyway: LA volume on
                CT, the Fazekas grade on CT, or WMH volume on MRI?
Population      Patients of the clinical cohort (all where there is none), or --population, who have all
                three measures, the outcome and the covariates.
Specification   Proportional odds of the mRS on age, sex, risk factors, pre-stroke mRS, NIHSS, treatment and
                infarct volume, plus each measure (per its SD; volumes as ln(mL + 1)). Likelihood ratio
                against the covariates alone, AIC, gain in the ordinal C with its interval, whether one
                adds to another, decision curves for mRS 3-6. Apparent: no claim about new patients.
Outputs         measures, added, decision_curves; figure decision_curves.
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies import which_measure_outputs as write
from la_outcomes.analysis.studies.common import SEVERITY, clinical_patients
from la_outcomes.analysis.studies.which_measure import measured_alike
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """Compare the three measures, whatever exposure was asked for."""
    patients = clinical_patients(request, outputs)
    alike = measured_alike(patients, request.outcome, SEVERITY)
    outputs.narrow(patients.loc[alike.rows.index], "patients with all three measures")
    write.compare(outputs, alike)
    with outputs.attempt("Whether one measure adds to another"):
        write.added(outputs, alike)
    with outputs.attempt("Decision curves"):
        write.decisions(outputs, alike)


STUDY = Study(
    number="09",
    name="which_measure",
    title="Which measure",
    question="Which tells most about the mRS: LA volume on CT, Fazekas grade on CT, or WMH volume on MRI?",
    population="patients of the clinical cohort with all three measures, outcome and covariates",
    specification="Proportional odds with the covariates of the fully adjusted specification and one "
    "measure; likelihood ratio, AIC, gain in the ordinal C, decision curves for "
    "mRS 3-6; apparent.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
