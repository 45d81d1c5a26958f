"""Bias-reduced cluster-robust covariance (CR2) and its Satterthwaite degrees of freedom.

Bell and McCaffrey 2002 (Surv Methodol 28:169); Pustejovsky and Tipton 2018 (JBES 36:672), eq. 5-8 for the
adjustment A_g = D_g' [D_g (I - H)_g Phi (I - H)_g' D_g']^(-1/2) D_g with Phi = D'D the working variance, and
eq. 10-11 for the degrees of freedom. Equals R ``clubSandwich::vcovCR(type="CR2")`` and ``coef_test``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from la_outcomes.analysis.results import FloatArray

_SINGULAR = 1e-10


def cr2_covariance(
    z: FloatArray, residuals: FloatArray, working: FloatArray, bread: FloatArray, codes: NDArray[np.int64]
) -> tuple[FloatArray, list[FloatArray]]:
    """Return the covariance and, for `satterthwaite_df`, the adjusted score matrix of each cluster.

    ``z`` n by k; ``residuals`` y - fitted; ``working`` the inverse of the working variance of each row's
    working residual ``residuals / working`` (1 for least squares, p (1 - p) for logistic regression);
    ``bread`` (z'Wz)^-1.
    """
    adjusted = [
        _adjusted_scores(z[rows], working[rows], bread)
        for rows in (np.flatnonzero(codes == g) for g in range(int(codes.max()) + 1))
    ]
    order = np.argsort(codes, kind="stable")
    borders = np.cumsum(np.bincount(codes))[:-1]
    pieces = np.split((residuals / working)[order], borders)
    scores = np.array([block.T @ piece for block, piece in zip(adjusted, pieces, strict=True)])
    return bread @ (scores.T @ scores) @ bread, adjusted


def satterthwaite_df(
    z: FloatArray,
    working: FloatArray,
    bread: FloatArray,
    codes: NDArray[np.int64],
    adjusted: list[FloatArray],
    contrast: FloatArray,
) -> float:
    """Return the degrees of freedom of one contrast: 2 E[V]^2 / Var[V] under the working model.

    V = sum_g (u_g' r_g)^2 with u_g = adjusted_g M c, so cov(u_g' r_g, u_h' r_h) is
    [g = h] u_g' Phi_g u_g - q_g' M q_h with q_g = z_g' u_g; the sums of its diagonal and of its squares need
    no matrix of clusters by clusters.
    """
    order = np.argsort(codes, kind="stable")
    borders = np.cumsum(np.bincount(codes))[:-1]
    parts = zip(adjusted, np.split(z[order], borders), np.split(working[order], borders), strict=True)
    own, q = [], []
    for block, z_g, w_g in parts:
        u = block @ (bread @ contrast)
        own.append(float(u @ (u / w_g)))
        q.append(z_g.T @ u)
    d, q_matrix = np.array(own), np.array(q)
    cross = q_matrix @ bread
    diagonal = d - np.einsum("gk,gk->g", cross, q_matrix)
    inner = bread @ (q_matrix.T @ q_matrix)
    squares = np.sum(d**2) - 2 * np.sum(d * (d - diagonal)) + np.trace(inner @ inner)
    return float(diagonal.sum() ** 2 / squares)


def _adjusted_scores(z: FloatArray, working: FloatArray, bread: FloatArray) -> FloatArray:
    """Return what, multiplied by the working residuals of one cluster, gives its adjusted score (rows by k).

    As in clubSandwich, the adjustment of a logistic fit is made on the scale of the outcome, where the
    residuals have variance p (1 - p): the symmetric root depends on the scale.
    """
    if (working == 1).all():
        return _adjusted_plain(z, bread)
    root, scaled = np.sqrt(working), working[:, None] * z
    inner = root[:, None] * (np.diag(working) - scaled @ bread @ scaled.T) * root
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    inverse_root = np.where(values > _SINGULAR * values.max(), np.abs(values) ** -0.5, 0.0)
    adjustment = root[:, None] * ((vectors * inverse_root) @ vectors.T) * root
    adjusted: FloatArray = working[:, None] * (adjustment @ z)
    return adjusted


def _adjusted_plain(z: FloatArray, bread: FloatArray) -> FloatArray:
    """Return (I - z M z')^(-1/2) z without forming the n_g by n_g matrix: it differs from the identity only
    in the space of z M^(1/2) = U s V', where its eigenvalues are (1 - s^2)^(-1/2)."""
    root = np.linalg.cholesky(bread)
    left, singular, right = np.linalg.svd(z @ root, full_matrices=False)
    rest = 1 - singular**2
    scale = np.where(rest > _SINGULAR, singular * np.abs(rest) ** -0.5, 0.0)
    adjusted: FloatArray = np.linalg.solve(root.T, ((left * scale) @ right).T).T
    return adjusted
