"""03 Segmentation agreement.

Question        How well does LA on CT agree with the pseudo-label, and do both agree with WMH on MRI?
Population      CT-FLAIR pairs outside the training cohort (one a patient, the shortest interval), by cohort,
                or those of --population.
Specification   Three steps apart: label v MRI, LA on CT v label, LA on CT v MRI. Lin's CCC, Pearson's r,
                Spearman's rho, slope of measured on reference (HC3), bias and 95 % limits in mL and, of
                ln(mL + 1), as ratios; absolute error; bootstrap over patients. The last step again after
                calibration. Median Dice by lesion load. A high r does not make millilitres
                interchangeable: read CCC, slope and bias beside it.
Outputs         agreement, differences, calibration, dice; figures scatter and bland_altman a step, dice,
                overlays (10th, 50th and 90th percentile).
"""

from __future__ import annotations

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import COMPARISONS, dice_table, tested_pairs
from la_outcomes.analysis.studies.accuracy_calibration import before_and_after
from la_outcomes.analysis.studies.accuracy_outputs import compare, write_agreement, write_dice
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.studies.overlays import write_overlays
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """Compare volumes where both are known, then masks."""
    patients_of(request, outputs)
    pairs = tested_pairs(request, outputs)
    rows = []
    for comparison in COMPARISONS:
        with outputs.attempt(comparison.printed):
            rows += compare(outputs, pairs, comparison, request.seed)
    if rows:
        write_agreement(outputs, rows)
        with outputs.attempt("LA on CT v WMH on MRI after calibration"):
            before_and_after(outputs, pairs, request.seed)
    with outputs.attempt("Dice with the pseudo-label"):
        write_dice(outputs, pairs, dice_table(pairs, request.seed))
    if rows:
        write_overlays(outputs, pairs, request)


STUDY = Study(
    number="03",
    name="segmentation_agreement",
    title="Segmentation agreement",
    question="How well does LA on CT agree with the pseudo-label, and do both agree with WMH on MRI?",
    population="CT-FLAIR pairs outside the training cohort, one a patient",
    specification="Three steps apart (label v MRI, LA on CT v label, LA on CT v MRI): Lin's CCC, Pearson and "
    "Spearman correlation, slope (HC3), bias and 95 % limits of agreement in mL and as ratios of (mL + 1), "
    "absolute error; Dice by lesion load; percentile bootstrap over patients (2,000 resamples, fewer above "
    "5,000 pairs).",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
