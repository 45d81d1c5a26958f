"""06 Age and risk factors.

Question        Which patients have more LA: how do age and vascular risk factors relate to its volume?
Population      All patients with a volume, or those of --population; complete cases.
Specification   Linear models of ln(mL + 1), read as ratios of (mL + 1): each factor crude, with age and sex,
                and with all others, on the same patients. Errors CR2 by centre where there are 10 centres,
                else HC3. Age beside it as a restricted cubic spline (4 knots), others at their means.
                Standardised betas compare factors; ratios of yes v no are what a reader needs.
Outputs         ratios.csv; figures forest (fully adjusted) and age.
"""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.age import age_figure
from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.names import label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.common import errors_in_words, patients_of
from la_outcomes.analysis.studies.risk_factors import (
    DECADES,
    SYSTOLIC,
    age_curve,
    complete_patients,
    ratio_table,
    with_log_volume,
)
from la_outcomes.analysis.study import Request, Study, run_script
from la_outcomes.analysis.tables import interval, p_value

ALWAYS = [DECADES, "female"]
FACTORS = [*ALWAYS, "hypertension", "diabetes", "hyperlipidaemia", "smoking", "atrial_fibrillation",
           "prior_stroke", SYSTOLIC]  # fmt: skip


def answer(request: Request, outputs: Outputs) -> None:
    """Ratios of volume, then the shape along age."""
    volume = "la_volume_ml" if request.exposure == "none" else request.exposure
    patients = with_log_volume(patients_of(request, outputs), volume)
    complete, terms, left_out = complete_patients(patients, FACTORS)
    table, fits = ratio_table(complete, terms, ALWAYS)
    said = f"{label(volume)}: ratios of (mL + 1), {errors_in_words(fits['full'].n_clusters)}"
    said += f"; not included: {', '.join(left_out)}" if left_out else ""
    outputs.table("ratios", table.drop(columns="term"), said, n=len(complete))
    full = table[table["specification"] == "full"]
    outputs.figure(
        "forest",
        forest_figure(
            [
                ForestLine(row.variable, row.ratio, row.ratio_ci_low, row.ratio_ci_high)
                for row in full.itertuples()
            ],
            f"Ratio of {label(volume)} (mL + 1)",
        ),
        said + "; all factors together",
        alt="Forest plot of ratios of volume by risk factor",
        n=len(complete),
    )
    record(outputs, table, volume)
    if DECADES in terms:
        with outputs.attempt("Volume along age"):
            shape(outputs, complete, terms, volume)


def shape(outputs: Outputs, complete: pd.DataFrame, terms: list[str], volume: str) -> None:
    """The adjusted mean along age."""
    found = age_curve(complete, terms)
    said = f"{label(volume)} along age: restricted cubic spline (4 knots), other factors at their means; "
    outputs.figure(
        "age",
        age_figure(complete, volume, found.curve, label(volume)),
        said + f"p for non-linearity {p_value(found.p_nonlinear)}",
        alt="Scatter of volume by age with a rising adjusted mean",
        n=found.n,
    )


def record(outputs: Outputs, table: pd.DataFrame, volume: str) -> None:
    """One result a factor and specification; age leads."""
    for row in table.itertuples():
        ci = row.ratio_ci_low, row.ratio_ci_high
        outputs.result(
            "ratio of (mL + 1)", row.ratio, specification=f"linear, {row.specification}", n=row.n, ci=ci,
            p_value=row.p_value, term=row.term, outcome=volume,
        )  # fmt: skip
        if row.term == DECADES and row.specification == "full":
            words = f"{interval(row.ratio, *ci)} per 10 years of age, fully adjusted, n = {row.n:,}"
            outputs.headline(f"{label(volume)}: ratio of (mL + 1) {words}.")


STUDY = Study(
    number="06",
    name="age_and_risk_factors",
    title="Age and risk factors",
    question="How do age and vascular risk factors relate to the volume of LA?",
    population="all patients with a volume, complete cases",
    specification="Linear models of ln(mL + 1) read as ratios; crude, with age and sex, and full on the same "
    "patients; CR2 errors by centre (HC3 with fewer than 10); age also as restricted cubic spline.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
