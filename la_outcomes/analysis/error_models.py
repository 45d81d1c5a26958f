"""How a true exposure is measured, learned from pairs, and what it says about the truth behind a measurement.

The measured value is 0 with probability expit(d0 + d1 x + d2 v), else normal with mean a0 + a1 x + a2 v and
SD exp(s0 + s1 u), where x is the true value, v the error terms and u the spread terms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_expit

from la_outcomes.analysis.error_specification import Side
from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError

# A weak ridge keeps the share of zeros finite where the pairs' zeros are separated from the rest.
_ZERO_PENALTY = 0.5
_SPREAD_STEPS = 12
NODES = np.linspace(-5.0, 5.0, 25)
_EM_STEPS = 200
_EM_TOLERANCE = 1e-3
_LEAST_NOISE = 0.05


@dataclass(frozen=True)
class ErrorModel:
    """``mean`` (intercept, truth, error terms), ``log_sd`` (intercept, spread terms), and ``zero``
    (intercept, truth, error terms; None where nothing was measured as 0) of the error; ``df`` of its SD."""

    mean: FloatArray
    log_sd: FloatArray
    zero: FloatArray | None
    df: int


@dataclass(frozen=True)
class ExposureModel:
    """The true exposure given the outcome's terms: normal with mean (1, terms) @ ``mean`` and ``sd``."""

    mean: FloatArray
    sd: float


@dataclass(frozen=True)
class Posterior:
    """Values the truth may have for each row (``nodes``, n by G) and the log of their density, unscaled."""

    nodes: FloatArray
    log_density: FloatArray

    def weights(self) -> FloatArray:
        """Return the probability of each node."""
        density = np.exp(self.log_density - self.log_density.max(axis=1, keepdims=True))
        return density / density.sum(axis=1, keepdims=True)


def fit_error_model(pairs: Side) -> ErrorModel:
    """Fit the error by least squares, the spread by maximum likelihood, the zeros by a (weakly penalised)
    logistic regression.

    Raises
    ------
    StatisticsError
        Too few pairs with a measured value, or a measurement that does not rise with the truth.
    """
    x = np.column_stack([pairs.truth, pairs.error])
    seen = pairs.zero == 0
    z = np.column_stack([np.ones(int(seen.sum())), x[seen]])
    df = len(z) - z.shape[1]
    if df < 10 or not np.ptp(pairs.truth[seen]):
        raise StatisticsError(
            f"{len(z)} pairs have a measured value above 0", where="pairs", hint="add pairs"
        )
    mean, log_sd = _fit_mean_and_spread(z, pairs.measured[seen], pairs.spread[seen], df)
    if mean[1] <= 0:
        raise StatisticsError(
            "the measured exposure does not rise with the true one in the pairs",
            where="pairs",
            hint="check that both columns belong to the same patients",
        )
    zero = None
    if not seen.all():
        varying = np.ptp(x, axis=0) > 0
        fit = fit_cumulative(x[:, varying], pairs.zero.astype(np.int64), penalty=_ZERO_PENALTY)
        zero = np.zeros(x.shape[1] + 1)
        zero[0], zero[1:][varying] = -fit.thresholds[0], fit.beta
    return ErrorModel(mean, log_sd, zero, df)


def _fit_mean_and_spread(
    z: FloatArray, y: FloatArray, spread: FloatArray, df: int
) -> tuple[FloatArray, FloatArray]:
    u = np.column_stack([np.ones(len(y)), spread])
    mean = np.linalg.lstsq(z, y, rcond=None)[0]
    inflation = len(y) / df
    log_variance = np.zeros(u.shape[1])
    log_variance[0] = np.log(np.mean((y - z @ mean) ** 2) * inflation)
    for _ in range(_SPREAD_STEPS if spread.shape[1] else 0):
        # Fisher scoring of the log-linear variance (Harvey 1976, Econometrica 44:461), then weighted means
        squares = (y - z @ mean) ** 2 * inflation
        log_variance = (
            log_variance + np.linalg.lstsq(u, squares / np.exp(u @ log_variance) - 1, rcond=None)[0]
        )
        root = np.exp(-u @ log_variance / 2)
        mean = np.linalg.lstsq(z * root[:, None], y * root, rcond=None)[0]
    return np.asarray(mean), np.asarray(log_variance / 2)


