"""Tables, figures and result rows of age and risk factors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from la_outcomes.analysis.figures.age import age_figure, partial_figure
from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.linear import LinearFit
from la_outcomes.analysis.names import in_words, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.common import errors_in_words
from la_outcomes.analysis.studies.risk_factors import (
    DECADES,
    age_curve,
    partial_effects,
    printed_term,
    quantile_table,
)
from la_outcomes.analysis.tables import interval, p_value, records


def ratios(
    outputs: Outputs, table: pd.DataFrame, full: LinearFit, left_out: Sequence[str], volume: str
) -> None:
    """Ratios of volume by factor as table and forest plot."""
    said = f"{label(volume)}: ratios of (mL + 1), {errors_in_words(full.n_clusters)}"
    said += f"; not included: {in_words(left_out)}" if left_out else ""
    outputs.table("ratios", table.drop(columns="term"), said, n=full.n)
    adjusted = table[table["specification"] == "full"]
    outputs.figure(
        "forest",
        forest_figure(
            [
                ForestLine(row["variable"], row["ratio"], row["ratio_ci_low"], row["ratio_ci_high"])
                for row in records(adjusted)
            ],
            f"Ratio of {label(volume)} (mL + 1)",
        ),
        said + "; all factors together",
        alt="Forest plot of ratios of volume by risk factor",
        n=full.n,
    )
    _record(outputs, table, volume)


def quantiles(outputs: Outputs, complete: pd.DataFrame, terms: Sequence[str], volume: str) -> None:
    """Ratios at four quantiles of the volume."""
    table = quantile_table(complete, terms)
    said = f"{label(volume)}: quantile regression of ln(mL + 1), all factors together, read as ratios of "
    said += "(mL + 1) at that quantile; sandwich errors"
    outputs.table("quantiles", table, said, n=len(complete))
    for row in records(table):
        outputs.result(
            "ratio of (mL + 1)", row["ratio"], specification=f"quantile {row['quantile']}, full", n=row["n"],
            ci=(row["ratio_ci_low"], row["ratio_ci_high"]), p_value=row["p_value"], term=row["variable"],
            outcome=volume,
        )  # fmt: skip


def partial(
    outputs: Outputs, fit: LinearFit, complete: pd.DataFrame, terms: Sequence[str], volume: str
) -> None:
    """Adjusted mean volume along each factor."""
    found = {printed_term(term): curve for term, curve in partial_effects(fit, complete, terms).items()}
    outputs.figure(
        "partial_effects",
        partial_figure(found, label(volume)),
        f"Partial effects: adjusted mean of {label(volume)} (back from ln(mL + 1)) along each factor, the "
        f"others at their means; bands and bars 95 % intervals, {errors_in_words(fit.n_clusters)}",
        alt="Panels of adjusted mean volume by age, sex and each risk factor",
        n=fit.n,
    )


def shape(outputs: Outputs, complete: pd.DataFrame, terms: Sequence[str], volume: str) -> None:
    """The adjusted mean along age."""
    found = age_curve(complete, terms)
    said = f"{label(volume)} along age: restricted cubic spline (4 knots), other factors at their means; "
    outputs.figure(
        "age",
        age_figure(complete, volume, found.curve, label(volume)),
        said + f"p for non-linearity {p_value(found.p_nonlinear)}",
        alt="Scatter of volume by age with a rising adjusted mean",
        n=found.n,
    )


def _record(outputs: Outputs, table: pd.DataFrame, volume: str) -> None:
    """One result a factor and specification; age leads."""
    for row in records(table):
        ci = row["ratio_ci_low"], row["ratio_ci_high"]
        outputs.result(
            "ratio of (mL + 1)",
            row["ratio"],
            specification=f"linear, {row['specification']}",
            n=row["n"],
            ci=ci,
            p_value=row["p_value"],
            term=row["term"],
            outcome=volume,
        )
        if row["term"] == DECADES and row["specification"] == "full":
            words = f"{interval(row['ratio'], *ci)} per 10 years of age, fully adjusted, n = {row['n']:,}"
            outputs.headline(f"{label(volume)}: ratio of (mL + 1) {words}.")
