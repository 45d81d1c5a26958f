"""A pair of the bed as the package sees it: masks found, scans on working grids; shared by the benchmarks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.coregistration_bed import Pair, load
from benchmarks.coregistration_candidates import Prepared, prepare
from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.segmentation.brain import ct_brain, flair_brain
from la_outcomes.segmentation.volumetry import dice


@dataclass(frozen=True, eq=False)
class Opened:
    """A pair, its scans on working grids, the CT's intracranial mask, and how good both masks are."""

    pair: Pair
    prepared: Prepared
    ct_inside: npt.NDArray[np.bool_]
    masks: dict[str, Any]


@lru_cache(maxsize=2)
def opened(folder: Path) -> Opened:
    """Read a pair and find its masks; the last two pairs are kept."""
    pair = load(folder)
    started = time.process_time()
    ct, flair = ct_brain(pair.ct), flair_brain(pair.flair)
    figures: dict[str, Any] = {"pair": pair.name, "cpu_s": time.process_time() - started}
    found_true = (("ct", ct, pair.inside_ct), ("flair", flair, pair.inside_flair))
    for name, found, true in found_true:
        figures[f"{name}_dice"] = dice(found.intracranial, true.data > 0.5)
        figures[f"{name}_icv_error"] = found.icv_ml / volume_ml(true.data, true.affine) - 1
    prepared = prepare(pair.ct, pair.flair, ct.intracranial, flair.intracranial)
    return Opened(pair, prepared, ct.intracranial, figures)
