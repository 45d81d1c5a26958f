"""One analysis on every imputation, pooled."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from la_outcomes.analysis.covariance import FewClustersWarning
from la_outcomes.analysis.model_frame import ColumnOrArray
from la_outcomes.analysis.pooling import Pooled, pool
from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError


class ImputableFit(Protocol):
    """What pooling needs of a fit: `fit_linear`, `fit_logistic`, `fit_proportional_odds` have it."""

    @property
    def coefficients(self) -> pd.DataFrame: ...

    @property
    def cov(self) -> FloatArray: ...

    @property
    def n(self) -> int: ...

    @property
    def df_complete(self) -> float: ...

    def with_covariance(
        self, covariance: Any, frame: pd.DataFrame | None = None, cluster: ColumnOrArray | None = None
    ) -> Self: ...


@dataclass(frozen=True)
class ImputedFit(Pooled):
    """`Pooled`, with the fits it came from.

    ``coefficients`` has in addition odds_ratio, odds_ratio_low and odds_ratio_high where the model has odds
    ratios. ``n`` is the number of patients, ``fits`` one fit an imputation (for `pool_likelihood_ratio`).
    """

    n: int
    fits: tuple[Any, ...] = field(repr=False)


def fit_imputed(
    fit: Callable[[pd.DataFrame], ImputableFit],
    imputations: Iterable[pd.DataFrame],
    cluster: ColumnOrArray | None = None,
    covariance: str = "cluster",
) -> ImputedFit:
    """Fit a model to each completed data set and pool by Rubin's rules.

    ``fit_imputed(lambda d: fit_proportional_odds(d, "mrs_3m", ["log_volume", "age"]), imputations, "site")``

    Parameters
    ----------
    fit : from a completed frame to a fit of `fit_linear`, `fit_logistic` or `fit_proportional_odds`.
    imputations : `Imputations` or any m frames (exported from R, say).
    cluster : column(s) or one label a row; then each fit's covariance becomes ``covariance``: ``cluster``
        (vcovCL HC1), ``CR0``, ``CR1``, or ``CR2`` where the model has it.

    The estimates equal R ``mice::pool``; in R the covariances of ``sandwich::vcovCL`` cannot be handed to it
    (``pool.scalar`` takes them one coefficient at a time). Rubin 1987, p. 76-77; Barnard and Rubin 1999
    (Biometrika 86:948-955). How to read it: `la_outcomes.analysis.pooling.pool`.

    Complete-data degrees of freedom are n - k, clusters - 1, or Satterthwaite's for CR2.

    Raises
    ------
    StatisticsError
        Fewer than 2 imputations, fits with different terms, or what ``fit`` raises.
    """
    frames = list(imputations)
    if len(frames) < 2:
        raise StatisticsError(
            "pooling needs at least 2 imputations", where="imputations", hint="impute(frame, m=20)"
        )
    fits = [fit(frame) for frame in frames]
    if cluster is not None:
        # Two hundred equal warnings help nobody: the first imputation's is enough.
        first = fits[0].with_covariance(covariance, frames[0], cluster)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewClustersWarning)
            rest = zip(fits[1:], frames[1:], strict=True)
            fits = [first, *(each.with_covariance(covariance, frame, cluster) for each, frame in rest)]
    terms = [list(each.coefficients["term"]) for each in fits]
    if any(other != terms[0] for other in terms):
        raise StatisticsError(
            "imputations give models with different terms",
            where="imputations",
            hint="a level that occurs in some only? state levels as a categorical",
        )
    estimates = np.array([each.coefficients["estimate"] for each in fits])
    pooled = pool(estimates, np.array([each.cov for each in fits]), _df_complete(fits), terms[0])
    table = pooled.coefficients
    if "odds_ratio" in fits[0].coefficients:
        table = table.assign(
            odds_ratio=np.exp(table["estimate"]),
            odds_ratio_low=np.exp(table["ci_low"]),
            odds_ratio_high=np.exp(table["ci_high"]),
        )
    return ImputedFit(table, pooled.cov, pooled.m, fits[0].n, tuple(fits))


def _df_complete(fits: list[ImputableFit]) -> FloatArray:
    """Per coefficient where the fits give them (their mean), else one for all."""
    if "df" in fits[0].coefficients:
        return np.mean([each.coefficients["df"].to_numpy(dtype=float) for each in fits], axis=0)
    return np.full(len(fits[0].coefficients), fits[0].df_complete)
