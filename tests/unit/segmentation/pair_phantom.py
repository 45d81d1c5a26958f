"""A head of ellipsoids seen by a CT and by a FLAIR on grids of their own, with the exact map between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from la_outcomes.imaging.geometry import Image

SKIN, BONE, CSF, GREY, WHITE, WMH, VENTRICLE = range(1, 8)
HU = np.array([-1000.0, 40, 900, 7, 37, 29, 18, 5])
SIGNAL = np.array([0.0, 90, 8, 22, 125, 100, 170, 20])


@dataclass(frozen=True, eq=False)
class Pair:
    """CT in HU (sheared where tilted), FLAIR, WMH (0/1) on both grids; CT points to FLAIR points (LPS)."""

    ct: Image
    flair: Image
    wmh_ct: Image
    wmh_flair: Image
    inside_ct: np.ndarray
    inside_flair: np.ndarray
    truth: sitk.AffineTransform


def tissue_at(points: np.ndarray, lesion: float) -> np.ndarray:
    """Class of each point (..., 3) in head mm: shells, folded cortex, two unlike ventricles, WMH caps."""
    x, y, z = np.moveaxis(points, -1, 0)
    radius = np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 60) ** 2)
    angle = np.arctan2(y, x)
    fold = 0.03 * np.sin(14 * angle + z / 9) * np.cos(z / 11 + x / 17)
    result = np.zeros(radius.shape, np.uint8)
    for limit, tissue in ((1.22, SKIN), (1.12, BONE), (1.0, CSF)):
        result[radius < limit] = tissue
    result[radius < 0.94 + fold] = GREY
    result[radius < 0.84 + fold] = WHITE
    for side, length in ((-1, 34.0), (1, 40.0)):
        reach = np.sqrt(((x - side * 13) / 8) ** 2 + ((y - 3) / length) ** 2 + ((z - 6) / 14) ** 2)
        result[(reach < 1 + lesion) & (y * side < 20)] = WMH
        result[reach < 1] = VENTRICLE
    return result


def make_pair(
    *, angles_deg: tuple[float, float, float] = (0, 0, 0), shift_mm: tuple[float, float, float] = (0, 0, 0),
    tilt: float = 0.2, lesion: float = 0.35, seed: int = 0,
) -> Pair:  # fmt: skip
    """``tilt``: mm along y a mm of z; ``angles_deg``, ``shift_mm``: the FLAIR's pose against the CT."""
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    pose[:3, 3] = shift_mm
    ct_affine = np.diag([1.6, 1.6, 5.0, 1.0])
    ct_affine[1, 2] = tilt * 5.0
    ct_affine[:3, 3] = -ct_affine[:3, :3] @ ((np.array((120, 140, 30)) - 1) / 2)
    flair_affine = np.diag([1.5, 1.5, 4.0, 1.0])
    flair_affine[:3, 3] = -flair_affine[:3, :3] @ ((np.array((124, 150, 40)) - 1) / 2)
    flair_affine = pose @ flair_affine
    ct_tissue = tissue_at(_points((120, 140, 30), ct_affine), lesion)
    flair_tissue = tissue_at(_points((124, 150, 40), np.linalg.inv(pose) @ flair_affine), lesion)
    ct = HU[ct_tissue] + rng.normal(0, 2.5, ct_tissue.shape) * (ct_tissue > 0)
    flair = np.abs(SIGNAL[flair_tissue] + rng.normal(0, 3.0, flair_tissue.shape))
    return Pair(
        ct=Image(ct.astype(np.float32), ct_affine),
        flair=Image(flair.astype(np.float32), flair_affine),
        wmh_ct=Image((ct_tissue == WMH).astype(np.float32), ct_affine),
        wmh_flair=Image((flair_tissue == WMH).astype(np.float32), flair_affine),
        inside_ct=ct_tissue >= CSF,
        inside_flair=flair_tissue >= CSF,
        truth=_lps(pose),
    )


def _points(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    index = np.moveaxis(np.indices(shape, dtype=float), 0, -1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def _lps(matrix: np.ndarray) -> sitk.AffineTransform:
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    lps = flip @ matrix @ flip
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def error_mm(found: sitk.Transform, pair: Pair, where: np.ndarray) -> np.ndarray:
    """Distance between found and true FLAIR points of CT voxels (about 500 of them)."""
    index = np.argwhere(where)
    index = index[:: max(len(index) // 500, 1)]
    points = (index @ pair.ct.affine[:3, :3].T + pair.ct.affine[:3, 3]) * (-1, -1, 1)
    pairs = [(found.TransformPoint(p), pair.truth.TransformPoint(p)) for p in points.tolist()]
    return np.array([np.linalg.norm(np.subtract(a, b)) for a, b in pairs])


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Overlap of two masks, 0..1."""
    a, b = first > 0.5, second > 0.5
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))
