"""Draws of missing values from regressions whose parameters are drawn too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError

_RIDGE = 1e-5
_MOST_DRAWS = 100


def draw_pmm(
    y: FloatArray, known: FloatArray, wanted: FloatArray, rng: np.random.Generator, donors: int
) -> FloatArray:
    """Return a draw for each row of ``wanted`` by predictive mean matching, type 1.

    beta* and sigma* are drawn from their posterior under a flat prior (Rubin 1987, pp. 166-167); predictions
    of missing rows use beta*, of observed rows the estimate; one of the ``donors`` nearest observed values is
    taken (Little 1988; van Buuren 2018, algorithm 3.3, p. 79). A ridge of 1e-5 carries collinear predictors.
    """
    means, scales = known.mean(axis=0), known.std(axis=0)
    z = np.column_stack([np.ones(len(y)), (known - means) / scales])
    new = np.column_stack([np.ones(len(wanted)), (wanted - means) / scales])
    gram = z.T @ z
    inverse = np.linalg.inv(gram + _RIDGE * np.diag(np.diag(gram)))
    estimate = inverse @ (z.T @ y)
    residuals = y - z @ estimate
    sigma = np.sqrt(residuals @ residuals / rng.chisquare(max(len(y) - z.shape[1], 1)))
    drawn = estimate + sigma * (np.linalg.cholesky(inverse) @ rng.standard_normal(len(estimate)))
    return y[_nearest(z @ estimate, new @ drawn, rng, donors)]


def draw_levels(
    codes: NDArray[np.int64],
    known: FloatArray,
    wanted: FloatArray,
    rng: np.random.Generator,
    name: str,
) -> NDArray[np.int64]:
    """Return a draw for each row of ``wanted`` from a proportional-odds (two levels: logistic) regression.

    Parameters are drawn from the normal approximation of their posterior. A few weighted rows at mean
    +- 1 SD of each predictor and every level keep estimates finite where a predictor separates the levels
    (White, Daniel and Royston 2010, Comput Stat Data Anal 54:2267).

    Raises
    ------
    StatisticsError
        The regression has no finite estimate all the same.
    """
    x, y, weights = _augmented(known, codes)
    fit = fit_cumulative(x, y, weights, penalty=_RIDGE)
    if fit.suspect:
        raise StatisticsError(
            f"the imputation model of {name} did not converge", where=name, hint="exclude auxiliary variables"
        )
    root = np.linalg.cholesky(fit.covariance)
    for _ in range(_MOST_DRAWS):
        drawn = fit.parameters + root @ rng.standard_normal(len(root))
        thresholds = drawn[: fit.n_thresholds]
        if (np.diff(thresholds) > 0).all():
            break
    else:
        raise StatisticsError(
            f"levels of {name} are too rare to draw thresholds", where=name, hint="pool neighbouring levels"
        )
    below = expit(thresholds - (wanted @ drawn[fit.n_thresholds :])[:, None])
    return (rng.random(len(wanted))[:, None] > below).sum(axis=1)


def _nearest(
    observed: FloatArray, predicted: FloatArray, rng: np.random.Generator, donors: int
) -> NDArray[np.intp]:
    """Return, for each prediction, one of the ``donors`` nearest observed rows at random; a jitter far below
    the spread breaks ties at random."""
    jitter = 1e-9 * (np.ptp(observed) + np.abs(observed).max() + 1e-300)
    observed = observed + jitter * rng.standard_normal(len(observed))
    predicted = predicted + jitter * rng.standard_normal(len(predicted))
    donors = min(donors, len(observed))
    order = np.argsort(observed)
    place = np.searchsorted(observed[order], predicted)
    window = place[:, None] + np.arange(-donors, donors)
    inside = (window >= 0) & (window < len(order))
    candidates = order[np.clip(window, 0, len(order) - 1)]
    distance = np.where(inside, np.abs(observed[candidates] - predicted[:, None]), np.inf)
    closest = np.argpartition(distance, donors - 1, axis=1)[:, :donors]
    pick = closest[np.arange(len(predicted)), rng.integers(donors, size=len(predicted))]
    return candidates[np.arange(len(predicted)), pick]


def _augmented(
    known: FloatArray, codes: NDArray[np.int64]
) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
    """Append 2 p K rows of total weight p + 1."""
    p, k = known.shape[1], int(codes.max()) + 1
    means, scales = known.mean(axis=0), known.std(axis=0)
    shifts = np.vstack([np.diag(scales), -np.diag(scales)])
    added = np.tile(means + shifts, (k, 1))
    levels = np.repeat(np.arange(k), 2 * p)
    weights = np.concatenate([np.ones(len(codes)), np.full(len(levels), (p + 1) / (2 * p * k))])
    return np.vstack([known, added]), np.concatenate([codes, levels]), weights
