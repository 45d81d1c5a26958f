"""What least squares and logistic regression share once they are fitted: every covariance they can have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from la_outcomes.analysis.covariance import Clusters, check_covariance, count_clusters, sandwich, white
from la_outcomes.analysis.cr2 import cr2_covariance, satterthwaite_df
from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError

COVARIANCES = ("classical", "HC0", "HC1", "HC2", "HC3", "cluster", "CR0", "CR1", "CR2")


@dataclass(frozen=True)
class WorkingRegression:
    """A fit as weighted least squares.

    Attributes
    ----------
    z : n by k columns, the intercept first, scaled as the fit liked it.
    residuals : y - fitted, one a row.
    working : inverse working variance of a row: 1, or p (1 - p).
    frequencies : patients a row stands for.
    bread : (z' W z)^-1.
    classical : the model's own covariance of z's coefficients.
    back : k by k, from z's coefficients to those of the columns in their own units.
    """

    z: FloatArray
    residuals: FloatArray
    working: FloatArray
    frequencies: FloatArray
    bread: FloatArray
    classical: FloatArray
    back: FloatArray

    def covariance(self, kind: str, clusters: Clusters) -> tuple[FloatArray, FloatArray | None]:
        """Return the k by k covariance in own units, and degrees of freedom (CR2; clusters - 1 for other
        clustered kinds; None without clusters).

        Raises
        ------
        StatisticsError
            Unknown kind, clusters that do not fit it, a single cluster, leverage 1 (HC2, HC3), or CR2 with
            several clusterings.
        """
        check_covariance(kind, COVARIANCES, clusters)
        if kind == "CR2":
            return self._cr2(clusters)
        df = None
        if kind == "classical":
            inner = self.classical
        elif not clusters:
            leverages = self.working * np.einsum("ij,jk,ik->i", self.z, self.bread, self.z, optimize=True)
            inner = self.bread @ white(self.z, self.residuals, leverages, self.frequencies, kind) @ self.bread
        else:
            scores = self.z * self.residuals[:, None]
            inner = sandwich(self.bread, scores, self.frequencies, clusters, kind)
            df = np.full(len(self.bread), count_clusters(clusters) - 1.0)
        return self.back @ inner @ self.back.T, df

    def _cr2(self, clusters: Clusters) -> tuple[FloatArray, FloatArray]:
        if len(clusters) > 1:
            raise StatisticsError(
                "CR2 takes one clustering", where="cluster", hint="use 'cluster' for two-way"
            )
        rows = np.repeat(np.arange(len(self.z)), self.frequencies.astype(int))
        z, residuals, working, codes = (
            self.z[rows],
            self.residuals[rows],
            self.working[rows],
            clusters[0][rows],
        )
        inner, adjusted = cr2_covariance(z, residuals, working, self.bread, codes)
        df = [satterthwaite_df(z, working, self.bread, codes, adjusted, contrast) for contrast in self.back]
        return self.back @ inner @ self.back.T, np.array(df)
