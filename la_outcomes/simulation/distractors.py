"""What else a head holds: lacunes, perivascular spaces, an arachnoid cyst.

All of it is cut into the tissue classes before any lesion grows, so CT and FLAIR show the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.simulation.anatomy import BoolArray, LabelArray, Tissue, is_tissue
from la_outcomes.simulation.fields import bounding_box

_BRAIN_AND_FLUID = (Tissue.CORTEX, Tissue.WHITE, Tissue.CSF)


def add_distractors(
    tissue: LabelArray, age_years: float, rng: np.random.Generator, model: dict[str, Any]
) -> LabelArray:
    """Tissue classes with the patient's small cavities.

    ``model``: ``distractors`` of the head's parameters.
    """
    result = tissue.copy()
    decades = (age_years - 68) / 10
    lacunes = model["lacunes"]
    expected = lacunes["mean"] * np.exp(lacunes["ln_per_decade_from_68"] * decades)
    deep = is_tissue(tissue, (Tissue.DEEP_GREY, Tissue.WHITE)) & _away_from_cortex(tissue)
    _carve(result, deep, int(rng.poisson(expected)), lacunes["radius_mm"], rng)
    spaces = model["perivascular_spaces"]
    nuclei = is_tissue(tissue, (Tissue.DEEP_GREY,))
    _carve(result, nuclei, int(rng.poisson(spaces["mean"])), spaces["radius_mm"], rng)
    if rng.random() < model["arachnoid_cyst"]["probability"]:
        surface = (tissue == Tissue.CSF) & ndimage.binary_dilation(tissue == Tissue.CORTEX, iterations=2)
        _carve(result, surface, 1, model["arachnoid_cyst"]["radius_mm"], rng)
    return result


def _away_from_cortex(tissue: LabelArray) -> BoolArray:
    cortex = tissue == Tissue.CORTEX
    box = bounding_box(cortex)
    result = np.zeros(tissue.shape, dtype=bool)
    result[box] = ndimage.uniform_filter(cortex[box].astype(np.float32), 9) < 0.02
    return result


def _carve(
    tissue: LabelArray, where: BoolArray, count: int, radius_mm: list[float], rng: np.random.Generator
) -> None:
    """Turn ``count`` ellipsoids centred in ``where`` into CSF, brain tissue alone."""
    places = np.flatnonzero(where)
    if count == 0 or places.size == 0:
        return
    for place in rng.choice(places, size=count):
        centre = np.array(np.unravel_index(int(place), tissue.shape))
        radii = rng.uniform(radius_mm[0], radius_mm[1]) * np.exp(0.2 * rng.standard_normal(3))
        _carve_one(tissue, centre, radii)


def _carve_one(tissue: LabelArray, centre: npt.NDArray[np.int64], radii: npt.NDArray[np.float64]) -> None:
    reach = np.ceil(radii).astype(int)
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, tissue.shape)
    part = tissue[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    axes = [(np.arange(a, b) - c) / r for a, b, c, r in zip(low, high, centre, radii, strict=True)]
    square = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    brain = is_tissue(part, (*_BRAIN_AND_FLUID, Tissue.DEEP_GREY, Tissue.PALLIDUM))
    part[(square <= 1) & brain] = Tissue.CSF
