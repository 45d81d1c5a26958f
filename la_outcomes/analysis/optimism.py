"""How much better a model looks on its own data than it will on others: Harrell's bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from la_outcomes.analysis.bootstrap import percentile_interval
from la_outcomes.analysis.ordinal_concordance import concordance
from la_outcomes.analysis.ordinal_newton import fit_cumulative
from la_outcomes.analysis.replicates import replicate
from la_outcomes.analysis.results import Result, require_level, require_rows
from la_outcomes.errors import StatisticsError
from la_outcomes.execution import Jobs

Performance = Callable[[Any, pd.DataFrame], Mapping[str, float]]


@dataclass(frozen=True)
class Optimism(Result):
    """Optimism of a model's performance (see `optimism_bootstrap`).

    Attributes
    ----------
    table : measure, apparent (on the data that fitted the model), optimism, corrected (apparent - optimism),
        ci_low, ci_high (of the corrected value).
    n, n_boot, n_failed, seed : patients, resamples, those without a fit, seed.
    """

    table: pd.DataFrame
    n: int
    n_boot: int
    n_failed: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()


def optimism_bootstrap(
    frame: pd.DataFrame,
    fit: Callable[[pd.DataFrame], Any],
    performance: Performance,
    *,
    n_boot: int = 500,
    seed: int = 0,
    cluster: str | None = None,
    level: float = 0.95,
    jobs: Jobs = 1,
) -> Optimism:
    """Correct a model's performance for having been fitted on the same patients.

    Optimism is the mean, over resamples, of the resample model's performance on its resample less that on the
    original data (Harrell, Lee and Mark 1996, Stat Med 15:361; R ``rms::validate(method = "boot")``).
    Whatever the model owes to the data (choice of terms, knots, cut-offs, imputation) belongs inside ``fit``.
    The interval is the bootstrap percentile interval of the apparent performance, moved by the optimism (Noma
    et al. 2021, Stat Med 40:5691); it leaves out that the optimism itself is estimated.

    Parameters
    ----------
    frame : one row a patient, no missing values in what ``fit`` uses.
    fit : from a frame to a model.
    performance : from a model and a frame to named numbers; `binary_performance`, `ordinal_performance`.
    cluster : column whose clusters are resampled whole.
    jobs : processes or cluster for the resamples (``fit`` must then be importable); the result is the same.

    Raises
    ------
    StatisticsError
        The model cannot be fitted, or not on more than a tenth of the resamples.
    """
    require_level(level)
    require_rows(len(frame), 10, "frame")
    apparent = pd.Series(dict(performance(fit(frame), frame)), dtype=float)
    groups = None if cluster is None else pd.factorize(frame[cluster])[0].astype(np.int64)
    pairs = replicate(
        partial(_own_and_original, frame, fit, performance, groups), n_boot, seed=seed, jobs=jobs,
        hint="rare levels vanish from resamples: pool them",
    )  # fmt: skip
    own, elsewhere = zip(*pairs, strict=True)
    resampled = pd.DataFrame(list(own))
    optimism = (resampled - pd.DataFrame(list(elsewhere))).mean()
    limits = np.array([percentile_interval(resampled[name], level) for name in apparent.index])
    table = pd.DataFrame({"measure": apparent.index, "apparent": apparent.to_numpy()})
    table["optimism"] = optimism[apparent.index].to_numpy()
    table["corrected"] = table["apparent"] - table["optimism"]
    table["ci_low"], table["ci_high"] = limits.T - table["optimism"].to_numpy()
    return Optimism(table, len(frame), n_boot, n_boot - len(pairs), seed)


def _own_and_original(
    frame: pd.DataFrame,
    fit: Callable[[pd.DataFrame], Any],
    performance: Performance,
    groups: NDArray[np.int64] | None,
    rng: np.random.Generator,
) -> tuple[dict[str, float], dict[str, float]] | None:
    """Performance of one resample's model on the resample and on the original; None where it has none."""
    resample = frame.iloc[_resample(len(frame), groups, rng)].reset_index(drop=True)
    try:
        model = fit(resample)
        return dict(performance(model, resample)), dict(performance(model, frame))
    except StatisticsError:
        return None


def _resample(n: int, groups: NDArray[np.int64] | None, rng: np.random.Generator) -> NDArray[np.intp]:
    if groups is None:
        return rng.integers(n, size=n)
    size = int(groups.max()) + 1
    return np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(size, size=size)])


def binary_performance(outcome: str) -> Performance:
    """Return the performance of a fit with ``predict(frame)`` giving risks: ``c_index``, ``brier``, and
    ``slope`` and ``intercept`` of its calibration (`la_outcomes.analysis.calibration.calibration`)."""

    def measure(model: Any, frame: pd.DataFrame) -> Mapping[str, float]:
        risk = np.asarray(model.predict(frame), dtype=float)
        happened = frame[outcome].to_numpy(dtype=float)
        score = np.log(risk / (1 - risk))
        calibrated = fit_cumulative(score[:, None], happened.astype(np.int64))
        if calibrated.suspect:
            raise StatisticsError(f"the risks separate {outcome}", where=outcome)
        return {
            "c_index": concordance(happened, risk).c_index,
            "brier": float(np.mean((happened - risk) ** 2)),
            "slope": float(calibrated.beta[0]),
            "intercept": float(-calibrated.thresholds[0]),
        }

    return measure


def ordinal_performance(outcome: str) -> Performance:
    """Return the performance of a proportional-odds fit: ``c_index`` and the calibration ``slope`` of its
    linear predictor (1 on the data that fitted it; below 1 where it is too extreme)."""

    def measure(model: Any, frame: pd.DataFrame) -> Mapping[str, float]:
        eta = model.model.linear_predictor(frame)
        levels = frame[outcome].to_numpy(dtype=float)
        _, codes = np.unique(levels, return_inverse=True)
        calibrated = fit_cumulative(eta[:, None], codes.astype(np.int64))
        if calibrated.suspect:
            raise StatisticsError(f"the linear predictor separates {outcome}", where=outcome)
        return {"c_index": concordance(levels, eta).c_index, "slope": float(calibrated.beta[0])}

    return measure
