"""Figures, result rows and headlines of the agreement question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from la_outcomes.analysis.figures.agreement import bland_altman_figure, dice_figure, scatter_figure
from la_outcomes.analysis.names import cohort_label, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.accuracy import Comparison, agreement_row, both_known, cohorts_of
from la_outcomes.analysis.tables import interval

_DIFFERENCES = ("bias", "limits", "ratio", "mean", "sd")
_BOOTSTRAP = "Fisher's interval of the CCC, beside it the percentile bootstrap over patients"
_STATISTICS = {"ccc": None, "pearson_r": None, "spearman_rho": None, "slope": None, "bias_ml": "mL"}


def compare(
    outputs: Outputs, pairs: pd.DataFrame, comparison: Comparison, seed: int
) -> list[dict[str, object]]:
    """One row a cohort, and both figures; a cohort with too few pairs is named and left out."""
    rows, panels = [], {}
    known = both_known(pairs, comparison)
    if known.empty:
        outputs.cannot(comparison.printed, "no pair has both volumes")
    for code, own in cohorts_of(known).items():
        with outputs.attempt(f"{comparison.printed}, {cohort_label(code)}"):
            row = {"comparison": comparison.printed, "cohort": cohort_label(code)}
            rows.append(row | agreement_row(own, comparison, seed))
            panels[cohort_label(code)] = both_known(own, comparison)
    if panels:
        columns = comparison.measured, comparison.reference
        labels = label(columns[0]), label(columns[1])
        n = sum(len(panel) for panel in panels.values())
        outputs.figure(
            f"scatter_{comparison.name}", scatter_figure(panels, *columns, labels),
            f"{comparison.printed} by cohort; dashed line: identity", n=n,
            alt=f"Scatter plots of {comparison.printed} around the line of identity", shows_individuals=True,
        )  # fmt: skip
        outputs.figure(
            f"bland_altman_{comparison.name}", bland_altman_figure(panels, *columns, labels),
            f"{comparison.printed} by cohort; orange: bias and 95 % limits; upper row in mL, lower row as "
            "ratio of (mL + 1), which describes it better where the spread grows with volume", n=n,
            alt=f"Bland-Altman plots of {comparison.printed}", shows_individuals=True,
        )  # fmt: skip
    return rows


def write_agreement(outputs: Outputs, rows: Sequence[Mapping[str, Any]]) -> None:
    """Two tables, and one result a statistic, comparison and cohort; the external test leads."""
    table = pd.DataFrame(rows)
    n = int(table.groupby("comparison")["n"].sum().max())
    named = ["comparison", "cohort", "n"]
    of_differences = [str(name) for name in table if str(name).startswith(_DIFFERENCES)]
    said = f"Agreement of volumes by cohort; slope of the first volume on the second (HC3); {_BOOTSTRAP}"
    outputs.table("agreement", table.drop(columns=of_differences), said, n=n)
    said = "Differences of volumes by cohort: bias and 95 % limits in mL and as ratios of (mL + 1)"
    outputs.table("differences", table[[*named, *of_differences]], said, n=n)
    for row in rows:
        for statistic, unit in _STATISTICS.items():
            outputs.result(
                statistic, row[statistic], specification=row["comparison"], n=row["n"],
                ci=(row[f"{statistic}_ci_low"], row[f"{statistic}_ci_high"]), unit=unit, term=row["cohort"],
            )  # fmt: skip
        if row["cohort"] == "external test":
            ccc, r = _in_words(row, "ccc"), _in_words(row, "pearson_r")
            slope, pairs = f"{row['slope']:.2f}", f"{row['n']:,}"
            outputs.headline(
                f"External test, {row['comparison']}: CCC {ccc}, r {r}, slope {slope}, n = {pairs}."
            )


def _in_words(row: Mapping[str, Any], statistic: str) -> str:
    return interval(*(row[f"{statistic}{end}"] for end in ("", "_ci_low", "_ci_high")))


def write_dice(outputs: Outputs, pairs: pd.DataFrame, dice: pd.DataFrame) -> None:
    """Table and figure by lesion load, one result a cohort and load."""
    n = int(dice.loc[dice["lesion_load"] == "all", "n"].sum())
    said = "Dice of LA on CT with the pseudo-label by lesion load (label volume)"
    outputs.table("dice", dice, f"{said}; interval of the median by bootstrap over patients", n=n)
    panels = {cohort_label(code): own.dropna(subset=["dsc"]) for code, own in cohorts_of(pairs).items()}
    panels = {name: own for name, own in panels.items() if len(own) > 3}
    outputs.figure(
        "dice", dice_figure(panels),
        f"{said}; each point a patient, orange: median in each third of the label volumes", n=n,
        alt="Dice rises with lesion load: scatter of Dice against label volume", shows_individuals=True,
    )  # fmt: skip
    for _, row in dice.iterrows():
        ci = row["median_dice_ci_low"], row["median_dice_ci_high"]
        outputs.result(
            "median Dice", row["median_dice"], specification=f"lesion load: {row['lesion_load']}", n=row["n"],
            ci=ci, term=row["cohort"],
        )  # fmt: skip
        if row["cohort"] == "external test" and row["lesion_load"] == "all":
            outputs.headline(
                f"External test: median Dice {interval(row['median_dice'], *ci)}, n = {row['n']:,}."
            )
