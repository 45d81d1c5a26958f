"""LA volume on age and risk factors: linear models of ln(mL + 1), read as ratios of (mL + 1)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.covariance import FewClustersWarning
from la_outcomes.analysis.linear import LinearFit, fit_linear, fit_quantile, nonlinearity_test
from la_outcomes.analysis.names import label
from la_outcomes.analysis.results import FloatArray, complete_rows
from la_outcomes.analysis.studies.common import OFFSET_ML, cluster_column, usable_terms
from la_outcomes.analysis.terms import SplineTerm, Term
from la_outcomes.errors import StatisticsError

OUTCOME = "ln_volume"
DECADES = "age_decades"
SYSTOLIC = "systolic_10mmhg"


def with_log_volume(frame: pd.DataFrame, volume: str) -> pd.DataFrame:
    """Add ``ln_volume``, age per 10 years and systolic pressure per 10 mmHg.

    Raises
    ------
    StatisticsError
        Fewer than two patients have a volume.
    """
    known = frame[volume].astype(float)
    if known.nunique() < 2:
        raise StatisticsError(
            f"{int(known.notna().sum())} patients have a volume, and it must vary", where=volume
        )
    return frame.assign(
        ln_volume=np.log(known + OFFSET_ML),
        age_decades=frame["age_years"] / 10,
        systolic_10mmhg=frame["systolic_bp_mmhg"] / 10,
    )


def printed_term(term: str) -> str:
    """How a term is called in tables and figures, with its unit."""
    own = {DECADES: "Age, per 10 years", SYSTOLIC: "Systolic blood pressure, per 10 mmHg"}
    return own.get(term, label(term))


def fit_volume(frame: pd.DataFrame, terms: Sequence[Term]) -> LinearFit:
    """Linear model of ``ln_volume`` on complete patients: CR2 errors by centre if enough, else HC3."""
    cluster = cluster_column(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)  # captions say it: see errors_in_words
        return fit_linear(
            frame, OUTCOME, terms, covariance="CR2" if cluster else "HC3", cluster=cluster, missing="drop"
        )


def complete_patients(frame: pd.DataFrame, terms: Sequence[str]) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The patients complete for all usable terms, the terms, and those left out because they do not vary."""
    kept, left_out = usable_terms(frame, list(terms))
    if not kept:
        raise StatisticsError("no risk factor varies in these patients", where=", ".join(terms))
    complete, _ = complete_rows(frame, [OUTCOME, *kept], "drop")
    return frame.loc[complete.index].reset_index(drop=True), kept, left_out


def ratio_table(
    frame: pd.DataFrame, terms: Sequence[str], always: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, LinearFit]]:
    """Ratios of (mL + 1) for each term: crude, with ``always`` (age and sex), and all together.

    All on the same patients. Returns the table and the full fit under ``full``.
    """
    full = fit_volume(frame, list(terms))
    rows = []
    for term in terms:
        adjusted = [term, *(name for name in always if name != term and name in terms)]
        fits = {"crude": fit_volume(frame, [term]), "age and sex": fit_volume(frame, adjusted), "full": full}
        rows += [_ratio(term, name, fit) for name, fit in fits.items()]
    table = pd.DataFrame(rows)
    betas = full.standardised.set_index("term")["beta"]
    table["standardised_beta"] = [
        betas.loc[term] if name == "full" else np.nan
        for term, name in zip(table["term"], table["specification"], strict=True)
    ]
    return table, {"full": full}


def _ratio(term: str, name: str, fit: LinearFit) -> dict[str, object]:
    row = fit.coefficients.set_index("term").loc[term]
    return {
        "term": term,
        "variable": printed_term(term),
        "specification": name,
        "ratio": float(np.exp(row["estimate"])),
        "ratio_ci_low": float(np.exp(row["ci_low"])),
        "ratio_ci_high": float(np.exp(row["ci_high"])),
        "p_value": row["p"],
        "n": fit.n,
    }


