"""A candidate: deformation by local correlation of the CT with the CT that the FLAIR predicts.

The prediction is fitted on the pair itself, where the two lie roughly on each other.

HU are a smooth function of the FLAIR's signal here, around here (blurred by 4 and 9 mm) and of the depth
below the skull, found by robust least squares over the brain. Two scans of one kind can be compared by
local correlation, which tells a shift far more sharply than mutual information over the whole brain; and
lesions, bright on FLAIR and dark on CT, fit into one function because it need not be monotonous.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from la_outcomes.imaging.geometry import Image, to_sitk
from la_outcomes.segmentation.labels.deformation import brain_ct
from la_outcomes.segmentation.labels.greedy import run_greedy
from la_outcomes.segmentation.labels.working import (
    GRID_MM,
    Mask,
    Volume,
    WorkingScan,
    blurred,
    blurred_inside,
)

SETTINGS = "-m WNCC 3x3x3 -n 40 -e 0.5 -s 6vox 2vox -wp 0"
BRIGHT = 1.2
BRIGHT_BLUR_MM = 1.5
BLUR_MM = 1.5
AROUND_MM = (4.0, 9.0)
DEEPEST_MM = 20.0
BRIGHTEST = 1.8
KNOTS = (0.4, 0.6, 0.8, 1.0, 1.15, 1.3)
KNOTS_BY_DEPTH = KNOTS[2:]
ROUNDS = 3
OUTLIER = 1.5
RIDGE = 1e-6
_TO_SD = 1.4826


def deformation_to_predicted(ct: WorkingScan, flair: WorkingScan) -> sitk.Image:
    """Displacements (LPS mm) as greedy gives them; both scans lie on the CT's working grid."""
    images = {
        "F": _image(brain_ct(ct), ct.image),
        "M": _image(predicted_ct(ct, flair), ct.image),
        "N": _image(comparable(ct, flair), ct.image),
        "W": None,
    }
    return run_greedy(f"-i F M -gm N {SETTINGS} -o W", images)["W"]


def comparable(ct: WorkingScan, flair: WorkingScan) -> Mask:
    """Where the two scans are compared: both brains, but for the CT's outermost voxels and what is bright.

    On CT what is bright on FLAIR may be dark or show nothing, and would pull the lesions astray.
    """
    both = ndimage.binary_erosion(ct.mask) & flair.mask
    level = float(np.median(flair.image.data[ct.mask & flair.mask]))
    bright = blurred(flair.image.data, BRIGHT_BLUR_MM) > BRIGHT * level
    return np.asarray(both & ~ndimage.binary_dilation(bright))


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


def _image(values: Volume, grid: Image) -> sitk.Image:
    return to_sitk(Image(np.ascontiguousarray(values, dtype=np.float32), grid.affine))
