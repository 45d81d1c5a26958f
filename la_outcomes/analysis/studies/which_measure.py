"""CT volume, CT Fazekas grade and MRI WMH volume in the same patients: which says most about the mRS?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.cumulative_model import c_index
from la_outcomes.analysis.ordinal import ProportionalOddsFit, fit_proportional_odds, likelihood_ratio
from la_outcomes.analysis.results import FloatArray, require_rows
from la_outcomes.analysis.studies.common import OFFSET_ML, usable_terms
from la_outcomes.errors import StatisticsError

MEASURES = {
    "ct_volume": "LA volume on CT",
    "ct_fazekas": "Fazekas grade on CT",
    "mri_volume": "WMH volume on MRI",
}
FEWEST = 50
MOST_BOOTSTRAPPED = 20_000
THRESHOLDS = np.round(np.arange(0.05, 0.66, 0.01), 2)
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


def comparison_table(alike: MeasuredAlike, seed: int) -> pd.DataFrame:
    """For each measure alone beside the covariates: cOR per SD, likelihood ratio, AIC, C and its gain.

    ``delta_c`` is the gain over the covariates alone, its interval by percentile bootstrap over patients with
    every model fitted again; both are apparent. ``delta_aic`` is against the best measure.
    """
    base = alike.fit([])
    fits = {measure: alike.fit([measure]) for measure in MEASURES}
    draws = gain_draws(base, fits, seed)
    best = min(fit.aic for fit in fits.values())
    rows: list[dict[str, object]] = [
        {"measure": "covariates alone", "c_index": base.c_index, "delta_aic": base.aic - best, "n": base.n}
    ]
    for measure, fit in fits.items():
        own = fit.coefficients.set_index("term").loc[measure]
        test = likelihood_ratio(fit, base)
        gain = {"delta_c": fit.c_index - base.c_index}
        if draws is not None:
            low, high = np.quantile(draws[measure], [0.025, 0.975])
            gain |= {"delta_c_ci_low": float(low), "delta_c_ci_high": float(high)}
        rows.append(
            {"measure": MEASURES[measure], "common_odds_ratio": own["odds_ratio"],
             "common_odds_ratio_ci_low": own["ci_low"], "common_odds_ratio_ci_high": own["ci_high"],
             "likelihood_ratio_chi2": test.chi2, "p_value": test.p, "delta_aic": fit.aic - best,
             "c_index": fit.c_index, **gain, "n": fit.n}
        )  # fmt: skip
    return pd.DataFrame(rows)


def gain_draws(
    base: ProportionalOddsFit, fits: Mapping[str, ProportionalOddsFit], seed: int
) -> dict[str, FloatArray] | None:
    """Gain in C of each measure on bootstrap resamples, all models on the same ones; None for very many."""
    n = len(base.model.codes)
    if n > MOST_BOOTSTRAPPED:
        return None
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {measure: [] for measure in fits}
    for _ in range(resamples(n)):
        counts = random.multinomial(n, np.full(n, 1 / n))
        reference = _resampled_c(base, counts)
        for measure, fit in fits.items():
            own = _resampled_c(fit, counts)
            if own is not None and reference is not None:
                found[measure].append(own - reference)
    return {measure: np.array(values) for measure, values in found.items()}


def resamples(n: int) -> int:
    """500, fewer for many patients; never below 100."""
    return int(np.clip(2e6 / n, 100, 500))


def _resampled_c(fit: ProportionalOddsFit, counts: NDArray[np.int64]) -> float | None:
    """C on a resample of the model fitted to it; None where it has no fit."""
    parameters = fit.refit(counts)
    if parameters is None:
        return None
    slopes = parameters[-len(fit.slopes) :]
    return c_index(fit.model.design.matrix @ slopes, fit.model.codes, counts.astype(float))


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
    """Net benefit of calling mRS 3-6 by predicted risk, per threshold, for each model, all and none.

    Net benefit = true positives / n - false positives / n * t / (1 - t) (Vickers and Elkin 2006); apparent,
    from the proportional-odds models. Rows are thresholds, columns strategies.
    """
    worse = (alike.rows[alike.outcome] >= WORSE_THAN).to_numpy()
    odds = THRESHOLDS / (1 - THRESHOLDS)
    curves = {"nobody": np.zeros(len(THRESHOLDS)), "everybody": worse.mean() - (~worse).mean() * odds}
    for name, measures in {"covariates alone": [], **{MEASURES[m]: [m] for m in MEASURES}}.items():
        shares = alike.fit(measures).predict()
        risk = shares[[level for level in shares if float(str(level)) >= WORSE_THAN]].sum(axis=1).to_numpy()
        called = risk[None, :] >= THRESHOLDS[:, None]
        true, false = (called & worse).mean(axis=1), (called & ~worse).mean(axis=1)
        curves[name] = true - false * odds
    return pd.DataFrame(curves, index=pd.Index(THRESHOLDS, name="threshold"))
