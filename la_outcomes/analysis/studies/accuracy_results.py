"""Result rows and headlines of the agreement question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.tables import interval

_STATISTICS = {"ccc": None, "pearson_r": None, "spearman_rho": None, "slope": None, "bias_ml": "mL"}


def record_agreement(outputs: Outputs, rows: Sequence[Mapping[str, Any]]) -> None:
    """One result a statistic, comparison and cohort; the external test leads."""
    for row in rows:
        for statistic, unit in _STATISTICS.items():
            outputs.result(
                statistic, row[statistic], specification=row["comparison"], n=row["n"],
                ci=(row[f"{statistic}_ci_low"], row[f"{statistic}_ci_high"]), unit=unit, term=row["cohort"],
            )  # fmt: skip
        if row["cohort"] == "external test":
            ccc, r = _in_words(row, "ccc"), _in_words(row, "pearson_r")
            slope, n = f"{row['slope']:.2f}", f"{row['n']:,}"
            outputs.headline(f"External test, {row['comparison']}: CCC {ccc}, r {r}, slope {slope}, n = {n}.")


def _in_words(row: Mapping[str, Any], statistic: str) -> str:
    return interval(*(row[f"{statistic}{end}"] for end in ("", "_ci_low", "_ci_high")))


def record_dice(outputs: Outputs, dice: pd.DataFrame) -> None:
    """One result a cohort and lesion load."""
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
