"""One acquisition of a drawn head on the network's grid, with its targets.

The scan is taken on its own grid (0.4 to 1 mm pixels, its own slices) and brought to the network's by the
same function as at inference, so that sharpness and noise are those that the network will meet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.imaging.geometry import Image, resample_to
from la_outcomes.segmentation.preprocessing import HeadCrop, InputSpec, locate_head
from la_outcomes.simulation.anatomy import INTRACRANIAL, Tissue
from la_outcomes.simulation.fields import FloatArray
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.sampling import Grid, sample_share

CLASSES = ("outside", "csf", "grey", "white", "lesion", "infarct")
OUTSIDE, CSF, GREY, WHITE, LESION, INFARCT = range(6)
_BRAIN_MARGIN_SLICES = 3
_SUBSLICES = 3
_THIN_MM = 2.5
_GREY = (Tissue.CORTEX, Tissue.DEEP_GREY, Tissue.CEREBELLAR_CORTEX, Tissue.PALLIDUM)
_FLUID = (Tissue.CSF, Tissue.VENTRICLE, Tissue.PLEXUS)

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Take:
    """Slices on the network's grid, (slice, row, column); one more of ``image`` at each end.

    ``image`` float16, the scan's units (HU, or FLAIR with white matter 100); ``tissue`` 0 outside the
    skull, 1 CSF, 2 grey, 3 white matter; ``lesion`` and ``infarct``: shares of a pixel in 1/255.
    """

    image: npt.NDArray[np.float16]
    tissue: Bytes
    lesion: Bytes
    infarct: Bytes

    @property
    def slices(self) -> int:
        """How many slices can be learned from."""
        return len(self.tissue)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored of it."""
        return {"image": self.image, "tissue": self.tissue, "lesion": self.lesion, "infarct": self.infarct}


def take_on_grid(
    image: Image, head: Head, grid: Grid, maps: tuple[FloatArray, FloatArray], spec: InputSpec
) -> Take:
    """Bring a scan to the network's grid; ``maps``: lesion and infarct on the head's grid (shares, 0..1)."""
    crop = widened(locate_head(image, tissue_on(head, grid, levels=1) > OUTSIDE, spec))
    cut = np.clip(image.data, spec.hu_low, spec.hu_high).astype(np.float32)
    squares = crop.to_square(cut, outside=spec.hu_low, beyond=1)
    target = network_grid(grid, crop)
    lesion, infarct = (_bytes(sample_share(values, head.affine, target, step_mm=1.0)) for values in maps)
    return Take(squares.astype(np.float16), _axes(tissue_on(head, target, levels=3)), lesion, infarct)


def widened(crop: HeadCrop) -> HeadCrop:
    """The crop with a few slices more than hold brain, which a network must leave empty."""
    return replace(
        crop,
        first_slice=max(crop.first_slice - _BRAIN_MARGIN_SLICES, 0),
        last_slice=min(crop.last_slice + _BRAIN_MARGIN_SLICES, crop.shape[2]),
    )


def network_grid(grid: Grid, crop: HeadCrop) -> Grid:
    """The network's pixels as a grid in the scanner, for reading maps of the head there."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [crop.column_origin, crop.row_origin, crop.first_slice]
    affine[:3, 0] *= crop.column_step
    affine[:3, 1] *= crop.row_step
    shape = (crop.size_px, crop.size_px, crop.last_slice - crop.first_slice)
    return replace(grid, shape=shape, affine=affine)


def tissue_on(head: Head, grid: Grid, levels: int) -> Bytes:
    """0 outside, 1 CSF, 2 grey, 3 white at a grid's voxels (i, j, k).

    ``levels`` 1: in the middle of a slice; 3: the median of three levels of a slice (thin ones: 1).
    """
    table = np.zeros(256, dtype=np.uint8)
    table[list(INTRACRANIAL)] = WHITE
    table[list(_GREY)] = GREY
    table[list(_FLUID)] = CSF
    affine = grid.affine.copy()
    share = grid.thickness_mm / float(np.linalg.norm(affine[:3, 2])) / _SUBSLICES
    places = (0.0,) if levels == 1 or grid.thickness_mm < _THIN_MM else (-share, 0.0, share)
    source = Image(np.asfortranarray(table[head.tissue]), head.affine)
    seen_at = []
    for level in places:
        affine[:3, 3] = grid.affine[:3, 3] + level * grid.affine[:3, 2]
        seen = resample_to(
            source, grid.shape, affine, interpolator="nearest", outside=0, transform=grid.to_head()
        )
        seen_at.append(np.asarray(seen.data))
    if len(seen_at) == 1:
        return seen_at[0]
    first, second, third = seen_at
    return np.maximum(np.minimum(first, second), np.minimum(np.maximum(first, second), third))


def cut_block(grid: Grid, most: int, rng: np.random.Generator) -> Grid:
    """At most so many neighbouring slices of a grid, from anywhere: thin slices are many and alike."""
    count = grid.shape[2]
    if count <= most:
        return grid
    first = int(rng.integers(count - most + 1))
    affine = grid.affine.copy()
    affine[:3, 3] += first * affine[:3, 2]
    return replace(grid, shape=(grid.shape[0], grid.shape[1], most), affine=affine)


def _axes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values.transpose(2, 1, 0))


def _bytes(share: FloatArray) -> Bytes:
    return _axes(np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8))
