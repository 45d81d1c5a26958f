"""Are correlations, or concordance coefficients, the same in every group?

Import the names from `la_outcomes.analysis.correlation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt, tanh

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.analysis.bootstrap import bootstrap_draws
from la_outcomes.analysis.results import (
    FloatArray,
    Interval,
    Missing,
    Result,
    columns_of,
    complete_rows,
    normal_quantile,
    require_rows,
    to_floats,
    variable_name,
)
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class Homogeneity(Result):
    """Homogeneity of correlations (see `homogeneity`).

    Attributes
    ----------
    q, df, p : Cochran's Q, groups - 1, and p by chi-squared.
    i2 : share of Q beyond chance, in percent.
    pooled, pooled_ci : inverse-variance mean on the scale of Fisher's z, as a correlation.
    """

    q: float
    df: int
    p: float
    i2: float
    pooled: float
    pooled_ci: Interval
    level: float


def homogeneity(r: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Homogeneity:
    """Test whether correlations of k different groups of patients are one and the same.

    ``Q = sum (n_i - 3) (atanh r_i - mean)^2`` with the mean weighted by n_i - 3; ``I^2 = (Q - df) / Q``,
    at least 0. A large p says that no difference was found, not that there is none: look at the k values.

    Parameters
    ----------
    r, n : k correlations in (-1, 1) and the patients behind each (at least 4).
    level : confidence level of the pooled correlation.

    Raises
    ------
    StatisticsError
        Fewer than two groups, a correlation outside (-1, 1), or a group of fewer than 4.

    Notes
    -----
    Equals R `metafor::rma(measure = "ZCOR", method = "FE")`.

    References
    ----------
    Hedges LV, Olkin I. Statistical Methods for Meta-Analysis. 1985, p. 234-235. Higgins JPT, Thompson SG.
    Stat Med 2002;21:1539-1558, p. 1552 (I^2).
    """
    quantile = normal_quantile(level)
    correlations, sizes = to_floats(r, "r"), to_floats(n, "n")
    if len(correlations) != len(sizes):
        raise StatisticsError("r and n differ in length", where="r, n", hint="one n a correlation")
    require_rows(len(correlations), 2, "groups")
    if not (np.abs(correlations) < 1).all() or not (sizes >= 4).all():
        raise StatisticsError(
            "every correlation must lie in (-1, 1) and rest on at least 4 patients",
            where="r, n",
            hint="leave groups out that are perfect, missing or smaller",
        )
    weights = sizes - 3
    q, mean = _cochran_q(np.arctanh(correlations), weights)
    df, margin = len(correlations) - 1, quantile / sqrt(weights.sum())
    return Homogeneity(
        q=q,
        df=df,
        p=float(stats.chi2.sf(q, df)),
        i2=100 * max(0.0, (q - df) / q) if q > 0 else 0.0,
        pooled=tanh(mean),
        pooled_ci=(tanh(mean - margin), tanh(mean + margin)),
        level=level,
    )


def _cochran_q(z: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Cochran's Q and the weighted mean."""
    mean = float((weights * z).sum() / weights.sum())
    return float((weights * (z - mean) ** 2).sum()), mean


@dataclass(frozen=True)
class CccHomogeneity(Result):
    """Homogeneity of Lin's CCC over groups (see `ccc_homogeneity`).

    Attributes
    ----------
    groups : one row a group: group, n, ccc, ci_low, ci_high, sd_x, sd_y, bias (x - y), mean_absolute_error,
        n_failed (resamples on which the group's CCC was not defined).
    q, df, p : weighted squared deviations of atanh(ccc), groups - 1, and p by the bootstrap.
    pooled : inverse-variance mean of the CCCs on the scale of Fisher's z.
    null, test : in words.
    """

    groups: pd.DataFrame
    q: float
    df: int
    p: float
    pooled: float
    null: str
    test: str
    n_boot: int
    seed: int
    n_missing: int

    def to_frame(self) -> pd.DataFrame:
        """Return the groups with q, df and p of the test in every row."""
        return self.groups.assign(q=self.q, df=self.df, p=self.p)


