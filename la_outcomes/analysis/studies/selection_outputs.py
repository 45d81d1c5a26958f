"""Tables, figures and result rows of selection and test-retest."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from la_outcomes.analysis.cohort import load_repeats
from la_outcomes.analysis.figures.agreement import bland_altman_figure
from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.names import label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.common import Exposure
from la_outcomes.analysis.studies.selection_study import (
    FEWEST_OUTSIDE,
    FEWEST_REPEATS,
    STEPS,
    Step,
    comparison,
    repeat_table,
    selected,
    selection_odds,
    weighted_odds,
)
from la_outcomes.analysis.study import Request
from la_outcomes.analysis.tables import records


def who_was_measured(
    outputs: Outputs, patients: pd.DataFrame, outcome: str, covariates: Sequence[str]
) -> None:
    """Each way to be selected: a description, and odds ratios of being inside."""
    for step in STEPS:
        with outputs.attempt(f"Who has {step.inside}"):
            outside = int(patients[step.column].isna().sum())
            if outside < FEWEST_OUTSIDE:
                outputs.note(f"{step.inside}: only n = {outside} are without; they are not compared.")
                continue
            inside = int(selected(patients, step).sum())
            said = f"Patients with and without: {step.inside} (n = {inside:,} of {len(patients):,})"
            outputs.table(f"{step.name}_patients", comparison(patients, step, outcome), said)
            with outputs.attempt(f"What being measured depends on: {step.inside}"):
                _odds(outputs, patients, step, covariates)


def _odds(outputs: Outputs, patients: pd.DataFrame, step: Step, covariates: Sequence[str]) -> None:
    table = selection_odds(patients, step, covariates)
    n = int(table["n"].iloc[0])
    said = f"Odds ratio of: {step.inside}; logistic regression, mutually adjusted, complete cases"
    outputs.table(f"{step.name}_odds", table, said, n=n)
    lines = [
        ForestLine(row["covariate"], row["odds_ratio"], row["odds_ratio_ci_low"], row["odds_ratio_ci_high"])
        for row in records(table)
    ]
    outputs.figure(
        f"{step.name}_odds", forest_figure(lines, f"Odds ratio: {step.inside}"), said, n=n,
        alt=f"Forest plot of what goes with: {step.inside}",
    )  # fmt: skip
    for row in records(table):
        outputs.result(
            "OR", row["odds_ratio"], specification=f"logistic: {step.inside}", n=n, term=row["covariate"],
            ci=(row["odds_ratio_ci_low"], row["odds_ratio_ci_high"]), p_value=row["p_value"],
            outcome=step.column,
        )  # fmt: skip


def weighted(
    outputs: Outputs, patients: pd.DataFrame, request: Request, exposure: Exposure, selects: Sequence[str]
) -> None:
    """The common odds ratio weighted to all patients beside the plain one, and how well weights balance."""
    table, weights = weighted_odds(patients, request.outcome, exposure, selects)
    said = f"{label(request.outcome)}: fully adjusted common odds ratio {exposure.words}, plain and weighted "
    said += f"by the inverse chance of being complete (stabilised, {weights.n_truncated} weights cut); "
    said += (
        f"effective n {weights.effective_n:.0f}, largest weight {weights.largest_weight:.1f}; robust errors"
    )
    outputs.table("weighted", table, said, n=int(table["n"].iloc[0]))
    balance = weights.balance.assign(term=[label(str(term)) for term in weights.balance["term"]])
    said = "Balance: complete patients against all, before and after weighting (SMD)"
    outputs.table("balance", balance, said, n=weights.n)
    for row in records(table):
        odds = "common_odds_ratio"
        outputs.result(
            "cOR", row[odds], specification=f"fully adjusted, {row['estimate_of']}, for selection",
            n=row["n"], ci=(row[f"{odds}_ci_low"], row[f"{odds}_ci_high"]), p_value=row["p_value"],
            term=exposure.column, outcome=request.outcome, exposure=exposure.words,
        )  # fmt: skip


def repeats(outputs: Outputs, request: Request) -> None:
    """Two CTs of one patient by the model that counts; a note where there are too few."""
    found = load_repeats(request.registry, request.population)
    if len(found) < FEWEST_REPEATS:
        outputs.note(
            f"Test-retest: n = {len(found)} patients have two measured CTs; {FEWEST_REPEATS} are needed."
        )
        return
    table = repeat_table(found)
    apart = found["days_apart"].astype(float).median()
    when = "" if pd.isna(apart) else f", median {apart:.0f} days apart"
    said = f"Two CTs of the same patient, the two earliest measured by one model{when}; ICC: one-way"
    outputs.table("repeats", table, said, n=len(found))
    outputs.figure(
        "repeats", bland_altman_figure({"all": found}, "second_ml", "first_ml", ("second CT", "first CT")),
        said + "; orange: bias and 95 % limits", n=len(found), shows_individuals=True,
        alt="Bland-Altman plots of the second CT's volume against the first's",
    )  # fmt: skip
    for row in records(table):
        outputs.result(
            "ICC", row["icc"], specification=f"two CTs, {row['scale']}", n=row["n"],
            ci=(row["icc_ci_low"], row["icc_ci_high"]), term="la_volume_ml",
        )  # fmt: skip
