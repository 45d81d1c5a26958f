"""Missing covariates, imputed: 867 patients, volume and hypertension missing at random, m = 10."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtr

from coverage_scenarios.cohort import TERMS, N, covariates, grades, predictor, rows
from la_outcomes.analysis.linear import fit_linear
from la_outcomes.analysis.missing import fit_imputed, impute
from la_outcomes.analysis.ordinal import fit_proportional_odds

M, ITERATIONS, CENTRES = 10, 5, 60


def with_gaps(frame: pd.DataFrame, outcome: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """A quarter of volumes and a sixth of hypertension missing, more often at high age and poor outcome."""
    poor = (outcome - outcome.mean()) / outcome.std()
    holes = {"log_volume": -1.2, "hypertension": -1.8}
    gone = {
        name: rng.random(N) < expit(base + 0.4 * frame["age"] + 0.4 * poor) for name, base in holes.items()
    }
    return frame.assign(**{name: frame[name].where(~gone[name]) for name in holes}, outcome=outcome)


def imputed_linear(rng: np.random.Generator) -> Iterator:
    """Linear regression pooled over imputations."""
    frame = covariates(rng)
    outcome = predictor(frame, TERMS) + 1.5 * rng.normal(size=N)
    completed = impute(with_gaps(frame, outcome, rng), M, int(rng.integers(2**31)), ITERATIONS)
    yield from rows(fit_imputed(lambda d: fit_linear(d, "outcome", TERMS), completed).coefficients)


def imputed_ordinal(rng: np.random.Generator) -> Iterator:
    """Proportional odds pooled over imputations."""
    frame = covariates(rng)
    outcome = grades(predictor(frame, TERMS) + rng.logistic(size=N))
    completed = impute(with_gaps(frame, outcome, rng), M, int(rng.integers(2**31)), ITERATIONS)
    fitted = fit_imputed(lambda d: fit_proportional_odds(d, "outcome", TERMS), completed)
    yield from rows(fitted.coefficients)


def imputed_ordinal_60_centres(rng: np.random.Generator) -> Iterator:
    """The same with patients of 60 centres whose outcomes go together, cluster-robust, in one call."""
    frame = covariates(rng)
    site = rng.permutation(np.arange(N) % CENTRES)
    errors = np.sqrt(0.05) * rng.normal(size=CENTRES)[site] + np.sqrt(0.95) * rng.normal(size=N)
    outcome = grades(predictor(frame, TERMS) + logit(ndtr(errors)))
    gaps = with_gaps(frame, outcome, rng).assign(site=site)
    completed = impute(gaps, M, int(rng.integers(2**31)), ITERATIONS, exclude=["site"])
    fitted = fit_imputed(lambda d: fit_proportional_odds(d, "outcome", TERMS), completed, cluster="site")
    yield from rows(fitted.coefficients)


SCENARIOS = {
    "imputed_linear": imputed_linear,
    "imputed_ordinal": imputed_ordinal,
    "imputed_ordinal_60_centres": imputed_ordinal_60_centres,
}
KNOWN: dict[tuple[str, str], str] = {}
