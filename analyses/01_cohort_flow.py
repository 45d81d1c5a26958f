"""01 Cohort flow.

Question        How many patients reach each step of the study, and why do the others not?
Population      Everybody in the registry, or --population.
Specification   Counts. Patients -> non-contrast CT -> LA volume measured -> outcome known; beside it,
                patients -> FLAIR -> pair -> usable pseudo-label. A volume that could not be measured is
                counted with its reason and is never 0. Which CT and which model: the registry's views.
Outputs         flow (by cohort), flow_by_centre, pairs; figures flow_diagram, flow_by_cohort, flow_by_centre,
                pairs_by_cohort; counts as results.
"""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.flow import flow_figure
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies import cohort_flow_outputs as write
from la_outcomes.analysis.studies.cohort_flow import analysis_conditions, flow, pairing_conditions
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """Write the flow of the population, then of its cohorts and centres, then of its pairs."""
    patients = patients_of(request, outputs)
    to_analysis = analysis_conditions(patients, request)
    everybody = pd.Series(True, index=patients.index)
    boxes = flow(to_analysis, everybody, "Patients in the population")

    outputs.figure(
        "flow_diagram",
        flow_figure(boxes),
        "Flow of patients, with the reasons why some were not included",
        alt="Flow diagram: " + "; ".join(f"{box.name}, n = {box.n}" for box in boxes),
    )
    write.by_cohort(outputs, patients, to_analysis, "flow", "Patients at each step")
    write.by_centre(outputs, patients, to_analysis)
    if request.exposure != "none":
        write.by_cohort(outputs, patients, pairing_conditions(patients, request), "pairs", "CT-FLAIR pairs")
    outputs.headline(" → ".join(f"{box.name}: n = {box.n:,}" for box in boxes) + ".")
    for box in boxes:
        outputs.result("count", box.n, specification="cohort flow", term=box.name, n=boxes[0].n)


STUDY = Study(
    number="01",
    name="cohort_flow",
    title="Cohort flow",
    question="How many patients reach each step of the study, and why do the others not?",
    population="all patients of the registry",
    specification="Counts of patients; which CT and which model count is decided by the registry's views: "
    "the earliest usable non-contrast CT and the active model of its kind.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
