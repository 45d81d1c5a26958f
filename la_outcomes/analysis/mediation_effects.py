"""Natural direct and indirect effects from a linear mediator model and a linear or ordinal outcome model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from la_outcomes.analysis.least_squares import LinearFit
from la_outcomes.analysis.results import FloatArray
from la_outcomes.errors import StatisticsError

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class MediationModels:
    """The fits: ``first`` of the mediator, ``second`` of the outcome, ``total`` of the outcome without the
    mediator (linear outcomes)."""

    rows: pd.DataFrame
    exposure: str
    mediator: str
    interaction: bool
    first: LinearFit
    second: Any
    total: LinearFit | None

    @property
    def is_linear(self) -> bool:
        """Whether the outcome's model is linear."""
        return isinstance(self.second, LinearFit)

    @cached_property
    def outcome_levels(self) -> FloatArray:
        """Values of the ordinal outcome's levels: the numbers themselves, or 0, 1, 2 ... of a categorical."""
        labels = self.second.model.labels
        numeric = all(isinstance(label, int | float | np.number) for label in labels)
        return np.array(labels if numeric else range(len(labels)), dtype=float)

    def mediator_parameters(self) -> FloatArray:
        """Intercept and slopes of the mediator's model."""
        return self.first.parameters

    def outcome_parameters(self) -> FloatArray:
        """Intercept or thresholds, then slopes, of the outcome's model."""
        return np.asarray(self.second.parameters)

    def draw(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw both models' parameters from their normal approximations; thresholds in order."""
        first = rng.multivariate_normal(self.first.parameters, self.first.cov, method="cholesky")
        for _ in range(50):
            second = rng.multivariate_normal(self.outcome_parameters(), self._outcome_cov, method="cholesky")
            if self.is_linear or (np.diff(second[: self._n_intercepts]) > 0).all():
                return first, second
        raise StatisticsError("levels are too rare to draw thresholds", where="outcome", hint="pool levels")

    @cached_property
    def _n_intercepts(self) -> int:
        return 1 if self.is_linear else int(self.second.model.fit.n_thresholds)

    @cached_property
    def _outcome_cov(self) -> FloatArray:
        return np.asarray(
            self.second.cov if self.is_linear else self.second.model.covariance(self.second.covariance)
        )

    def column(self, name: str) -> int:
        """Place of a term among the outcome's slopes."""
        return list(self.second.design.columns).index(name)

    def split(self, outcome: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Intercepts and slopes of the outcome's model."""
        return outcome[: self._n_intercepts], outcome[self._n_intercepts :]

    @cached_property
    def _rest(self) -> tuple[FloatArray, FloatArray]:
        """Columns of the covariates in both models, exposure and mediator set to 0."""
        first, second = self.first.design.matrix.copy(), self.second.design.matrix.copy()
        first[:, list(self.first.design.columns).index(self.exposure)] = 0
        for name in (self.exposure, self.mediator, f"{self.exposure}:{self.mediator}"):
            if name in self.second.design.columns:
                second[:, self.column(name)] = 0
        return first, second

    def mediator_mean(self, parameters: FloatArray, exposure: float) -> FloatArray:
        """Each patient's expected mediator at an exposure."""
        slope = parameters[1 + list(self.first.design.columns).index(self.exposure)]
        return parameters[0] + self._rest[0] @ parameters[1:] + slope * exposure

    def linear_predictor(self, slopes: FloatArray, exposure: float, mediator: FloatArray) -> FloatArray:
        """x beta of each patient (n) at an exposure and mediator values (n, or n by G)."""
        rest = self._rest[1] @ slopes
        product = (
            slopes[self.column(f"{self.exposure}:{self.mediator}")] * exposure if self.interaction else 0.0
        )
        gain = slopes[self.column(self.mediator)] + product
        base = rest + slopes[self.column(self.exposure)] * exposure
        return (base[:, None] if mediator.ndim == 2 else base) + gain * mediator


def effects(
    models: MediationModels,
    first: FloatArray,
    second: FloatArray,
    contrast: tuple[float, float],
    threshold: float | None,
) -> pd.DataFrame:
    """Return scale, effect, estimate at given parameters."""
    cells = {
        (x, m): counterfactual_means(models, first, second, x, m, threshold)
        for x in contrast
        for m in contrast
    }
    low, high = contrast
    rows: list[tuple[str, str, float]] = []
    for scale in cells[low, low]:
        value = {key: cell[scale] for key, cell in cells.items()}
        total = value[high, high] - value[low, low]
        indirect = (value[high, high] - value[high, low] + value[low, high] - value[low, low]) / 2
        rows += _four(scale, indirect, total)
    return pd.DataFrame(rows, columns=["scale", "effect", "estimate"])


def _four(scale: str, indirect: float, total: float) -> list[tuple[str, str, float]]:
    share = indirect / total if total else 0.0
    named = {"indirect": indirect, "direct": total - indirect, "total": total, "proportion mediated": share}
    return [(scale, name, value) for name, value in named.items()]


def counterfactual_means(
    models: MediationModels,
    first: FloatArray,
    second: FloatArray,
    exposure: float,
    mediator_exposure: float,
    threshold: float | None,
) -> dict[str, float]:
    """Return E Y(exposure, M(mediator_exposure)) on each scale, averaged over the patients."""
    intercepts, slopes = models.split(second)
    mean = models.mediator_mean(first, mediator_exposure)
    eta = models.linear_predictor(slopes, exposure, mean)
    if models.is_linear:
        return {"mean": float(intercepts[0] + eta.mean())}
    spread = models.linear_predictor(slopes, exposure, mean[:, None] + models.first.sigma * _NODES)
    values = models.outcome_levels
    above = [float((expit(spread - cut) @ _WEIGHTS).mean()) for cut in intercepts]
    result = {"mean": float(values[0] + np.diff(values) @ np.array(above)), "latent": float(eta.mean())}
    if threshold is not None:
        reached = np.flatnonzero(values >= threshold)
        if not 0 < len(reached) < len(values):
            raise StatisticsError(f"no outcome lies on both sides of {threshold:g}", where="threshold")
        result[f"P(outcome >= {threshold:g})"] = above[int(reached[0]) - 1]
    return result
