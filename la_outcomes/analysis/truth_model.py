"""What is known of a true exposure before the outcome is seen, by either way of transport."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from la_outcomes.analysis.error_models import (
    NODES,
    ErrorModel,
    ExposureModel,
    Posterior,
    error_posterior,
    fit_error_model,
    fit_exposure_model,
    require_signal,
    with_less_noise,
)
from la_outcomes.analysis.error_specification import ErrorStudy, Side
from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class CalibrationModel:
    """The truth given the measurement, whether it was 0, and all terms: ``mean`` (intercept first) and
    ``sd``."""

    mean: FloatArray
    sd: float


def fit_calibration_model(pairs: Side) -> CalibrationModel:
    """Regress the truth on the measurement and everything else in the pairs (least squares)."""
    z = _calibration_columns(pairs)
    if len(z) <= z.shape[1] + 5:
        raise StatisticsError(f"{len(z)} pairs cannot calibrate on {z.shape[1]} columns", where="pairs")
    mean = np.asarray(np.linalg.lstsq(z, pairs.truth, rcond=None)[0])
    residual = pairs.truth - z @ mean
    return CalibrationModel(mean, float(np.sqrt(residual @ residual / (len(z) - z.shape[1]))))


def calibration_posterior(cohort: Side, model: CalibrationModel) -> Posterior:
    """Return the truth given the measurement and all terms, on a grid."""
    centre = _calibration_columns(cohort) @ model.mean
    nodes = centre[:, None] + model.sd * NODES
    return Posterior(nodes, np.broadcast_to(-0.5 * NODES**2, nodes.shape))


def _calibration_columns(side: Side) -> FloatArray:
    # error terms are terms of the outcome: they are among the columns already
    return np.column_stack([np.ones(len(side.measured)), side.measured, side.zero, side.terms])


@dataclass(frozen=True)
class TruthModel:
    """What is known of the truth before the outcome is seen, by either way of transport."""

    study: ErrorStudy
    error: ErrorModel | None
    exposure: ExposureModel | None
    calibration: CalibrationModel | None

    def posterior(self, exposure: ExposureModel | None = None) -> Posterior:
        """Return the truth's distribution given measurement and terms."""
        if self.calibration is not None:
            return calibration_posterior(self.study.cohort, self.calibration)
        assert self.error is not None
        model = exposure or self.exposure
        assert model is not None
        return error_posterior(self.study.cohort, self.error, model, self.study.floor)

    def expected(self) -> FloatArray:
        """Return the mean of the truth given measurement and terms, one value a row."""
        posterior = self.posterior()
        return (posterior.weights() * self.bounded(posterior.nodes)).sum(axis=1)

    def residual_sd(self) -> float:
        """Return the SD of the truth about `expected`, averaged over rows."""
        posterior = self.posterior()
        weights, truth = posterior.weights(), self.bounded(posterior.nodes)
        mean = (weights * truth).sum(axis=1, keepdims=True)
        return float(np.sqrt((weights * (truth - mean) ** 2).sum(axis=1).mean()))

    def bounded(self, nodes: FloatArray) -> FloatArray:
        """Return true values no lower than the least possible one."""
        return nodes if self.study.floor is None else np.maximum(nodes, self.study.floor)


def learn_truth(study: ErrorStudy, start: TruthModel | None = None) -> TruthModel:
    """Learn from the pairs, and from the cohort's measurements, what the truth may be.

    ``start`` is a first model when ``study`` is a resample.

    Raises
    ------
    StatisticsError
        See `fit_error_model`, `fit_calibration_model` and, on first data, `require_signal`.
    """
    if study.specification.transport == "calibration":
        return TruthModel(study, None, None, fit_calibration_model(study.pairs))
    error = fit_error_model(study.pairs)
    if start is None:
        require_signal(study.cohort, error)
    error = with_less_noise(error, study.cohort)
    begin = None if start is None else start.exposure
    return TruthModel(study, error, fit_exposure_model(study.cohort, error, study.floor, begin), None)


def resampled(
    study: ErrorStudy, rng: np.random.Generator, *, cohort: bool
) -> tuple[ErrorStudy, NDArray[np.intp]]:
    """Return the study with resampled pairs (and patients), and the numbers of the patients drawn."""
    n = len(study.rows)
    rows = rng.integers(n, size=n) if cohort else np.arange(n)
    pairs = rng.integers(len(study.pairs.truth), size=len(study.pairs.truth))
    side = study.cohort.take(rows) if cohort else study.cohort
    return replace(study, cohort=side, pairs=study.pairs.take(pairs)), rows
