"""Bootstrap and multiple imputation together: fixed imputations, or imputing inside the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.impute import impute
from la_outcomes.analysis.imputed_fit import ImputedFit
from la_outcomes.analysis.model_frame import coefficient_table
from la_outcomes.analysis.pooling import Pooled, pool
from la_outcomes.analysis.replicates import MOST_FAILURES, replicate
from la_outcomes.analysis.results import FloatArray, Result
from la_outcomes.errors import StatisticsError
from la_outcomes.execution import Jobs, map_values

_BATCH = 40


class Refittable(Protocol):
    """What the bootstrap needs of a fit: `fit_linear`, `fit_logistic`, `fit_proportional_odds` have it."""

    @property
    def model(self) -> Any: ...

    def refit_many(self, counts: NDArray[np.integer]) -> list[FloatArray]: ...


@dataclass(frozen=True)
class BootstrappedImputations(Pooled):
    """`Pooled` with bootstrap variances within imputations.

    ``coefficients`` has in addition percentile_low and percentile_high, the 2.5 and 97.5 % points of all
    m times ``replicates`` estimates. ``n_failed`` resamples had no estimate; ``seed`` as asked for.
    """

    replicates: int
    n_failed: int
    seed: int


@dataclass(frozen=True)
class BootstrapThenImpute(Result):
    """``coefficients``: term, estimate, se, t, df, p, ci_low, ci_high; ``replicates`` resamples with ``m``
    imputations each; ``n_failed`` resamples had no estimate."""

    coefficients: pd.DataFrame
    replicates: int
    m: int
    n_failed: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()


def bootstrap_imputed(
    fitted: ImputedFit,
    replicates: int = 1000,
    seed: int = 0,
    cluster: Sequence[Any] | NDArray[Any] | pd.Series | None = None,
    jobs: Jobs = 1,
) -> BootstrappedImputations:
    """Resample the patients of each fixed imputation and pool: "MI Boot" of Schomaker and Heumann 2018
    (Stat Med 37:2252-2266). Comparable to R `boot::boot` on each completed data set, then ``pool.scalar``.

    Use it where a model's standard error is in doubt. Imputations stay fixed, so it takes them to be right.

    Parameters
    ----------
    fitted : from `fit_imputed`, one row a patient.
    cluster : one label a row fitted; then whole clusters are resampled.
    jobs : processes or cluster for the imputations (a script needs ``if __name__ == "__main__"``).

    Raises
    ------
    StatisticsError
        More than a tenth of the resamples have no estimate; frequency weights; fewer than 2 replicates.
    """
    if replicates < 2:
        raise StatisticsError("at least 2 replicates are needed", where="replicates", hint="1000")
    n = len(fitted.fits[0].model.rows.frame)
    if any((fit.model.rows.weights != 1).any() for fit in fitted.fits):
        raise StatisticsError(
            "the bootstrap needs one row a patient", where="weights", hint="repeat the rows"
        )
    groups = None if cluster is None else pd.factorize(np.asarray(cluster))[0]
    if groups is not None and len(groups) != n:
        raise StatisticsError(f"{len(groups)} clusters for {n} rows", where="cluster", hint="one label a row")
    seeds = np.random.default_rng(seed).spawn(len(fitted.fits))
    work = partial(_resampled_estimates, replicates=replicates, groups=groups)
    draws = map_values(work, list(zip(fitted.fits, seeds, strict=True)), jobs=jobs)
    failed = replicates * len(draws) - sum(len(each) for each in draws)
    _require_few_failures(failed, replicates * len(draws))
    estimates = np.array([fit.coefficients["estimate"] for fit in fitted.fits])
    covariances = np.array([np.atleast_2d(np.cov(each.T)) for each in draws])
    df = fitted.fits[0].df_complete
    pooled = pool(estimates, covariances, df, list(fitted.coefficients["term"]))
    low, high = np.percentile(np.concatenate(draws), [2.5, 97.5], axis=0)
    table = pooled.coefficients.assign(percentile_low=low, percentile_high=high)
    return BootstrappedImputations(table, pooled.cov, pooled.m, replicates, failed, seed)


def bootstrap_then_impute(
    fit: Callable[[pd.DataFrame], Any],
    frame: pd.DataFrame,
    replicates: int = 200,
    m: int = 2,
    seed: int = 0,
    cluster: str | None = None,
    options: Mapping[str, Any] | None = None,
    jobs: Jobs = 1,
) -> BootstrapThenImpute:
    """Resample patients, impute each resample ``m`` times, fit: valid even where imputation and analysis
    models disagree.

    The variance is that of von Hippel and Bartlett 2021 (Stat Sci 36:400, section 3.2), from mean squares
    between and within resamples: (B + 1)/(B m) MSB - MSW/m, with Satterthwaite's degrees of freedom; two
    imputations a resample suffice. Equals R ``bootImpute::bootImputeAnalyse``. It costs
    ``replicates`` times an imputation of m data sets.

    Parameters
    ----------
    fit : from a completed frame to a fit with ``coefficients``.
    cluster : column whose clusters are resampled whole.
    options : further arguments of `impute`, such as exclude.
    jobs : processes or cluster for the resamples (``fit`` must then be importable); the result is the same.

    Raises
    ------
    StatisticsError
        More than a tenth of the resamples have no estimate; fewer than 2 replicates or imputations.
    """
    if replicates < 2 or m < 2:
        raise StatisticsError(
            "at least 2 replicates and 2 imputations are needed", where="replicates, m", hint="200 and 2"
        )
    groups = None if cluster is None else pd.factorize(frame[cluster])[0]
    draw = partial(_imputed_resample, fit, frame, m, groups, dict(options or {}))
    hint = "a rare level vanishes from resamples: pool it, or use an analytic interval"
    drawn = replicate(draw, replicates, seed=seed, hint=hint, jobs=jobs)
    terms = drawn[0][0]
    values = [estimates for names, estimates in drawn if names == terms]
    _require_few_failures(replicates - len(values), replicates)
    table = _nested_table(terms, np.array(values))
    return BootstrapThenImpute(table, replicates, m, replicates - len(values), seed)


def _nested_table(terms: list[str], values: FloatArray) -> pd.DataFrame:
    """Estimates by resample, imputation and term to the table of von Hippel and Bartlett."""
    b, m, _ = values.shape
    means = values.mean(axis=1)
    between = m * means.var(axis=0, ddof=1)
    within = values.var(axis=1, ddof=1).mean(axis=0)
    first, second = (b + 1) / (b * m) * between, within / m
    variance = first - second
    if (variance <= 0).any():
        worst = terms[int(np.argmin(variance))]
        raise StatisticsError(
            f"the variance of {worst} is not positive: too few resamples", where=worst, hint="more replicates"
        )
    df = np.maximum(variance**2 / (first**2 / (b - 1) + second**2 / (b * (m - 1))), 3.0)
    return coefficient_table(terms, means.mean(axis=0), np.sqrt(variance), df=df)


def _resampled_estimates(
    task: tuple[Refittable, np.random.Generator], replicates: int, groups: NDArray[np.int64] | None
) -> FloatArray:
    fit, rng = task
    n = len(fit.model.rows.frame)
    estimates: list[FloatArray] = []
    for first in range(0, replicates, _BATCH):
        counts = [_counts(n, groups, rng) for _ in range(min(_BATCH, replicates - first))]
        estimates += fit.refit_many(np.array(counts))
    return np.array(estimates)


def _counts(n: int, groups: NDArray[np.int64] | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each row is drawn."""
    if groups is None:
        return np.bincount(rng.integers(n, size=n), minlength=n)
    size = int(groups.max()) + 1
    return np.bincount(rng.integers(size, size=size), minlength=size)[groups]


def _imputed_resample(
    fit: Callable[[pd.DataFrame], Any],
    frame: pd.DataFrame,
    m: int,
    groups: NDArray[np.int64] | None,
    options: Mapping[str, Any],
    rng: np.random.Generator,
) -> tuple[list[str], list[FloatArray]] | None:
    """Terms of one resample, and their estimates in each of its imputations; None where it has none."""
    rows = np.repeat(np.arange(len(frame)), _counts(len(frame), groups, rng))
    resample = frame.iloc[rows].reset_index(drop=True)
    try:
        fits = [fit(each) for each in impute(resample, m=m, seed=int(rng.integers(2**31)), **options)]
    except StatisticsError:
        return None
    terms = list(fits[0].coefficients["term"])
    if any(list(each.coefficients["term"]) != terms for each in fits):
        return None
    return terms, [each.coefficients["estimate"].to_numpy() for each in fits]


def _require_few_failures(failed: int, total: int) -> None:
    if failed > MOST_FAILURES * total:
        raise StatisticsError(
            f"{failed} of {total} resamples have no estimate",
            where="bootstrap",
            hint="a rare level vanishes from resamples: pool it, or use an analytic interval",
        )
