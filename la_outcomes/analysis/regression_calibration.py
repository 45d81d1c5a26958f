"""Regression calibration with external pairs: the truth's expectation takes the place of the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from la_outcomes.analysis.bootstrap import percentile_interval
from la_outcomes.analysis.error_specification import ErrorSpecification, ErrorStudy, read_study
from la_outcomes.analysis.exposure_outcome import Outcome, OutcomeFit, OutcomeKind, read_outcome
from la_outcomes.analysis.replicates import replicate
from la_outcomes.analysis.results import FloatArray, Missing, Result, normal_quantile, require_level
from la_outcomes.analysis.terms import Term
from la_outcomes.analysis.truth_model import TruthModel, learn_truth, resampled
from la_outcomes.errors import StatisticsError
from la_outcomes.execution import Jobs

# The logistic function is near a normal distribution of this SD (Carroll et al. 2006, section 4.8.2, p. 91).
_LOGISTIC_SD = 1.7


@dataclass(frozen=True)
class CorrectedEffect(Result):
    """The effect of the true exposure, beside the naive one of the measurement.

    Attributes
    ----------
    coefficients : method (``naive`` or the correction's), term (``exposure`` first), estimate, se, ci_low,
        ci_high, and ratio, ratio_low, ratio_high (odds ratios; binary and ordinal outcomes). The exposure's
        are per ``sd`` of ``unit``, the same for both methods.
    method, kind : ``regression calibration`` or ``multiple imputation``; linear, binary or ordinal.
    sd, unit : what an exposure's estimate is per.
    reliability : share of the measurement's variance, at given terms, that is the truth's.
    n, n_pairs, n_dropped, n_pairs_dropped : rows used and left out.
    replicates, n_failed, seed : bootstrap resamples, or imputations, those without an estimate, and the seed.
    assumptions : what must hold and these data cannot show. Print them with the estimate.
    """

    coefficients: pd.DataFrame
    method: str
    kind: str
    sd: float
    unit: str
    reliability: float
    n: int
    n_pairs: int
    n_dropped: int
    n_pairs_dropped: int
    replicates: int
    n_failed: int
    seed: int
    assumptions: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the coefficients with what they are per, the numbers used and the assumptions."""
        return self.coefficients.assign(
            sd=self.sd,
            unit=self.unit,
            n=self.n,
            n_pairs=self.n_pairs,
            assumptions="; ".join(self.assumptions),
        )

    def effect(self, method: str | None = None) -> pd.Series:
        """Return the exposure's row of a method (default: the corrected one)."""
        table = self.coefficients
        chosen = table[(table["term"] == "exposure") & (table["method"] == (method or self.method))]
        if chosen.empty:
            raise StatisticsError(f"there is no method {method!r}", where="method")
        return chosen.iloc[0]


def regression_calibration(
    cohort: pd.DataFrame,
    pairs: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    specification: ErrorSpecification,
    kind: OutcomeKind = "linear",
    *,
    n_boot: int = 500,
    seed: int = 0,
    level: float = 0.95,
    missing: Missing = "raise",
    jobs: Jobs = 1,
) -> CorrectedEffect:
    """Effect of the true exposure on an outcome, from a cohort with a measured one and pairs without outcome.

    The measurement W is replaced by E(X | W, terms), and the outcome's model is fitted as if that were X
    (Rosner, Spiegelman and Willett 1990, Am J Epidemiol 132:734; Carroll, Ruppert, Stefanski and Crainiceanu
    2006, Measurement Error in Nonlinear Models, ch. 4). What the expectation is made of is told by
    `ErrorSpecification.transport`. Intervals are percentiles of a bootstrap of patients and, independently,
    of pairs; everything is estimated again on each resample, so that the pairs' uncertainty is carried.

    Parameters
    ----------
    cohort : one row a patient: outcome, measured exposure, terms. pairs : measured and true exposure.
    terms : the outcome's other terms (`la_outcomes.analysis.terms`); the exposure is added.
    kind : ``linear`` (difference), ``binary`` and ``ordinal`` (log odds ratio, cOR above 1 = worse).
    jobs : processes or cluster for the resamples; the result is the same.

    How to read it: exact for a linear outcome. For binary and ordinal ones it is an approximation whose
    estimate is too small by about the factor 1/sqrt(1 + (b s / 1.7)^2), with b the true log odds ratio and s
    the SD of the truth given measurement and terms (Carroll et al. 2006, p. 91); the factor is stated among
    the assumptions. `impute_true_exposure` has no such approximation.

    Raises
    ------
    StatisticsError
        See `la_outcomes.analysis.error_specification.read_study`; more than a tenth of the resamples failed.
    """
    require_level(level)
    study = read_study(cohort, pairs, outcome, terms, specification, missing)
    values = read_outcome(study.rows[outcome], kind)
    truth = learn_truth(study)
    estimate = calibrated_fit(study, values, truth)
    resample = partial(_resampled_slopes, study, values, truth, estimate)
    hint = "the pairs are too few or the error is too large for a correction"
    draws = np.array(replicate(resample, n_boot, seed=seed, hint=hint, jobs=jobs))
    table = pd.concat(
        [
            naive_table(study, values, kind, level),
            _bootstrap_table(study, estimate.slopes, draws, kind, level),
        ],
        ignore_index=True,
    )
    return corrected(
        study,
        table,
        "regression calibration",
        kind,
        truth,
        replicates=n_boot,
        n_failed=n_boot - len(draws),
        seed=seed,
        extra=_approximation(kind, estimate.slopes[0], truth.residual_sd() / study.sd),
    )


def calibrated_fit(
    study: ErrorStudy, outcome: Outcome, truth: TruthModel, start: OutcomeFit | None = None
) -> OutcomeFit:
    """Fit the outcome on the truth's expectation, per SD, and the terms."""
    exposure = truth.expected() / study.sd
    return outcome.fit(np.column_stack([exposure, study.cohort.terms]), start)


def _resampled_slopes(
    study: ErrorStudy, outcome: Outcome, truth: TruthModel, start: OutcomeFit, rng: np.random.Generator
) -> FloatArray | None:
    """Return the slopes of one resample; None where it has none."""
    again, rows = resampled(study, rng, cohort=True)
    try:
        return calibrated_fit(again, outcome.take(rows), learn_truth(again, truth), start).slopes
    except (StatisticsError, np.linalg.LinAlgError):
        return None


def naive_table(study: ErrorStudy, outcome: Outcome, kind: str, level: float) -> pd.DataFrame:
    """Return the uncorrected coefficients, the measurement taken for the truth, per the same SD."""
    x = np.column_stack([study.cohort.measured / study.sd, study.cohort.terms])
    fit = outcome.fit(x)
    errors = np.sqrt(np.diag(fit.slope_covariance))
    margin = normal_quantile(level) * errors
    return effect_table(study, "naive", kind, fit.slopes, errors, (fit.slopes - margin, fit.slopes + margin))


def _bootstrap_table(
    study: ErrorStudy, slopes: FloatArray, draws: FloatArray, kind: str, level: float
) -> pd.DataFrame:
    limits = np.array([percentile_interval(column, level) for column in draws.T])
    errors = draws.std(axis=0, ddof=1)
    return effect_table(study, "regression calibration", kind, slopes, errors, (limits[:, 0], limits[:, 1]))


def effect_table(
    study: ErrorStudy,
    method: str,
    kind: str,
    slopes: FloatArray,
    errors: FloatArray,
    limits: tuple[FloatArray, FloatArray],
) -> pd.DataFrame:
    """Return method, term, estimate, se, ci_low, ci_high and, but for linear outcomes, the odds ratios."""
    table = pd.DataFrame(
        {"method": method, "term": ["exposure", *study.columns], "estimate": slopes, "se": errors}
    )
    table["ci_low"], table["ci_high"] = limits
    if kind != "linear":
        table["ratio"], table["ratio_low"], table["ratio_high"] = (np.exp(v) for v in (slopes, *limits))
    return table


def corrected(
    study: ErrorStudy,
    table: pd.DataFrame,
    method: str,
    kind: str,
    truth: TruthModel,
    *,
    replicates: int,
    n_failed: int,
    seed: int,
    extra: tuple[str, ...] = (),
) -> CorrectedEffect:
    """Return the result of a correction."""
    spread = truth.expected()
    return CorrectedEffect(
        coefficients=table,
        method=method,
        kind=kind,
        sd=study.sd,
        unit=study.specification.unit,
        reliability=_reliability(study, spread, truth.residual_sd()),
        n=len(study.rows),
        n_pairs=len(study.pairs.truth),
        n_dropped=study.n_dropped,
        n_pairs_dropped=study.n_pairs_dropped,
        replicates=replicates,
        n_failed=n_failed,
        seed=seed,
        assumptions=study.specification.assumptions() + extra,
    )


def _reliability(study: ErrorStudy, expected: FloatArray, residual_sd: float) -> float:
    """Var E(X | W, terms) over Var X, at given terms: the squared correlation of measurement and truth."""
    z = np.column_stack([np.ones(len(expected)), study.cohort.terms])
    left = expected - z @ np.linalg.lstsq(z, expected, rcond=None)[0]
    explained = float(left @ left) / len(left)
    return explained / (explained + residual_sd**2)


def _approximation(kind: str, slope: float, residual_sd: float) -> tuple[str, ...]:
    if kind == "linear":
        return ()
    squared = (slope * residual_sd / _LOGISTIC_SD) ** 2
    # the estimate b* = b / sqrt(1 + b^2 s^2 / 1.7^2) implies b*/b = sqrt(1 - b*^2 s^2 / 1.7^2)
    lost = 1 - np.sqrt(max(0.0, 1 - squared))
    return (
        f"regression calibration is approximate for {kind} outcomes: at this estimate about "
        f"{100 * lost:.1f} % too near to no effect",
    )
