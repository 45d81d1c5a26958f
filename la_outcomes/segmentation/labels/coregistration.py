"""Coregistration of a FLAIR with a CT: rigid in two steps, then a small smooth deformation.

Both scans are brought to orthogonal grids of 2.5 mm, the CT's cropped to the head's inside. Greedy
(Yushkevich 2016) starts from the centres of mass of the two brain masks, aligns rigidly by normalised
mutual information without the skull, refines by local correlation of the CT's brain with the FLAIR, then
deforms by mutual information in small steps. Each step ends at the grid's full resolution: greedy's
coarser levels lie about half a coarse voxel off, which would stay in the result. The result maps CT
points to FLAIR points (LPS mm). One thread and a fixed seed (greedy jitters its samples and adds noise
to flat areas), so that the same inputs give the same bytes.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, orthogonal_grid, resample_to, to_sitk

ALGORITHM = "greedy rigid NMI, rigid NCC, deformable NMI, version 4"
GRID_MM = (2.5, 2.5, 2.5)
MARGIN_MM = 12.0
NEAR_BRAIN_MM = 4.0
SEED = 1
START = "-m NMI -n 60x20"
REFINEMENT = "-m NCC 1x1x1 -n 20"
DEFORMATION = "-m NMI -n 25 -e 0.3 -s 4vox 2vox"
_CT_RANGE_HU = (-20.0, 80.0)
_BRAIN_RANGE_HU = (-10.0, 60.0)
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
    determinants = jacobian(field)[fixed.mask]
    transform = sitk.CompositeTransform([affine_transform(rigid), sitk.DisplacementFieldTransform(field)])
    carried = WorkingScan(
        carry(moving.image, fixed.image, transform),
        carry(Image(moving.mask.astype(np.float32), moving.image.affine), fixed.image, transform).data > 0.5,
    )
    return Coregistration(transform, rigid, determinants, fixed, carried, time.process_time() - started)


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


def jacobian(field: sitk.Image) -> Volume:
    """Determinant of d(point + displacement) / d(point) at each voxel (i, j, k) of a displacement field.

    Displacements (LPS mm) are turned into the grid's own axes first, so that the derivatives are physical
    ones on an oblique grid as well: a pure rotation or shift gives 1.
    """
    displacement = sitk.GetArrayFromImage(field).transpose(2, 1, 0, 3)
    along_axes = displacement @ np.reshape(field.GetDirection(), (3, 3))
    rows = [np.gradient(along_axes[..., axis], *field.GetSpacing()) for axis in range(3)]
    gradient = np.stack([np.stack(list(row), axis=-1) for row in rows], axis=-2)
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
    """From CT to FLAIR points (RAS mm): by the brains alone, then by the brain's edges and folds."""
    centred = np.eye(4)
    centred[:3, 3] = _centre(moving) - _centre(fixed)
    ct = np.clip(np.where(fixed.mask, fixed.image.data, 0.0), *_BRAIN_RANGE_HU)
    top = float(np.percentile(moving.image.data[moving.mask], 95))
    flair = np.where(moving.mask, np.clip(moving.image.data / top * 100.0, 0.0, 130.0), 0.0)
    rough = _align(START, _on(fixed.image, ct), Image(flair, moving.image.affine), centred, None)
    near = _on(fixed.image, _near_brain(fixed))
    brain = _on(fixed.image, _brain_hu(fixed))
    blurred = Image(_blurred(moving.image.data, 1.0), moving.image.affine)
    return _align(REFINEMENT, brain, blurred, rough, near)


def _align(
    settings: str, fixed: sitk.Image, moving: Image, start: Matrix, metric_mask: sitk.Image | None
) -> Matrix:
    """Rigid map after ``start``, which is put into the FLAIR's affine, so that greedy begins at identity."""
    started = Image(moving.data.astype(np.float32), np.linalg.inv(start) @ moving.affine)
    images: dict[str, Any] = {"F": fixed, "M": to_sitk(started), "A": None}
    within = ""
    if metric_mask is not None:
        images["N"], within = metric_mask, "-gm N"
    result = _greedy(f"-i F M {within} -a -dof 6 -ia-identity {settings} -o A", images)
    return np.asarray(start @ np.asarray(result["A"], dtype=np.float64))


def _deformation(fixed: WorkingScan, moving: WorkingScan, rigid: Matrix) -> sitk.Image:
    """Displacements (LPS mm) on the working grid, between the CT and the rigidly carried FLAIR."""
    blurred = Image(_blurred(moving.image.data, 1.2), moving.image.affine)
    flair = carry(blurred, fixed.image, affine_transform(rigid)).data
    top = float(np.percentile(flair[fixed.mask], 98)) * 1.2
    ct = _blurred(np.clip(fixed.image.data, *_CT_RANGE_HU), 1.5)
    images = {
        "F": _on(fixed.image, ct),
        "M": _on(fixed.image, np.clip(flair, 0.0, top)),
        "N": _on(fixed.image, _near_brain(fixed)),
        "W": None,
    }
    found = _greedy(f"-i F M -gm N {DEFORMATION} -o W", images)["W"]
    return sitk.Cast(found, sitk.sitkVectorFloat64)


def _near_brain(scan: WorkingScan) -> Mask:
    distance = ndimage.distance_transform_edt(~scan.mask, sampling=GRID_MM)
    return np.asarray(distance <= NEAR_BRAIN_MM)


def _brain_hu(ct: WorkingScan) -> Volume:
    """HU of what lies inside the skull, blurred without taking in bone; 0 outside."""
    values = np.clip(ct.image.data, *_BRAIN_RANGE_HU)
    total = _blurred(np.where(ct.mask, values, 0.0), 1.2)
    weight = _blurred(ct.mask.astype(np.float32), 1.2)
    return np.where(ct.mask, total / np.maximum(weight, 0.05), 0.0)


def _blurred(values: Volume, sigma_mm: float) -> Volume:
    return np.asarray(
        ndimage.gaussian_filter(values.astype(np.float32), [sigma_mm / step for step in GRID_MM])
    )


def _centre(scan: WorkingScan) -> Volume:
    affine = scan.image.affine
    return np.asarray(affine[:3, :3] @ np.argwhere(scan.mask).mean(0) + affine[:3, 3])


def _on(grid: Image, values: npt.NDArray[Any]) -> sitk.Image:
    return to_sitk(Image(np.ascontiguousarray(values, dtype=np.float32), grid.affine))


def _greedy(command: str, images: dict[str, Any]) -> Any:
    from picsl_greedy import Greedy3D

    engine = Greedy3D()
    try:
        with _quiet():
            engine.execute(
                f"-threads 1 -seed {SEED} -V 0 {command}", out=io.StringIO(), err=io.StringIO(), **images
            )
    except RuntimeError as error:
        raise InputError("coregistration found no overlap of CT and FLAIR") from error
    return engine


@contextmanager
def _quiet() -> Iterator[None]:
    """Standard output closed for what compiled code prints past Python's streams."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
