"""Agreement between two measurements of the same patients, and between raters.

Two continuous measurements: `lins_ccc`, `bland_altman`, `repeatability`. Two raters of ordered or
unordered categories: `weighted_kappa`. More raters: `icc`, `fleiss_kappa`, `krippendorff_alpha`,
`kendalls_w`, which live in files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atanh, sqrt, tanh
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from la_outcomes.analysis.intraclass import icc
from la_outcomes.analysis.kappa import WeightedKappa, weighted_kappa
from la_outcomes.analysis.reliability import (
    FleissKappa,
    KendallsW,
    KrippendorffAlpha,
    fleiss_kappa,
    kendalls_w,
    krippendorff_alpha,
)
from la_outcomes.analysis.results import (
    FloatArray,
    Interval,
    Missing,
    Result,
    columns_of,
    complete,
    complete_pair,
    normal_quantile,
    require_choice,
    require_level,
    require_rows,
    require_spread,
    variable_name,
)
from la_outcomes.errors import StatisticsError

__all__ = [
    "BlandAltman",
    "Concordance",
    "FleissKappa",
    "KendallsW",
    "KrippendorffAlpha",
    "Repeatability",
    "WeightedKappa",
    "bland_altman",
    "fleiss_kappa",
    "icc",
    "kendalls_w",
    "krippendorff_alpha",
    "lins_ccc",
    "repeatability",
    "weighted_kappa",
]


@dataclass(frozen=True)
class Concordance(Result):
    """Lin's concordance correlation coefficient (see `lins_ccc`).

    Attributes
    ----------
    ccc, ci_low, ci_high : coefficient with its interval by the z-transform.
    asymptotic_ci : interval without the transform; may leave [-1, 1].
    scale_shift : sd(y) / sd(x), 1 is none.
    location_shift : (mean(y) - mean(x)) / sqrt(sd(x) sd(y)), 0 is none.
    bias_correction : C_b = ccc / pearson_r in (0, 1], 1 when the cloud lies along the identity line.
    pearson_r : product-moment correlation.
    n, n_missing : pairs used and pairs dropped.
    level : confidence level of both intervals.
    """

    ccc: float
    ci_low: float
    ci_high: float
    asymptotic_ci: Interval
    scale_shift: float
    location_shift: float
    bias_correction: float
    pearson_r: float
    n: int
    n_missing: int
    level: float


def lins_ccc(
    x: ArrayLike,
    y: ArrayLike,
    *,
    frame: pd.DataFrame | None = None,
    level: float = 0.95,
    missing: Missing = "raise",
) -> Concordance:
    """Lin's concordance correlation coefficient: how near pairs lie to the line y = x.

    ``ccc = 2 s_xy / (s_x^2 + s_y^2 + (mean(x) - mean(y))^2)`` with variances over n. The variance of its
    estimate is Lin's (1989) with the correction of 2000; the interval is symmetric on the scale of
    Fisher's z. Pairs that all lie on y = x give 1 with the interval (1, 1), as `cor.test` does for r = 1.

    Parameters
    ----------
    x, y : n measurements of the same patients, in the same unit, matched by position; or names of columns
        of ``frame``.
    level : confidence level.
    missing : "raise", or "drop" pairs with a missing value and count them.

    Raises
    ------
    StatisticsError
        Fewer than 3 pairs, or a measurement without spread: the coefficient is not defined.

    Notes
    -----
    Equals R `epiR::epi.ccc`. It depends on the spread between patients: the same errors give a higher
    coefficient in a more varied sample, so read it beside `bland_altman`.

    References
    ----------
    Lin LI. Biometrics 1989;45:255-268, p. 257-258; correction: Biometrics 2000;56:324-325.
    """
    z = normal_quantile(level)
    x, y = columns_of(frame, x, y)
    first, second, n_missing = complete_pair(x, y, missing, 3)
    r, scale, location = _shape(first, second)
    accuracy = 2 / (scale + 1 / scale + location**2)
    ccc = r * accuracy
    margin = z * _ccc_standard_error(r, accuracy, location, len(first))
    low, high = _on_fisher_scale(ccc, margin)
    return Concordance(
        ccc=ccc,
        ci_low=low,
        ci_high=high,
        asymptotic_ci=(ccc - margin, ccc + margin),
        scale_shift=scale,
        location_shift=location,
        bias_correction=accuracy,
        pearson_r=r,
        n=len(first),
        n_missing=n_missing,
        level=level,
    )


def _shape(x: FloatArray, y: FloatArray) -> tuple[float, float, float]:
    """Pearson's r, scale shift and location shift."""
    sd_x, sd_y = float(np.std(x)), float(np.std(y))
    r = float(np.clip(np.mean((x - x.mean()) * (y - y.mean())) / (sd_x * sd_y), -1, 1))
    return r, sd_y / sd_x, float(y.mean() - x.mean()) / sqrt(sd_x * sd_y)


def _ccc_standard_error(r: float, accuracy: float, location: float, n: int) -> float:
    """Lin's standard error, written with C_b in place of ccc / r so that r = 0 needs no special case."""
    ccc = r * accuracy
    variance = (
        (1 - r**2) * accuracy**2 * (1 - ccc**2)
        + 2 * ccc**2 * accuracy * (1 - ccc) * location**2
        - 0.5 * ccc**2 * accuracy**2 * location**4
    )
    return sqrt(max(variance, 0.0) / (n - 2))


def _on_fisher_scale(ccc: float, margin: float) -> Interval:
    """Interval by the z-transform; a perfect coefficient has no width."""
    if 1 - abs(ccc) < 1e-14:
        return ccc, ccc
    centre, width = atanh(ccc), margin / (1 - ccc**2)
    return tanh(centre - width), tanh(centre + width)


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
