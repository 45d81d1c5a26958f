"""03 Segmentation agreement.

Question        How well does LA on CT agree with the pseudo-label, and do both agree with WMH on MRI?
Population      CT-FLAIR pairs outside the training cohort (one a patient, the shortest interval), by cohort,
                or those of --population.
Specification   Three steps apart: LA on CT v label, label v MRI, LA on CT v MRI. Lin's CCC, Pearson's r,
                Spearman's rho, slope of measured on reference (HC3), bias and 95 % limits in mL and, of
                ln(mL + 1), as ratios. Median Dice by lesion load with a bootstrap interval over patients.
                A high r does not make millilitres interchangeable: read CCC, slope and bias beside it.
Outputs         agreement, differences, dice as CSV; figures scatter and bland_altman a comparison.
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import COMPARISONS, dice_table, tested_pairs
from la_outcomes.analysis.studies.accuracy_outputs import compare, record_dice, write_agreement
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
        write_agreement(outputs, rows)
    with outputs.attempt("Dice with the pseudo-label"):
        dice = dice_table(pairs, request.seed)
        said = "Dice of LA on CT with the pseudo-label by lesion load (label volume); bootstrap over patients"
        outputs.table("dice", dice, said, n=int(dice.loc[dice["lesion_load"] == "all", "n"].sum()))
        record_dice(outputs, dice)


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
