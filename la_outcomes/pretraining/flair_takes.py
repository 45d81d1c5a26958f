"""FLAIRs of a drawn head as many scanners would take them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from la_outcomes.imaging.geometry import Image
from la_outcomes.pretraining.infarct_looks import aged, mottle_acute, paint_old_on_flair, without_old
from la_outcomes.pretraining.takes import Take, cut_block, take_on_grid, tissue_on
from la_outcomes.segmentation.labels.wmh_model import flair_for_network
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.simulation.anatomy import PARENCHYMA, Tissue, is_tissue
from la_outcomes.simulation.fields import FloatArray, smooth_field
from la_outcomes.simulation.flair import flair_grid, head_signal, scan_flair
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.pair import DrawnPatient
from la_outcomes.simulation.patient import FlairSettings

SPEC = InputSpec(224, 0.9, hu_low=0.0, hu_high=250.0, hu_centre=100.0, hu_scale=40.0, slices=3)
THICKNESS_MM = {1.0: 0.20, 2.0: 0.05, 3.0: 0.18, 4.0: 0.12, 5.0: 0.30, 6.0: 0.10, 7.0: 0.05}
MOST_SLICES = 40
_AS_SIMULATED = 0.4
_OLD_AS_SIMULATED = 0.45
_UNEVEN_PROBABILITY = 0.7
_BRIGHT_PROBABILITY = 0.55
# middle (MNI mm, on either side) and SD (mm): hippocampus and amygdala; gyrus rectus
_BRIGHT = (((26.0, -18.0, -17.0), (8.0, 15.0, 9.0)), ((9.0, 32.0, -19.0), (9.0, 14.0, 7.0)))


def draw_settings(rng: np.random.Generator) -> FlairSettings:
    """Slice, gap and pixel of a FLAIR; the skull stays (training takes it off itself, at times)."""
    thickness = float(rng.choice(list(THICKNESS_MM), p=np.array(list(THICKNESS_MM.values()))))
    if thickness <= 1.0:
        thickness = float(rng.uniform(0.9, 1.2))
        return FlairSettings(thickness, thickness, float(rng.uniform(0.9, 1.1)))
    gap = float(rng.uniform(1.0, 1.3)) if rng.random() < 0.4 else 1.0
    pixel = float(rng.uniform(0.55, 1.0)) if rng.random() < 0.4 else float(rng.uniform(0.75, 1.0))
    return FlairSettings(thickness, thickness * gap, pixel)


def flair_take(
    drawn: DrawnPatient, settings: FlairSettings, rng: np.random.Generator, image: dict[str, Any]
) -> Take:
    """One FLAIR of the head on the network's grid, levelled as at inference; the lesion is all WMH.

    The scanner's distortion is left out: it bends a head by less than the heads differ, and costs time.
    """
    lesions = aged(drawn.seen(infarct=drawn.patient.infarct_on_flair), rng)
    whole = replace(flair_grid(drawn.head, settings, rng, image["flair"]), distortion=None)
    grid = cut_block(whole, MOST_SLICES, rng)
    as_simulated = rng.random() < _OLD_AS_SIMULATED
    shown = lesions if as_simulated else without_old(lesions)
    signal = head_signal(drawn.head, shown, drawn.patient, rng, image)
    if rng.random() < _UNEVEN_PROBABILITY:
        signal = uneven(signal, drawn.head, rng)
    if not as_simulated:
        mottle_acute(signal, lesions.infarct, rng)
        old = paint_old_on_flair(signal, lesions.old_infarct, drawn.head, rng)
        lesions = replace(lesions, old_infarct=old)
    scan = scan_flair(signal, drawn.head, grid, rng, image["flair"])
    levelled: Image = flair_for_network(scan, tissue_on(drawn.head, grid, levels=1) > 0)
    maps = (lesions.wmh.tissue, lesions.any_infarct)
    return take_on_grid(levelled, drawn.head, grid, maps, SPEC)


def uneven(signal: FloatArray, head: Head, rng: np.random.Generator) -> FloatArray:
    """Signal of healthy tissue that differs from place to place, alike on both sides.

    On real FLAIR white matter is a little brighter around the ventricles and along some tracts, and so is
    the cortex of the insula and the cingulum, and what lies in and beside the hippocampus and at the base
    of the frontal lobes: none of it is lesion.
    """
    white = is_tissue(head.tissue, (Tissue.WHITE,))
    ventricle = (head.tissue == Tissue.VENTRICLE).astype(np.float32)
    near = np.clip(2.5 * ndimage.gaussian_filter(ventricle, float(rng.uniform(2.5, 8)), truncate=2), 0, 1)
    field = smooth_field(signal.shape, float(rng.uniform(9, 18)), rng)
    both = (field + field[::-1]) / np.float32(np.sqrt(2))
    rise = near * np.float32(rng.uniform(0, 0.2)) + both * np.float32(rng.uniform(0.01, 0.06))
    grey = is_tissue(head.tissue, (Tissue.CORTEX, Tissue.DEEP_GREY))
    bright = smooth_field(signal.shape, float(rng.uniform(12, 25)), rng)
    lift = np.clip(bright + bright[::-1], 0, 2.5) * np.float32(rng.uniform(0, 0.16))
    signal = signal * (1 + rise * white + lift * grey)
    for place in _BRIGHT:
        if rng.random() < _BRIGHT_PROBABILITY:
            _brighten(signal, head, place, float(rng.uniform(0.05, 0.5)), rng)
    return np.asarray(signal, dtype=np.float32)


def _brighten(
    signal: FloatArray,
    head: Head,
    place: tuple[tuple[float, ...], tuple[float, ...]],
    height: float,
    rng: np.random.Generator,
) -> None:
    """Raise the brain's signal (in place) around a place of both sides by up to ``height`` of itself."""
    middle, sd_mm = place
    to_voxels = np.linalg.inv(head.affine) @ head.mni_affine
    jitter, size = rng.normal(0, 3, size=3), np.exp(rng.normal(0, 0.2))
    for side in (-1, 1):
        centre = (to_voxels @ [*((middle + jitter) * (side, 1, 1)), 1.0])[:3]
        bells = [
            np.exp(-(((np.arange(n) - c) / (sd * size)) ** 2) / 2)
            for n, c, sd in zip(signal.shape, centre, sd_mm, strict=True)
        ]
        box = tuple(slice(*(np.flatnonzero(bell > 0.02)[[0, -1]] + [0, 1])) for bell in bells)
        a, b, c = (bell[part] for bell, part in zip(bells, box, strict=True))
        bell = a[:, None, None] * b[None, :, None] * c[None, None, :]
        brain = is_tissue(head.tissue[box], PARENCHYMA)
        signal[box] *= (1 + height * np.minimum(1.4 * bell, 1) * brain).astype(np.float32)


