"""Tables, figures and result rows of the question which measure says most."""

from __future__ import annotations

from la_outcomes.analysis.figures.decision import decision_figure
from la_outcomes.analysis.names import in_words, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.which_measure import (
    MeasuredAlike,
    added_to_each_other,
    comparison_table,
    decision_curves,
)
from la_outcomes.analysis.tables import interval, records


def compare(outputs: Outputs, alike: MeasuredAlike) -> None:
    """Each measure beside the covariates; the measure with the highest likelihood ratio leads."""
    table = comparison_table(alike)
    said = f"{label(alike.outcome)}: each measure (per its SD; volumes as ln(mL + 1)) added to "
    said += f"{in_words(alike.covariates)}, in the same patients; gain in C apparent; ΔAIC against the best"
    n = len(alike.rows)
    outputs.table("measures", table, said, n=n)
    rows = [row for row in records(table) if row["measure"] != "covariates alone"]
    for row in rows:
        odds = (row["common_odds_ratio_ci_low"], row["common_odds_ratio_ci_high"])
        outputs.result(
            "cOR", row["common_odds_ratio"], specification="same patients, covariates and one measure", n=n,
            ci=odds, p_value=row["p_value"], term=row["measure"], outcome=alike.outcome,
        )  # fmt: skip
        ci = row["delta_c_ci_low"], row["delta_c_ci_high"]
        outputs.result(
            "gain in C", row["delta_c"], specification="same patients, covariates and one measure", n=n,
            ci=ci, term=row["measure"], outcome=alike.outcome,
        )  # fmt: skip
    best = max(rows, key=lambda row: row["likelihood_ratio_chi2"])
    gain = interval(best["delta_c"], best["delta_c_ci_low"], best["delta_c_ci_high"])
    outputs.headline(
        f"Which measure: {best['measure']} has the highest likelihood ratio "
        f"(χ² {best['likelihood_ratio_chi2']:.1f}, gain in C {gain}), n = {n:,}."
    )


def added(outputs: Outputs, alike: MeasuredAlike) -> None:
    """Whether each adds to each other."""
    said = (
        f"{label(alike.outcome)}: likelihood-ratio tests of adding one measure to another and the covariates"
    )
    outputs.table("added", added_to_each_other(alike), said, n=len(alike.rows))


def decisions(outputs: Outputs, alike: MeasuredAlike) -> None:
    """Net benefit over thresholds."""
    curves = decision_curves(alike)
    said = f"Decision curves for {label(alike.outcome)} 3-6: net benefit of acting on the predicted risk; "
    said += "apparent (models judged on the patients they were fitted to)"
    shown = curves.iloc[::5].reset_index()
    outputs.table("decision_curves", shown, said, n=len(alike.rows))
    outputs.figure(
        "decision_curves", decision_figure(curves), said, n=len(alike.rows),
        alt="Decision curves of the covariates alone and with each measure, between treating all and none",
    )  # fmt: skip
