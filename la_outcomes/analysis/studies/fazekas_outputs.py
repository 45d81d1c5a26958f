"""Tables, result rows and headlines of the Fazekas question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.tables import interval


def write_kappa(outputs: Outputs, readers: pd.DataFrame) -> None:
    """Table and one result a score and weighting; the quadratic kappa of the maximum leads."""
    said = "Two readers' Fazekas grades on CT, first readings"
    outputs.table("readers", readers, said, n=int(readers["n"].max()))
    for _, row in readers.iterrows():
        for weights in ("linear", "quadratic"):
            name = f"kappa_{weights}"
            outputs.result(
                "weighted kappa", row[name], specification=f"{weights} weights", n=row["n"],
                ci=(row[f"{name}_ci_low"], row[f"{name}_ci_high"]), term=row["score"],
            )  # fmt: skip
    last = readers.iloc[-1]
    words = interval(*(last[f"kappa_quadratic{end}"] for end in ("", "_ci_low", "_ci_high")))
    outputs.headline(f"Fazekas readers ({last['score']}): quadratic kappa {words}, n = {last['n']:,}.")


def record_association(outputs: Outputs, rows: Sequence[Mapping[str, Any]]) -> None:
    """One result a statistic and population."""
    for row in rows:
        ci = (row["estimate_ci_low"], row["estimate_ci_high"]) if "estimate_ci_low" in row else None
        outputs.result(
            row["statistic"], row["estimate"], specification="volume against fazekas_max", n=row["n"], ci=ci,
            p_value=row["p_value"], term=row["population"],
        )  # fmt: skip


def record_auc(outputs: Outputs, rows: Sequence[Mapping[str, Any]]) -> None:
    """One result a cohort and grade; grade 2 and above in the external test leads."""
    for row in rows:
        ci = row["auc_ci_low"], row["auc_ci_high"]
        outputs.result(
            "AUC", row["auc"], specification=f"volume for grade {row['grade']}", n=row["n"], ci=ci,
            term=row["population"],
        )  # fmt: skip
        if row["population"] == "external test" and row["grade"] == "≥ 2":
            outputs.headline(
                f"External test: AUC of volume for Fazekas ≥ 2 {interval(row['auc'], *ci)}, n = {row['n']:,}."
            )
