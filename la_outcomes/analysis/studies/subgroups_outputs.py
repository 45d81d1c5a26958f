"""Tables, figure and result rows of the subgroup question."""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import Comparison
from la_outcomes.analysis.tables import p_value, records


def write_subgroups(outputs: Outputs, table: pd.DataFrame, comparison: Comparison) -> None:
    """Table of groups, table of tests, forest plot, results."""
    n = int(table.groupby("division")["n"].sum().max())
    tests = ["division", "homogeneity_p", "n_boot", "n_left_out"]
    shown = table[["division", *(name for name in table if name not in tests)]]
    outputs.table("subgroups", shown, f"{comparison.printed} in subgroups", n=n)
    said = "One test a division that the CCC is the same in all its groups; small groups are left out"
    outputs.table("tests", table[tests].drop_duplicates(), said, n=n)
    lines: list[ForestLine] = []
    for name, own in table.groupby("division", sort=False):
        lines.append(ForestLine(f"{name} (p {p_value(own['homogeneity_p'].iloc[0])})"))
        lines += [
            ForestLine(str(row["group"]), row["ccc"], row["ccc_ci_low"], row["ccc_ci_high"], row["n"])
            for row in records(own)
        ]
    outputs.figure(
        "forest",
        forest_figure(lines, f"Lin's CCC, {comparison.printed}", ratio=False),
        f"{comparison.printed} in subgroups; p: CCC the same in all groups of a division",
        alt="Forest plot of the concordance correlation coefficient in subgroups",
        n=n,
    )
    for row in records(table):
        outputs.result(
            "CCC",
            row["ccc"],
            specification=f"{comparison.printed}; {row['division']}",
            term=row["group"],
            n=row["n"],
            ci=(row["ccc_ci_low"], row["ccc_ci_high"]),
            p_value=row["homogeneity_p"],
        )
