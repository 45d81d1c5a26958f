"""05 Subgroups.

Question        Is the agreement the same for all CT vendors, with small and large infarcts, and in other
                subgroups?
Population      CT-FLAIR pairs outside the training cohort (one a patient), or those of --population.
Specification   LA on CT v the pseudo-label (v WMH on MRI where there are no labels): CCC, r, slope (HC3),
                bias, absolute error and SD in each group of 10 or more; for each division one test that the
                CCC is the same in all groups (bootstrap within groups), never a p-value a group. A CCC
                depends on a group's spread: claim nothing from it without SD, bias and error beside it.
Outputs         subgroups.csv, tests.csv; figure forest.
"""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import Comparison, tested_pairs
from la_outcomes.analysis.studies.common import patients_of
from la_outcomes.analysis.studies.subgroups import DIVISIONS, best_comparison, subgroup_rows
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
        write(outputs, pd.concat(tables, ignore_index=True), comparison)


def write(outputs: Outputs, table: pd.DataFrame, comparison: Comparison) -> None:
    """Table of groups, table of tests, forest plot, results."""
    n = int(table.groupby("division")["n"].sum().max())
    tests = ["division", "homogeneity_p", "n_left_out"]
    shown = table[["division", *(name for name in table if name not in tests)]]
    outputs.table("subgroups", shown, f"{comparison.printed} in subgroups", n=n)
    said = (
        "One test a division that the CCC is the same in all its groups (patients in small groups left out)"
    )
    outputs.table("tests", table[tests].drop_duplicates(), said, n=n)
    lines: list[ForestLine] = []
    for name, own in table.groupby("division", sort=False):
        lines.append(ForestLine(f"{name} (p = {own['homogeneity_p'].iloc[0]:.2g})"))
        lines += [
            ForestLine(f"   {row.group}", row.ccc, row.ccc_ci_low, row.ccc_ci_high, row.n)
            for row in own.itertuples()
        ]
    outputs.figure(
        "forest",
        forest_figure(lines, f"Lin's CCC, {comparison.printed}", ratio=False),
        f"{comparison.printed} in subgroups; p: CCC the same in all groups of a division",
        alt="Forest plot of the concordance correlation coefficient in subgroups",
        n=n,
    )
    for row in table.itertuples():
        outputs.result(
            "CCC", row.ccc, specification=f"{comparison.printed}; {row.division}", term=row.group, n=row.n,
            ci=(row.ccc_ci_low, row.ccc_ci_high), p_value=row.homogeneity_p,
        )  # fmt: skip


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
