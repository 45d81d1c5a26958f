"""CTs of a drawn head as many scanners would take them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from la_outcomes.pretraining.infarct_looks import aged, paint_old_on_ct, without_old
from la_outcomes.pretraining.takes import Take, cut_block, take_on_grid
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.simulation.ct import ct_grid, head_hu, scan_ct
from la_outcomes.simulation.pair import DrawnPatient
from la_outcomes.simulation.patient import CtSettings
from la_outcomes.simulation.surgery import place_metal

SPEC = InputSpec(224, 0.9, slices=3)
KERNELS = {
    "GE": ("STANDARD", "SOFT"),
    "Siemens": ("H30s", "J40s", "Hr38"),
    "Philips": ("UB", "UA"),
    "Canon": ("FC26", "FC64"),
}
HELD_OUT = "Canon"
THICKNESS_MM = {
    1.0: 0.05, 2.0: 0.07, 2.5: 0.09, 3.0: 0.13, 4.0: 0.13, 5.0: 0.33, 6.0: 0.08, 7.0: 0.07, 8.0: 0.05,
}  # fmt: skip
KVP = {80.0: 0.05, 100.0: 0.15, 120.0: 0.70, 140.0: 0.10}
MOST_SLICES = 44
_AS_SIMULATED = 0.4
_OLD_AS_SIMULATED = 0.45


def draw_settings(vendors: tuple[str, ...], rng: np.random.Generator) -> CtSettings:
    """A scanner, kernel, voltage, slice, pixel and tilt."""
    vendor = vendors[int(rng.integers(len(vendors)))]
    thickness = float(rng.choice(list(THICKNESS_MM), p=_shares(THICKNESS_MM)))
    spacing = thickness * float(rng.uniform(0.8, 1.1)) if rng.random() < 0.15 else thickness
    return CtSettings(
        manufacturer=vendor,
        kernel=str(rng.choice(KERNELS[vendor])),
        kvp=float(rng.choice(list(KVP), p=_shares(KVP))),
        slice_thickness_mm=thickness,
        slice_spacing_mm=spacing,
        pixel_spacing_mm=float(rng.uniform(0.40, 0.55)),
        gantry_tilt_deg=0.0 if rng.random() < 0.45 else float(np.clip(rng.normal(0, 12), -25, 28)),
    )


def ct_take(
    drawn: DrawnPatient, settings: CtSettings, rng: np.random.Generator, image: dict[str, Any]
) -> Take:
    """One CT of the head on the network's grid; the lesion is what is visible on CT.

    ``image``: the simulator's parameters, perhaps ``varied``. A fresh infarct counts as far as it shows.
    """
    patient = replace(drawn.patient, ct=settings)
    lesions = aged(drawn.seen(infarct=patient.infarct_on_ct), rng)
    old_as_simulated = rng.random() < _OLD_AS_SIMULATED
    grid = ct_grid(drawn.head, settings, rng, image["ct"])
    grid = cut_block(grid, MOST_SLICES, rng)
    hu = head_hu(drawn.head, lesions if old_as_simulated else without_old(lesions), patient, rng, image)
    if not old_as_simulated:
        lesions = replace(lesions, old_infarct=paint_old_on_ct(hu, lesions.old_infarct, drawn.head, rng))
    metal = place_metal(drawn.head, rng, image["ct"]["metal"])
    scan = scan_ct(hu, drawn.head, grid, settings, rng, image["ct"], metal)
    shows = 1 - np.exp(-patient.hours_from_onset / image["infarct"]["acute_tau_hours"])
    infarct = lesions.any_infarct - lesions.infarct * np.float32(1 - min(1.0, 2 * shows))
    return take_on_grid(scan, drawn.head, grid, (lesions.wmh.visible, np.maximum(infarct, 0)), SPEC)


def varied(image: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The simulator's parameters as they are (two of five), or with CT's contrasts and faults drawn wider.

    Real scanners differ from the simulated ones in ways nobody lists; a network that has met a wider range
    depends less on the simulator's numbers.
    """
    if rng.random() < _AS_SIMULATED:
        return image
    image = deepcopy(image)
    model, hu = image["ct"], image["ct"]["hu"]
    for grey in ("CORTEX", "DEEP_GREY", "CEREBELLAR_CORTEX"):
        hu[grey]["mean"] += rng.normal(0, 1.2)
    for white in ("WHITE", "CEREBELLAR_WHITE", "BRAINSTEM"):
        hu[white]["mean"] += rng.normal(0, 1.0)
    hu["VENTRICLE"]["mean"] += rng.normal(0, 2.0)
    hu["CSF"]["mean"] += rng.normal(0.5, 2.0)
    hu["LA"]["sd"] = 4.0
    model["texture_sd_hu"]["brain"] = float(rng.uniform(0.4, 1.8))
    model["cupping_hu"] = {"mean": float(rng.uniform(1, 12)), "sd": 2.0, "range": [0.0, 16.0]}
    model["cupping_reach_mm"] = float(rng.uniform(8, 20))
    model["skull_base_bar_hu"] = float(rng.uniform(3, 13))
    model["noise_sd_ln"] = 0.3
    model["noise_range_hu"] = [1.5, 9.0]
    for vendor in model["vendors"].values():
        vendor["psf_mm"] *= float(rng.uniform(0.8, 2.2))
        vendor["noise_peak"] *= float(rng.uniform(0.75, 1.3))
        vendor["hu_offset"] += float(rng.normal(0, 1.5))
    image["head"]["soft_edge_mm"] = float(rng.uniform(0.4, 0.9))
    return image


def _shares(weights: dict[float, float]) -> list[float]:
    total = sum(weights.values())
    return [weight / total for weight in weights.values()]
