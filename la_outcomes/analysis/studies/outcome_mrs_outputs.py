"""Tables, figures and result rows of the mRS question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.figures.outcome import grotta_figure, shape_figure
from la_outcomes.analysis.names import in_words, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.baseline import quintile_groups
from la_outcomes.analysis.studies.common import Exposure, errors_in_words, quintiles
from la_outcomes.analysis.studies.outcome_corrected import MOST_CORRECTED, corrected
from la_outcomes.analysis.studies.outcome_imputed import (
    IMPUTATIONS,
    complete_case,
    imputed,
    truth,
)
from la_outcomes.analysis.studies.outcome_mrs import (
    FittedSpecification,
    cut_points,
    fifth_table,
    grotta_shares,
    nested_specifications,
    shape_of_effect,
)
from la_outcomes.analysis.study import Request
from la_outcomes.analysis.tables import interval, p_value, records
from la_outcomes.errors import StatisticsError

_ODDS = "common_odds_ratio"


def specifications(
    outputs: Outputs,
    patients: pd.DataFrame,
    outcome: str,
    exposure: Exposure,
    nested: Mapping[str, Sequence[str]],
) -> list[FittedSpecification]:
    """Common odds ratios of the nested specifications, beside the truth where there is one."""
    fitted = nested_specifications(patients, outcome, exposure, nested)
    table = pd.DataFrame([spec.row(exposure.name) for spec in fitted])
    full = fitted[-1]
    said = f"{label(outcome)}: common odds ratio {exposure.words}, {errors_in_words(full.fit.n_clusters)}"
    if full.left_out:
        said += f"; not adjusted for {in_words(full.left_out)} (no value, or the same for everybody)"
    outputs.table("specifications", table, said, n=fitted[0].fit.n)
    for spec in fitted:
        _record(outputs, spec, exposure, outcome)
    true = exposure.truth.odds_ratio if exposure.truth else None
    beside = "" if true is None else f"; the simulation's true value is {true:.2f}"
    ratio = _odds_in_words(full.row(exposure.name))
    outputs.headline(
        f"{label(outcome)}: common odds ratio {ratio} {exposure.words}, fully "
        f"adjusted, n = {full.fit.n:,}{beside}."
    )
    lines = [_line(spec.name, spec.row(exposure.name), spec.fit.n) for spec in fitted]
    if true is not None:
        lines.append(ForestLine("simulation's truth (conditional)", true, marked=True))
    outputs.figure(
        "specifications",
        forest_figure(lines, f"Common odds ratio of a worse {label(outcome)}"),
        said,
        alt="Forest plot of common odds ratios by specification",
        n=fitted[0].fit.n,
    )
    return fitted


def _record(outputs: Outputs, spec: FittedSpecification, exposure: Exposure, outcome: str) -> None:
    row = spec.row(exposure.name)
    outputs.result(
        "cOR",
        row[_ODDS],
        specification=f"proportional odds, {spec.name}: {spec.adjustment}",
        n=spec.fit.n,
        ci=(row[f"{_ODDS}_ci_low"], row[f"{_ODDS}_ci_high"]),
        p_value=row["p_value"],
        term=exposure.column,
        outcome=outcome,
        exposure=exposure.words,
    )


def _odds_in_words(row: Mapping[str, Any]) -> str:
    return interval(row[_ODDS], row[f"{_ODDS}_ci_low"], row[f"{_ODDS}_ci_high"])


def _line(name: str, row: Mapping[str, Any] | pd.Series, n: int, stem: str = _ODDS) -> ForestLine:
    values = [float(row[key]) for key in (stem, f"{stem}_ci_low", f"{stem}_ci_high")]
    return ForestLine(name, values[0], values[1], values[2], n)


def estimates(
    outputs: Outputs,
    patients: pd.DataFrame,
    request: Request,
    full: FittedSpecification,
    exposure: Exposure,
) -> None:
    """Complete case, imputed and corrected for measurement error, beside the simulation's truth if any."""
    outcome, covariates = request.outcome, full.covariates
    found = [complete_case(full, exposure.name)]
    measured = patients[patients[exposure.name].notna()].reset_index(drop=True)
    sets = {
        f"missing covariates and outcomes imputed ({label(exposure.column)} known)": measured,
        f"unmeasured {label(exposure.column)} imputed too": patients,
    }
    for name, rows in sets.items():
        with outputs.attempt(name):
            found.append(imputed(rows, outcome, exposure, covariates, name, request.seed))
    if exposure.column == "la_volume_ml" and full.fit.n <= MOST_CORRECTED:
        try:
            better, assumptions = corrected(patients, request, exposure, full.covariates)
            found += better
            outputs.note("Correction for measurement error assumes: " + "; ".join(assumptions) + ".")
        except StatisticsError as error:
            outputs.note(f"Not corrected for measurement error: {error.what} ({error.where}).")
    true = truth(exposure)
    everything = [*found, true] if true else found
    table = pd.DataFrame([each.row(true.log_or if true else None) for each in everything])
    said = f"{label(outcome)}: fully adjusted common odds ratio {exposure.words}; chained equations with m = "
    said += f"{IMPUTATIONS}, Rubin's rules"
    unmeasured = int(patients[exposure.name].isna().sum())
    said += f"; {label(exposure.column)} is not known of {unmeasured:,} patients"
    if true:
        said += (
            "; measured volumes have error, so uncorrected estimates are expected nearer to 1 than the truth"
        )
    outputs.table("estimates", table, said, n=full.fit.n)
    for each, row in zip(everything, records(table), strict=True):
        ci = None if each.low is None else (row[f"{_ODDS}_ci_low"], row[f"{_ODDS}_ci_high"])
        outputs.result(
            "true cOR" if each is true else "cOR", row[_ODDS], specification=f"fully adjusted, {each.name}",
            n=each.n or full.fit.n, ci=ci, p_value=each.p, m=each.m, outcome=outcome, exposure=exposure.words,
            term="tissue_volume_ml" if each is true else exposure.column,
        )  # fmt: skip


