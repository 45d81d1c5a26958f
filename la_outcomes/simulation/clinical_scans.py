"""The CT and FLAIR of each simulated patient: scanner, kernel, slices, days from onset."""

from __future__ import annotations

from typing import Any

import numpy as np

from la_outcomes.simulation.clinical_draws import Columns, Draws, FloatArray, generator, pick
from la_outcomes.simulation.clinical_terms import kept_inside


def draw_ct(draws: Draws, columns: Columns, clinical: dict[str, Any]) -> Columns:
    """Return the CT's acquisition, prefixed ``ct_``: vendor by centre, kernel and thickness by vendor."""
    scanners = clinical["scanners"]
    vendor = _vendors(draws, columns["site"], scanners, clinical["centres"]["main_vendor_share"])
    kernel = np.empty(draws.n, dtype=object)
    thickness = np.empty(draws.n)
    kernels, slices = draws.uniform("kernel"), draws.uniform("thickness")
    for name, scanner in scanners.items():
        own = vendor == name
        kernel[own] = pick(kernels[own], scanner["kernels"], [1.0] * len(scanner["kernels"]))
        weights = scanner["thickness_mm"]
        thickness[own] = pick(slices[own], list(weights), list(weights.values())).astype(float)
    return {
        "ct_manufacturer": vendor,
        "ct_kernel": kernel,
        "ct_slice_thickness_mm": thickness,
        "ct_kvp": draws.choice("kvp", clinical["kvp"]).astype(float),
        "ct_gantry_tilt_deg": _tilt(draws, clinical["gantry_tilt_deg"]),
        "ct_pixel_spacing_mm": np.round(0.40 + 0.10 * draws.uniform("pixel_spacing"), 3),
    }


def _vendors(draws: Draws, sites: np.ndarray, scanners: dict[str, Any], main_share: float) -> np.ndarray:
    """One main scanner a centre, drawn once by the centre's name; the rest of its scans on any vendor's."""
    names, weights = list(scanners), [scanner["share"] for scanner in scanners.values()]
    any_vendor = pick(draws.uniform("other_vendor"), names, weights)
    centres, index = np.unique(sites.astype(str), return_inverse=True)
    drawn = np.array([generator(draws.seed, "centre", "vendor", centre).random() for centre in centres])
    main = pick(drawn, names, weights)[index]
    return np.where(draws.uniform("main_vendor") < main_share, main, any_vendor)


def _tilt(draws: Draws, model: dict[str, Any]) -> FloatArray:
    tilt = kept_inside(model["sd"] * draws.normal("tilt"), model["range"])
    return np.where(draws.uniform("untilted") < model["none_share"], 0.0, np.round(tilt, 1))


def draw_flair(draws: Draws, clinical: dict[str, Any]) -> Columns:
    """Return the FLAIR's acquisition, prefixed ``flair_``; used where the patient was selected for MRI."""
    model = clinical["flair"]
    return {
        "flair_manufacturer": draws.choice("flair_vendor", {"GE": 1.0, "Siemens": 1.0, "Philips": 1.0}),
        "flair_slice_thickness_mm": draws.choice("flair_thickness", model["thickness_mm"]).astype(float),
        "days_between": np.round(-np.log(draws.uniform("flair_days")) * model["mean_days_after_ct"], 2),
    }
