"""What a network says of one scan: log odds of each structure on its square, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.bundle import Bundle
from la_outcomes.segmentation.outputs import BRAIN, PARENCHYMA
from la_outcomes.segmentation.preprocessing import HeadCrop, locate_head, network_input

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

BRAIN_MARGIN_MM = 8.0
_LEAST_LOG_ODDS = 0.5


@dataclass(frozen=True, eq=False)
class Reading:
    """Log odds of each structure, (slice, row, column) of ``crop``'s square; ``voxel_ml`` of the square.

    ``brain_from``: log odds from which on a place is brain, chosen so that the volume comes out right.
    """

    crop: HeadCrop
    log_odds: Mapping[str, Floats]
    voxel_ml: float
    brain_from: float = 0.0

    def gives(self, name: str) -> bool:
        """Whether the network knows the structure."""
        return name in self.log_odds

    @cached_property
    def brain(self) -> Bools:
        """Inside of the skull on the square: the largest piece of the network's brain, holes filled.

        Where the network gives no brain, all of the square.
        """
        if not self.gives(BRAIN):
            return np.ones(next(iter(self.log_odds.values())).shape, bool)
        labels, count = ndimage.label(self.log_odds[BRAIN] > self.brain_from)
        if count == 0:
            return np.zeros(labels.shape, bool)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        largest = labels == sizes.argmax()
        return np.stack([ndimage.binary_fill_holes(part) for part in largest])

    def brain_on_scan(self) -> Bools:
        """``brain`` on the scan's grid (i, j, k)."""
        odds = self.log_odds[BRAIN] - np.float32(self.brain_from)
        inside, outside = np.maximum(odds, _LEAST_LOG_ODDS), np.minimum(odds, -_LEAST_LOG_ODDS)
        return self.crop.mask_on_scan(np.where(self.brain, inside, outside))

    def mask(self, name: str) -> Bools:
        """Where a structure is likelier than not, on the scan's grid (i, j, k)."""
        return self.crop.mask_on_scan(self.log_odds[name])

    def share(self, name: str) -> Floats:
        """Probability of a structure on the square."""
        odds = np.clip(self.log_odds[name], -30, 30)
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float32)

    def soft_volume_ml(self, name: str) -> float:
        """Sum of a structure's probabilities in the brain, mL."""
        return float(self.share(name)[self.brain].sum(dtype=np.float64)) * self.voxel_ml

    def volume_above_ml(self, name: str, log_odds: float) -> float:
        """Volume in the brain whose log odds lie above a limit, mL."""
        return int(np.count_nonzero((self.log_odds[name] > log_odds) & self.brain)) * self.voxel_ml

    @property
    def brain_volume_ml(self) -> float | None:
        """Volume of the brain without CSF, mL; None where the network does not tell it from CSF."""
        return self.soft_volume_ml(PARENCHYMA) if self.gives(PARENCHYMA) else None


def read_by_network(image: Image, rough_brain: Bools, bundle: Bundle) -> Reading:
    """Run a bundle's network on a scan in the units it was trained on.

    ``rough_brain`` (i, j, k) places the square; some slices more are taken where the network itself is to
    say where the brain ends. Raises ``InputError`` as ``locate_head`` and ``Bundle.predict``.
    """
    margin_mm = BRAIN_MARGIN_MM if serves_as_brain(bundle.card) else 0.0
    crop = locate_head(image, rough_brain, bundle.spec, margin_mm=margin_mm)
    found = bundle.predict(network_input(image, crop, bundle.spec))
    brain_from = float(dict(bundle.card.get("brain") or {}).get("log_odds", 0.0))
    return Reading(crop, found, crop.row_step * crop.column_step * image.voxel_volume_ml, brain_from)


def serves_as_brain(card: Mapping[str, Any]) -> bool:
    """Whether the model's own brain was shown to be no worse than the thresholds' and takes their place."""
    names = [part["name"] for part in card["outputs"]["structures"]]
    return BRAIN in names and dict(card.get("brain") or {}).get("mask") == "network"