def varied(image: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The simulator's parameters as they are (two of five), or with FLAIR's contrasts and faults wider."""
    if rng.random() < _AS_SIMULATED:
        return image
    image = deepcopy(image)
    model = image["flair"]
    model["signal_sd"] = float(rng.uniform(0.02, 0.06))
    model["grey_contrast"] = {"mean": float(rng.uniform(0.4, 1.9)), "sd": 0.1, "range": [0.2, 2.0]}
    model["ependyma"] = float(rng.uniform(0.0, 0.4))
    core = float(rng.uniform(1.35, 2.0))
    model["wmh"]["core"] = {"mean": core, "sd": 0.1, "range": [1.3, 2.2]}
    model["acute_infarct"] = {"mean": float(rng.uniform(1.25, 2.1)), "sd": 0.1, "range": [1.15, 2.3]}
    model["flow"]["probability"] = 0.5
    model["noise"] = {"mean": float(rng.uniform(0.015, 0.09)), "sd": 0.005, "range": [0.01, 0.1]}
    model["bias"]["sd"] = float(rng.uniform(0.04, 0.18))
    model["bias"]["control_mm"] = float(rng.uniform(60, 120))
    strength = float(rng.uniform(0.7, 2.2))
    model["texture"]["sd"] = [strength * value for value in model["texture"]["sd"]]
    model["psf_mm"] = float(rng.uniform(0.35, 1.0))
    model["signal"]["PLEXUS"] = float(rng.uniform(0.8, 1.6))
    model["signal"]["CSF"] = float(rng.uniform(0.12, 0.4))
    model["signal"]["VENTRICLE"] = float(rng.uniform(0.1, 0.35))
    image["head"]["soft_edge_mm"] = float(rng.uniform(0.4, 0.9))
    return image
