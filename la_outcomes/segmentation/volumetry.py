"""Volume and agreement of two masks on one grid, and what is said where a mask is empty.

Policy for empty masks: both empty, then there is nothing to overlap and the Dice coefficient is not
defined (None), the volume error is 0 and distances are None; one empty, then Dice is 0 and distances,
which have no surface to start from, are None. Means over cases count the defined values and say how many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Affine, volume_ml

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MaskScores:
    """Agreement of a prediction with a reference; the columns of ``segmentation_scores``."""

    dsc: float | None
    predicted_volume_ml: float
    reference_volume_ml: float
    volume_error_ml: float
    hd95_mm: float | None
    assd_mm: float | None


def dice(predicted: Bools, reference: Bools) -> float | None:
    """Dice similarity coefficient 2|A and B| / (|A| + |B|) (Dice 1945); None where both are empty.

    Raises ``InputError`` where the shapes differ.
    """
    if predicted.shape != reference.shape:
        raise InputError(f"masks of shapes {predicted.shape} and {reference.shape} cannot be compared")
    total = int(np.count_nonzero(predicted)) + int(np.count_nonzero(reference))
    return 2 * int(np.count_nonzero(predicted & reference)) / total if total else None


def score_masks(predicted: Bools, reference: Bools, affine: Affine) -> MaskScores:
    """Dice, volumes in mL, predicted minus reference volume, and surface distances in mm."""
    overlap = dice(predicted, reference)
    volumes = volume_ml(predicted, affine), volume_ml(reference, affine)
    distances = surface_distances(predicted, reference, affine)
    hd95, assd = (
        (None, None) if distances is None else (hausdorff95(*distances), average_distance(*distances))
    )
    return MaskScores(overlap, *volumes, volumes[0] - volumes[1], hd95, assd)


def surface_distances(
    first: Bools, second: Bools, affine: Affine
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Distance (mm) of each surface voxel to the other mask's surface, both ways; None if one is empty.

    Surface voxels have a face neighbour outside the mask (the image's border counts as outside).
    Distances are between voxel centres in world space, so a sheared grid is right too.
    """
    from scipy.spatial import cKDTree

    if not (first.any() and second.any()):
        return None
    points = [_surface_points(mask, affine) for mask in (first, second)]
    there, _ = cKDTree(points[1]).query(points[0])
    back, _ = cKDTree(points[0]).query(points[1])
    return np.asarray(there), np.asarray(back)


def hausdorff95(there: npt.NDArray[Any], back: npt.NDArray[Any]) -> float:
    """The larger of the two directed 95th percentiles of surface distance, mm."""
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def average_distance(there: npt.NDArray[Any], back: npt.NDArray[Any]) -> float:
    """Average symmetric surface distance: mean over the surface voxels of both masks, mm."""
    return float((there.sum() + back.sum()) / (there.size + back.size))


def _surface_points(mask: Bools, affine: Affine) -> npt.NDArray[Any]:
    inner = ndimage.binary_erosion(mask, border_value=0)
    return np.asarray(np.argwhere(mask & ~inner) @ affine[:3, :3].T)
