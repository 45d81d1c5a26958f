"""Cohen's kappa of two raters, weighted or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    columns_of,
    complete_rows,
    normal_quantile,
    require_rows,
    variable_name,
)
from la_outcomes.errors import StatisticsError

Weights = Literal["linear", "quadratic"] | ArrayLike | None


@dataclass(frozen=True)
class WeightedKappa(Result):
    """Kappa of two raters (see `weighted_kappa`).

    Attributes
    ----------
    kappa, se, ci_low, ci_high : estimate, standard error and Wald interval cut to [-1, 1].
    se_null, z, p : standard error if agreement were by chance alone, and the test against that.
    observed : share of patients put in the same category by both.
    observed_weighted, expected_weighted : agreement after weighting, and what chance would give.
    weights, level : as asked for; "unweighted" and "matrix" are names.
    n, n_missing : patients used and dropped.
    """

    kappa: float
    se: float
    se_null: float
    z: float
    p: float
    ci_low: float
    ci_high: float
    observed: float
    observed_weighted: float
    expected_weighted: float
    weights: str
    level: float
    n: int
    n_missing: int


def weighted_kappa(
    a: ArrayLike,
    b: ArrayLike,
    categories: Sequence[object],
    weights: Weights = "linear",
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> WeightedKappa:
    """Agreement of two raters beyond chance on the same n patients.

    ``kappa = (p_o - p_e) / (1 - p_e)`` with agreement weights ``1 - |i - j| / (k - 1)`` (linear) or
    ``1 - (i - j)^2 / (k - 1)^2`` (quadratic). Say which: quadratic is nearly always the larger.

    Parameters
    ----------
    a, b : category of each patient by each rater, matched by position; or names of columns of ``frame``.
    categories : all k categories in order, those nobody used too: they set the weights.
    weights : "linear", "quadratic", None for unweighted, or a (k, k) matrix of agreement weights in
        [0, 1] with 1 on the diagonal; rows are the categories of ``a``.
    level : confidence level.
    missing : "raise", or "drop" patients with a missing rating and count them.

    Raises
    ------
    StatisticsError
        A rating outside ``categories``, a rater who used one category only, or weights of another shape.

    Notes
    -----
    ``se`` equals R `vcd::Kappa`; ``z`` (from ``se_null``) equals `irr::kappa2`.

    References
    ----------
    Cohen J. Psychol Bull 1968;70:213-220. Fleiss JL, Cohen J, Everitt BS. Psychol Bull 1969;72:323-327,
    equations 8 (se_null) and 13 (se).
    """
    quantile = normal_quantile(level)
    a, b = columns_of(frame, a, b)
    table, n_missing = _cross_table(a, b, categories, missing)
    w, n = _agreement_weights(weights, len(categories)), int(table.sum())
    shares = table / n
    observed, expected, se, se_null = _kappa_moments(shares, w, n)
    kappa = (observed - expected) / (1 - expected)
    z = kappa / se_null
    return WeightedKappa(
        kappa=kappa,
        se=se,
        se_null=se_null,
        z=z,
        p=float(2 * stats.norm.sf(abs(z))),
        ci_low=max(-1.0, kappa - quantile * se),
        ci_high=min(1.0, kappa + quantile * se),
        observed=float(np.trace(shares)),
        observed_weighted=observed,
        expected_weighted=expected,
        weights="unweighted" if weights is None else weights if isinstance(weights, str) else "matrix",
        level=level,
        n=n,
        n_missing=n_missing,
    )


def _cross_table(
    a: ArrayLike, b: ArrayLike, categories: Sequence[object], missing: Missing
) -> tuple[FloatArray, int]:
    """Counts (categories of a, categories of b)."""
    if len(categories) < 2 or len(set(categories)) < len(categories):
        raise StatisticsError(
            "kappa needs at least two different categories", where="categories", hint="list each one once"
        )
    if len(np.asarray(a)) != len(np.asarray(b)):
        raise StatisticsError("a and b differ in length", where="a, b", hint="one row a patient")
    names = [variable_name(a, "a"), variable_name(b, "b")]
    frame = pd.DataFrame({names[0]: np.asarray(a, dtype=object), names[1]: np.asarray(b, dtype=object)})
    frame, n_missing = complete_rows(frame, names, missing)
    require_rows(len(frame), 2, " and ".join(names))
    index = pd.Index(np.asarray(categories, dtype=object))
    places = [index.get_indexer(pd.Index(frame[name])) for name in names]
    for name, place in zip(names, places, strict=True):
        if (place < 0).any():
            raise StatisticsError(
                f"{name} holds {frame[name].iloc[int(np.argmin(place))]!r}, which is not a category",
                where=name,
                hint="list every category in `categories`, in order",
            )
    table = np.zeros((len(categories), len(categories)))
    np.add.at(table, tuple(places), 1)
    for name, used in zip(names, (table.any(axis=1), table.any(axis=0)), strict=True):
        if used.sum() == 1:
            raise StatisticsError(
                f"{name} holds one category only",
                where=name,
                hint="agreement beyond chance cannot be judged; report the observed agreement",
            )
    return table, n_missing


def _agreement_weights(weights: Weights, k: int) -> FloatArray:
    if weights is None:
        return np.eye(k)
    if isinstance(weights, str) and weights in ("linear", "quadratic"):
        distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / (k - 1)
        return 1 - distance ** (1 if weights == "linear" else 2)
    matrix = np.asarray(weights)
    if matrix.shape != (k, k) or matrix.dtype.kind not in "fiub":
        raise StatisticsError(
            f"weights must be 'linear', 'quadratic', None or a {k} x {k} matrix of numbers",
            where="weights",
            hint="one row and one column a category",
        )
    if not ((matrix >= 0) & (matrix <= 1)).all() or not (np.diag(matrix) == 1).all():
        raise StatisticsError(
            "agreement weights lie in [0, 1] with 1 on the diagonal",
            where="weights",
            hint="turn disagreement weights v into 1 - v / max(v)",
        )
    return matrix.astype(float)


def _kappa_moments(shares: FloatArray, w: FloatArray, n: int) -> tuple[float, float, float, float]:
    """Weighted observed and expected agreement, standard error and standard error under chance."""
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    chance = np.outer(rows, columns)
    observed, expected = float((w * shares).sum()), float((w * chance).sum())
    mean_weights = np.add.outer(w @ columns, w.T @ rows)
    spread = (shares * (w * (1 - expected) - mean_weights * (1 - observed)) ** 2).sum()
    variance = (spread - (observed * expected - 2 * expected + observed) ** 2) / (1 - expected) ** 4
    null_variance = ((chance * (w - mean_weights) ** 2).sum() - expected**2) / (1 - expected) ** 2
    return observed, expected, float(np.sqrt(max(variance, 0) / n)), float(np.sqrt(null_variance / n))
