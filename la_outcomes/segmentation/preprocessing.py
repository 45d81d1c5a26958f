"""The one way a head CT becomes the network's input and the network's output goes back to the scan.

Slices keep their own thickness; only the plane of the slice is resampled, to a square of fixed size and
spacing around the brain, in index space, so that a tilted gantry's shear changes nothing. Used when a
training set is made and at inference, with the numbers that stand in the bundle.

Axis order of the network is (slice, channel, row, column): slice = k (inferior to superior), row = j
(posterior to anterior), column = i (left to right) of the scan as ``imaging`` reads it. The channels are
the slice itself or, where the bundle asks for them, its neighbours below and above as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

SLICE_MARGIN = 1
NOT_FOUND_LOG_ODDS = -20.0
_LARGEST_SHARE_OUTSIDE = 0.01
_STACKS = (1, 3, 5, 7)
_WHOLE = ("size_px", "slices")
ORIENTATION = {
    "slice": "inferior to superior",
    "row": "posterior to anterior",
    "column": "left to right of the patient",
}


@dataclass(frozen=True)
class InputSpec:
    """What the network sees; stands in the bundle.

    ``size_px`` rows and columns of ``spacing_mm``, centred on the brain's bounding box; Hounsfield units
    cut to ``hu_low``..``hu_high``, then (HU - ``hu_centre``) / ``hu_scale``. ``slices`` (odd) are the
    channels of one input: a slice with as many neighbours below as above, from below; 1 = plain 2D. Raises
    ``InputError`` for numbers that make no grid or window.
    """

    size_px: int
    spacing_mm: float
    hu_low: float = -20.0
    hu_high: float = 80.0
    hu_centre: float = 30.0
    hu_scale: float = 15.0
    slices: int = 1

    def __post_init__(self) -> None:
        numbers = [float(value) for value in asdict(self).values()]
        fits = np.isfinite(numbers).all() and 16 <= self.size_px <= 1024 and 0.1 <= self.spacing_mm <= 5
        stack = self.slices in _STACKS
        if not (fits and stack and self.hu_low < self.hu_high and self.hu_scale > 0):
            raise InputError(
                f"the network's input cannot be {asdict(self)}",
                hint="16-1024 px of 0.1-5 mm, a window in HU, a scale above 0, 1, 3, 5 or 7 slices",
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputSpec:
        """Read the specification from a model card; raises ``InputError`` where it is incomplete."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise InputError(f"the input's specification must hold exactly {', '.join(sorted(names))}")
        try:
            numbers: dict[str, Any] = {name: float(value) for name, value in values.items()}
        except (TypeError, ValueError) as error:
            raise InputError("the input's specification holds something that is not a number") from error
        if not all(number.is_integer() for number in (numbers[name] for name in _WHOLE)):
            raise InputError("the input's pixels and slices must be whole numbers")
        return cls(**numbers | {name: int(numbers[name]) for name in _WHOLE})

    def scaled(self, hu: npt.NDArray[Any]) -> Floats:
        """Windowed and scaled Hounsfield units, float32."""
        cut = np.clip(hu, self.hu_low, self.hu_high).astype(np.float32)
        return (cut - np.float32(self.hu_centre)) / np.float32(self.hu_scale)


@dataclass(frozen=True)
class HeadCrop:
    """Where the network's square lies in one scan: the slices, and the square's origin in index units.

    ``first_slice``..``last_slice`` (half open) of the scan; a pixel t of the square lies at index
    ``origin + step * t`` along the scan's rows (j) and columns (i).
    """

    shape: tuple[int, int, int]
    first_slice: int
    last_slice: int
    row_origin: float
    row_step: float
    column_origin: float
    column_step: float
    size_px: int

    def to_square(self, volume: npt.NDArray[Any], *, outside: float, beyond: int = 0) -> Floats:
        """(i, j, k) of the scan to (slice, row, column); area-weighted where the square is coarser.

        ``beyond`` slices more are taken below and above; where the scan ends its last slice is repeated.
        """
        rows = _weights(self.size_px, self.shape[1], self.row_origin, self.row_step)
        columns = _weights(self.size_px, self.shape[0], self.column_origin, self.column_step)
        wanted = np.arange(self.first_slice - beyond, self.last_slice + beyond)
        slices = volume[:, :, np.clip(wanted, 0, self.shape[2] - 1)].transpose(2, 1, 0)
        return _apply(rows, slices, columns, outside)

    def to_scan(self, square: Floats, *, outside: float) -> Floats:
        """(slice, row, column) of the square to (i, j, k) of the scan; bilinear where the scan is finer."""
        volume = np.full(self.shape, outside, dtype=np.float32)
        rows, columns = self._back()
        slices = _apply(rows, square, columns, outside)
        volume[:, :, self.first_slice : self.last_slice] = slices.transpose(2, 1, 0)
        return volume

    def mask_on_scan(self, log_odds: Floats) -> Bools:
        """Where log odds of the square are above 0 on the scan's grid (i, j, k), brought back bilinearly.

        The same as ``to_scan(...) > 0``; slices that hold nothing above 0 cannot gain it and are skipped.
        """
        mask = np.zeros(self.shape, dtype=bool)
        found = np.flatnonzero((log_odds > 0).any(axis=(1, 2)))
        if len(found):
            rows, columns = self._back()
            slices = _apply(rows, log_odds[found], columns, NOT_FOUND_LOG_ODDS)
            mask[:, :, self.first_slice + found] = (slices > 0).transpose(2, 1, 0)
        return mask

    def _back(self) -> tuple[Floats, Floats]:
        """Weights of the square's rows and columns in the scan's."""
        return (
            _weights(self.shape[1], self.size_px, -self.row_origin / self.row_step, 1 / self.row_step),
            _weights(
                self.shape[0], self.size_px, -self.column_origin / self.column_step, 1 / self.column_step
            ),
        )


