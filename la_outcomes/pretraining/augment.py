"""What is varied of a slice each time it is learned from; on the network's grid, in the scan's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.pretraining.takes import Take
from la_outcomes.segmentation.preprocessing import InputSpec

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

COLUMNS = 192
_MOST_SHIFT_PX = 7
_STRIPPED = 0.15
_ALONE = 0.06


@dataclass(frozen=True, eq=False)
class Sample:
    """A slice with its neighbours, (channel, row, column), scaled; and its targets (row, column)."""

    image: Floats
    tissue: Bytes
    lesion: Bytes
    infarct: Bytes


def draw_sample(take: Take, number: int, spec: InputSpec, modality: str, rng: np.random.Generator) -> Sample:
    """Slice ``number`` of a take, shifted, mirrored, its intensities varied; columns cut to ``COLUMNS``.

    ``modality``: "CT" or "FLAIR".
    """
    image = take.image[number : number + 3].astype(np.float32)
    if rng.random() < _ALONE:
        image = np.repeat(image[1:2], 3, axis=0)
    planes = [take.tissue[number], take.lesion[number], take.infarct[number]]
    if rng.random() < _STRIPPED:
        image = _stripped(image, planes[0], spec, rng)
    image = (_vary_ct if modality == "CT" else _vary_flair)(image, rng)
    shift = rng.integers(-_MOST_SHIFT_PX, _MOST_SHIFT_PX + 1, size=2)
    mirrored = rng.random() < 0.5
    image = _placed(spec.scaled(image), shift, mirrored, float(spec.scaled(np.array(spec.hu_low))))
    tissue, lesion, infarct = (_placed(plane, shift, mirrored, 0) for plane in planes)
    return Sample(image, tissue, lesion, infarct)


def _placed(
    plane: npt.NDArray[Any], shift: npt.NDArray[np.int64], mirrored: bool, fill: float
) -> npt.NDArray[Any]:
    """Shifted by whole pixels, so that noise keeps its texture; mirrored; the middle columns."""
    size = plane.shape[-1]
    moved = np.full_like(plane, fill)
    (r0, r1), (s0, s1) = (_overlap(int(s), size) for s in shift)
    moved[..., r0.start : r0.stop, s0.start : s0.stop] = plane[..., r1.start : r1.stop, s1.start : s1.stop]
    if mirrored:
        moved = moved[..., ::-1]
    first = (size - COLUMNS) // 2
    return np.ascontiguousarray(moved[..., first : first + COLUMNS])


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size - max(shift, 0))


def _stripped(image: Floats, tissue: Bytes, spec: InputSpec, rng: np.random.Generator) -> Floats:
    """The head without its skull, cut a little too tight or too wide, on air or on 0."""
    inside = ndimage.binary_closing(tissue > 0, iterations=2)
    grown = int(rng.integers(-1, 3))
    if grown:
        inside = (ndimage.binary_erosion if grown < 0 else ndimage.binary_dilation)(
            inside, iterations=abs(grown)
        )
    empty = spec.hu_low if rng.random() < 0.5 else max(0.0, spec.hu_low)
    return np.where(inside, image, np.float32(empty)).astype(np.float32)


def _vary_ct(image: Floats, rng: np.random.Generator) -> Floats:
    image = (image - 30) * np.float32(np.exp(rng.normal(0, 0.05))) + np.float32(30 + rng.normal(0, 1.5))
    if rng.random() < 0.4:
        image = image + _shading(image.shape[1:], rng) * np.float32(rng.uniform(0.3, 1.6))
    if rng.random() < 0.25:
        sigma = float(rng.uniform(0.3, 0.8))
        image = ndimage.gaussian_filter(image, (0, sigma, sigma), truncate=3)
    if rng.random() < 0.3:
        noise = ndimage.gaussian_filter(
            rng.standard_normal(image.shape, dtype=np.float32), (0, 0.6, 0.6), truncate=2
        )
        image = image + noise * np.float32(rng.uniform(0.3, 4.0))
    return np.asarray(image, dtype=np.float32)


def _vary_flair(image: Floats, rng: np.random.Generator) -> Floats:
    image = np.clip(image, 0, None) * np.float32(np.exp(rng.normal(0, 0.05)))
    if rng.random() < 0.6:
        image = image * np.exp(_shading(image.shape[1:], rng) * np.float32(rng.uniform(0.01, 0.07)))
    if rng.random() < 0.5:
        image = np.float32(100) * (image / np.float32(100)) ** np.float32(rng.uniform(0.7, 1.4))
    if rng.random() < 0.25:
        sigma = float(rng.uniform(0.3, 0.8))
        image = ndimage.gaussian_filter(image, (0, sigma, sigma), truncate=3)
    if rng.random() < 0.3:
        image = image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(1.0, 8.0))
    return np.asarray(np.clip(image, 0, None), dtype=np.float32)


def _shading(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A smooth field of SD 1 over the slice."""
    coarse = rng.standard_normal((5, 5), dtype=np.float32)
    field = ndimage.zoom(coarse, [n / 5 for n in shape], order=3, mode="nearest", grid_mode=True)
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)
