"""Agreement between two measurements of the same patients, and between raters.

Two continuous measurements: `lins_ccc`, `bland_altman`, `repeatability`. Two raters of ordered or
unordered categories: `weighted_kappa`. More raters: `icc`, `fleiss_kappa`, `krippendorff_alpha`,
`kendalls_w`, which live in files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atanh, sqrt, tanh

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from la_outcomes.analysis.intraclass import icc
from la_outcomes.analysis.kappa import WeightedKappa, weighted_kappa
from la_outcomes.analysis.limits_of_agreement import (
    BlandAltman,
    Repeatability,
    bland_altman,
    repeatability,
)
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
    complete_pair,
    normal_quantile,
)

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
