"""Mutually adjusted covariates of the mRS: complete case, with the infarct in MNI space, and imputed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from la_outcomes.analysis.names import in_words, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.studies.common import errors_in_words
from la_outcomes.analysis.studies.outcome_imputed import MOST_IMPUTED, imputed_coefficients
from la_outcomes.analysis.studies.outcome_mrs import fit_specification
from la_outcomes.analysis.tables import records

_ODDS = "common_odds_ratio"
_PER = {
    "age_years": "per year",
    "glucose_mmol_l": "per mmol/L",
    "nihss_admission": "per point",
    "pre_stroke_mrs": "per grade",
    "ln_infarct": "per unit",
    "ln_infarct_mni": "per unit",
}


def covariates(outputs: Outputs, patients: pd.DataFrame, outcome: str, wanted: Sequence[str]) -> None:
    """Mutually adjusted common odds ratios of the covariates, without any volume of LA."""
    names = list(wanted)
    if patients["ln_infarct"].notna().sum() == 0 and patients["ln_infarct_mni"].notna().any():
        names = [name for name in names if name != "ln_infarct"]
        with outputs.attempt("Sensitivity: infarct volume in MNI space"):
            _coefficients(outputs, patients, outcome, [*names, "ln_infarct_mni"], "covariates_mni")
    _coefficients(outputs, patients, outcome, names, "covariates")
    if len(patients) <= MOST_IMPUTED and patients[[outcome, "nihss_admission"]].isna().any().any():
        with outputs.attempt("Covariates with missing values imputed"):
            _imputed_coefficients(outputs, patients, outcome, names)


def _odds_table(rows: pd.DataFrame, low: str, high: str) -> pd.DataFrame:
    """Covariates in words with their common odds ratios; ``low`` and ``high`` name the limits' columns."""
    return pd.DataFrame(
        {
            "covariate": [label(term) for term in rows["term"]],
            "per": [_PER.get(term, "yes v no") for term in rows["term"]],
            _ODDS: rows["odds_ratio"],
            f"{_ODDS}_ci_low": rows[low],
            f"{_ODDS}_ci_high": rows[high],
            "p_value": rows["p"],
        }
    )


def _imputed_coefficients(
    outputs: Outputs, patients: pd.DataFrame, outcome: str, names: Sequence[str]
) -> None:
    pooled = imputed_coefficients(patients, outcome, names, outputs.run.seed or 0)
    rows = pooled.coefficients
    table = _odds_table(rows, "odds_ratio_low", "odds_ratio_high")
    said = f"{label(outcome)}: the same with missing covariates and outcomes imputed by chained equations, "
    said += f"m = {pooled.m}, Rubin's rules"
    outputs.table("covariates_imputed", table, said, n=pooled.n)
    for row in records(rows):
        outputs.result(
            "cOR", row["odds_ratio"], specification="proportional odds, covariates, imputed", n=pooled.n,
            ci=(row["odds_ratio_low"], row["odds_ratio_high"]), p_value=row["p"], term=row["term"],
            m=pooled.m, outcome=outcome, exposure="none",
        )  # fmt: skip


def _coefficients(
    outputs: Outputs, patients: pd.DataFrame, outcome: str, names: Sequence[str], table_name: str
) -> None:
    fitted = fit_specification(patients, outcome, "covariates", [], names)
    rows = fitted.fit.coefficients
    table = _odds_table(rows, "ci_low", "ci_high")
    said = f"{label(outcome)}: mutually adjusted common odds ratios of the covariates, without LA volume"
    said += f"; {errors_in_words(fitted.fit.n_clusters)}; {fitted.fit.n_dropped} incomplete patients left out"
    if fitted.left_out:
        said += f"; without {in_words(fitted.left_out)} (no value, or the same for everybody)"
    outputs.table(table_name, table, said, n=fitted.fit.n)
    for row in rows.to_dict("records"):
        outputs.result(
            "cOR", row["odds_ratio"], specification=f"proportional odds: {fitted.adjustment}", n=fitted.fit.n,
            ci=(row["ci_low"], row["ci_high"]), p_value=row["p"], term=row["term"], outcome=outcome,
            exposure="none",
        )  # fmt: skip
