"""Tables, figures and result rows of the further ways to ask the mRS question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.names import label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.common import Exposure, errors_in_words
from la_outcomes.analysis.studies.outcome_mrs import FittedSpecification
from la_outcomes.analysis.studies.outcome_secondary import dichotomies, interactions, partial_odds
from la_outcomes.analysis.tables import p_value, records


def partial(
    outputs: Outputs, patients: pd.DataFrame, outcome: str, exposure: Exposure, full: FittedSpecification
) -> None:
    """One model in which the exposure alone may differ between cut-points."""
    found = partial_odds(patients, outcome, exposure, full)
    said = f"{label(outcome)}: partial proportional odds, fully adjusted; odds ratio above each cut-point "
    said += f"{exposure.words}, covariates with one odds ratio; model-based errors; likelihood-ratio test "
    said += f"that all are equal p {p_value(found.p_equal)} (shown, never a gate)"
    outputs.table("partial_odds", found.table, said, n=found.n)
    for row in records(found.table):
        outputs.result(
            "OR", row["odds_ratio"], specification="partial proportional odds, fully adjusted", n=found.n,
            ci=(row["odds_ratio_ci_low"], row["odds_ratio_ci_high"]), p_value=row["p_value"],
            term=f"{exposure.column}, {row['cut_point']}", outcome=outcome, exposure=exposure.words,
        )  # fmt: skip


def binary(
    outputs: Outputs,
    patients: pd.DataFrame,
    outcome: str,
    exposure: Exposure,
    nested: Mapping[str, Sequence[str]],
) -> None:
    """Logistic regressions of mRS 3-6 and 2-6."""
    table = dichotomies(patients, outcome, exposure, nested)
    said = f"{label(outcome)} in two groups: odds ratio of the worse group {exposure.words} "
    said += "(logistic regression, crude and fully adjusted, the same patients)"
    outputs.table("binary", table, said, n=int(table["n"].iloc[0]))
    for row in records(table):
        outputs.result(
            "OR", row["odds_ratio"], specification=f"logistic, {row['specification']}", n=row["n"],
            ci=(row["odds_ratio_ci_low"], row["odds_ratio_ci_high"]), p_value=row["p_value"],
            term=exposure.column, outcome=f"{outcome}: {row['outcome']}", exposure=exposure.words,
        )  # fmt: skip


def effect_modification(
    outputs: Outputs,
    patients: pd.DataFrame,
    outcome: str,
    exposure: Exposure,
    full: FittedSpecification,
) -> None:
    """Common odds ratios by severity and treatment, one interaction test each."""
    table = interactions(patients, outcome, exposure, full.covariates)
    said = f"{label(outcome)}: common odds ratio {exposure.words} by severity and treatment, fully adjusted; "
    said += f"one model with the product for each, {errors_in_words(full.fit.n_clusters)}"
    n = int(table["n"].max())
    outputs.table("interactions", table, said, n=n)
    odds = "common_odds_ratio"
    lines = [
        ForestLine(
            f"{row['modifier']} (p {p_value(row['interaction_p'])})" if index % 2 == 0 else row["modifier"],
            row[odds], row[f"{odds}_ci_low"], row[f"{odds}_ci_high"],
        )
        for index, row in enumerate(records(table))
    ]  # fmt: skip
    outputs.figure(
        "interactions", forest_figure(lines, f"Common odds ratio of a worse {label(outcome)}"),
        said + "; p: interaction", alt="Forest plot of common odds ratios by severity and treatment", n=n,
    )  # fmt: skip
    for row in records(table):
        outputs.result(
            "cOR", row[odds], specification="proportional odds with interaction, fully adjusted", n=row["n"],
            ci=(row[f"{odds}_ci_low"], row[f"{odds}_ci_high"]), p_value=row["interaction_p"],
            term=f"{exposure.column} at {row['modifier']}", outcome=outcome, exposure=exposure.words,
        )  # fmt: skip
