"""The CT that a FLAIR predicts: fitted on the pair itself, where the two lie roughly on each other.

HU are a smooth function of the FLAIR's signal here, around here (blurred by 4 and 9 mm) and of the depth
below the skull, found by robust least squares over the brain. Two scans of one kind can be compared by
local correlation, which tells a shift far more sharply than mutual information over the whole brain; and
lesions, bright on FLAIR and dark on CT, fit into one function because it need not be monotonous.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from la_outcomes.segmentation.labels.working import GRID_MM, Volume, WorkingScan, blurred, blurred_inside

BLUR_MM = 1.5
AROUND_MM = (4.0, 9.0)
DEEPEST_MM = 20.0
BRIGHTEST = 1.8
KNOTS = (0.4, 0.6, 0.8, 1.0, 1.15, 1.3)
KNOTS_BY_DEPTH = KNOTS[2:]
ROUNDS = 3
OUTLIER = 1.5
RIDGE = 1e-6
_TISSUE_RANGE_HU = (0.0, 45.0)
_TO_SD = 1.4826


def brain_ct(ct: WorkingScan) -> Volume:
    """HU inside the skull, blurred without taking in bone."""
    return blurred_inside(np.clip(ct.image.data, *_TISSUE_RANGE_HU), ct.mask, BLUR_MM)


def predicted_ct(ct: WorkingScan, flair: WorkingScan) -> Volume:
    """HU on the working grid as the FLAIR tells them; both scans lie on one grid in CT space."""
    level = float(np.median(flair.image.data[ct.mask & flair.mask]))
    signal = blurred_inside(np.clip(flair.image.data / level, 0.0, BRIGHTEST), flair.mask, BLUR_MM)
    features = _features(np.where(flair.mask, signal, 0.0), flair)
    where = ndimage.binary_erosion(ct.mask) & flair.mask
    weights = _robust_fit(features[:, where], brain_ct(ct)[where])
    return np.asarray(np.tensordot(weights, features, 1))


def _features(signal: Volume, flair: WorkingScan) -> Volume:
    """Shape (features, i, j, k)."""
    depth = np.clip(ndimage.distance_transform_edt(flair.mask, sampling=GRID_MM) / DEEPEST_MM, 0, 1)
    near, far = (blurred(signal, sigma) for sigma in AROUND_MM)
    above = {knot: np.maximum(signal - knot, 0) for knot in KNOTS}
    return np.stack(
        [
            np.ones_like(signal), signal, near, far, depth,
            signal**2, signal**3, near**2, depth**2,
            signal * depth, signal**2 * depth, signal * depth**2, signal * near, signal * far,
            *above.values(),
            *(above[knot] * depth for knot in KNOTS_BY_DEPTH),
        ]
    )  # fmt: skip


def _robust_fit(features: Volume, values: Volume) -> Volume:
    """Least squares with Huber's weights; features of shape (features, voxels)."""
    weights: Volume = np.ones(len(values))
    found: Volume = np.zeros(len(features))
    for _ in range(ROUNDS):
        gram = (features * weights) @ features.T
        gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
        found = np.linalg.solve(gram, (features * weights) @ values)
        off = np.abs(values - found @ features)
        weights = 1 / np.maximum(1, off / max(OUTLIER * _TO_SD * float(np.median(off)), 1e-6))
    return found