def locate_head(image: Image, brain: Bools, spec: InputSpec, *, margin_mm: float = 0.0) -> HeadCrop:
    """The square around the brain's bounding box, on the slices that hold brain and one beyond.

    ``margin_mm`` takes in the slices within that distance of the brain, at least one. Raises
    ``InputError`` where the brain mask is empty, on another grid, or does not fit into the square: what
    lies outside would count as healthy.
    """
    if brain.shape != image.shape:
        raise InputError(f"the brain mask has shape {brain.shape}, the scan {image.shape}")
    if not brain.any():
        raise InputError("no brain was found in the scan")
    low, high = _bounds(brain)
    steps = spec.spacing_mm / image.spacing_mm[:2]
    origins = (low[:2] + high[:2]) / 2 - (spec.size_px - 1) / 2 * steps
    _refuse_larger_brain(brain, origins, steps, spec)
    margin = max(SLICE_MARGIN, math.ceil(margin_mm / float(image.spacing_mm[2])))
    return HeadCrop(
        shape=image.shape,
        first_slice=max(int(low[2]) - margin, 0),
        last_slice=min(int(high[2]) + margin + 1, image.shape[2]),
        row_origin=float(origins[1]),
        row_step=float(steps[1]),
        column_origin=float(origins[0]),
        column_step=float(steps[0]),
        size_px=spec.size_px,
    )


def _refuse_larger_brain(
    brain: Bools, origins: npt.NDArray[Any], steps: npt.NDArray[Any], spec: InputSpec
) -> None:
    first = np.clip(np.ceil(origins), 0, None).astype(int)
    end = (np.floor(origins + steps * (spec.size_px - 1)) + 1).astype(int)
    inside = np.count_nonzero(brain[first[0] : end[0], first[1] : end[1]])
    outside = 1 - inside / np.count_nonzero(brain)
    if outside > _LARGEST_SHARE_OUTSIDE:
        raise InputError(
            f"{100 * outside:.0f} % of the head's inside lie outside the "
            f"{spec.size_px * spec.spacing_mm:.0f} mm the model sees",
            hint="a model with a larger grid is needed, or the scan's spacing is wrong",
        )


def network_input(image: Image, crop: HeadCrop, spec: InputSpec) -> Floats:
    """The scan as the network sees it: (slice, channel, row, column) float32; outside the scan is air.

    Channels are ``spec.slices`` neighbouring slices of the scan, from below, the slice itself in the middle.
    """
    cut = np.clip(image.data, spec.hu_low, spec.hu_high).astype(np.float32)
    squares = spec.scaled(crop.to_square(cut, outside=spec.hu_low, beyond=spec.slices // 2))
    stacks = np.lib.stride_tricks.sliding_window_view(squares, spec.slices, axis=0)
    return np.ascontiguousarray(np.moveaxis(stacks, -1, 1))


def network_target(mask: Bools, crop: HeadCrop) -> npt.NDArray[np.uint8]:
    """A mask as the network is taught it: (slice, row, column) 0/1 that keeps the mask's volume."""
    soft = crop.to_square(mask.astype(np.float32), outside=0.0)
    return keep_volume(soft).astype(np.uint8)


def keep_volume(soft: npt.NDArray[Any]) -> Bools:
    """The binary mask with as many voxels as the soft map (0..1) sums to, its largest values first.

    Linear interpolation and this threshold keep volumes where a fixed 0.5 would lose small and thin
    parts. Voxels tied with the threshold are taken from the first on.
    """
    count = round(float(soft.sum(dtype=np.float64)))
    mask = np.zeros(soft.size, dtype=bool)
    if count > 0:
        any_of_it = np.flatnonzero(soft > 0)
        order = np.argsort(-soft.ravel()[any_of_it], kind="stable")
        mask[any_of_it[order[:count]]] = True
    return mask.reshape(soft.shape)


def _bounds(mask: Bools) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last index along each axis that hold any voxel of the mask."""
    spans = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return np.array([span[0] for span in spans]), np.array([span[-1] for span in spans])


def _weights(n_target: int, n_source: int, origin: float, step: float) -> Floats:
    """Share of each source sample in each target sample, (n_target, n_source).

    Target t lies at source index ``origin + step * t``. The triangle is as wide as the coarser of the
    two grids: linear interpolation upwards, area weighting (no aliasing of noise) downwards. Rows that
    reach over the source's ends sum to less than 1; what is missing is the outside.
    """
    half_width = max(1.0, step)
    centres = origin + step * np.arange(n_target)
    reach = int(np.ceil(half_width))
    samples = np.floor(centres)[:, np.newaxis] + np.arange(-reach, reach + 2)
    shares = np.clip(1 - np.abs(samples - centres[:, np.newaxis]) / half_width, 0, None)
    shares /= shares.sum(axis=1, keepdims=True)
    weights = np.zeros((n_target, n_source), dtype=np.float32)
    inside = (samples >= 0) & (samples < n_source)
    targets = np.broadcast_to(np.arange(n_target)[:, np.newaxis], samples.shape)
    weights[targets[inside], samples[inside].astype(int)] = shares[inside]
    return weights


def _apply(rows: Floats, slices: npt.NDArray[Any], columns: Floats, outside: float) -> Floats:
    """Resample (slice, row, column) in the plane; ``outside`` is what lies beyond the source."""
    values = np.ascontiguousarray(slices, dtype=np.float32) - np.float32(outside)
    return np.asarray(rows @ values @ columns.T + np.float32(outside), dtype=np.float32)
