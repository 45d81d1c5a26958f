"""Covariance of estimates that does not trust the model: White's, cluster-robust, multi-way.

All are bread x meat x bread with the meat a sum of products of scores (White 1980; Liang and Zeger 1986;
Zeileis, Köll and Graham 2020, J Stat Softw 95(1)). Names and what they equal in R:

=========== ==========================================================================================
classical   inverse information (``vcov``)
HC0 .. HC3  ``sandwich::vcovHC``
cluster     ``sandwich::vcovCL(type="HC1")``: (n - 1)/(n - k) G/(G - 1), Stata's default for regressions
CR1         ``vcovCL(type="HC0")``: G/(G - 1)
CR0         ``vcovCL(type="HC0", cadjust=FALSE)``: no factor
CR2         ``clubSandwich::vcovCR(type="CR2")`` with Satterthwaite degrees of freedom
=========== ==========================================================================================
"""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError

Clusters = tuple[NDArray[np.int64], ...]
ClusterFactor = Literal["cluster", "CR0", "CR1"]
FEW_CLUSTERS = 30
CLUSTERED = ("cluster", "CR0", "CR1", "CR2")


class FewClustersWarning(UserWarning):
    """Under 30 clusters sandwich standard errors are too small and tests reject too often.

    Cameron and Miller 2015 (J Hum Resour 50:317, section VI): use CR2 with its degrees of freedom, or the
    wild cluster bootstrap.
    """


def check_covariance(kind: str, allowed: tuple[str, ...], clusters: Clusters) -> None:
    """Refuse an unknown covariance, clusters that it does not use, or one cluster; warn below 30 clusters.

    Raises
    ------
    StatisticsError
    """
    if kind not in allowed:
        raise StatisticsError(
            f"covariance {kind!r} is not known here", where="covariance", hint=f"one of {', '.join(allowed)}"
        )
    if (kind in CLUSTERED) != bool(clusters):
        raise StatisticsError(
            f"covariance {kind!r} {'needs' if not clusters else 'does not use'} a cluster",
            where="cluster",
            hint="pass covariance='cluster' together with cluster=",
        )
    if not clusters:
        return
    n_clusters = count_clusters(clusters)
    if n_clusters < 2:
        raise StatisticsError(
            "one cluster only: its variance cannot be estimated", where="cluster", hint="leave cluster= out"
        )
    if n_clusters < FEW_CLUSTERS and kind != "CR2":
        warnings.warn(
            f"{n_clusters} clusters, fewer than {FEW_CLUSTERS}: cluster-robust standard errors are too "
            "small; use covariance='CR2' (linear, logistic), wild_cluster_bootstrap (linear) or a bootstrap "
            "of whole clusters (ordinal)",
            FewClustersWarning,
            stacklevel=4,
        )


def count_clusters(clusters: Clusters) -> int:
    """Return the number of clusters, of the clustering with fewest."""
    return min(int(codes.max()) + 1 for codes in clusters)


def white(
    z: FloatArray, residuals: FloatArray, leverages: FloatArray, frequencies: FloatArray, kind: str
) -> FloatArray:
    """Return the meat of HC0, HC1, HC2 or HC3 (MacKinnon and White 1985, J Econom 29:305).

    ``z`` n by k with its intercept; ``residuals`` y - fitted; ``leverages`` diagonal of the hat matrix. The
    squared residuals are multiplied by 1, n/(n - k), 1/(1 - h) and 1/(1 - h)^2.

    Raises
    ------
    StatisticsError
        HC2 or HC3 where a row has leverage 1.
    """
    if kind in ("HC2", "HC3") and (leverages > 1 - 1e-10).any():
        raise StatisticsError(
            f"{kind} is not defined: a row determines a coefficient alone (leverage 1)",
            where="covariance",
            hint="a level with a single patient? pool it, or use HC1",
        )
    n = frequencies.sum()
    factors: dict[str, FloatArray | float] = {"HC0": 1.0, "HC1": n / (n - z.shape[1])}
    factor = factors[kind] if kind in factors else (1 - leverages) ** -(1 if kind == "HC2" else 2)
    meat: FloatArray = z.T @ (z * (factor * frequencies * residuals**2)[:, None])
    return meat


def cluster_meat(scores: FloatArray, clusters: Clusters, *, adjust: bool) -> FloatArray:
    """Return the meat for one or several clusterings.

    ``scores`` (n by k) carry their weights. Several clusterings add and subtract the meats of all
    intersections (Cameron, Gelbach and Miller 2011, JBES 29:238, eq. 2.11); ``adjust`` multiplies each by
    its own G/(G - 1), as ``vcovCL(cadjust=TRUE, multi0=FALSE)``.
    """
    meat = np.zeros((scores.shape[1], scores.shape[1]))
    for size in range(1, len(clusters) + 1):
        for subset in combinations(clusters, size):
            codes = np.unique(np.column_stack(subset), axis=0, return_inverse=True)[1].ravel()
            sums = sum_by(scores, codes)
            factor = len(sums) / (len(sums) - 1) if adjust else 1.0
            meat += (-1) ** (size + 1) * factor * (sums.T @ sums)
    return meat


def sum_by(values: FloatArray, codes: NDArray[np.int64]) -> FloatArray:
    """Return the column sums of each cluster (G by k)."""
    return np.column_stack([np.bincount(codes, weights=column) for column in values.T])


def sandwich(
    bread: FloatArray, scores: FloatArray, frequencies: FloatArray, clusters: Clusters, kind: str
) -> FloatArray:
    """Return the covariance ``kind`` (HC0, cluster, CR0, CR1) of a maximum-likelihood or least-squares fit.

    ``bread`` is the inverse information (k by k), ``scores`` the score of one patient of each row (n by k),
    ``frequencies`` how many such patients there are.

    Raises
    ------
    StatisticsError
        A multi-way covariance with a variance that is not positive.
    """
    if kind == "HC0":
        meat = scores.T @ (scores * frequencies[:, None])
    else:
        meat = cluster_meat(scores * frequencies[:, None], clusters, adjust=kind != "CR0")
    if kind == "cluster":
        n = frequencies.sum()
        meat *= (n - 1) / (n - len(bread))
    covariance: FloatArray = bread @ meat @ bread
    if (np.diag(covariance) <= 0).any():
        raise StatisticsError(
            "the cluster-robust covariance is not positive: too few clusters for these terms",
            where="cluster",
            hint="cluster by one variable, or use fewer terms",
        )
    return covariance
