"""Tables, figure and result rows of the subgroup question."""

from __future__ import annotations

import pandas as pd

from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import Comparison
from la_outcomes.analysis.studies.subgroups import DIVISIONS, harmonised_by_vendor, subgroup_rows
from la_outcomes.analysis.tables import p_value, records


def write_harmonised(outputs: Outputs, pairs: pd.DataFrame, comparison: Comparison, seed: int) -> None:
    """Agreement by vendor before and after the vendors were brought to one location and scale."""
    harmonised = harmonised_by_vendor(pairs, comparison)
    before = pairs.loc[pairs["scan_id"].isin(harmonised["scan_id"])]
    vendor = DIVISIONS[0]
    tables = [
        subgroup_rows(frame, comparison, vendor, seed).assign(volumes=name)
        for name, frame in (("as measured", before), ("harmonised", harmonised))
    ]
    shown = pd.concat(tables, ignore_index=True)
    kept = [name for name in shown if name not in ("division", "n_boot", "n_left_out")]
    kept = ["volumes", *(name for name in kept if name != "volumes")]
    said = f"Sensitivity: {comparison.printed} by CT vendor, as measured and with vendors brought to one "
    said += "location and scale of ln(mL + 1) given age and sex"
    outputs.table("vendor_harmonised", shown[kept], said, n=len(harmonised))


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
    bias_lines: list[ForestLine] = []
    for name, own in table.groupby("division", sort=False):
        bias_lines.append(ForestLine(str(name)))
        bias_lines += [
            ForestLine(
                str(row["group"]), row["bias_ml"], row["bias_ml_ci_low"], row["bias_ml_ci_high"], row["n"]
            )
            for row in records(own)
        ]
    outputs.figure(
        "forest_bias",
        forest_figure(bias_lines, f"Bias, mL, {comparison.printed}", ratio=False, reference=0),
        f"Bias of {comparison.printed} in subgroups; dashed: no bias",
        alt="Forest plot of the bias in mL in subgroups",
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
