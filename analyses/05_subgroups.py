"""05 Subgroups.

Question        Is the agreement the same for all CT vendors, with small and large infarcts, and in other
                subgroups?
Population      CT-FLAIR pairs outside the training cohort (one a patient), or those of --population.
Specification   LA on CT v the pseudo-label (v WMH on MRI where there are no labels): CCC, r, slope (HC3),
                bias, absolute error and SD in each group of 10 or more; for each division one test that the
                CCC is the same in all groups (bootstrap within groups), never a p-value a group. A CCC
                depends on a group's spread: claim nothing from it without SD, bias and error beside it.
                Sensitivity: vendors brought to one location and scale.
Outputs         subgroups, tests, vendor_harmonised; figures forest (CCC), forest_bias.
"""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import tested_pairs
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.studies.subgroups import DIVISIONS, best_comparison, subgroup_rows
from la_outcomes.analysis.studies.subgroups_outputs import write_harmonised, write_subgroups
from la_outcomes.analysis.study import Request, Study, run_script


def answer(request: Request, outputs: Outputs) -> None:
    """Divide the pairs in each way and compare the groups."""
    patients_of(request, outputs)
    pairs = tested_pairs(request, outputs)
    comparison = best_comparison(pairs)
    tables = []
    for division in DIVISIONS:
        with outputs.attempt(f"Agreement by {division.name}"):
            tables.append(subgroup_rows(pairs, comparison, division, request.seed))
    if tables:
        write_subgroups(outputs, pd.concat(tables, ignore_index=True), comparison)
        with outputs.attempt("Vendor harmonisation"):
            write_harmonised(outputs, pairs, comparison, request.seed)


STUDY = Study(
    number="05",
    name="subgroups",
    title="Subgroups of agreement",
    question="Is the agreement the same for all CT vendors, small and large infarcts, and other subgroups?",
    population="CT-FLAIR pairs outside the training cohort, one a patient",
    specification="Lin's CCC, r, slope, bias, absolute error and SD in groups of 10 or more; one bootstrap "
    "test of homogeneity of the CCC for each division.",
    answer=answer,
)

if __name__ == "__main__":
    run_script(STUDY)
