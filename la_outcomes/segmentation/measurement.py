"""LA on one head CT: from HU to a mask, volumes, an interval, and what is unusual about the scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.input_checks import check_head_ct
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import Bundle
from la_outcomes.segmentation.calibration import Calibration
from la_outcomes.segmentation.domain import Domain, figures_of
from la_outcomes.segmentation.intervals import SURE_LOG_ODDS, Interval, VolumeReading
from la_outcomes.segmentation.outputs import INFARCT, LA
from la_outcomes.segmentation.reading import Reading, read_by_network, serves_as_brain

Bools = npt.NDArray[np.bool_]

INFARCT_WARNING_ML = 3.0
CARD_SECTIONS = ("brain", "calibration", "domain", "interval")
_SLICE_TOLERANCE = 1.5


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What was found on one CT: boolean masks on its grid (i, j, k), volumes in mL, a warning or None.

    ``infarct``, ``brain_volume_ml`` and ``unlikeness`` are None where the model does not give them.
    """

    mask: Bools
    volume: VolumeReading
    icv_ml: float
    input_warning: str | None
    infarct: Bools | None = None
    infarct_found_ml: float | None = None
    brain_volume_ml: float | None = None
    unlikeness: float | None = None

    @property
    def la_volume_ml(self) -> float:
        """Volume of the mask."""
        return self.volume.measured_ml

    def row(self, bundle: Bundle) -> dict[str, Any]:
        """Columns of ``la_measurements`` that are measured, with what the card adds to them."""
        found: dict[str, Any] = {
            "la_volume_ml": self.la_volume_ml,
            "icv_ml": self.icv_ml,
            "brain_volume_ml": self.brain_volume_ml,
            "infarct_found_ml": self.infarct_found_ml,
            "unlikeness": self.unlikeness,
            "input_warning": self.input_warning,
        }
        calibration, interval = bundle.card.get("calibration"), bundle.card.get("interval")
        if calibration:
            found |= Calibration.from_card(calibration).volumes(self.la_volume_ml)
        if interval:
            low, high = Interval.from_card(interval).limits_ml(self.volume)
            found |= {"la_volume_low_ml": low, "la_volume_high_ml": high}
        return {name: value for name, value in found.items() if value is not None or name == "input_warning"}


def segment_scan(image: Image, bundle: Bundle) -> Segmentation:
    """Segment LA on one head CT (HU).

    The network sees the slices on the bundle's grid; its log odds of LA are brought back to the scan's grid
    bilinearly and are LA where above 0, inside the skull and outside what the network takes for infarct. The
    volume is that of the mask on the scan's own grid. Raises ``InputError`` whose text is the reason where
    the image cannot be measured.
    """
    return HeadMeasurement(image, bundle).segmentation()


@dataclass(frozen=True, eq=False)
class HeadMeasurement:
    """One scan while it is measured; what it is made of is computed when it is first asked for."""

    image: Image
    bundle: Bundle

    def segmentation(self) -> Segmentation:
        """All of it; raises ``InputError`` as ``segment_scan``."""
        reason = check_head_ct(self.image)
        if reason is not None:
            raise InputError(reason)
        unlikeness, unusual = self._unlikeness()
        infarct, infarct_ml = self._infarct()
        mask = self.reading.mask(LA) & self.inside
        if infarct is not None:
            mask &= ~infarct
        return Segmentation(
            mask=mask,
            volume=self._volume(mask),
            icv_ml=volume_ml(self.inside, self.image.affine),
            input_warning="; ".join([*self._warnings(infarct_ml), *unusual]) or None,
            infarct=infarct,
            infarct_found_ml=infarct_ml,
            brain_volume_ml=self.reading.brain_volume_ml,
            unlikeness=unlikeness,
        )

    @cached_property
    def rough(self) -> Bools:
        """Inside of the skull by thresholds."""
        return ct_brain(self.image).intracranial

    @cached_property
    def reading(self) -> Reading:
        """What the network says."""
        return read_by_network(self.image, self.rough, self.bundle)

    @cached_property
    def figures(self) -> dict[str, float]:
        """What tells the scan from what is no head."""
        return figures_of(self.image, self.rough, self.reading)

    @cached_property
    def inside(self) -> Bools:
        """Inside of the skull: the network's where it has earned it, else the thresholds'."""
        return self.reading.brain_on_scan() if serves_as_brain(self.bundle.card) else self.rough

    def _volume(self, mask: Bools) -> VolumeReading:
        """The mask's volume, and those the network is nearly sure of and thinks possible."""
        return VolumeReading(
            volume_ml(mask, self.image.affine),
            self.reading.volume_above_ml(LA, SURE_LOG_ODDS),
            self.reading.volume_above_ml(LA, -SURE_LOG_ODDS),
        )

    def _infarct(self) -> tuple[Bools | None, float | None]:
        """What the network takes for infarct, its holes filled, on the scan's grid, and its volume."""
        if not self.reading.gives(INFARCT):
            return None, None
        found = self.reading.mask(INFARCT) & self.inside
        for k in np.flatnonzero(found.any(axis=(0, 1))):
            found[:, :, k] = ndimage.binary_fill_holes(found[:, :, k])
        return found, volume_ml(found, self.image.affine)

    def _unlikeness(self) -> tuple[float | None, list[str]]:
        """How unlike the known heads the scan is, with a warning; ``InputError`` where it is refused."""
        if not self.bundle.card.get("domain"):
            return None, []
        domain = Domain.from_card(self.bundle.card["domain"])
        found = domain.unlikeness(self.figures)
        told = f"unlike the head CTs the model knows ({found:.1f}; {domain.oddest(self.figures)})"
        if found > domain.refuse_above:
            raise InputError(told)
        return found, [told] if found > domain.warn_above else []

    def _warnings(self, infarct_ml: float | None) -> Iterator[str]:
        """What is unusual about the scan for this model."""
        low, high = self.bundle.card["training"].get("slice_spacing_mm", (0.0, np.inf))
        spacing = float(self.image.spacing_mm[2])
        if not low / _SLICE_TOLERANCE <= spacing <= high * _SLICE_TOLERANCE:
            yield f"slices {spacing:.1f} mm apart; the model was trained on {low:g} to {high:g} mm"
        if infarct_ml is not None and infarct_ml >= INFARCT_WARNING_ML:
            yield f"{infarct_ml:.0f} mL taken for infarct: LA is not looked for there"
