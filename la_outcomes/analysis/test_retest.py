"""Repeated measurements of the same patients: how much two of them differ when nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Missing,
    Result,
    complete_rows,
    require_choice,
    require_level,
    require_rows,
    require_spread,
    to_floats,
)
from la_outcomes.analysis.transforms import log_volume
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class RepeatedScans(Result):
    """How far repeats differ (see `repeated_scans`), on the scale of ``scale``.

    Attributes
    ----------
    within_sd, within_sd_low, within_sd_high : SD of repeats of one patient (standard error of measurement).
    coefficient, coefficient_low, coefficient_high : what 95 % of differences of two repeats stay below.
    smallest_detectable_change : the change of one patient that is more than noise: the repeatability
        coefficient; of a group's mean, ``smallest_detectable_group_change``, that over the root of n.
    ratio_limit : exp(coefficient) on the log scale: a repeat is within / or x this ratio; else None.
    within_cv : within-patient coefficient of variation on the log scale, sqrt(exp(s^2) - 1); else None.
    icc, icc_low, icc_high : intraclass correlation, one-way. It depends on how much patients differ.
    size_tau, size_p : Kendall's tau of a patient's SD with its mean: above 0, errors grow with size, and the
        log scale is due.
    bias, bias_p : mean second minus first measurement and its p, where all have two in known order; else
        None.
    n, n_measurements, n_single, n_missing : patients with repeats, their measurements, patients with one
        only, rows left out.
    """

    within_sd: float
    within_sd_low: float
    within_sd_high: float
    coefficient: float
    coefficient_low: float
    coefficient_high: float
    smallest_detectable_change: float
    smallest_detectable_group_change: float
    ratio_limit: float | None
    within_cv: float | None
    icc: float
    icc_low: float
    icc_high: float
    size_tau: float
    size_p: float
    bias: float | None
    bias_p: float | None
    scale: str
    offset: float
    n: int
    n_measurements: int
    n_single: int
    n_missing: int
    level: float


def repeated_scans(
    frame: pd.DataFrame,
    patient: str,
    measurement: str,
    *,
    order: str | None = None,
    scale: Literal["raw", "log"] = "raw",
    offset: float = 0.0,
    level: float = 0.95,
    missing: Missing = "raise",
) -> RepeatedScans:
    """Within-patient SD, repeatability coefficient, smallest detectable change and ICC from repeats.

    s_w^2 is the residual mean square of a one-way analysis of variance; repeatability = 1.96 sqrt(2) s_w
    (Bland and Altman 1999, Stat Methods Med Res 8:135, section 6; BMJ 1996;313:744). Intervals of s_w from
    the chi-squared distribution, of the ICC from F (Shrout and Fleiss 1979; unequal numbers of repeats:
    Thomas and Hultquist 1978, Ann Stat 6:582). Patients measured once are counted and left out.

    Parameters
    ----------
    frame : one row a measurement. order : column that says which came first, for the bias.
    scale, offset : ``log`` works on ln(value + offset); limits are then ratios.

    Raises
    ------
    StatisticsError
        Fewer than 3 patients with repeats, repeats that all agree, negative volumes on the log scale.
    """
    require_level(level)
    require_choice(scale, ("raw", "log"), "scale")
    columns = [patient, measurement, *([] if order is None else [order])]
    rows, n_missing = complete_rows(frame, columns, missing)
    values = pd.Series(to_floats(rows[measurement], str(measurement)), index=rows.index)
    values = log_volume(values.rename(str(measurement)), offset) if scale == "log" else values
    counts = rows.groupby(patient)[measurement].transform("size")
    repeated = rows.assign(_value=values)[counts > 1]
    n_single = int((counts == 1).sum())
    require_rows(repeated[patient].nunique(), 3, f"{patient} with repeats")
    require_spread(repeated["_value"].to_numpy(), str(measurement))
    groups = repeated.groupby(patient)["_value"]
    parts = _variances(repeated["_value"].to_numpy(), groups)
    if parts.within <= 0:
        raise StatisticsError(
            "all repeats agree exactly", where=measurement, hint="copies of one measurement?"
        )
    within, tail = float(np.sqrt(parts.within)), 0.5 - level / 2
    limits = [
        float(np.sqrt(parts.within * parts.df_within / stats.chi2.isf(q, parts.df_within)))
        for q in (tail, 1 - tail)
    ]
    factor = float(stats.norm.ppf(1 - tail) * np.sqrt(2))
    size = stats.kendalltau(groups.std(), groups.mean())
    icc = _icc(parts, level)
    bias = _bias(repeated, patient, order)
    return RepeatedScans(
        within_sd=within,
        within_sd_low=limits[0],
        within_sd_high=limits[1],
        coefficient=factor * within,
        coefficient_low=factor * limits[0],
        coefficient_high=factor * limits[1],
        smallest_detectable_change=factor * within,
        smallest_detectable_group_change=factor * within / float(np.sqrt(parts.n)),
        ratio_limit=float(np.exp(factor * within)) if scale == "log" else None,
        within_cv=float(np.sqrt(np.expm1(parts.within))) if scale == "log" else None,
        icc=icc[0],
        icc_low=icc[1],
        icc_high=icc[2],
        size_tau=float(size.statistic),
        size_p=float(size.pvalue),
        bias=None if bias is None else bias[0],
        bias_p=None if bias is None else bias[1],
        scale=scale,
        offset=offset,
        n=parts.n,
        n_measurements=len(repeated),
        n_single=n_single,
        n_missing=n_missing,
        level=level,
    )


@dataclass(frozen=True)
class _Variances:
    """Mean squares of a one-way analysis of variance; ``k`` the effective number of repeats."""

    between: float
    within: float
    df_within: int
    n: int
    k: float


def _variances(values: FloatArray, groups: pd.api.typing.SeriesGroupBy) -> _Variances:
    counts, means = groups.size().to_numpy(dtype=float), groups.mean().to_numpy()
    n, total = len(counts), counts.sum()
    between = float(counts @ (means - values.mean()) ** 2) / (n - 1)
    df = int(total - n)
    within = float((groups.var() * (groups.size() - 1)).sum()) / df
    return _Variances(between, within, df, n, float((total - counts @ counts / total) / (n - 1)))


def _icc(parts: _Variances, level: float) -> tuple[float, float, float]:
    """ICC(1) with the exact interval of a balanced design (k the effective number otherwise)."""
    ratio, df = parts.between / parts.within, (parts.n - 1, parts.df_within)
    upper = 0.5 + level / 2
    ratios = ratio, ratio / stats.f.ppf(upper, *df), ratio * stats.f.ppf(upper, df[1], df[0])
    single, low, high = (float((f - 1) / (f + parts.k - 1)) for f in ratios)
    return single, low, high


def _bias(repeated: pd.DataFrame, patient: str, order: str | None) -> tuple[float, float] | None:
    if order is None or (repeated.groupby(patient).size() != 2).any():
        return None
    pairs = repeated.sort_values([patient, order]).groupby(patient)["_value"].agg(["first", "last"])
    change = (pairs["last"] - pairs["first"]).to_numpy()
    if np.ptp(change) == 0:
        return float(change[0]), 1.0 if change[0] == 0 else 0.0
    return float(change.mean()), float(stats.ttest_1samp(change, 0).pvalue)
