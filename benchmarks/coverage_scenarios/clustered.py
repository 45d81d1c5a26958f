"""Patients of 60 or 20 centres of unequal size, whose outcomes go together within a centre.

Errors come from a Gaussian copula, so each patient's marginal model is exactly the one fitted and its effect
is known; a random intercept would make the marginal odds ratio another, smaller one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import logit, ndtr

from coverage_scenarios.cohort import N, covariates, grades, predictor, rows
from la_outcomes.analysis.linear import fit_linear, wild_cluster_bootstrap
from la_outcomes.analysis.ordinal import fit_proportional_odds

TERMS = ["log_volume", "age", "hypertension", "teaching"]
WITHIN_AGE, WITHIN_OUTCOME = 0.1, 0.05


def cohort(rng: np.random.Generator, centres: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Frame with covariates and site, and standard normal errors that go together within a site.

    ``teaching`` is a property of the site, the hardest case for few centres.
    """
    sizes = rng.dirichlet(np.full(centres, 4.0))
    site = np.concatenate([np.arange(centres), rng.choice(centres, N - centres, p=sizes)])
    frame = covariates(rng, _together(rng, site, WITHIN_AGE))
    teaching = rng.permutation(np.arange(centres) % 2)[site].astype(float)
    return frame.assign(teaching=teaching, site=site), _together(rng, site, WITHIN_OUTCOME)


def _together(rng: np.random.Generator, site: np.ndarray, correlation: float) -> np.ndarray:
    shared, own = rng.normal(size=site.max() + 1)[site], rng.normal(size=len(site))
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


def _linear(rng: np.random.Generator, centres: int) -> Iterator:
    frame, errors = cohort(rng, centres)
    frame["y"] = predictor(frame, TERMS) + 1.5 * errors
    for kind in ("cluster", "CR2"):
        yield from rows(fit_linear(frame, "y", TERMS, kind, "site").coefficients, f", {kind}")


def _ordinal(rng: np.random.Generator, centres: int) -> Iterator:
    frame, errors = cohort(rng, centres)
    frame["mrs_3m"] = grades(predictor(frame, TERMS) + logit(ndtr(errors)))
    fit = fit_proportional_odds(frame, "mrs_3m", TERMS, covariance="cluster", cluster="site")
    yield from rows(fit.coefficients, ", cluster", odds=True)


def linear_60_centres(rng: np.random.Generator) -> Iterator:
    """Linear regression, 60 centres."""
    yield from _linear(rng, 60)


def linear_20_centres(rng: np.random.Generator) -> Iterator:
    """Linear regression, 20 centres."""
    yield from _linear(rng, 20)


def linear_20_centres_wild(rng: np.random.Generator) -> Iterator:
    """The wild cluster bootstrap of the centre's own property, 20 centres, 999 replicates."""
    frame, errors = cohort(rng, 20)
    frame["y"] = predictor(frame, TERMS) + 1.5 * errors
    fit = fit_linear(frame, "y", TERMS, "cluster", "site")
    wild = wild_cluster_bootstrap(fit, "teaching", 999, seed=int(rng.integers(2**31)))
    table = pd.DataFrame([wild.to_frame().iloc[0]])
    yield from rows(table, ", wild bootstrap")


def ordinal_60_centres(rng: np.random.Generator) -> Iterator:
    """Proportional odds, 60 centres."""
    yield from _ordinal(rng, 60)


def ordinal_20_centres(rng: np.random.Generator) -> Iterator:
    """Proportional odds, 20 centres."""
    yield from _ordinal(rng, 20)


SCENARIOS = {
    "linear_60_centres": linear_60_centres,
    "linear_20_centres": linear_20_centres,
    "linear_20_centres_wild": linear_20_centres_wild,
    "ordinal_60_centres": ordinal_60_centres,
    "ordinal_20_centres": ordinal_20_centres,
}
_FEW = "under 30 clusters the sandwich is too small: FewClustersWarning"
KNOWN = {
    (scenario, f"{term}, cluster"): _FEW
    for scenario in ("linear_20_centres", "ordinal_20_centres")
    for term in TERMS
}
