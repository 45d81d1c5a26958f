"""Coregistration of a FLAIR with a CT: rigid, then deformable, by mutual information.

Both scans are brought to one orthogonal grid of 1.5 x 1.5 x 2.5 mm in CT space, cropped to the head's
inside. Greedy (Yushkevich 2016) starts from the centres of mass of the two brain masks, aligns rigidly
without the skull, then deforms by normalised mutual information, the last steps at full resolution. The
result maps CT points to FLAIR points (LPS mm). One thread, so the same inputs give the same bytes.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, orthogonal_grid, resample_to, to_sitk

ALGORITHM = "greedy: rigid NMI then NCC, deformable NMI; version 1"
GRID_MM = (1.5, 1.5, 2.5)
MARGIN_MM = 12.0
NEAR_BRAIN_MM = 4.0
RIGID_ITERATIONS = "60x40x0"
REFINEMENT = "-m NCC 3x3x3 -n 20"
DEFORMABLE_ITERATIONS = "40x20x10"
DEFORMABLE_SIGMAS = "4vox 2vox"
_CT_RANGE_HU = (-20.0, 80.0)
_RIGID_RANGE_HU = (0.0, 60.0)
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.floating[Any]]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WorkingScan:
    """A scan and its intracranial mask on an orthogonal working grid."""

    image: Image
    mask: Mask


@dataclass(frozen=True, eq=False)
class Coregistration:
    """A FLAIR in CT space.

    ``transform`` maps CT points to FLAIR points (LPS mm); ``rigid`` is its rigid part as a 4x4 matrix in
    RAS mm; ``jacobian`` holds the determinants of the deformable part in the brain, in physical axes;
    ``ct`` and ``flair`` are both on the working grid in CT space.
    """

    transform: sitk.CompositeTransform
    rigid: Matrix
    jacobian: Volume
    ct: WorkingScan
    flair: WorkingScan
    cpu_seconds: float


def coregister(ct: Image, flair: Image, ct_inside: Mask, flair_inside: Mask) -> Coregistration:
    """Find where each point of the CT lies in the FLAIR.

    ``ct`` in HU and ``flair`` may be oblique; the CT may be sheared. The masks are the intracranial
    ones of ``segmentation.brain`` on the scans' own grids. Raises ``InputError`` where a mask is empty.
    """
    started = time.process_time()
    if not (ct_inside.any() and flair_inside.any()):
        raise InputError("coregistration needs a brain on both scans")
    fixed = _cropped(_working(ct, ct_inside, outside=-1000.0))
    moving = _working(flair, flair_inside, outside=0.0)
    rigid = _rigid(fixed, moving)
    field = _deformation(fixed, moving, rigid)
    jacobian = _jacobian(field_in_index_order(field), fixed.image.spacing_mm)[fixed.mask]
    transform = sitk.CompositeTransform([affine_transform(rigid), sitk.DisplacementFieldTransform(field)])
    carried = WorkingScan(
        carry(moving.image, fixed.image, transform),
        carry(Image(moving.mask.astype(np.float32), moving.image.affine), fixed.image, transform).data > 0.5,
    )
    return Coregistration(transform, rigid, jacobian, fixed, carried, time.process_time() - started)


def carry(image: Image, like: Image, transform: sitk.Transform, *, outside: float = 0.0) -> Image:
    """A FLAIR image, or a soft map on its grid, seen on a grid in CT space (linear)."""
    return resample_to(
        image, like.shape, like.affine, interpolator="linear", outside=outside, transform=transform
    )


def affine_transform(matrix: Matrix) -> sitk.AffineTransform:
    """A 4x4 matrix in RAS mm as SimpleITK's transform of LPS points."""
    lps = _LPS @ matrix @ _LPS
    result = sitk.AffineTransform(3)
    result.SetMatrix([float(value) for value in lps[:3, :3].ravel()])
    result.SetTranslation([float(value) for value in lps[:3, 3]])
    return result


def field_in_index_order(field: sitk.Image) -> Volume:
    """Displacements (i, j, k, 3) along the grid's own axes, in mm."""
    along_lps = sitk.GetArrayFromImage(field).transpose(2, 1, 0, 3)
    direction = np.reshape(field.GetDirection(), (3, 3))
    return np.asarray(along_lps @ direction)


def _jacobian(displacement: Volume, spacing_mm: Volume) -> Volume:
    """Determinant of d(point + displacement) / d(point); 1 everywhere for a pure shift."""
    gradient = np.stack(
        [np.stack(np.gradient(displacement[..., axis], *spacing_mm), axis=-1) for axis in range(3)], axis=-2
    )
    return np.asarray(np.linalg.det(gradient + np.eye(3)))


def _working(scan: Image, inside: Mask, *, outside: float) -> WorkingScan:
    shape, affine = orthogonal_grid(scan, GRID_MM)
    sigmas = [
        np.sqrt(max(target**2 - step**2, 0.0)) / 2.355 / step
        for target, step in zip(GRID_MM, scan.spacing_mm, strict=True)
    ]
    smoothed = Image(ndimage.gaussian_filter(scan.data.astype(np.float32), sigmas), scan.affine)
    image = resample_to(smoothed, shape, affine, interpolator="linear", outside=outside)
    soft = Image(inside.astype(np.float32), scan.affine)
    mask = resample_to(soft, shape, affine, interpolator="linear", outside=0.0).data > 0.5
    return WorkingScan(image, mask)


