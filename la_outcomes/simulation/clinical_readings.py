"""What is read off a scan without an image: declared measurement error of LA and WMH, Fazekas by readers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import betaincinv

from la_outcomes.simulation.clinical_draws import Columns, Draws, FloatArray


def measure(
    draws: Draws, columns: Columns, model: dict[str, Any], scanners: dict[str, Any], scan: str = ""
) -> Columns:
    """Return ``la_volume_ml`` (NaN where not measured), ``not_measured_reason`` and ``wmh_volume_ml``.

    LA: ln(LA + 1) = slope x ln(visible + 1) + vendor offset + error, then a share of the infarct taken for LA
    is added, so that the error depends on a cause of the outcome; the share is the patient's, the error the
    scan's (``scan`` names a further one). WMH: ln(WMH + 1) = ln(tissue + 1) + error.
    """
    thick = np.maximum(columns["ct_slice_thickness_mm"] - 3.0, 0.0)
    sd = model["error_sd"]["base"] + model["error_sd"]["per_mm_above_3"] * thick
    offsets = {name: scanner["ln_offset"] for name, scanner in scanners.items()}
    vendor = np.array([offsets[name] for name in columns["ct_manufacturer"]])
    log_volume = (
        model["slope"] * np.log1p(columns["visible_la_volume_ml"]) + vendor + sd * draws.normal(f"la{scan}")
    )
    volume = np.expm1(np.maximum(log_volume, 0.0)) + _infarct_taken_for_la(draws, columns, model)
    reason = _reason(draws, model["not_measured"], scan)
    wmh = np.log1p(columns["tissue_volume_ml"]) + model["wmh_error_sd"] * draws.normal("wmh")
    return {
        "la_volume_ml": np.where(reason == None, volume, np.nan),  # noqa: E711 - element by element
        "not_measured_reason": reason,
        "wmh_volume_ml": np.expm1(np.maximum(wmh, 0.0)),
    }


def _infarct_taken_for_la(draws: Draws, columns: Columns, model: dict[str, Any]) -> FloatArray:
    leak = model["infarct_leak"]
    share = betaincinv(*leak["share_beta"], draws.uniform("leak_share"))
    taken = draws.uniform("leak") < leak["probability"]
    return np.where(taken, share * columns["infarct_volume_ml"], 0.0)


def _reason(draws: Draws, probabilities: dict[str, float], scan: str) -> np.ndarray:
    measured = 1.0 - sum(probabilities.values())
    shares: dict[Any, float] = {None: measured, **probabilities}
    return draws.choice(f"not_measured{scan}", shares)


def rate_fazekas(draws: Draws, columns: Columns, model: dict[str, Any], reader: str, pass_no: int) -> Columns:
    """Return one reader's ``fazekas_periventricular`` and ``fazekas_deep`` (0 to 3) of the CT.

    Grades cut scale x ln(visible + 1) + what the readers share of a patient + the reader's shift and noise;
    the noise grows where little is visible, so readers disagree most there.
    """
    visible = columns["visible_la_volume_ml"]
    noise = model["noise_sd"]
    sd = noise["base"] + noise["low_load"] * np.exp(-visible / noise["low_load_ml"])
    seen = model["scale"] * np.log1p(visible) + model["patient_sd"] * draws.normal("fazekas")
    grades: Columns = {}
    for name, cuts in model["cuts"].items():
        reading = sd * draws.normal(f"{name}/{reader}/{pass_no}")
        grades[name] = np.searchsorted(cuts, seen + model["readers"][reader] + reading).astype(float)
    return grades
