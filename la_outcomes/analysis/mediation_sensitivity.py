"""What an unmeasured common cause of mediator and outcome would do to an indirect effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.mediation_effects import MediationModels
from la_outcomes.analysis.results import FloatArray, Result

_ON_MEDIATOR = (0.1, 0.3, 0.5)
_ON_OUTCOME = (0.1, 0.3, 0.5)
_RHO = np.round(np.arange(-0.9, 0.91, 0.1), 1)


@dataclass(frozen=True)
class MediationSensitivity(Result):
    """Sensitivity of the indirect effect (see `sensitivity`), always "exploratory".

    Attributes
    ----------
    table : status, on_mediator (SDs of the mediator's residual per SD of the unmeasured cause), on_outcome
        (outcome units, or log odds ratios, per SD of it), indirect (what the indirect effect would be).
    null_product : on_mediator x on_outcome at which the indirect effect is 0.
    rho : status, rho, indirect, for correlated residuals of both models; linear outcomes, else empty.
    rho_at_zero : the correlation at which the indirect effect is 0; None for ordinal outcomes.
    e_value : how strongly, as risk ratios with mediator and with outcome, an unmeasured cause must act to
        explain the indirect effect away; ordinal outcomes, else None.
    """

    table: pd.DataFrame
    null_product: float
    rho: pd.DataFrame
    rho_at_zero: float | None
    e_value: float | None
    status: str = "exploratory"

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def in_words(self) -> str:
        """Say in one line what would undo the indirect effect."""
        parts = [f"gone where an unmeasured cause's effects multiply to {self.null_product:.3g}"]
        if self.rho_at_zero is not None:
            parts.append(f"or residuals correlate by {self.rho_at_zero:.2f}")
        if self.e_value is not None:
            parts.append(f"E-value {self.e_value:.2f}")
        return ", ".join(parts)


def sensitivity(models: MediationModels, contrast: tuple[float, float]) -> MediationSensitivity:
    """Return the indirect effect under an unmeasured cause U of mediator and outcome, unrelated to exposure.

    With M = a X + g s U + residual (s the SD of M given X) and the outcome's predictor b M + d U, the fitted
    path is b + d g / s, so the indirect effect is a (b - d g / s) per unit of exposure (VanderWeele 2010,
    Epidemiology 21:540); exact for linear outcomes, near it on the latent scale of ordinal ones. For linear
    outcomes also Imai, Keele and Yamamoto's 2010 (Stat Sci 25:51, theorem 4) correlation rho of the two
    models' residuals: a s_1/s_2 (r - rho sqrt((1 - r^2)/(1 - rho^2))), with s_1 and s_2 the residual SDs of
    the outcome without the mediator, and of the mediator, and r their correlation (R ``mediation::medsens``).
    For ordinal outcomes the mediational E-value (Smith and VanderWeele 2019, Epidemiology 30:835) of the
    latent indirect odds ratio, whose square root stands for a risk ratio (common outcome).

    An exposure-mediator interaction is left out here: paths are those at an exposure of 0.
    """
    step = contrast[1] - contrast[0]
    a = float(models.first.slopes[list(models.first.design.columns).index(models.exposure)]) * step
    b = float(models.split(models.outcome_parameters())[1][models.column(models.mediator)])
    sd = models.first.sigma
    rows = [
        (g, d, a * (b - d * g / sd)) for g in _ON_MEDIATOR for d in np.sign(b or 1.0) * np.array(_ON_OUTCOME)
    ]
    table = pd.DataFrame(rows, columns=["on_mediator", "on_outcome", "indirect"])
    table.insert(0, "status", "exploratory")
    rho, at_zero = _correlated(models, a)
    return MediationSensitivity(
        table=table,
        null_product=b * sd,
        rho=rho,
        rho_at_zero=at_zero,
        e_value=None if models.is_linear else _e_value(a * b),
    )


def _correlated(models: MediationModels, a: float) -> tuple[pd.DataFrame, float | None]:
    if models.total is None:
        return pd.DataFrame(columns=["status", "rho", "indirect"]), None
    residuals: list[FloatArray] = [fit.model.working.residuals for fit in (models.total, models.first)]
    first, second = (float(np.sqrt(np.mean(r**2))) for r in residuals)
    r = float(np.mean(residuals[0] * residuals[1])) / (first * second)
    indirect = a * first / second * (r - _RHO * np.sqrt((1 - r**2) / (1 - _RHO**2)))
    return pd.DataFrame({"status": "exploratory", "rho": _RHO, "indirect": indirect}), r


def _e_value(log_odds: float) -> float:
    ratio = float(np.exp(abs(log_odds) / 2))
    return ratio + float(np.sqrt(ratio * (ratio - 1)))
