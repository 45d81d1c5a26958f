"""The linear predictor behind every model of the clinical simulator: a table of coefficients, evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from la_outcomes.errors import InputError
from la_outcomes.simulation.clinical_draws import Columns, FloatArray, generator

_TERMS: dict[str, Callable[[Columns], Any]] = {
    "age_decades": lambda c: (c["age_years"] - 68.0) / 10.0,
    "female": lambda c: c["sex"] == "female",
    "systolic_decades": lambda c: (c["systolic_bp_mmhg"] - 145.0) / 10.0,
    "glucose": lambda c: c["glucose_mmol_l"] - 7.0,
    "bmi": lambda c: c["bmi_kg_m2"] - 24.0,
    "ln_infarct": lambda c: np.log1p(c["infarct_volume_ml"]) - 1.5,
    "nihss": lambda c: c["nihss_admission"] - 5.0,
    "reperfusion": lambda c: c["reperfusion_treatment"] != "none",
    "no_mri": lambda c: ~c["mri_selected"],
}
_PLAIN = (
    "hypertension", "diabetes", "hyperlipidaemia", "smoking", "atrial_fibrillation", "prior_stroke",
    "pre_stroke_mrs", "tissue_sd",
)  # fmt: skip
_NOT_TERMS = {"intercept", "sd", "range", "max_ml", "centre"}


def linear_predictor(columns: Columns, model: Mapping[str, Any]) -> FloatArray:
    """(n,) intercept plus the sum of coefficient x term, for the terms named in ``parameters.yaml``.

    ``sd``, ``range``, ``max_ml`` and ``centre`` belong to the model but are no terms.

    Raises
    ------
    InputError
        A name that is no term.
    """
    total = np.full(len(columns["age_years"]), float(model.get("intercept", 0.0)))
    for name, coefficient in model.items():
        if name not in _NOT_TERMS:
            total += coefficient * term(columns, name)
    return total


def term(columns: Columns, name: str) -> FloatArray:
    """(n,) values of a term by its name in ``parameters.yaml``. Raises ``InputError`` for any other name."""
    if name in _TERMS:
        return np.asarray(_TERMS[name](columns), dtype=float)
    if name in _PLAIN:
        return np.asarray(columns[name], dtype=float)
    raise InputError(
        f"{name!r} is no term of the clinical simulator",
        where="parameters.yaml: clinical",
        hint=f"known: {', '.join(sorted((*_TERMS, *_PLAIN)))}",
    )


def probability(columns: Columns, model: Mapping[str, Any]) -> FloatArray:
    """(n,) expit of the linear predictor."""
    return np.asarray(expit(linear_predictor(columns, model)))


def centre_effect(columns: Columns, model_name: str, sd: float, seed: int) -> FloatArray:
    """(n,) normal effect of each patient's centre on one model; the centre's name and the seed decide it."""
    centres, index = np.unique(columns["site"].astype(str), return_inverse=True)
    effects = [generator(seed, "centre", model_name, centre).standard_normal() for centre in centres]
    return sd * np.asarray(effects)[index]


def kept_inside(values: FloatArray, limits: tuple[float, float] | list[float]) -> FloatArray:
    """Return the values clipped to the model's stated range."""
    return np.clip(values, limits[0], limits[1])


def ordinal(
    uniform: FloatArray, predictor: FloatArray, thresholds: list[float], by_cut: FloatArray | None = None
) -> FloatArray:
    """(n,) grade 0..K from logit P(Y > k) = predictor + by_cut[:, k] - thresholds[k].

    ``by_cut`` (n, K) makes the odds non-proportional; where it would let the cumulative probabilities
    cross, the higher cut point is held at the lower one's.
    """
    logits = predictor[:, None] - np.asarray(thresholds)[None, :]
    if by_cut is not None:
        logits = np.minimum.accumulate(logits + by_cut, axis=1)
    return np.sum(uniform[:, None] < expit(logits), axis=1).astype(float)
