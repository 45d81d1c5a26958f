"""Linear, logistic and ordinal regression of 867 patients without clusters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from coverage_scenarios.cohort import TERMS, N, covariates, grades, predictor, rows
from la_outcomes.analysis.linear import fit_linear, fit_logistic
from la_outcomes.analysis.ordinal import fit_proportional_odds


def linear(rng: np.random.Generator) -> Iterator:
    """Normal errors of SD 1.5, classical covariance."""
    frame = covariates(rng)
    frame["y"] = 1 + predictor(frame, TERMS) + 1.5 * rng.normal(size=N)
    yield from rows(fit_linear(frame, "y", TERMS).coefficients)


def linear_uneven_spread(rng: np.random.Generator) -> Iterator:
    """Errors whose SD grows with volume, HC3."""
    frame = covariates(rng)
    frame["y"] = 1 + predictor(frame, TERMS) + np.exp(0.4 * frame["log_volume"]) * rng.normal(size=N)
    yield from rows(fit_linear(frame, "y", TERMS, "HC3").coefficients)


def logistic(rng: np.random.Generator) -> Iterator:
    """About a third with the outcome."""
    frame = covariates(rng)
    frame["y"] = (predictor(frame, TERMS) - 1 + rng.logistic(size=N) > 0).astype(int)
    yield from rows(fit_logistic(frame, "y", TERMS).coefficients, odds=True)


def ordinal(rng: np.random.Generator) -> Iterator:
    """Seven levels, Wald intervals."""
    frame = covariates(rng)
    frame["mrs_3m"] = grades(predictor(frame, TERMS) + rng.logistic(size=N))
    yield from rows(fit_proportional_odds(frame, "mrs_3m", TERMS).coefficients, odds=True)


SCENARIOS = {
    "linear": linear,
    "linear_uneven_spread": linear_uneven_spread,
    "logistic": logistic,
    "ordinal": ordinal,
}
KNOWN: dict[tuple[str, str], str] = {}
