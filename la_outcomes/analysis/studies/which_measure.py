"""CT volume, CT Fazekas grade and MRI WMH volume in the same patients: which says most about the mRS?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from la_outcomes.analysis.ordinal import ProportionalOddsFit, fit_proportional_odds, likelihood_ratio
from la_outcomes.analysis.prediction import compare_concordance, net_benefit
from la_outcomes.analysis.results import require_rows
from la_outcomes.analysis.studies.common import OFFSET_ML, usable_terms
from la_outcomes.errors import StatisticsError

MEASURES = {
    "ct_volume": "LA volume on CT",
    "ct_fazekas": "Fazekas grade on CT",
    "mri_volume": "WMH volume on MRI",
}
FEWEST = 50
THRESHOLDS = tuple(np.round(np.arange(0.05, 0.66, 0.01), 2))
WORSE_THAN = 3


@dataclass(frozen=True)
class MeasuredAlike:
    """Patients with all three measures, each per its SD, and the covariates that vary."""

    rows: pd.DataFrame
    outcome: str
    covariates: list[str]

    def fit(self, measures: Sequence[str]) -> ProportionalOddsFit:
        """Proportional odds on the covariates and some measures."""
        return fit_proportional_odds(self.rows, self.outcome, [*measures, *self.covariates])


def measured_alike(frame: pd.DataFrame, outcome: str, covariates: Sequence[str]) -> MeasuredAlike:
    """The patients who have CT volume, CT grade, MRI volume, outcome and covariates.

    Raises
    ------
    StatisticsError
        Fewer than ``FEWEST``.
    """
    kept, _ = usable_terms(frame[frame[outcome].notna()], list(covariates))
    values = pd.DataFrame(
        {
            "ct_volume": np.log(frame["la_volume_ml"].astype(float) + OFFSET_ML),
            "ct_fazekas": frame["fazekas_max"].astype(float),
            "mri_volume": np.log(frame["wmh_volume_ml"].astype(float) + OFFSET_ML),
        }
    )
    rows = pd.concat([values, frame[[outcome, *kept]].astype("Float64").astype(float)], axis=1).dropna()
    require_rows(len(rows), FEWEST, "CT volume, CT Fazekas grade and MRI volume in the same patients")
    spreads = rows[list(MEASURES)].std()
    if (spreads == 0).any():
        raise StatisticsError(
            "a measure is the same for everybody", where=", ".join(spreads[spreads == 0].index)
        )
    rows[list(MEASURES)] = rows[list(MEASURES)] / spreads
    still, _ = usable_terms(rows, kept)
    return MeasuredAlike(rows, outcome, still)


def comparison_table(alike: MeasuredAlike) -> pd.DataFrame:
    """For each measure alone beside the covariates: cOR per SD, likelihood ratio, AIC, C and its gain.

    ``delta_c`` is the gain over the covariates alone with the interval of two C of the same patients; it is
    apparent. ``delta_aic`` is against the best measure.
    """
    base = alike.fit([])
    fits = {measure: alike.fit([measure]) for measure in MEASURES}
    best = min(fit.aic for fit in fits.values())
    rows: list[dict[str, object]] = [
        {"measure": "covariates alone", "c_index": base.c_index, "delta_aic": base.aic - best, "n": base.n}
    ]
    outcome, score = alike.rows[alike.outcome], base.model.linear_predictor()
    for measure, fit in fits.items():
        own = fit.coefficients.set_index("term").loc[measure]
        test = likelihood_ratio(fit, base)
        gain = compare_concordance(outcome, fit.model.linear_predictor(), score)
        rows.append(
            {"measure": MEASURES[measure], "common_odds_ratio": own["odds_ratio"],
             "common_odds_ratio_ci_low": own["ci_low"], "common_odds_ratio_ci_high": own["ci_high"],
             "likelihood_ratio_chi2": test.chi2, "p_value": test.p, "delta_aic": fit.aic - best,
             "c_index": fit.c_index, "delta_c": gain.difference, "delta_c_ci_low": gain.ci_low,
             "delta_c_ci_high": gain.ci_high, "n": fit.n}
        )  # fmt: skip
    return pd.DataFrame(rows)


def added_to_each_other(alike: MeasuredAlike) -> pd.DataFrame:
    """Does one measure add to another? Likelihood-ratio tests of models with both against those with one."""
    rows = []
    for added in MEASURES:
        for present in MEASURES:
            if added == present:
                continue
            test = likelihood_ratio(alike.fit([present, added]), alike.fit([present]))
            rows.append(
                {"added": MEASURES[added], "to_covariates_and": MEASURES[present],
                 "likelihood_ratio_chi2": test.chi2, "df": test.df, "p_value": test.p, "n": len(alike.rows)}
            )  # fmt: skip
    return pd.DataFrame(rows)


def decision_curves(alike: MeasuredAlike) -> pd.DataFrame:
    """Net benefit of calling mRS 3-6 by predicted risk: rows are thresholds, columns strategies; apparent."""
    worse = (alike.rows[alike.outcome] >= WORSE_THAN).astype(float).to_numpy()
    risks: dict[str, ArrayLike] = {}
    for name, measures in {"covariates alone": [], **{MEASURES[m]: [m] for m in MEASURES}}.items():
        shares = alike.fit(measures).predict()
        levels = [level for level in shares if float(str(level)) >= WORSE_THAN]
        risks[name] = shares[levels].sum(axis=1).clip(0, 1).to_numpy()
    table = net_benefit(worse, risks, THRESHOLDS).table
    curves = table.pivot(index="threshold", columns="model", values="net_benefit")
    return curves[["treat none", "treat all", *risks]].rename_axis(columns=None)
