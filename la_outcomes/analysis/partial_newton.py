"""Maximum likelihood of the partial proportional odds model.

logit P(Y <= k) = theta_k - x beta - z gamma_k. The log-probability of a row is concave in its two edges
a = logit P(Y <= y) and b = logit P(Y <= y - 1), which are linear in the parameters, so Newton steps that keep
a > b for every row climb to the maximum (Peterson and Harrell 1990, Appl Stat 39:205).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.results import FloatArray

_MAX_ITERATIONS = 60
_DECREMENT = 1e-12


@dataclass(frozen=True)
class PartialFit:
    """The maximum in the columns' own units: thresholds (K), beta (p), gamma (K by q, by cut-point).

    ``covariance`` is the inverse observed information; ``scores`` the score of one patient of each row.
    """

    parameters: FloatArray
    covariance: FloatArray
    scores: FloatArray
    loglik: float
    converged: bool


@dataclass(frozen=True)
class _Edges:
    """Design rows of the upper and lower edge; 0 where the edge is infinite."""

    upper: FloatArray
    lower: FloatArray
    has_upper: NDArray[np.bool_]
    has_lower: NDArray[np.bool_]
    weights: FloatArray


@dataclass(frozen=True)
class _Point:
    loglik: float
    scores: FloatArray
    gradient: FloatArray
    information: FloatArray


def fit_partial(x: FloatArray, z: FloatArray, codes: NDArray[np.int64], weights: FloatArray) -> PartialFit:
    """Maximise the log-likelihood from the proportional-odds solution.

    ``x`` n by p columns with one coefficient, ``z`` n by q columns with one a cut-point, ``codes`` 0..K.
    """
    k, p, q = int(codes.max()), x.shape[1], z.shape[1]
    both = np.hstack([x, z])
    means = weights @ both / weights.sum()
    scales = np.sqrt(weights @ np.square(both - means) / weights.sum())
    scaled = (both - means) / scales
    edges = _edges(scaled[:, :p], scaled[:, p:], codes, weights)
    start = fit_cumulative(scaled, codes, weights)
    parameters = np.concatenate([start.thresholds, start.beta[:p], np.tile(start.beta[p:], k)])
    point = _evaluate(edges, parameters)
    converged = False
    for _ in range(_MAX_ITERATIONS):
        step: FloatArray = np.asarray(np.linalg.lstsq(point.information, point.gradient, rcond=None)[0])
        moved = _move(edges, parameters, step, point.loglik)
        decrement = point.gradient @ step
        if moved is None:
            converged = bool(decrement < np.sqrt(_DECREMENT))
            break
        parameters, point = moved
        if decrement < _DECREMENT:
            converged = True
            break
    return _finish(parameters, point, _unscale(k, p, q, means, scales), converged)


def _edges(x: FloatArray, z: FloatArray, codes: NDArray[np.int64], weights: FloatArray) -> _Edges:
    k = int(codes.max())
    has_upper, has_lower = codes < k, codes > 0

    def rows(cut: NDArray[np.int64], present: NDArray[np.bool_]) -> FloatArray:
        chosen = np.eye(k)[np.clip(cut, 0, k - 1)] * present[:, None]
        by_cut = np.einsum("nk,nq->nkq", chosen, z).reshape(len(cut), -1)
        return np.hstack([chosen, -x * present[:, None], -by_cut])

    return _Edges(rows(codes, has_upper), rows(codes - 1, has_lower), has_upper, has_lower, weights)


def _evaluate(edges: _Edges, parameters: FloatArray) -> _Point:
    """Return log-likelihood, scores and information; minus infinity alone where the edges of a row cross."""
    upper = np.where(edges.has_upper, edges.upper @ parameters, np.inf)
    lower = np.where(edges.has_lower, edges.lower @ parameters, -np.inf)
    gap = upper - lower
    if (gap <= 0).any():
        nothing = np.empty(0)
        return _Point(-np.inf, nothing, nothing, nothing)
    inner = edges.has_upper & edges.has_lower
    finite = np.where(inner, gap, 1.0)
    push = np.where(inner, 1 / np.expm1(finite), 0.0)
    stiff = np.where(inner, 1 / (2 * np.sinh(finite / 2)) ** 2, 0.0)
    above, below = expit(-upper), expit(lower)
    logs = log_expit(upper) + log_expit(-lower) + np.where(inner, np.log(-np.expm1(-finite)), 0.0)
    scores = edges.upper * (above + push)[:, None] - edges.lower * (below + push)[:, None]
    weights = edges.weights
    across = edges.upper.T @ (edges.lower * (weights * stiff)[:, None])
    information = (
        edges.upper.T @ (edges.upper * (weights * (above * (1 - above) + stiff))[:, None])
        + edges.lower.T @ (edges.lower * (weights * (below * (1 - below) + stiff))[:, None])
        - across
        - across.T
    )
    return _Point(float(weights @ logs), scores, weights @ scores, information)


def _move(
    edges: _Edges, parameters: FloatArray, step: FloatArray, loglik: float
) -> tuple[FloatArray, _Point] | None:
    slack = 1e-10 * (1 + abs(loglik))
    for halving in range(40):
        trial = parameters + step * 0.5**halving
        point = _evaluate(edges, trial)
        if point.loglik >= loglik - slack:
            return trial, point
    return None


def _unscale(k: int, p: int, q: int, means: FloatArray, scales: FloatArray) -> FloatArray:
    back = np.diag(np.concatenate([np.ones(k), 1 / scales[:p], np.tile(1 / scales[p:], k)]))
    back[:k, k : k + p] = means[:p] / scales[:p]
    for cut in range(k):
        first = k + p + cut * q
        back[cut, first : first + q] = means[p:] / scales[p:]
    return back


def _finish(parameters: FloatArray, point: _Point, back: FloatArray, converged: bool) -> PartialFit:
    values = np.linalg.eigvalsh(point.information)
    if values[0] < 1e-8 * values[-1]:
        return PartialFit(parameters, np.eye(len(parameters)), point.scores, point.loglik, False)
    covariance = back @ np.linalg.inv(point.information) @ back.T
    # scores in own units: d loglik / d parameter_own = back^-T d loglik / d parameter_scaled
    scores: FloatArray = np.asarray(np.linalg.solve(back.T, point.scores.T).T)
    return PartialFit(back @ parameters, covariance, scores, point.loglik, converged)