def ccc_homogeneity(
    x: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    missing: Missing = "raise",
) -> CccHomogeneity:
    """Test whether Lin's CCC of x and y is the same in every group (vendors, infarct strata).

    Null hypothesis: one CCC in all groups. ``Q = sum w_g (atanh ccc_g - mean)^2`` with w_g the inverse of
    the bootstrap variance. Patients are resampled within each group; Q of the resampled deviations from
    the group's own estimate is its distribution under the null, and ``p = (1 + #{Q* >= Q}) / (1 + B)``.

    A CCC depends on the spread of a group: the table gives sd, bias and mean absolute error beside it, and
    a difference in CCC alone is no evidence of a difference in accuracy.

    Parameters
    ----------
    x, y, groups : n measurements and the group of each patient, matched by position; or names of columns of
        ``frame``.
    n_boot, seed : resamples in each group and their seed.
    level, missing : of the intervals; "raise", or "drop" rows with a missing value and count them.

    Raises
    ------
    StatisticsError
        Fewer than two groups, a group of fewer than 4 patients or without spread, or perfect agreement.

    Notes
    -----
    No R function does this; R `epiR::epi.ccc` gives each group's coefficient.

    References
    ----------
    Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993, p. 220-236 (tests). Lin LI. Biometrics
    1989;45:255-268.
    """
    x, y, groups = columns_of(frame, x, y, groups)
    parts, n_missing = _pairs_by_group(x, y, groups, missing)
    table = pd.DataFrame([_describe(label, pairs, level) for label, pairs in parts.items()])
    seeds = np.random.SeedSequence(seed).generate_state(len(parts))
    draws = [
        np.arctanh(bootstrap_draws(pairs, _ccc, n_boot=n_boot, seed=int(s), vectorized=True))
        for pairs, s in zip(parts.values(), seeds, strict=True)
    ]
    table["n_failed"] = [n_boot - len(values) for values in draws]
    estimates = np.arctanh(table["ccc"].to_numpy())
    weights = np.array([1 / values.var(ddof=1) for values in draws])
    q, mean = _cochran_q(estimates, weights)
    return CccHomogeneity(
        groups=table,
        q=q,
        df=len(parts) - 1,
        p=_bootstrap_p(q, draws, estimates, weights),
        pooled=tanh(mean),
        null="Lin's CCC is the same in every group",
        test="Cochran's Q of atanh(CCC) against its bootstrap distribution centred on the null",
        n_boot=n_boot,
        seed=seed,
        n_missing=n_missing,
    )


def _pairs_by_group(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, missing: Missing
) -> tuple[dict[object, FloatArray], int]:
    """Pairs (n, 2) of each group, and how many rows were dropped."""
    names = [variable_name(x, "x"), variable_name(y, "y"), "groups"]
    columns = [to_floats(x, names[0]), to_floats(y, names[1]), np.asarray(groups, dtype=object)]
    if len({len(column) for column in columns}) > 1:
        raise StatisticsError("x, y and groups differ in length", where="groups", hint="one label a row")
    rows, n_missing = complete_rows(pd.DataFrame(dict(zip(names, columns, strict=True))), names, missing)
    parts: dict[object, FloatArray] = {
        label: part[names[:2]].to_numpy(float) for label, part in rows.groupby("groups", observed=True)
    }
    require_rows(len(parts), 2, "groups")
    return parts, n_missing


def _describe(label: object, pairs: FloatArray, level: float) -> dict[str, object]:
    require_rows(len(pairs), 4, f"group {label}")
    x, y = pairs.T
    fit = lins_ccc(pd.Series(x, name=f"group {label}"), pd.Series(y, name=f"group {label}"), level=level)
    if abs(fit.ccc) == 1:
        raise StatisticsError(
            f"group {label} agrees perfectly", where="groups", hint="is y a copy of x? leave the group out"
        )
    return {
        "group": label,
        "n": fit.n,
        "ccc": fit.ccc,
        "ci_low": fit.ci_low,
        "ci_high": fit.ci_high,
        "sd_x": float(x.std(ddof=1)),
        "sd_y": float(y.std(ddof=1)),
        "bias": float((x - y).mean()),
        "mean_absolute_error": float(np.abs(x - y).mean()),
    }


def _ccc(resamples: FloatArray) -> FloatArray:
    """Lin's CCC of each of (resamples, n, 2); NaN without spread or with perfect agreement."""
    x, y = resamples[..., 0], resamples[..., 1]
    gap = x.mean(axis=1) - y.mean(axis=1)
    covariance = ((x - x.mean(axis=1, keepdims=True)) * (y - y.mean(axis=1, keepdims=True))).mean(axis=1)
    total = x.var(axis=1) + y.var(axis=1) + gap**2
    ccc = 2 * covariance / np.where(total > 0, total, np.nan)
    return np.where(np.abs(ccc) < 1 - 1e-12, ccc, np.nan)


def _bootstrap_p(q: float, draws: list[FloatArray], estimates: FloatArray, weights: FloatArray) -> float:
    """Share of resampled Q, centred on each group's own estimate, at least as large as the observed Q."""
    shortest = min(map(len, draws))
    deviations = np.column_stack([values[:shortest] for values in draws]) - estimates
    centres = deviations @ weights / weights.sum()
    resampled = ((deviations - centres[:, None]) ** 2) @ weights
    return float((1 + (resampled >= q).sum()) / (1 + shortest))
