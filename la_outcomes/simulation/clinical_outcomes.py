"""What becomes of the patients: mRS at discharge and 3 months, death, recurrence, last contact."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

from la_outcomes.simulation.clinical_draws import Columns, Draws, FloatArray
from la_outcomes.simulation.clinical_terms import centre_effect, linear_predictor, ordinal

DAYS_PER_YEAR = 365.25
MRS_DAYS = 90


def draw_outcomes(draws: Draws, columns: Columns, clinical: dict[str, Any]) -> Columns:
    """Return the complete outcomes, before anybody is lost: days count from onset, NaN = did not happen.

    ``mrs_3m`` follows the proportional-odds specification of ``parameters.yaml`` (or its stated violation);
    6 exactly where ``death_days`` <= 90. ``mrs_discharge`` shares the latent severity; 6 exactly where the
    patient died before discharge.
    """
    model = clinical["outcome"]
    predictor = _mrs_predictor(draws, columns, model)
    latent = draws.normal("mrs_3m")
    mrs = ordinal(ndtr(latent), predictor, model["thresholds"], _departure(columns, model))
    death = _death_days(draws, columns, mrs, clinical["death"])
    outcomes: Columns = {"mrs_3m": mrs, "death_days": death}
    outcomes["mrs_discharge"] = _at_discharge(draws, latent, predictor, death, model)
    outcomes["recurrence_days"] = _recurrence_days(draws, columns, clinical["recurrence"])
    return outcomes


def _mrs_predictor(draws: Draws, columns: Columns, model: dict[str, Any]) -> FloatArray:
    centre = centre_effect(columns, "mrs", model["coefficients"]["centre"], draws.seed)
    return linear_predictor(columns, model["coefficients"]) + centre


def _departure(columns: Columns, model: dict[str, Any]) -> FloatArray | None:
    if model["proportional_odds"]:
        return None
    return columns["tissue_sd"][:, None] * np.asarray(model["cut_point_changes"])[None, :]


def _death_days(draws: Draws, columns: Columns, mrs: FloatArray, model: dict[str, Any]) -> FloatArray:
    early = 1 + np.floor((MRS_DAYS - 1) * draws.uniform("death_early") ** 2)
    after = dict(model)
    start = after.pop("after_day")
    late = start + 1 + _event_days(draws.uniform("death_late"), columns, after)
    return np.where(mrs == 6, early, late)


def _recurrence_days(draws: Draws, columns: Columns, model: dict[str, Any]) -> FloatArray:
    return 1 + _event_days(draws.uniform("recurrence"), columns, model)


def _event_days(uniform: FloatArray, columns: Columns, model: dict[str, Any]) -> FloatArray:
    """(n,) whole days to an event with a constant hazard that is proportional in the model's terms."""
    model = dict(model)
    hazard = model.pop("yearly_hazard") * np.exp(linear_predictor(columns, model))
    return np.floor(-np.log(uniform) / hazard * DAYS_PER_YEAR)


def _at_discharge(
    draws: Draws, latent: FloatArray, predictor: FloatArray, death: FloatArray, model: dict[str, Any]
) -> FloatArray:
    share, stay = model["discharge_correlation"], model["discharge_days"]
    own = share * latent + np.sqrt(1 - share**2) * draws.normal("mrs_discharge")
    grade = ordinal(ndtr(own), predictor + model["discharge_shift"], model["thresholds"][:5])
    days = np.exp(stay["ln_mean"] + stay["ln_sd"] * draws.normal("discharge_days"))
    return np.where(death <= days, 6.0, grade)


def follow(draws: Draws, outcomes: Columns, lost_before_mrs: np.ndarray, model: dict[str, Any]) -> Columns:
    """Return the outcomes as a registry sees them: nothing after ``last_seen_days``.

    ``lost_before_mrs`` (n,) marks patients lost before the 3-month visit: no ``mrs_3m``, last seen before
    day 90, a death after that unknown. Nobody else leaves before the visit; nobody who died in hospital is
    lost.
    """
    lost_before_mrs = lost_before_mrs & (outcomes["mrs_discharge"] != 6)
    dropout = MRS_DAYS + np.floor(
        -np.log(draws.uniform("dropout")) / model["yearly_dropout_hazard"] * DAYS_PER_YEAR
    )
    seen = np.minimum(dropout, model["days"])
    seen = np.where(lost_before_mrs, 1 + np.floor((MRS_DAYS - 2) * draws.uniform("lost")), seen)
    seen = np.minimum(seen, outcomes["death_days"])
    dies = outcomes["death_days"] <= seen
    recurs = outcomes["recurrence_days"] <= seen
    known_mrs = ~lost_before_mrs | (dies & (outcomes["mrs_3m"] == 6))
    return {
        "mrs_3m": np.where(known_mrs, outcomes["mrs_3m"], np.nan),
        "mrs_discharge": outcomes["mrs_discharge"],
        "death_days": np.where(dies, outcomes["death_days"], np.nan),
        "recurrence_days": np.where(recurs, outcomes["recurrence_days"], np.nan),
        "last_seen_days": seen,
    }