def proportionality(outputs: Outputs, full: FittedSpecification, exposure: Exposure) -> None:
    """Odds ratio at each cut-point, and Brant's test."""
    with outputs.attempt("Odds ratios at the cut-points"):
        cuts, how = cut_points(full, exposure.name)
        said = f"Odds ratio above each cut-point, {exposure.words}, fully adjusted ({how})"
        outputs.table("cut_points", cuts, said, n=full.fit.n)
        lines = [_line(row["cut_point"], row, row["n_above"], "odds_ratio") for _, row in cuts.iterrows()]
        lines.append(_line("common odds ratio", full.row(exposure.name), full.fit.n))
        outputs.figure(
            "cut_points",
            forest_figure(lines, "Odds ratio of a worse mRS"),
            said + "; n is the number above the cut-point",
            alt="Forest plot of odds ratios at each cut-point of the mRS beside the common odds ratio",
            n=full.fit.n,
        )
    with outputs.attempt("Brant's test"):
        brant = full.fit.brant().rename(columns={"p": "p_value"})
        brant["term"] = [label(exposure.column if term == exposure.name else term) for term in brant["term"]]
        said = "Brant's test of proportional odds; a small p does not make the common odds ratio wrong"
        outputs.table("brant", brant, said, n=full.fit.n)


def fifths(
    outputs: Outputs, patients: pd.DataFrame, outcome: str, exposure: Exposure, covariates: Sequence[str]
) -> None:
    """Common odds ratios by fifth with trend, and stacked bars."""
    groups = quintile_groups(patients[exposure.column])
    printed = quintiles(patients[exposure.column]).map(groups)
    shares = grotta_shares(patients, outcome, printed).reindex(list(groups.values()), fill_value=0)
    independent = [f"{100 * share:.0f} %" for share in shares[[0, 1, 2]].sum(axis=1)]
    outputs.figure(
        "stacked_bars",
        grotta_figure(shares, f"Fifth of {label(exposure.column)}", label(outcome)),
        f"{label(outcome)} by fifth of {label(exposure.column)}, unadjusted; numbers are percentages",
        alt="Stacked bars of the mRS by fifth of volume; mRS 0 to 2 in " + ", ".join(independent),
        n=int(shares["n"].sum()),
    )
    table, trend = fifth_table(patients, outcome, exposure, covariates)
    table["fifth"] = [f"{name} reference" if i == 0 else name for i, name in enumerate(groups.values())]
    n = int(table["n"].sum())
    outputs.table(
        "fifths",
        table,
        f"{label(outcome)}: common odds ratio by fifth, fully adjusted; p for trend {p_value(trend)}",
        n=n,
    )
    outputs.result(
        "p for trend", trend, specification="proportional odds, fully adjusted", n=n, term="fifth 1 to 5",
        p_value=trend, outcome=outcome, exposure=exposure.column,
    )  # fmt: skip


def shape(
    outputs: Outputs, patients: pd.DataFrame, outcome: str, exposure: Exposure, covariates: Sequence[str]
) -> None:
    """The association along the volume as a restricted cubic spline."""
    found = shape_of_effect(patients, outcome, exposure, covariates)
    volumes, name = patients[exposure.column].dropna(), label(exposure.column)
    outputs.figure(
        "shape",
        shape_figure(found.curve, volumes, name, found.reference_ml),
        f"{label(outcome)}: common odds ratio along {name}; restricted cubic spline of ln(mL + 1) with 4 "
        "knots, fully adjusted, 2nd to 98th percentile; p for non-linearity " + p_value(found.p_nonlinear),
        alt="Curve of the common odds ratio against volume with its confidence band",
        n=found.n,
    )
    outputs.result(
        "p for non-linearity", found.p_nonlinear, specification="cubic spline, 4 knots, fully adjusted",
        n=found.n, term=exposure.column, p_value=found.p_nonlinear, outcome=outcome,
    )  # fmt: skip
