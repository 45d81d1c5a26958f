"""Maximum likelihood of the proportional-odds model by Newton's method with exact derivatives.

logit P(Y <= k) = theta_k - x beta (McCullagh 1980, JRSS B 42:109, eq. 2.1). With F the logistic function,
a = theta_y - x beta and b = theta_{y-1} - x beta, the identity

    F(a) - F(b) = F(a) F(-b) (1 - exp(b - a))

splits every log-probability into two terms that never cancel and one that depends on the category alone, so
likelihood, gradient and information are sums over rows of F(a) and F(b), exact in the tails. Columns are
scaled to mean 0 and SD 1 inside; the function is concave (Pratt 1981, JASA 76:103), so damped Newton steps
reach the maximum whenever one exists. With two levels this is logistic regression (intercept = -theta).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from la_outcomes.analysis.results import FloatArray

_MAX_ITERATIONS = 40
# Squared Newton decrement: 1e-12 is a step of 1e-6 standard errors, after which the quadratic step is exact.
_DECREMENT = 1e-12
_LOST_INFORMATION = 1e-5


@dataclass(frozen=True)
class CumulativeData:
    """Rows sorted by level, columns scaled.

    ``codes`` are 0..K-1, each present; ``starts`` has K + 1 borders between levels in the sorted rows.
    """

    x: FloatArray
    codes: NDArray[np.integer]
    weights: FloatArray
    offset: FloatArray
    starts: NDArray[np.int64]
    means: FloatArray
    scales: FloatArray

    @property
    def n_thresholds(self) -> int:
        return len(self.starts) - 2

    @property
    def sd_factor(self) -> float:
        """Variance with n - 1 in the denominator over that with n; the columns are scaled with n."""
        n = float(self.weights.sum())
        return n / (n - 1) if n > 1 else 1.0


@dataclass(frozen=True)
class CumulativeFit:
    """The maximum, in the columns' own units.

    ``parameters`` are thresholds then coefficients; ``covariance`` the inverse observed information in the
    same order. ``suspect`` says that no finite maximum was reached or that almost all information about some
    direction vanished on the way, as under separation or collinearity.
    """

    parameters: FloatArray
    covariance: FloatArray
    loglik: float
    n_thresholds: int
    effective_parameters: float
    suspect: bool

    @property
    def thresholds(self) -> FloatArray:
        return self.parameters[: self.n_thresholds]

    @property
    def beta(self) -> FloatArray:
        return self.parameters[self.n_thresholds :]


def fit_cumulative(
    x: FloatArray,
    codes: NDArray[np.integer],
    weights: FloatArray | None = None,
    *,
    offset: FloatArray | None = None,
    penalty: float = 0.0,
    start: FloatArray | None = None,
) -> CumulativeFit:
    """Maximise the (ridge-penalised) log-likelihood.

    Parameters
    ----------
    x : n by p, without intercept; p may be 0.
    codes : level 0..K-1 of each row, every level present, K >= 2.
    weights : n frequencies (any positive numbers are accepted here).
    offset : n values added to x beta with coefficient 1.
    penalty : subtracts penalty / 2 * sum (beta_j sd_j)^2, as R ``rms::lrm(penalty=)``.
    start : parameters to begin at, in the columns' own units; saves steps and changes nothing else.
    """
    data = _prepare(x, codes, weights, offset)
    ridge = np.concatenate([np.zeros(data.n_thresholds), np.full(x.shape[1], penalty * data.sd_factor)])
    parameters: FloatArray = _start(data)
    if start is not None:
        parameters = np.asarray(np.linalg.solve(_back(data), start), dtype=np.float64)
    value, gradient, information = _evaluate(data, parameters, ridge)
    first_information, converged = information, False
    for _ in range(_MAX_ITERATIONS):
        step = _solve(information, gradient)
        if step is None:
            break
        moved = _move(data, parameters, step, value, ridge)
        if moved is None:
            converged = bool(gradient @ step < np.sqrt(_DECREMENT))
            break
        parameters, value, gradient, information, decrement = *moved, gradient @ step
        if decrement < _DECREMENT:
            converged = True
            break
    suspect = not converged or (penalty == 0 and _lost(information, first_information))
    return _finish(data, parameters, value, information, ridge, suspect)


def score_rows(
    x: FloatArray, codes: NDArray[np.integer], parameters: FloatArray, n_thresholds: int
) -> FloatArray:
    """Return the score of each row (n by thresholds + coefficients), in the columns' own units."""
    thresholds, beta = parameters[:n_thresholds], parameters[n_thresholds:]
    upper, lower = cumulative_edges(thresholds, x @ beta, codes)
    above, below = expit(-upper), expit(lower)
    gaps = 1 / np.expm1(np.diff(thresholds))
    interior = np.concatenate([[0.0], gaps, [0.0]])[codes]
    scores = np.zeros((len(codes), len(parameters)))
    rows = np.arange(len(codes))
    has_upper, has_lower = codes < n_thresholds, codes > 0
    scores[rows[has_upper], codes[has_upper]] = (above + interior)[has_upper]
    scores[rows[has_lower], codes[has_lower] - 1] -= (below + interior)[has_lower]
    scores[:, n_thresholds:] = x * (below - above)[:, None]
    return scores


def cumulative_edges(
    thresholds: FloatArray, eta: FloatArray, codes: NDArray[np.integer]
) -> tuple[FloatArray, FloatArray]:
    """Return theta_y - eta and theta_{y-1} - eta, infinite beyond the outer thresholds."""
    padded = np.concatenate([[-np.inf], thresholds, [np.inf]])
    return padded[codes + 1] - eta, padded[codes] - eta