def _cropped(scan: WorkingScan) -> WorkingScan:
    places = np.argwhere(scan.mask)
    margin = np.ceil(MARGIN_MM / np.asarray(GRID_MM)).astype(int)
    low = np.maximum(places.min(0) - margin, 0)
    high = np.minimum(places.max(0) + margin + 1, scan.image.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    affine = scan.image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    return WorkingScan(Image(scan.image.data[box], affine), scan.mask[box])


def _rigid(fixed: WorkingScan, moving: WorkingScan) -> Matrix:
    """From CT to FLAIR points (RAS mm): by mutual information, then by local correlation.

    Starts from the masks' centres of mass with the skull left out. Levels of the pyramid lie up to a coarse
    voxel apart, so the last step runs at full resolution.
    """
    start = np.eye(4)
    start[:3, 3] = _centre(moving) - _centre(fixed)
    ct = np.clip(np.where(fixed.mask, fixed.image.data, 0.0), *_RIGID_RANGE_HU)
    top = float(np.percentile(moving.image.data[moving.mask], 95))
    flair = np.where(moving.mask, np.clip(moving.image.data / top * 100.0, 0.0, 130.0), 0.0)
    coarse = _aligned(fixed, moving, ct, flair, start, f"-m NMI -n {RIGID_ITERATIONS}")
    smooth = np.where(fixed.mask, _masked_blur(np.clip(fixed.image.data, -10.0, 60.0), fixed.mask), 0.0)
    return _aligned(fixed, moving, smooth, _blurred(moving.image.data), coarse, REFINEMENT)


def _aligned(
    fixed: WorkingScan, moving: WorkingScan, ct: Volume, flair: Volume, start: Matrix, how: str
) -> Matrix:
    """One rigid step of greedy from a starting alignment, over the brain and 4 mm around it."""
    images = {
        "F": _on(fixed.image, ct),
        "M": _moved(moving.image, flair, start),
        "N": _on(fixed.image, _near(fixed)),
        "A": None,
    }
    found = _greedy(f"-i F M -gm N -a -dof 6 -ia-identity {how} -o A", images)
    return np.asarray(start @ np.asarray(found["A"], dtype=np.float64))


def _near(scan: WorkingScan) -> Mask:
    return np.asarray(ndimage.distance_transform_edt(~scan.mask, sampling=GRID_MM) <= NEAR_BRAIN_MM)


def _deformation(fixed: WorkingScan, moving: WorkingScan, rigid: Matrix) -> sitk.Image:
    """Displacements (LPS mm) on the working grid, between the CT and the rigidly carried FLAIR."""
    flair = carry(moving.image, fixed.image, affine_transform(rigid)).data
    top = float(np.percentile(flair[fixed.mask], 98)) * 1.2
    ct = np.clip(fixed.image.data, *_CT_RANGE_HU)
    command = f"-i F M -gm N -m NMI -n {DEFORMABLE_ITERATIONS} -s {DEFORMABLE_SIGMAS} -o W"
    images = {
        "F": _on(fixed.image, _blurred(ct)),
        "M": _on(fixed.image, _blurred(np.clip(flair, 0.0, top))),
        "N": _on(fixed.image, _near(fixed)),
        "W": None,
    }
    return sitk.Cast(_greedy(command, images)["W"], sitk.sitkVectorFloat64)


def _blurred(values: Volume) -> Volume:
    return np.asarray(ndimage.gaussian_filter(values, [1.0 / step for step in GRID_MM]))


def _masked_blur(values: Volume, mask: Mask) -> Volume:
    sigmas = [1.2 / step for step in GRID_MM]
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigmas)
    return np.asarray(ndimage.gaussian_filter(np.where(mask, values, 0.0), sigmas) / np.maximum(weight, 0.05))


def _centre(scan: WorkingScan) -> Volume:
    affine = scan.image.affine
    return np.asarray(affine[:3, :3] @ np.argwhere(scan.mask).mean(0) + affine[:3, 3])


def _on(grid: Image, values: npt.NDArray[Any]) -> sitk.Image:
    return to_sitk(Image(np.ascontiguousarray(values, dtype=np.float32), grid.affine))


def _moved(grid: Image, values: Volume, start: Matrix) -> sitk.Image:
    """The FLAIR with the starting alignment put into its affine."""
    return to_sitk(Image(values.astype(np.float32), np.linalg.inv(start) @ grid.affine))


def _greedy(command: str, images: dict[str, Any]) -> Any:
    from picsl_greedy import Greedy3D

    engine = Greedy3D()
    try:
        engine.execute(f"-threads 1 -V 0 {command}", out=io.StringIO(), err=io.StringIO(), **images)
    except RuntimeError as error:
        raise InputError("coregistration found no overlap of CT and FLAIR") from error
    return engine
