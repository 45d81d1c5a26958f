"""Two correlations compared: from different patients, or from the same ones.

Import the names from `la_outcomes.analysis.correlation`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import atanh, sqrt, tanh

import numpy as np
from scipy import stats

from la_outcomes.analysis.results import Interval, Result, normal_quantile
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class HypothesisTest(Result):
    """A test statistic, its degrees of freedom (None: normal distribution) and two-sided p."""

    statistic: float
    df: int | None
    p: float


@dataclass(frozen=True)
class IndependentComparison(Result):
    """Two correlations of different patients (see `compare_independent`)."""

    difference: float
    z: float
    p: float
    zou_ci: Interval
    level: float
    n1: int
    n2: int


@dataclass(frozen=True)
class DependentComparison(Result):
    """Two correlations that share a variable (see `compare_dependent`)."""

    difference: float
    williams: HypothesisTest
    steiger: HypothesisTest
    zou_ci: Interval
    level: float
    n: int


@dataclass(frozen=True)
class NonoverlappingComparison(Result):
    """Two correlations of the same patients without a shared variable (see the function of that name)."""

    difference: float
    steiger: HypothesisTest
    zou_ci: Interval
    level: float
    n: int


def compare_independent(
    r1: float, n1: int, r2: float, n2: int, *, level: float = 0.95
) -> IndependentComparison:
    """Compare r1 of n1 patients with r2 of n2 other patients (centres, vendors).

    ``z = (atanh r1 - atanh r2) / sqrt(1/(n1 - 3) + 1/(n2 - 3))``; ``zou_ci`` is the interval of r1 - r2.

    Raises
    ------
    StatisticsError
        A correlation outside (-1, 1) or fewer than 4 patients.

    Notes
    -----
    Equals R `cocor::cocor.indep.groups` (fisher1925, zou2007).

    References
    ----------
    Fisher RA. Statistical Methods for Research Workers. 1925. Zou GY. Psychol Methods 2007;12:399-413,
    p. 406, 409.
    """
    quantile = normal_quantile(level)
    _check(n1, r1=r1)
    _check(n2, r2=r2)
    z = (atanh(r1) - atanh(r2)) / sqrt(1 / (n1 - 3) + 1 / (n2 - 3))
    return IndependentComparison(
        difference=r1 - r2,
        z=z,
        p=float(2 * stats.norm.sf(abs(z))),
        zou_ci=_zou_interval((r1, n1), (r2, n2), 0.0, quantile),
        level=level,
        n1=n1,
        n2=n2,
    )


def compare_dependent(
    r_xy: float, r_xz: float, r_yz: float, n: int, *, level: float = 0.95
) -> DependentComparison:
    """Compare r_xy with r_xz in the same n patients: does y or z go better with x?

    The case of this package: CT volume (y) against CT Fazekas (z), each with MRI volume (x). Williams'
    t has n - 3 degrees of freedom; Steiger's z pools the two correlations in their covariance; ``zou_ci``
    is the interval of r_xy - r_xz.

    Raises
    ------
    StatisticsError
        A correlation outside (-1, 1), correlations that leave no variance, or fewer than 4 patients.

    Notes
    -----
    Equals R `cocor::cocor.dep.groups.overlap(r.jk, r.jh, r.kh, n)` (williams1959, steiger1980, zou2007).

    References
    ----------
    Williams EJ. J R Stat Soc B 1959;21:396-399. Steiger JH. Psychol Bull 1980;87:245-251, equations 7, 10
    and 14. Zou GY. Psychol Methods 2007;12:399-413, p. 409.
    """
    quantile = normal_quantile(level)
    _check(n, r_xy=r_xy, r_xz=r_xz, r_yz=r_yz)
    _warn_if_impossible([[1, r_xy, r_xz], [r_xy, 1, r_yz], [r_xz, r_yz, 1]])
    mean = (r_xy + r_xz) / 2
    covariance = _covariance(r_xy, r_xz, (1.0, r_xz, r_xy, r_yz))
    pooled = _covariance(mean, mean, (1.0, mean, mean, r_yz))
    return DependentComparison(
        difference=r_xy - r_xz,
        williams=_williams(r_xy, r_xz, r_yz, n),
        steiger=_steiger(r_xy, r_xz, pooled, n),
        zou_ci=_zou_interval((r_xy, n), (r_xz, n), covariance, quantile),
        level=level,
        n=n,
    )


def compare_dependent_nonoverlapping(
    r_xy: float,
    r_vw: float,
    r_xv: float,
    r_xw: float,
    r_yv: float,
    r_yw: float,
    n: int,
    level: float = 0.95,
) -> NonoverlappingComparison:
    """Compare r_xy with r_vw in the same n patients, no variable in common.

    For example CT with MRI volume at baseline against CT with MRI volume at follow-up. The other four
    correlations carry the dependence between the two.

    Raises
    ------
    StatisticsError
        A correlation outside (-1, 1), two that are the same quantity, or fewer than 4 patients.

    Warns
    -----
    UserWarning
        The correlations cannot occur together in one sample (rounding, or different patients).

    Notes
    -----
    Equals R `cocor::cocor.dep.groups.nonoverlap(r.jk, r.hm, r.jh, r.jm, r.kh, r.km, n)` (steiger1980,
    zou2007).

    References
    ----------
    Steiger JH. Psychol Bull 1980;87:245-251, equations 11 and 15. Zou GY. Psychol Methods
    2007;12:399-413, p. 409-410.
    """
    quantile = normal_quantile(level)
    _check(n, r_xy=r_xy, r_vw=r_vw, r_xv=r_xv, r_xw=r_xw, r_yv=r_yv, r_yw=r_yw)
    _warn_if_impossible(
        [[1, r_xy, r_xv, r_xw], [r_xy, 1, r_yv, r_yw], [r_xv, r_yv, 1, r_vw], [r_xw, r_yw, r_vw, 1]]
    )
    others = (r_xv, r_xw, r_yv, r_yw)
    mean = (r_xy + r_vw) / 2
    return NonoverlappingComparison(
        difference=r_xy - r_vw,
        steiger=_steiger(r_xy, r_vw, _covariance(mean, mean, others), n),
        zou_ci=_zou_interval((r_xy, n), (r_vw, n), _covariance(r_xy, r_vw, others), quantile),
        level=level,
        n=n,
    )


def _check(n: int, **correlations: float) -> None:
    for name, r in correlations.items():
        if not -1 < r < 1:
            raise StatisticsError(
                f"{name} = {r} is not between -1 and 1", where=name, hint="perfect correlations have no test"
            )
    if n < 4:
        raise StatisticsError(f"{n} patients, at least 4 are needed", where="n", hint="pool groups")


def _warn_if_impossible(matrix: list[list[float]]) -> None:
    """Rounded correlations can be slightly impossible together, so R and this package go on, but say so."""
    if np.linalg.eigvalsh(np.array(matrix)).min() < -1e-9:
        warnings.warn(
            "these correlations cannot occur together in one sample: compute all of them on the same "
            "patients, and do not round them",
            stacklevel=3,
        )


def _covariance(r_xy: float, r_vw: float, others: tuple[float, float, float, float]) -> float:
    """Correlation of atanh(r_xy) and atanh(r_vw) (Pearson and Filon); ``others`` are r_xv, r_xw, r_yv, r_yw.

    With v = x it is the overlapping case.
    """
    xv, xw, yv, yw = others
    squares = xv**2 + xw**2 + yv**2 + yw**2
    products = r_xy * xv * xw + r_xy * yv * yw + xv * yv * r_vw + xw * yw * r_vw
    raw = 0.5 * r_xy * r_vw * squares + xv * yw + xw * yv - products
    return raw / ((1 - r_xy**2) * (1 - r_vw**2))


def _williams(r_xy: float, r_xz: float, r_yz: float, n: int) -> HypothesisTest:
    determinant = 1 + 2 * r_xy * r_xz * r_yz - r_xy**2 - r_xz**2 - r_yz**2
    mean = (r_xy + r_xz) / 2
    spread = 2 * determinant * (n - 1) / (n - 3) + mean**2 * (1 - r_yz) ** 3
    if spread <= 1e-12:
        raise StatisticsError(
            "these three correlations leave no residual variance",
            where="correlations",
            hint="compute all of them on the same patients, and do not round them",
        )
    t = (r_xy - r_xz) * sqrt((n - 1) * (1 + r_yz) / spread)
    return HypothesisTest(t, n - 3, float(2 * stats.t.sf(abs(t), n - 3)))


def _steiger(r1: float, r2: float, covariance: float, n: int) -> HypothesisTest:
    if covariance >= 1 - 1e-12:
        raise StatisticsError(
            "both correlations are the same quantity", where="correlations", hint="y and z are copies"
        )
    z = (atanh(r1) - atanh(r2)) * sqrt((n - 3) / (2 - 2 * covariance))
    return HypothesisTest(z, None, float(2 * stats.norm.sf(abs(z))))


def _zou_interval(
    first: tuple[float, int], second: tuple[float, int], covariance: float, quantile: float
) -> Interval:
    """Interval of r1 - r2 from the intervals of both and the correlation of their estimates."""
    (r1, low1, high1), (r2, low2, high2) = (
        (r, tanh(atanh(r) - quantile / sqrt(n - 3)), tanh(atanh(r) + quantile / sqrt(n - 3)))
        for r, n in (first, second)
    )
    below = _combined(r1 - low1, high2 - r2, covariance)
    above = _combined(high1 - r1, r2 - low2, covariance)
    return r1 - r2 - below, r1 - r2 + above


def _combined(one: float, other: float, covariance: float) -> float:
    return sqrt(max(one**2 + other**2 - 2 * covariance * one * other, 0.0))
