"""Limits of agreement and repeatability. Import the names from `la_outcomes.analysis.agreement`."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.results import (
    FloatArray,
    Interval,
    Missing,
    Result,
    columns_of,
    complete,
    require_choice,
    require_level,
    require_rows,
    require_spread,
    variable_name,
)
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class BlandAltman(Result):
    """Limits of agreement (see `bland_altman`), in the unit of the input, or of its logarithm.

    Attributes
    ----------
    bias, bias_ci : mean of x - y with its t interval.
    sd : standard deviation of x - y (n - 1).
    loa_low, loa_high : bias -/+ ``multiplier`` sd.
    loa_low_exact_ci, loa_high_exact_ci : intervals by the noncentral t distribution.
    loa_low_approximate_ci, loa_high_approximate_ci : Bland and Altman's, symmetric.
    proportional_slope, proportional_p : regression of x - y on (x + y) / 2; a slope away from 0 says
        that the bias changes with size, and then a single bias misleads.
    bias_ratio, loa_low_ratio, loa_high_ratio : x / y by exp(), on the log scale only, else None.
    scale, offset, multiplier, level : as asked for.
    n, n_missing : pairs used and pairs dropped.
    """

    bias: float
    bias_ci: Interval
    sd: float
    loa_low: float
    loa_high: float
    loa_low_exact_ci: Interval
    loa_high_exact_ci: Interval
    loa_low_approximate_ci: Interval
    loa_high_approximate_ci: Interval
    proportional_slope: float
    proportional_p: float
    bias_ratio: float | None
    loa_low_ratio: float | None
    loa_high_ratio: float | None
    scale: str
    offset: float
    multiplier: float
    level: float
    n: int
    n_missing: int


def bland_altman(
    x: ArrayLike,
    y: ArrayLike,
    scale: Literal["raw", "log"] = "raw",
    offset: float = 0.0,
    *,
    frame: pd.DataFrame | None = None,
    multiplier: float = 1.96,
    level: float = 0.95,
    missing: Missing = "raise",
) -> BlandAltman:
    """Bias and limits of agreement of x - y, or of ln(x + offset) - ln(y + offset).

    ``x`` and ``y`` are n measurements of the same patients, or names of columns of ``frame``.
    Limits are ``mean(d) -/+ multiplier * sd(d)`` (R `blandr::blandr.statistics`). Use ``scale="log"`` where
    errors grow with size, as volumes' do: after exp() the limits are ratios x / y; ``offset`` has the
    unit of x. Bland and Altman (1986) printed ``multiplier=2``. About 95 % of future differences fall
    between the limits; whether that is good enough is a clinical question, not a test.

    Raises
    ------
    StatisticsError
        Fewer than 3 pairs, differences without spread, or the logarithm of a value that is not above 0.

    Notes
    -----
    Approximate intervals: standard error ``sd sqrt(3 / n)`` and t with n - 1 degrees of freedom. Exact
    intervals: ``mean(d) + sd t' / sqrt(n)``, t' quantiles of the noncentral t distribution with
    noncentrality ``-/+ multiplier sqrt(n)``, each limit by itself; prefer them below n = 100.

    References
    ----------
    Bland JM, Altman DG. Lancet 1986;327:307-310; Stat Methods Med Res 1999;8:135-160, p. 142 (standard
    error of a limit). Carkeet A. Optom Vis Sci 2015;92:e71-e80 (exact intervals).
    """
    require_level(level)
    x, y = columns_of(frame, x, y)
    d, mean, n_missing = _differences(x, y, scale, offset, missing)
    bias, sd, n = float(d.mean()), float(d.std(ddof=1)), len(d)
    low, high = bias - multiplier * sd, bias + multiplier * sd
    low_exact, high_exact = _exact_limits(bias, sd, n, multiplier, level)
    t = float(stats.t.ppf(0.5 + level / 2, n - 1)) * sd / sqrt(n)
    slope, slope_p = _proportional_bias(d, mean)
    ratios = tuple(float(v) for v in np.exp([bias, low, high])) if scale == "log" else (None, None, None)
    return BlandAltman(
        bias=bias,
        bias_ci=(bias - t, bias + t),
        sd=sd,
        loa_low=low,
        loa_high=high,
        loa_low_exact_ci=low_exact,
        loa_high_exact_ci=high_exact,
        loa_low_approximate_ci=(low - sqrt(3) * t, low + sqrt(3) * t),
        loa_high_approximate_ci=(high - sqrt(3) * t, high + sqrt(3) * t),
        proportional_slope=slope,
        proportional_p=slope_p,
        bias_ratio=ratios[0],
        loa_low_ratio=ratios[1],
        loa_high_ratio=ratios[2],
        scale=scale,
        offset=offset,
        multiplier=multiplier,
        level=level,
        n=n,
        n_missing=n_missing,
    )


def _same_patients(
    x: ArrayLike, y: ArrayLike, missing: Missing, minimum: int
) -> tuple[FloatArray, FloatArray, int]:
    names = variable_name(x, "x"), variable_name(y, "y")
    (first, second), n_missing = complete({names[0]: x, names[1]: y}, missing)
    require_rows(len(first), minimum, " and ".join(names))
    return first, second, n_missing


def _differences(
    x: ArrayLike, y: ArrayLike, scale: str, offset: float, missing: Missing
) -> tuple[FloatArray, FloatArray, int]:
    """Differences and means of the pairs on the scale asked for, and how many pairs were dropped."""
    require_choice(scale, ("raw", "log"), "scale")
    first, second, n_missing = _same_patients(x, y, missing, 3)
    if scale == "log":
        names = variable_name(x, "x"), variable_name(y, "y")
        first, second = (
            _logarithm(values, offset, name) for values, name in zip((first, second), names, strict=True)
        )
    require_spread(first - second, "the difference x - y")
    return first - second, (first + second) / 2, n_missing


def _logarithm(values: FloatArray, offset: float, name: str) -> FloatArray:
    if values.min() + offset <= 0:
        raise StatisticsError(
            f"{name} holds {values.min():g}, and ln({values.min() + offset:g}) is not defined",
            where=name,
            hint="a volume of 0 needs an offset above 0; a negative volume is an error of the data",
        )
    return np.log(values + offset)


def _exact_limits(
    bias: float, sd: float, n: int, multiplier: float, level: float
) -> tuple[Interval, Interval]:
    """Intervals of both limits (Carkeet 2015); the lower is the mirror image of the upper."""
    tails = [0.5 - level / 2, 0.5 + level / 2]
    near, far = (float(t) * sd / sqrt(n) for t in stats.nct.ppf(tails, n - 1, multiplier * sqrt(n)))
    return (bias - far, bias - near), (bias + near, bias + far)


def _proportional_bias(difference: FloatArray, mean: FloatArray) -> tuple[float, float]:
    """Slope of the difference on the mean and its p."""
    require_spread(mean, "the mean of x and y")
    fit = stats.linregress(mean, difference)
    return float(fit.slope), float(fit.pvalue)


@dataclass(frozen=True)
class Repeatability(Result):
    """Repeatability of one method (see `repeatability`), in the unit of the input."""

    within_sd: float
    coefficient: float
    multiplier: float
    n: int
    n_missing: int


def repeatability(
    first: ArrayLike,
    second: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    multiplier: float = 1.96,
    missing: Missing = "raise",
) -> Repeatability:
    """Within-patient standard deviation and repeatability coefficient of two passes by one method.

    ``within_sd = sqrt(sum(d^2) / 2n)`` and ``coefficient = multiplier sqrt(2) within_sd``: two passes on
    one patient differ by less than the coefficient in about 95 %. Bland and Altman (1986) used 2.

    Raises
    ------
    StatisticsError
        Fewer than 2 pairs, or passes that never differ.

    References
    ----------
    Bland JM, Altman DG. Lancet 1986;327:307-310, p. 309.
    """
    first, second = columns_of(frame, first, second)
    one, two, n_missing = _same_patients(first, second, missing, 2)
    within = float(np.sqrt(np.mean((one - two) ** 2) / 2))
    if within == 0:
        raise StatisticsError(
            "both passes are identical", where="second", hint="is one column a copy of the other?"
        )
    return Repeatability(within, multiplier * sqrt(2) * within, multiplier, len(one), n_missing)
