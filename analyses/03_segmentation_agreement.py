"""03 Segmentation agreement.

Question        How well does LA on CT agree with the pseudo-label, and do both agree with WMH on MRI?
Population      CT-FLAIR pairs outside the training cohort (one a patient, the shortest interval), by cohort,
                or those of --population.
Specification   Three steps apart: LA on CT v label, label v MRI, LA on CT v MRI. Lin's CCC, Pearson's r,
                Spearman's rho, slope of measured on reference (HC3), bias and 95 % limits in mL and, of
                ln(mL + 1), as ratios. Median Dice by lesion load with a bootstrap interval over patients.
                A high r does not make millilitres interchangeable: read CCC, slope and bias beside it.
Outputs         agreement.csv, dice.csv; figures scatter and bland_altman for each comparison there is.
"""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.agreement import bland_altman_figure, scatter_figure
from la_outcomes.analysis.names import cohort_label, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import (
    COMPARISONS,
    Comparison,
    agreement_row,
    both_known,
    cohorts_of,
    dice_table,
    tested_pairs,
)
from la_outcomes.analysis.studies.accuracy_results import record_agreement, record_dice
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """Compare volumes where both are known, then masks."""
    patients_of(request, outputs)
    pairs = tested_pairs(request, outputs)
    rows = []
    for comparison in COMPARISONS:
        with outputs.attempt(comparison.printed):
            rows += compare(outputs, pairs, comparison)
    if rows:
        said = "Agreement of volumes by cohort; slope of the first on the second; ratios of (mL + 1)"
        outputs.table("agreement", pd.DataFrame(rows), said)
        record_agreement(outputs, rows)
    with outputs.attempt("Dice with the pseudo-label"):
        dice = dice_table(pairs, request.seed)
        said = "Dice of LA on CT with the pseudo-label by lesion load (label volume); bootstrap over patients"
        outputs.table("dice", dice, said, n=int(dice.loc[dice["lesion_load"] == "all", "n"].sum()))
        record_dice(outputs, dice)


def compare(outputs: Outputs, pairs: pd.DataFrame, comparison: Comparison) -> list[dict[str, object]]:
    """One row a cohort, and both figures; a cohort with too few pairs is named and left out."""
    rows, panels = [], {}
    known = both_known(pairs, comparison)
    if known.empty:
        outputs.cannot(comparison.printed, "no pair has both volumes")
    for code, own in cohorts_of(known).items():
        with outputs.attempt(f"{comparison.printed}, {cohort_label(code)}"):
            row = {"comparison": comparison.printed, "cohort": cohort_label(code)}
            rows.append(row | agreement_row(own, comparison))
            panels[cohort_label(code)] = own
    if panels:
        columns = comparison.measured, comparison.reference
        labels = label(columns[0]), label(columns[1])
        n = sum(len(panel) for panel in panels.values())
        outputs.figure(
            f"scatter_{comparison.name}", scatter_figure(panels, *columns, labels),
            f"{comparison.printed} by cohort; dashed line: identity", n=n,
            alt=f"Scatter plots of {comparison.printed} around the line of identity",
        )  # fmt: skip
        outputs.figure(
            f"bland_altman_{comparison.name}", bland_altman_figure(panels, *columns, labels),
            f"{comparison.printed} by cohort; orange: bias and 95 % limits of agreement", n=n,
            alt=f"Bland-Altman plots of {comparison.printed}",
        )  # fmt: skip
    return rows


STUDY = Study(
    number="03",
    name="segmentation_agreement",
    title="Segmentation agreement",
    question="How well does LA on CT agree with the pseudo-label, and do both agree with WMH on MRI?",
    population="CT-FLAIR pairs outside the training cohort, one a patient",
    specification="Lin's CCC, Pearson and Spearman correlation, slope (HC3), bias and 95 % limits of "
    "agreement in mL and as ratios; Dice by lesion load with percentile bootstrap.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