@dataclass(frozen=True)
class AgeCurve:
    """Mean volume along age, other terms at their means: age_years, volume_ml, ci_low, ci_high."""

    curve: pd.DataFrame
    p_nonlinear: float
    n: int


def age_curve(frame: pd.DataFrame, terms: Sequence[str], knots: int = 4) -> AgeCurve:
    """Restricted cubic spline of age with the other terms held at their means, back in mL."""
    others = [term for term in terms if term != DECADES]
    fit = fit_volume(frame, [SplineTerm(DECADES, knots), *others])
    youngest, oldest = np.quantile(frame[DECADES], [0.01, 0.99])
    ages = np.linspace(youngest, oldest, 80)
    held: Mapping[str, float] = {term: float(frame[term].mean()) for term in others}
    grid = pd.DataFrame({DECADES: ages, **held})
    curve = pd.DataFrame({"age_years": 10 * ages} | adjusted_volume(fit, grid))
    return AgeCurve(curve, nonlinearity_test(fit, DECADES).p, fit.n)


QUANTILES = (0.25, 0.5, 0.75, 0.9)
MOST_QUANTILE_ROWS = 10_000


def quantile_table(frame: pd.DataFrame, terms: Sequence[str]) -> pd.DataFrame:
    """Differences in quantiles of ln(mL + 1) as ratios of (mL + 1), all terms together.

    Raises
    ------
    StatisticsError
        More than ``MOST_QUANTILE_ROWS`` patients (the exact linear programme would take too long), or too
        few for a quantile.
    """
    if len(frame) > MOST_QUANTILE_ROWS:
        raise StatisticsError(
            f"quantile regression is left out above {MOST_QUANTILE_ROWS:,} patients", where="quantiles"
        )
    rows = []
    for quantile in QUANTILES:
        fit = fit_quantile(frame, OUTCOME, list(terms), quantile)
        for _, row in fit.coefficients.iloc[1:].iterrows():
            ratio = {f"ratio{end}": float(np.exp(row[name])) for end, name in _ENDS.items()}
            rows.append(
                {"variable": printed_term(row["term"]), "quantile": f"{100 * quantile:.0f} %", **ratio}
                | {"p_value": row["p"], "n": fit.n}
            )
    return pd.DataFrame(rows)


_ENDS = {"": "estimate", "_ci_low": "ci_low", "_ci_high": "ci_high"}


def partial_effects(fit: LinearFit, frame: pd.DataFrame, terms: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Adjusted mean volume (mL, back from the log) along each term, the others at their means.

    Each frame has ``value``, ``volume_ml``, ``ci_low``, ``ci_high``: two rows (0 and 1) of a yes/no term, 50
    from the 2nd to the 98th percentile of a number.
    """
    means = {term: float(frame[term].mean()) for term in terms}
    found = {}
    for term in terms:
        values = frame[term].dropna()
        is_yes_no = set(values.unique()) <= {0.0, 1.0}
        low, high = np.quantile(values, [0.02, 0.98])
        along = np.array([0.0, 1.0]) if is_yes_no else np.linspace(low, high, 50)
        grid = pd.DataFrame({**means, term: along})
        found[term] = pd.DataFrame({"value": along} | adjusted_volume(fit, grid))
    return found


def adjusted_volume(fit: LinearFit, grid: pd.DataFrame) -> dict[str, FloatArray]:
    """exp(mean of ln(mL + 1)) - 1 at each row of the grid, with a 95 % interval; never below 0."""
    design = np.column_stack([np.ones(len(grid)), fit.design.encode(grid)])
    mean = design @ fit.parameters
    error = np.sqrt(np.einsum("ij,jk,ik->i", design, fit.cov, design))
    ends = {"volume_ml": mean, "ci_low": mean - 1.96 * error, "ci_high": mean + 1.96 * error}
    return {name: np.clip(np.exp(value) - OFFSET_ML, 0, None) for name, value in ends.items()}
