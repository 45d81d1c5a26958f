"""Every main estimate under alternatives that a reader may hold to be as reasonable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.analysis.results import require_rows
from la_outcomes.analysis.studies.common import NESTED_HAZARD, OFFSET_ML, RISK_FACTORS, SEVERITY, Exposure
from la_outcomes.analysis.studies.follow_up import add_follow_up, hazard_ratios, hazard_table
from la_outcomes.analysis.studies.outcome_imputed import imputed
from la_outcomes.analysis.studies.outcome_mrs import fit_specification
from la_outcomes.analysis.studies.risk_factors import (
    DECADES,
    complete_patients,
    fit_volume,
    with_log_volume,
)
from la_outcomes.analysis.studies.selection_study import weighted_odds
from la_outcomes.analysis.tables import records
from la_outcomes.analysis.terms import CategoricalTerm, Term
from la_outcomes.errors import StatisticsError

MAIN = "main"
FEWEST = 30
Frame = pd.DataFrame


@dataclass(frozen=True)
class Alternative:
    """A choice other than the main one.

    Attributes
    ----------
    group, name : which choice, and how it was made, in words.
    volume : from patients and the main volume's column to the volume, mL; None: as measured.
    scale : from volume to the exposure before it is divided by its SD; None: ln(mL + 1).
    keep : which patients stay; None: all.
    covariates : of the mRS; None: the fully adjusted set. ``extra`` are added terms.
    impute, weight : m imputations, or inverse-probability weights, instead of complete patients as they are.
    """

    group: str
    name: str
    volume: Callable[[Frame, str], pd.Series] | None = None
    scale: Callable[[pd.Series], pd.Series] | None = None
    keep: Callable[[Frame], pd.Series] | None = None
    covariates: Sequence[str] | None = None
    extra: Sequence[Term] = ()
    impute: bool = False
    weight: bool = False

    def prepared(self, frame: Frame, column: str) -> tuple[Frame, Exposure]:
        """The patients that stay, with ``column`` replaced and ``exposure`` per its own SD.

        Raises
        ------
        StatisticsError
            Fewer than ``FEWEST`` patients have the alternative's volume, or it does not vary.
        """
        rows = frame if self.keep is None else frame[self.keep(frame)].reset_index(drop=True)
        volume = (
            rows[column].astype(float) if self.volume is None else self.volume(rows, column).astype(float)
        )
        require_rows(int(volume.notna().sum()), FEWEST, self.name)
        values = np.log(volume + OFFSET_ML) if self.scale is None else self.scale(volume)
        sd = float(values.std())
        if not sd > 0:
            raise StatisticsError("the volume does not vary", where=self.name)
        rows = rows.assign(**{column: volume, "exposure": values / sd})
        return rows, Exposure(column, "exposure", sd, "of these patients", None)


def _offset(offset: float) -> Callable[[pd.Series], pd.Series]:
    return lambda volume: np.log(volume + offset)


def _per_icv(frame: Frame, column: str) -> pd.Series:
    """Volume at the mean intracranial volume of these patients."""
    icv = frame["icv_ml"].astype(float)
    return frame[column].astype(float) * icv.mean() / icv


def _column(name: str) -> Callable[[Frame, str], pd.Series]:
    def take(frame: Frame, column: str) -> pd.Series:
        if column == name:
            raise StatisticsError("the main choice itself", where=name)
        return frame[name]

    return take


def _at_most(name: str, limit: float) -> Callable[[Frame], pd.Series]:
    return lambda frame: frame[name].astype(float) <= limit


BEFORE_MEDIATORS = tuple(RISK_FACTORS)
ALTERNATIVES = (
    Alternative(MAIN, "ln(mL + 1), as measured, complete cases"),
    Alternative("scale", "ln(mL + 0.1)", scale=_offset(0.1)),
    Alternative("scale", "ln(mL + 5)", scale=_offset(5.0)),
    Alternative("scale", "cube root of mL", scale=np.cbrt),
    Alternative("scale", "per intracranial volume", volume=_per_icv),
    Alternative("volume", "calibrated", volume=_column("la_volume_calibrated_ml")),
    Alternative("volume", "WMH on MRI", volume=_column("wmh_volume_ml")),
    Alternative("volume", "another model", volume=_column("other_model_ml")),
    Alternative("quality", "scans without a warning", keep=lambda frame: frame["input_warning"].isna()),
    Alternative("quality", "slices of 5 mm or less", keep=_at_most("slice_thickness_mm", 5.0)),
    Alternative("quality", "no reperfusion treatment", keep=lambda frame: frame["reperfusion"] == 0),
    Alternative("quality", "infarct of 10 mL or less", keep=_at_most("infarct_volume_ml", 10.0)),
    Alternative("adjustment", "before NIHSS, treatment, infarct", covariates=BEFORE_MEDIATORS),
    Alternative("adjustment", "CT vendor added", extra=(CategoricalTerm("manufacturer"),)),
    Alternative("adjustment", "centre added", extra=(CategoricalTerm("site"),)),
    Alternative("missing values", "imputed, m = 20", impute=True),
    Alternative("missing values", "weighted to all patients", weight=True),
)


@dataclass(frozen=True)
class Finding:
    """One estimate with its interval, and the patients behind it."""

    estimate: float
    low: float
    high: float
    n: int


def odds_ratio(frame: Frame, outcome: str, choice: Alternative, column: str, seed: int) -> Finding:
    """Fully adjusted common odds ratio per SD of the exposure."""
    rows, exposure = choice.prepared(frame, column)
    covariates = list(SEVERITY if choice.covariates is None else choice.covariates)
    if choice.impute:
        found = imputed(rows, outcome, exposure, covariates, choice.name, seed)
        low, high = float(found.low or np.nan), float(found.high or np.nan)
        return Finding(float(np.exp(found.log_or)), float(np.exp(low)), float(np.exp(high)), found.n or 0)
    if choice.weight:
        table, _ = weighted_odds(rows, outcome, exposure, [*RISK_FACTORS, "nihss_admission", "reperfusion"])
        row = records(table[table["estimate_of"] == "weighted"])[0]
        ratio, low, high = (float(row[f"common_odds_ratio{end}"]) for end in ("", "_ci_low", "_ci_high"))
        return Finding(ratio, low, high, int(row["n"]))
    fitted = fit_specification(rows, outcome, choice.name, [exposure.name, *choice.extra], covariates)
    ratio, low, high = (fitted.number(exposure.name, name) for name in ("odds_ratio", "ci_low", "ci_high"))
    return Finding(ratio, low, high, fitted.fit.n)


def hazard_ratio(frame: Frame, outcome: str, choice: Alternative, column: str, seed: int) -> Finding:
    """Adjusted hazard ratio of death per SD of the exposure."""
    if choice.impute or choice.weight or choice.extra or choice.covariates is not None:
        raise StatisticsError("not asked of death: too few events", where=choice.name)
    rows, exposure = choice.prepared(add_follow_up(frame), column)
    last = list(NESTED_HAZARD)[-1]
    fits = hazard_ratios(rows, "death_time", "death", exposure, {last: NESTED_HAZARD[last]})
    row = hazard_table(fits, exposure).iloc[0]
    ratio, low, high = (float(row[f"hazard_ratio{end}"]) for end in ("", "_ci_low", "_ci_high"))
    return Finding(ratio, low, high, int(row["n"]))


def age_ratio(frame: Frame, outcome: str, choice: Alternative, column: str, seed: int) -> Finding:
    """Fully adjusted ratio of (mL + 1) per 10 years of age."""
    if choice.scale is not None or choice.impute or choice.weight or choice.covariates is not None:
        raise StatisticsError("not asked of age: another scale or set has no such ratio", where=choice.name)
    rows, _ = choice.prepared(frame, column)
    logged = with_log_volume(rows, column)
    factors = [DECADES, "female", "hypertension", "diabetes", "hyperlipidaemia", "smoking",
               "atrial_fibrillation", "prior_stroke"]  # fmt: skip
    complete, terms, _ = complete_patients(logged, factors)
    fit = fit_volume(complete, [*terms, *choice.extra])
    row = fit.coefficients.set_index("term").loc[DECADES]
    ratio, low, high = (float(np.exp(row[name])) for name in ("estimate", "ci_low", "ci_high"))
    return Finding(ratio, low, high, fit.n)


def concordance(frame: Frame, outcome: str, choice: Alternative, column: str, seed: int) -> Finding:
    """CCC of the volume on CT with WMH on MRI, patients who have both."""
    if (
        choice.scale is not None
        or choice.impute
        or choice.weight
        or choice.extra
        or choice.covariates is not None
    ):
        raise StatisticsError("not asked of agreement", where=choice.name)
    if choice.name == "WMH on MRI" or column == "wmh_volume_ml":
        raise StatisticsError("the reference itself", where=choice.name)
    rows, _ = choice.prepared(frame, column)
    both = rows[[column, "wmh_volume_ml"]].astype(float).dropna()
    require_rows(len(both), FEWEST, "CT and MRI volume")
    found = lins_ccc(both[column], both["wmh_volume_ml"])
    return Finding(found.ccc, found.ci_low, found.ci_high, found.n)


Estimator = Callable[[Frame, str, Alternative, str, int], Finding]


@dataclass(frozen=True)
class MainEstimate:
    """An estimate of the study: its short name, what it is, and whether 1 means nothing."""

    name: str
    printed: str
    estimator: Estimator
    ratio: bool
    clinical_only: bool


MAIN_ESTIMATES = (
    MainEstimate("odds_ratio", "Common odds ratio of a worse mRS per own SD", odds_ratio, True, True),
    MainEstimate("hazard_ratio", "Hazard ratio of death per own SD", hazard_ratio, True, True),
    MainEstimate("age_ratio", "Ratio of volume (mL + 1) per 10 years of age", age_ratio, True, False),
    MainEstimate("concordance", "CCC of CT with MRI volume", concordance, False, False),
)


def specification_curve(
    frame: Frame, outcome: str, column: str, main: MainEstimate, seed: int
) -> tuple[Frame, dict[str, str]]:
    """The estimate under each alternative that the data allow, and why the others do not.

    Raises
    ------
    StatisticsError
        The main choice itself has no estimate.
    """
    rows, refused = [], {}
    for choice in ALTERNATIVES:
        try:
            found = main.estimator(frame, outcome, choice, column, seed)
        except StatisticsError as error:
            if choice.group == MAIN:
                raise
            refused[choice.name] = error.what
            continue
        rows.append(
            {"choice": choice.group, "alternative": choice.name, "estimate": found.estimate,
             "ci_low": found.low, "ci_high": found.high, "n": found.n}
        )  # fmt: skip
    return pd.DataFrame(rows), refused
