"""Infarcts in more guises than the simulator draws: real old infarcts differ more than its numbers do.

The simulator's old infarct is an ellipsoid that is dark as fluid (CT) or a cavity with a rim (FLAIR). Real
ones have the shapes of real infarcts, are often gliotic rather than hollow, at times reach the ventricle,
and spare some cortex: as dark as LA, and told from it by place and shape alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from la_outcomes.simulation.anatomy import Tissue
from la_outcomes.simulation.fields import FloatArray, bounding_box, mixed_field, smooth_field
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.lesions import Lesions

_AGED = 0.35
_GLIOTIC_HU = (13.0, 25.0)
_HOLLOW_HU = (5.0, 14.0)
_GLIOTIC_SIGNAL = (1.2, 1.95)
_HOLLOW_SIGNAL = (0.2, 0.6)
_ACUTE_MOTTLE = 0.12

Box = tuple[slice, slice, slice]


def aged(lesions: Lesions, rng: np.random.Generator) -> Lesions:
    """The infarct at hand as an old one, in one acquisition of three: so old ones have real shapes too."""
    if rng.random() >= _AGED:
        return lesions
    old = np.maximum(lesions.infarct, lesions.old_infarct)
    return replace(lesions, infarct=0 * lesions.infarct, old_infarct=old)


def without_old(lesions: Lesions) -> Lesions:
    """The lesions without the old infarct, which is then painted by one of the functions below."""
    return replace(lesions, old_infarct=0 * lesions.old_infarct)


def paint_old_on_ct(hu: FloatArray, old: FloatArray, head: Head, rng: np.random.Generator) -> FloatArray:
    """Darken ``hu`` (in place) where the old infarct is; returns what shows of it (share of a voxel)."""
    return _paint(hu, old, head, (_GLIOTIC_HU, _HOLLOW_HU, float(rng.uniform(1, 3.5))), rng, darker=True)


def paint_old_on_flair(
    signal: FloatArray, old: FloatArray, head: Head, rng: np.random.Generator
) -> FloatArray:
    """Change ``signal`` (in place) where the old infarct is; returns what shows of it (share of a voxel)."""
    levels = (_GLIOTIC_SIGNAL, _HOLLOW_SIGNAL, float(rng.uniform(0.02, 0.15)))
    return _paint(signal, old, head, levels, rng, darker=False)


def mottle_acute(signal: FloatArray, acute: FloatArray, rng: np.random.Generator) -> None:
    """Let the fresh infarct's FLAIR signal (in place) differ from place to place."""
    if acute.any():
        box = bounding_box(acute > 0)
        field = mixed_field(acute[box].shape, (9.0, 4.0), (0.8, 0.6), rng)
        signal[box] *= 1 + field * acute[box] * np.float32(rng.uniform(0, _ACUTE_MOTTLE))


def _paint(
    values: FloatArray,
    share: FloatArray,
    head: Head,
    levels: tuple[tuple[float, float], tuple[float, float], float],
    rng: np.random.Generator,
    *,
    darker: bool,
) -> FloatArray:
    """``levels``: ranges of the gliotic and the hollow part's level, and the SD of mottling."""
    shown = np.zeros_like(share)
    if not share.any():
        return shown
    box = bounding_box(share > 0, margin=6)
    gliotic, hollow, sd = levels
    shown[box] = share[box] * _kept(head, box, rng)
    depth = ndimage.gaussian_filter(shown[box], float(rng.uniform(1.5, 4)), truncate=2)
    core = np.clip((depth - np.float32(rng.uniform(0.6, 1.5))) / np.float32(0.2), 0, 1)
    around, within = np.float32(rng.uniform(*gliotic)), np.float32(rng.uniform(*hollow))
    level = around + (within - around) * core + smooth_field(core.shape, 6.0, rng) * np.float32(sd)
    change = level - values[box]
    values[box] += (np.minimum(change, 0) if darker else change) * shown[box]
    return shown


def _kept(head: Head, box: Box, rng: np.random.Generator) -> FloatArray:
    """Share (0..1) of each voxel's tissue that was lost: patchy, and less of the cortex, or all of it."""
    shape = tuple(part.stop - part.start for part in box)
    if rng.random() < 0.4:
        return np.ones(shape, dtype=np.float32)
    field = mixed_field(shape, (11.0, 4.5), (0.8, 0.6), rng) * np.float32(rng.uniform(0.2, 0.8))
    cortex = (head.tissue[box] == Tissue.CORTEX) * np.float32(rng.uniform(0, 0.8))
    return np.asarray(np.clip(1.15 + field, 0, 1) * (1 - cortex), dtype=np.float32)
