"""The odds ratio of a 2 by 2 table common to several strata."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import StratifiedTable

from la_outcomes.analysis.results import Missing, Result, complete_rows
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class MantelHaenszel(Result):
    """A stratified odds ratio.

    Attributes
    ----------
    odds_ratio, ci_low, ci_high : Mantel-Haenszel estimate; 95 % interval by Robins, Breslow and Greenland.
    chi2, df, p : Cochran-Mantel-Haenszel test of no association within strata.
    homogeneity_chi2, homogeneity_df, homogeneity_p : Breslow-Day test, Tarone's correction, that the odds
        ratio is the same in all strata; None with one informative stratum.
    n_strata, n, n_dropped : strata with both exposures and both outcomes; patients in them; rows left out
        because of missing values.
    """

    odds_ratio: float
    ci_low: float
    ci_high: float
    chi2: float
    df: int
    p: float
    homogeneity_chi2: float | None
    homogeneity_df: int | None
    homogeneity_p: float | None
    n_strata: int
    n: int
    n_dropped: int


def mantel_haenszel(
    frame: pd.DataFrame,
    outcome: str,
    exposure: str,
    strata: str,
    missing: Missing = "raise",
    continuity: bool = False,
) -> MantelHaenszel:
    """Combine one 2 by 2 table a stratum (Mantel and Haenszel 1959, J Natl Cancer Inst 22:719).

    OR = sum(a d / n) / sum(b c / n); interval from Robins, Breslow and Greenland 1986 (Biometrics 42:311).
    Equals R ``mantelhaen.test(correct = FALSE)``; ``continuity=True`` subtracts 1/2 as R does by default.

    ``outcome`` and ``exposure`` are coded 0 and 1. Strata that lack an exposure or an outcome say nothing
    about the odds ratio and are not counted. How to read it: beside `fit_logistic` with the strata as a term
    it shows whether the model's odds ratio depends on the model.

    Raises
    ------
    StatisticsError
        A variable that is not 0/1, no informative stratum, or an odds ratio of 0 or infinity.
    """
    rows, n_dropped = complete_rows(frame, [outcome, exposure, strata], missing)
    for name in (outcome, exposure):
        if not set(rows[name].unique()) <= {0, 1}:
            raise StatisticsError(f"{name} is not coded 0 and 1", where=name, hint="recode it")
    tables = [_table(part, exposure, outcome) for _, part in rows.groupby(strata, observed=True)]
    informative = [t for t in tables if t.sum(axis=0).all() and t.sum(axis=1).all()]
    if not informative:
        raise StatisticsError(
            f"no stratum of {strata} has both values of {exposure} and {outcome}",
            where=f"{strata}, {exposure}, {outcome}",
            hint="is one of them constant, or a stratum for every patient?",
        )
    agree = sum(t[0, 0] * t[1, 1] / t.sum() for t in informative)
    differ = sum(t[0, 1] * t[1, 0] / t.sum() for t in informative)
    if agree == 0 or differ == 0:
        raise StatisticsError(
            f"the odds ratio of {exposure} is {'0' if agree == 0 else 'infinite'}: empty cells in all strata",
            where=exposure,
            hint="pool strata, or fit_logistic(penalty=1.0)",
        )
    return _summary(informative, continuity, n_dropped)


def _table(rows: pd.DataFrame, exposure: str, outcome: str) -> NDArray[np.int64]:
    codes = 2 * rows[exposure].to_numpy(dtype=np.int64) + rows[outcome].to_numpy(dtype=np.int64)
    return np.bincount(codes, minlength=4).reshape(2, 2)


def _summary(tables: list[NDArray[np.int64]], continuity: bool, n_dropped: int) -> MantelHaenszel:
    stratified = StratifiedTable(tables)
    low, high = stratified.oddsratio_pooled_confint()
    test = stratified.test_null_odds(correction=continuity)
    same = stratified.test_equal_odds(adjust=True) if len(tables) > 1 else None
    return MantelHaenszel(
        odds_ratio=float(stratified.oddsratio_pooled),
        ci_low=float(low),
        ci_high=float(high),
        chi2=float(test.statistic),
        df=1,
        p=float(test.pvalue),
        homogeneity_chi2=None if same is None else float(same.statistic),
        homogeneity_df=None if same is None else len(tables) - 1,
        homogeneity_p=None if same is None else float(same.pvalue),
        n_strata=len(tables),
        n=int(sum(table.sum() for table in tables)),
        n_dropped=n_dropped,
    )