def _prepare(
    x: FloatArray, codes: NDArray[np.integer], weights: FloatArray | None, offset: FloatArray | None
) -> CumulativeData:
    order = np.argsort(codes.astype(np.int16), kind="stable")
    weight = np.ones(len(codes)) if weights is None else weights[order]
    shift = np.zeros(len(codes)) if offset is None else offset[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    scaled, total = x[order], weight.sum()
    means = weight @ scaled / total
    scaled -= means
    scales = np.sqrt(weight @ np.square(scaled) / total)
    scaled /= scales
    return CumulativeData(scaled, codes[order], weight, shift, starts, means, scales)


def _start(data: CumulativeData) -> FloatArray:
    counts = np.add.reduceat(data.weights, data.starts[:-1])
    share = np.cumsum(counts)[:-1] / counts.sum()
    thresholds = np.log(share / (1 - share)) + np.average(data.offset, weights=data.weights)
    return np.concatenate([thresholds, np.zeros(data.x.shape[1])])


def _evaluate(
    data: CumulativeData, parameters: FloatArray, ridge: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Return the penalised log-likelihood, its gradient and the observed information."""
    k = data.n_thresholds
    upper, lower = cumulative_edges(parameters[:k], data.x @ parameters[k:] + data.offset, data.codes)
    weights, starts = data.weights, data.starts[:-1]
    not_above, not_below = expit(upper), expit(-lower)
    above, below = 1 - not_above, 1 - not_below
    gaps = parameters[1:k] - parameters[: k - 1]
    counts = np.add.reduceat(weights, starts)
    with np.errstate(divide="ignore"):  # a step far too long has likelihood 0 and is halved
        value = weights @ np.log(not_above * not_below) + counts[1:-1] @ np.log(-np.expm1(-gaps))

    push = counts[1:-1] / np.expm1(gaps)
    gradient = np.empty(len(parameters))
    gradient[:k] = (
        np.add.reduceat(weights * above, starts)[:-1] - np.add.reduceat(weights * below, starts)[1:]
    )
    gradient[1:k] += push
    gradient[: k - 1] -= push
    gradient[k:] = data.x.T @ (weights * (below - above))

    at_upper, at_lower = weights * above * not_above, weights * below * not_below
    information = _information(data, at_upper, at_lower)
    stiff = counts[1:-1] / (2 * np.sinh(gaps / 2)) ** 2
    inner = np.arange(k - 1)
    information[inner, inner] += stiff
    information[inner + 1, inner + 1] += stiff
    information[inner, inner + 1] -= stiff
    information[inner + 1, inner] -= stiff

    value -= ridge @ np.square(parameters) / 2
    gradient -= ridge * parameters
    information.flat[:: len(parameters) + 1] += ridge
    return float(value), gradient, information


def _information(data: CumulativeData, at_upper: FloatArray, at_lower: FloatArray) -> FloatArray:
    k, p = data.n_thresholds, data.x.shape[1]
    information = np.zeros((k + p, k + p))
    inner, starts = np.arange(k), data.starts[:-1]
    information[inner, inner] = np.add.reduceat(at_upper, starts)[:-1] + np.add.reduceat(at_lower, starts)[1:]
    for level in range(k):
        up = slice(data.starts[level], data.starts[level + 1])
        down = slice(data.starts[level + 1], data.starts[level + 2])
        cross = at_upper[up] @ data.x[up] + at_lower[down] @ data.x[down]
        information[level, k:] = information[k:, level] = -cross
    information[k:, k:] = data.x.T @ (data.x * (at_upper + at_lower)[:, None])
    return information


def _solve(information: FloatArray, gradient: FloatArray) -> FloatArray | None:
    try:
        step = np.linalg.solve(information, gradient).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None


def _move(
    data: CumulativeData, parameters: FloatArray, step: FloatArray, value: float, ridge: FloatArray
) -> tuple[FloatArray, float, FloatArray, FloatArray] | None:
    """Take the longest of 1, 1/2, 1/4 ... of the step that keeps thresholds ordered and does not go down."""
    slack = 1e-10 * (1 + abs(value))
    for halving in range(40):
        trial = parameters + step * 0.5**halving
        if np.any(np.diff(trial[: data.n_thresholds]) <= 0):
            continue
        evaluated = _evaluate(data, trial, ridge)
        if evaluated[0] >= value - slack:
            return trial, *evaluated
    return None


def _lost(information: FloatArray, first: FloatArray) -> bool:
    """Say whether some direction kept less than 1e-5 of the information it had at beta = 0."""
    try:
        root = np.linalg.cholesky(first)
    except np.linalg.LinAlgError:
        return True
    half = np.linalg.solve(root, information)
    relative = np.linalg.solve(root, half.T)
    return bool(np.linalg.eigvalsh((relative + relative.T) / 2)[0] < _LOST_INFORMATION)


def _finish(
    data: CumulativeData,
    parameters: FloatArray,
    value: float,
    information: FloatArray,
    ridge: FloatArray,
    suspect: bool,
) -> CumulativeFit:
    """Undo the scaling: beta = b / s, theta = t + mean . beta."""
    k, back = data.n_thresholds, _back(data)
    inverse = np.linalg.pinv(information) if suspect else np.linalg.inv(information)
    unpenalised = information - np.diag(ridge)
    return CumulativeFit(
        back @ parameters,
        back @ inverse @ back.T,
        value + float(ridge @ np.square(parameters)) / 2,
        k,
        float(np.trace(inverse @ unpenalised)),
        suspect,
    )


def _back(data: CumulativeData) -> FloatArray:
    """Return the matrix that takes scaled parameters to own units."""
    k, p = data.n_thresholds, data.x.shape[1]
    back = np.eye(k + p)
    back[:k, k:] = data.means / data.scales
    back[np.arange(k, k + p), np.arange(k, k + p)] = 1 / data.scales
    return back
