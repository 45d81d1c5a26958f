"""Wild cluster bootstrap of a linear model's coefficient, for few clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from la_outcomes.analysis.covariance import sum_by
from la_outcomes.analysis.least_squares import LinearFit
from la_outcomes.analysis.results import FloatArray, Result
from la_outcomes.errors import StatisticsError

_FEW = 12
_WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])


@dataclass(frozen=True)
class WildClusterBootstrap(Result):
    """A bootstrap test of one coefficient.

    Attributes
    ----------
    term, estimate, t : coefficient and its t statistic against ``null``, as the fit has it.
    p : two-sided, symmetric in |t|.
    ci_low, ci_high : values of the coefficient that the test does not reject at 5 %.
    null, replicates, weights, n_clusters, seed : hypothesis, resamples, ``rademacher`` or ``webb``, G, seed.
    """

    term: str
    estimate: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    null: float
    replicates: int
    weights: str
    n_clusters: int
    seed: int


def wild_cluster_bootstrap(
    fit: LinearFit, term: str, replicates: int = 9999, seed: int = 0, null: float = 0.0
) -> WildClusterBootstrap:
    """Test that a coefficient equals ``null`` by the wild cluster bootstrap-t with the null imposed.

    Residuals of the restricted fit are multiplied, cluster by cluster, by a random sign (12 clusters or more)
    or one of Webb's six points (fewer), the model is refitted, and |t| compared (Cameron, Gelbach and Miller
    2008, REStat 90:414, appendix B; Webb 2014). p = (1 + number of |t*| >= |t|)/(replicates + 1). Comparable
    to R ``fwildclusterboot::boottest``.

    Parameters
    ----------
    fit : `fit_linear` with one cluster variable.
    term : a term's column, or ``(Intercept)``.

    How to read it: with 5-30 clusters its p and interval hold their level where those of ``cluster`` do not.

    Raises
    ------
    StatisticsError
        No or several clusterings, an unknown term, fewer than 99 replicates, or fewer than 3 clusters.
    """
    names = list(fit.coefficients["term"])
    if term not in names:
        raise StatisticsError(f"{term} is not a term of the model", where=term, hint=f"terms: {names}")
    if len(fit.model.rows.clusters) != 1:
        raise StatisticsError("the fit needs one cluster variable", where="cluster", hint="fit with cluster=")
    if replicates < 99:
        raise StatisticsError("at least 99 replicates are needed", where="replicates", hint="9999")
    problem = _Problem.of(fit, names.index(term))
    n_clusters = len(problem.scores)
    if n_clusters < 3:
        raise StatisticsError("fewer than 3 clusters", where="cluster", hint="no method helps here")
    rng = np.random.default_rng(seed)
    few = n_clusters < _FEW
    draws = rng.choice(_WEBB if few else np.array([-1.0, 1.0]), size=(replicates, n_clusters))
    low, high = (_limit(problem, draws, side) for side in (-1, 1))
    return WildClusterBootstrap(
        term=term,
        estimate=problem.estimate,
        t=(problem.estimate - null) / float(fit.coefficients["se"][names.index(term)]),
        p=problem.p(null, draws),
        ci_low=low,
        ci_high=high,
        null=null,
        replicates=replicates,
        weights="webb" if few else "rademacher",
        n_clusters=n_clusters,
        seed=seed,
    )


@dataclass(frozen=True)
class _Problem:
    """Cluster sums that every replicate needs.

    With c the contrast, M the bread, s_g the scores of restricted residuals: a replicate's estimate moves by
    sum_g v_g c'M s_g, and its variance is sum_g (c'M s_g v_g - c'M Z_g'Z_g M sum_h s_h v_h)^2.
    """

    estimate: float
    error: float
    scores: FloatArray  # of the unrestricted residuals, G by k
    shift: FloatArray  # change of the scores per unit that the null lies below the estimate, G by k
    direction: FloatArray  # M c
    grams: FloatArray  # c'M Z_g'Z_g M, G by k

    @classmethod
    def of(cls, fit: LinearFit, place: int) -> _Problem:
        working, codes = fit.model.working, fit.model.rows.clusters[0]
        z, weights = working.z, working.frequencies
        direction = working.bread @ working.back[place]
        scores = sum_by(z * (weights * working.residuals)[:, None], codes)
        along = sum_by(z * (weights * (z @ direction))[:, None], codes)
        shift = along / (working.back[place] @ direction)
        error = float(np.sqrt(np.sum((scores @ direction) ** 2)))
        estimate = float(fit.model.estimates[place])
        return cls(estimate, error, scores, shift, direction, along @ working.bread)

    def p(self, null: float, draws: FloatArray) -> float:
        scores = self.scores + (self.estimate - null) * self.shift
        alpha = scores @ self.direction
        spread = np.diag(alpha) - self.grams @ scores.T
        moved = draws @ alpha
        errors = np.sqrt(np.sum((draws @ spread.T) ** 2, axis=1))
        as_far = np.abs(moved) >= np.abs(self.estimate - null) / self.error * errors * (1 - 1e-12)
        return float((1 + as_far.sum()) / (1 + len(draws)))


def _limit(problem: _Problem, draws: FloatArray, side: int) -> float:
    """Return where p crosses 5 % on one side of the estimate."""

    def excess(distance: float) -> float:
        return problem.p(problem.estimate + side * distance, draws) - 0.05

    outer = 2 * problem.error
    for _ in range(30):
        if excess(outer) < 0:
            root = brentq(excess, 0.0, outer, xtol=1e-6 * problem.error)
            return problem.estimate + side * float(root)
        outer *= 2
    raise StatisticsError(
        "the bootstrap interval has no bound", where="cluster", hint="too few clusters for 95 %"
    )