def error_posterior(
    cohort: Side, error: ErrorModel, exposure: ExposureModel, floor: float | None
) -> Posterior:
    """Return the truth given measurement and terms, on a grid about each patient's own likely values."""
    prior = exposure.mean[0] + cohort.terms @ exposure.mean[1:]
    shift = error.mean[0] + cohort.error @ error.mean[2:]
    sd = np.exp(error.log_sd[0] + cohort.spread @ error.log_sd[1:])
    slope, seen = error.mean[1], cohort.zero == 0
    precision = 1 / exposure.sd**2 + np.where(seen, (slope / sd) ** 2, 0.0)
    centre = (
        prior / exposure.sd**2 + np.where(seen, slope * (cohort.measured - shift) / sd**2, 0.0)
    ) / precision
    nodes = centre[:, None] + NODES / np.sqrt(precision)[:, None]
    truth = nodes if floor is None else np.maximum(nodes, floor)
    log_density = -0.5 * ((nodes - prior[:, None]) / exposure.sd) ** 2
    residual = (cohort.measured - shift)[:, None] - slope * truth
    log_density -= np.where(seen[:, None], 0.5 * (residual / sd[:, None]) ** 2, 0.0)
    if error.zero is not None:
        logit = (error.zero[0] + cohort.error @ error.zero[2:])[:, None] + error.zero[1] * truth
        log_density += log_expit(np.where(seen[:, None], -logit, logit))
    return Posterior(nodes, log_density)


def fit_exposure_model(
    cohort: Side, error: ErrorModel, floor: float | None, start: ExposureModel | None = None
) -> ExposureModel:
    """Fit the distribution of the truth in the cohort from measurements alone (EM; exact without zeros)."""
    exact = error.zero is None and cohort.spread.shape[1] == 0 and floor is None
    if start is None or exact:
        start = _moments(cohort, error).exposure()
    if exact:
        return start
    model, z = start, np.column_stack([np.ones(len(cohort.measured)), cohort.terms])
    solver = np.linalg.pinv(z)
    for _ in range(_EM_STEPS):
        posterior = error_posterior(cohort, error, model, floor)
        weights = posterior.weights()
        mean = solver @ (weights * posterior.nodes).sum(axis=1)
        spread = (weights * (posterior.nodes - (z @ mean)[:, None]) ** 2).sum(axis=1).mean()
        sd = float(np.sqrt(spread * len(z) / (len(z) - z.shape[1])))
        moved = max(abs(np.log(sd / model.sd)), float(np.abs(z @ (mean - model.mean)).max()) / sd)
        model = ExposureModel(mean, sd)
        if moved < _EM_TOLERANCE:
            break
    return model


@dataclass(frozen=True)
class _Moments:
    """Of the measurements above 0, on the truth's scale and given the terms: ``mean`` coefficients, ``total``
    variance, ``noise`` variance, and the sampling variances of both."""

    mean: FloatArray
    total: float
    noise: float
    var_total: float
    var_noise: float

    @property
    def doubt(self) -> float:
        return self.var_total + self.var_noise

    @property
    def signal(self) -> float:
        return max(self.total - self.noise, float(np.sqrt(self.doubt)))

    def exposure(self) -> ExposureModel:
        return ExposureModel(self.mean, float(np.sqrt(self.signal)))


def _moments(cohort: Side, error: ErrorModel) -> _Moments:
    seen = cohort.zero == 0
    z = np.column_stack([np.ones(int(seen.sum())), cohort.terms[seen]])
    implied = (cohort.measured - error.mean[0] - cohort.error @ error.mean[2:])[seen] / error.mean[1]
    mean = np.linalg.lstsq(z, implied, rcond=None)[0]
    df = len(z) - z.shape[1]
    total = float(np.sum((implied - z @ mean) ** 2) / df)
    noise = (
        float(np.mean(np.exp(2 * (error.log_sd[0] + cohort.spread @ error.log_sd[1:])))) / error.mean[1] ** 2
    )
    return _Moments(mean, total, noise, 2 * total**2 / df, 2 * noise**2 / error.df)


def with_less_noise(error: ErrorModel, cohort: Side) -> ErrorModel:
    """Take the small-sample bias out of a correction.

    An effect is C/D, the covariance of measurement and outcome over the truth's variance, which is the
    measurement's T less the error's E. To second order E(C^/D^) is (1 + g/D) C/D with g = (var(E^) + var(T^)
    E/T)/D, so that with few pairs and much error every correction is too large. The error's variance is
    lowered by g, so that D becomes D + g.
    """
    moments = _moments(cohort, error)
    spread = moments.var_noise + moments.var_total * min(moments.noise / moments.total, 1.0)
    gain = spread / moments.signal
    kept = max(1 - gain / moments.noise, _LEAST_NOISE)
    log_sd = error.log_sd.copy()
    log_sd[0] += np.log(kept) / 2
    return replace(error, log_sd=log_sd)


def require_signal(cohort: Side, error: ErrorModel) -> None:
    """Refuse a cohort whose variation is hardly more than the pairs' error.

    Raises
    ------
    StatisticsError
        The variance left for the truth is below one of its standard errors.
    """
    moments = _moments(cohort, error)
    if moments.total - moments.noise < np.sqrt(moments.doubt):
        raise StatisticsError(
            "the error in the pairs is about as large as all variation of the measurement in the cohort",
            where="pairs",
            hint="the pairs' error does not carry over to this cohort, or the pairs are too few",
        )
