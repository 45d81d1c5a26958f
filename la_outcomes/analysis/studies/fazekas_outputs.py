"""Tables, result rows and headlines of the Fazekas question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from la_outcomes.analysis.figures.grades import roc_figure
from la_outcomes.analysis.names import cohort_label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.fazekas import (
    PUBLISHED_R,
    TESTED,
    CutOff,
    association_rows,
    derived_agreement,
    discrimination_rows,
    fix_cut_off,
    roc_points,
)
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


def association(outputs: Outputs, known: pd.DataFrame) -> None:
    """Correlations and trend, everybody and by tested cohort, with the published Pearson figures beside."""
    rows = association_rows(known, "all")
    for code in TESTED:
        own = known[known["cohort"] == code]
        if own["grade"].nunique() > 1 and len(own) > 9:
            rows += association_rows(own, cohort_label(code))
    published = {cohort_label(code): r for code, r in PUBLISHED_R.items()}
    table = pd.DataFrame(rows)
    is_pearson = table["statistic"] == "Pearson correlation"
    table["published"] = table["population"].map(published).where(is_pearson)
    said = "Association of volume and grade; published: Pearson's r of Ryu 2025, whose patients are others"
    outputs.table("association", table, said, n=len(known))
    record_association(outputs, rows)


def discrimination(outputs: Outputs, known: pd.DataFrame, grades: Sequence[int]) -> None:
    """AUC and the fixed cut-offs where they are tested, ROC curves, and the grade derived from volume."""
    cut_offs: list[CutOff] = []
    rows = []
    for grade in grades:
        with outputs.attempt(f"Grade {grade} and above by volume"):
            cut_offs.append(fix_cut_off(known, grade))
            rows += discrimination_rows(known, cut_offs[-1])
    if not rows:
        return
    fixed = ", ".join(f"≥ {cut.grade} at {cut.volume_ml:.1f} mL" for cut in cut_offs)
    said = (
        f"Finding a grade by volume; cut-offs ({fixed}) fixed on {cut_offs[0].fixed_on} by the Youden index"
    )
    n_tested = int(known["cohort"].isin(TESTED).sum())
    outputs.table("discrimination", pd.DataFrame(rows), said + ", applied here unchanged", n=n_tested)
    record_auc(outputs, rows)
    panels = {
        f"Fazekas {'= 3' if cut.grade == 3 else f'≥ {cut.grade}'}": {
            cohort_label(code): points
            for code in TESTED
            if (points := roc_points(known, cut.grade, code)) is not None
        }
        for cut in cut_offs
    }
    outputs.figure(
        "roc", roc_figure(panels), "ROC curves of LA volume for the Fazekas grade in the tested cohorts",
        n=n_tested, alt="ROC curves of volume for each grade, well above the diagonal where volume tells",
    )  # fmt: skip
    with outputs.attempt("Grade derived from volume"):
        derived = derived_agreement(known, cut_offs)
        said = f"Grade derived from volume ({fixed}) v reader 1, beside reader v reader; quadratic kappa"
        outputs.table("derived_grade", derived, said, n=int(derived["n"].sum()))
        for row in derived.to_dict("records"):
            outputs.result(
                "weighted kappa", row["kappa_volume_v_reader"], specification="derived grade, quadratic",
                n=row["n"], term=row["population"],
                ci=(row["kappa_volume_v_reader_ci_low"], row["kappa_volume_v_reader_ci_high"]),
            )  # fmt: skip


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
