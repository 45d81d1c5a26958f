"""How many patients a question needs: power by simulation of the analysis that will be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.results import FloatArray, Result, normal_quantile, require_choice
from la_outcomes.errors import StatisticsError

Trial = Callable[[np.random.Generator, int], bool]


@dataclass(frozen=True)
class Power(Result):
    """Share of simulated studies that succeed, with its Monte-Carlo standard error.

    ``question`` says in words what success is; ``n`` patients; ``n_sim`` studies from ``seed``.
    """

    power: float
    mc_se: float
    n: int
    n_sim: int
    n_failed: int
    seed: int
    question: str


@dataclass(frozen=True)
class SampleSize(Result):
    """Smallest n found with the target power (see `sample_size`).

    ``table`` : n, power, mc_se, of every n tried.
    """

    n: int
    power: float
    mc_se: float
    target: float
    question: str
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()


def simulate_power(trial: Trial, n: int, question: str, *, n_sim: int = 1000, seed: int = 0) -> Power:
    """Run ``trial(rng, n)`` n_sim times; True is a success, an error of the statistics a failure.

    Raises
    ------
    StatisticsError
        Fewer than 50 studies, or more than half of them with no result.
    """
    if n_sim < 50 or n < 10:
        raise StatisticsError("at least 50 studies of 10 patients are needed", where="n_sim")
    streams = np.random.default_rng([seed, n]).spawn(n_sim)
    results = [_attempt(trial, stream, n) for stream in streams]
    failed = sum(result is None for result in results)
    if failed > n_sim / 2:
        raise StatisticsError(f"{failed} of {n_sim} studies have no result", where="n", hint="more patients")
    share = sum(bool(result) for result in results) / n_sim
    return Power(share, float(np.sqrt(share * (1 - share) / n_sim)), n, n_sim, failed, seed, question)


def _attempt(trial: Trial, rng: np.random.Generator, n: int) -> bool | None:
    try:
        return trial(rng, n)
    except StatisticsError:
        return None


def power_ccc(
    n: int,
    ccc: float,
    at_least: float,
    *,
    location_shift: float = 0.0,
    scale_shift: float = 1.0,
    level: float = 0.95,
    n_sim: int = 1000,
    seed: int = 0,
) -> Power:
    """Power to show that Lin's CCC is above ``at_least``: the lower limit of its interval exceeds it.

    ``location_shift`` (difference of means over the geometric mean of SDs) and ``scale_shift`` (ratio of SDs)
    make up the bias; the correlation is what is left to give ``ccc``.

    Raises
    ------
    StatisticsError
        A CCC that this bias makes impossible, or that is not above ``at_least``.
    """
    if not -1 < at_least < ccc < 1:
        raise StatisticsError(f"a CCC of {ccc} to exceed {at_least}", where="ccc", hint="at_least < ccc < 1")
    r = _correlation(ccc, location_shift, scale_shift)

    def trial(rng: np.random.Generator, size: int) -> bool:
        return lins_ccc(*_pairs(rng, size, r, location_shift, scale_shift), level=level).ci_low > at_least

    return simulate_power(trial, n, f"lower limit of a CCC of {ccc} above {at_least}", n_sim=n_sim, seed=seed)


def _correlation(ccc: float, location_shift: float, scale_shift: float) -> float:
    bias_correction = 2 / (scale_shift + 1 / scale_shift + location_shift**2)
    r = ccc / bias_correction
    if abs(r) >= 1:
        raise StatisticsError(
            f"this bias allows a CCC of at most {bias_correction:.3f}",
            where="ccc",
            hint="less bias, or a lower CCC",
        )
    return r


def _pairs(
    rng: np.random.Generator, n: int, r: float, location_shift: float, scale_shift: float
) -> tuple[FloatArray, FloatArray]:
    first, second = rng.standard_normal((2, n))
    y = r * first + np.sqrt(1 - r * r) * second
    return first * np.sqrt(scale_shift) + location_shift, y / np.sqrt(scale_shift)


def power_subgroup(
    n: int,
    in_a: float,
    in_b: float,
    *,
    share_a: float = 0.5,
    measure: Literal["ccc", "pearson"] = "ccc",
    level: float = 0.95,
    n_sim: int = 1000,
    seed: int = 0,
) -> Power:
    """Power to show that agreement (or correlation) differs between two subgroups.

    The test is z on Fisher's scale, with each group's own standard error; ``n`` patients in all, ``share_a``
    of them in the first group.

    Raises
    ------
    StatisticsError
        Values outside -1 to 1, or a subgroup of fewer than 5.
    """
    require_choice(measure, ("ccc", "pearson"), "measure")
    z_level = normal_quantile(level)
    if not (abs(in_a) < 1 and abs(in_b) < 1) or not 0 < share_a < 1:
        raise StatisticsError(
            "agreement and share must lie within -1 to 1 and 0 to 1", where="in_a, in_b, share_a"
        )
    if min(share_a, 1 - share_a) * n < 5:
        raise StatisticsError("a subgroup has fewer than 5 patients", where="share_a")

    def trial(rng: np.random.Generator, size: int) -> bool:
        sizes = round(size * share_a), size - round(size * share_a)
        (za, va), (zb, vb) = (
            _fisher(*_pairs(rng, m, r, 0.0, 1.0), measure) for m, r in zip(sizes, (in_a, in_b), strict=True)
        )
        return bool(abs(za - zb) > z_level * np.sqrt(va + vb))

    question = f"{measure} of {in_a} and {in_b} differ, {100 * share_a:g} % in the first subgroup"
    return simulate_power(trial, n, question, n_sim=n_sim, seed=seed)


def _fisher(x: FloatArray, y: FloatArray, measure: str) -> tuple[float, float]:
    if measure == "pearson":
        return float(np.arctanh(np.corrcoef(x, y)[0, 1])), 1 / (len(x) - 3)
    fit = lins_ccc(x, y)
    half = (np.arctanh(fit.ci_high) - np.arctanh(fit.ci_low)) / 2 / normal_quantile(0.95)
    return float(np.arctanh(fit.ccc)), float(half**2)


def power_common_odds_ratio(
    n: int,
    odds_ratio: float,
    distribution: Sequence[float],
    *,
    reliability: float = 1.0,
    r2_covariates: float = 0.0,
    level: float = 0.95,
    n_sim: int = 1000,
    seed: int = 0,
) -> Power:
    """Power to show a common odds ratio per SD of a true exposure that is measured with error.

    The outcome's level has the shares ``distribution`` at the mean of the exposure; the exposure's SD is 1,
    of which covariates explain ``r2_covariates``; the measured one is true + noise with the stated marginal
    reliability. The test is Wald's in a proportional-odds model with measured exposure and covariates. A
    correction for the error moves estimate and standard error alike: its power is that of the naive test.

    Raises
    ------
    StatisticsError
        Shares that are not positive or do not sum to 1, a reliability outside (0, 1], an odds ratio of 1.
    """
    shares = np.asarray(distribution, dtype=float)
    if len(shares) < 2 or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise StatisticsError("shares of the levels must be positive and sum to 1", where="distribution")
    if not 0 < reliability <= 1 or not 0 <= r2_covariates < 1:
        raise StatisticsError("reliability in (0, 1], r2_covariates in [0, 1)", where="reliability")
    if not odds_ratio > 0 or odds_ratio == 1:
        raise StatisticsError(f"an odds ratio of {odds_ratio}", where="odds_ratio", hint="above 0 and not 1")
    cuts, z_level = logit(np.cumsum(shares)[:-1]), normal_quantile(level)
    noise = np.sqrt((1 - reliability) / reliability)

    def trial(rng: np.random.Generator, size: int) -> bool:
        covariate, own, error = rng.standard_normal((3, size))
        truth = np.sqrt(r2_covariates) * covariate + np.sqrt(1 - r2_covariates) * own
        below = expit(cuts - (np.log(odds_ratio) * truth)[:, None])
        codes = (rng.random(size)[:, None] > below).sum(axis=1)
        _, codes = np.unique(codes, return_inverse=True)
        x = np.column_stack([truth + noise * error, *([covariate] if r2_covariates else [])])
        fit = fit_cumulative(x, codes) if codes.max() > 0 else None
        if fit is None or fit.suspect:
            raise StatisticsError("no estimate", where="n")
        return bool(abs(fit.beta[0]) > z_level * np.sqrt(fit.covariance[fit.n_thresholds, fit.n_thresholds]))

    question = f"a common odds ratio of {odds_ratio} per SD differs from 1, reliability {reliability:g}"
    return simulate_power(trial, n, question, n_sim=n_sim, seed=seed)


def sample_size(
    power_at: Callable[[int], Power], target: float = 0.8, *, low: int = 20, high: int = 20_000
) -> SampleSize:
    """Find the n at which a simulated power reaches ``target``.

    ``power_at`` is one of the functions above with all but n fixed. The search walks on the probit of power
    against the root of n, on which power is nearly a line, and stops when the bracket is within 2 %.

    Raises
    ------
    StatisticsError
        The target is not reached at ``high``.
    """
    if not 0 < target < 1 or not 10 <= low < high:
        raise StatisticsError("a target in (0, 1) and 10 <= low < high are needed", where="target")
    tried = {n: power_at(n) for n in (low, high)}
    if tried[high].power < target:
        raise StatisticsError(
            f"{high} patients give a power of {tried[high].power:.2f}", where="high", hint="larger"
        )
    below, above = (low, high) if tried[low].power < target else (low, low)
    while above - below > max(1, 0.02 * above):
        n = _between(tried[below], tried[above], target)
        tried[n] = power_at(n)
        below, above = (n, above) if tried[n].power < target else (below, n)
    rows = [(n, tried[n].power, tried[n].mc_se) for n in sorted(tried)]
    table = pd.DataFrame(rows, columns=["n", "power", "mc_se"])
    best = tried[above]
    return SampleSize(above, best.power, best.mc_se, target, best.question, table)


def _between(low: Power, high: Power, target: float) -> int:
    """The n of a line through two points, kept off both ends."""
    ends = [float(np.clip(each.power, 0.5 / each.n_sim, 1 - 0.5 / each.n_sim)) for each in (low, high)]
    roots = np.sqrt([low.n, high.n])
    share = (ndtri(target) - ndtri(ends[0])) / (ndtri(ends[1]) - ndtri(ends[0]))
    guess = (roots[0] + float(np.clip(share, 0.1, 0.9)) * (roots[1] - roots[0])) ** 2
    return int(np.clip(round(guess), low.n + 1, high.n - 1))
