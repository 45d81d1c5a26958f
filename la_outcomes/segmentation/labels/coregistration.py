"""Coregistration of a FLAIR with a CT: rigid in two steps, then a small smooth deformation.

Both scans are brought to orthogonal grids of 2.5 mm, the CT's cropped to the head's inside. Greedy
(Yushkevich 2016) starts from the centres of mass of the two brain masks, aligns rigidly by normalised
mutual information without the skull, refines by local correlation of the CT's brain with the FLAIR; what
is left is ``deformation``'s. Each step ends at the grid's full resolution: greedy's coarser levels lie
about half a coarse voxel off, which would stay in the result. The result maps CT points to FLAIR points
(LPS mm). One thread and a fixed seed, so that the same inputs give the same bytes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, resample_to, to_sitk
from la_outcomes.segmentation.labels.deformation import deformation, jacobian, thinned
from la_outcomes.segmentation.labels.greedy import run_greedy
from la_outcomes.segmentation.labels.working import (
    Mask,
    WorkingScan,
    blurred,
    brain_hu,
    centre_mm,
    cropped,
    near_brain,
    working_scan,
)

ALGORITHM = "greedy rigid NMI, rigid NCC, deformable NMI, version 9"
START = "-m NMI -n 60x20"
REFINEMENT = "-m NCC 1x1x1 -n 20"
LEAST_OVERLAP = 0.6
LARGEST_TURN_DEG = 75.0
_BRAIN_RANGE_HU = (-10.0, 60.0)
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Coregistration:
    """A FLAIR in CT space.

    ``transform`` maps CT points to FLAIR points (LPS mm); ``rigid`` is its rigid part as a 4x4 matrix in
    RAS mm; ``jacobian`` holds the determinants of the deformable part in the brain, in physical axes;
    ``ct`` and ``flair`` are both on the working grid in CT space.
    """

    transform: sitk.CompositeTransform
    rigid: Matrix
    jacobian: npt.NDArray[np.floating[Any]]
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
    fixed = cropped(working_scan(ct, ct_inside, outside=-1000.0))
    return coregister_scans(fixed, working_scan(flair, flair_inside, outside=0.0), started)


def coregister_scans(fixed: WorkingScan, moving: WorkingScan, started: float | None = None) -> Coregistration:
    """The same from scans on working grids, the CT's cropped; ``started``: CPU clock at the beginning."""
    started = time.process_time() if started is None else started
    rigid = rigid_alignment(fixed, moving)
    field = deformation(fixed, carried_scan(moving, fixed, affine_transform(rigid)))
    determinants = jacobian(field)[fixed.mask]
    bend = sitk.DisplacementFieldTransform(thinned(field))
    transform = sitk.CompositeTransform([affine_transform(rigid), bend])
    carried = carried_scan(moving, fixed, transform)
    return Coregistration(transform, rigid, determinants, fixed, carried, time.process_time() - started)


def carried_scan(flair: WorkingScan, ct: WorkingScan, transform: sitk.Transform) -> WorkingScan:
    """A FLAIR and its mask seen on the CT's working grid."""
    mask = carry(_like(flair.image, flair.mask), ct.image, transform).data > 0.5
    return WorkingScan(carry(flair.image, ct.image, transform), mask)


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


def rigid_alignment(fixed: WorkingScan, moving: WorkingScan, start: Matrix | None = None) -> Matrix:
    """From CT to FLAIR points (RAS mm): by the brains alone, then by the brain's edges and folds.

    ``start`` is where the search begins (None: the brains' centres on each other). Where it ends with brains
    that hardly overlap, or turned by more than heads are in scanners, it begins once more from the centres.
    """
    centred = np.eye(4)
    centred[:3, 3] = centre_mm(moving) - centre_mm(fixed)
    rough = _rough_alignment(fixed, moving, centred if start is None else start)
    if start is not None and _is_astray(fixed, moving, rough):
        rough = _rough_alignment(fixed, moving, centred)
    smooth = _like(moving.image, blurred(moving.image.data, 1.0))
    where = _like(fixed.image, near_brain(fixed))
    return align(REFINEMENT, _like(fixed.image, brain_hu(fixed)), smooth, rough, where)


def _rough_alignment(fixed: WorkingScan, moving: WorkingScan, start: Matrix) -> Matrix:
    ct = np.clip(np.where(fixed.mask, fixed.image.data, 0.0), *_BRAIN_RANGE_HU)
    top = float(np.percentile(moving.image.data[moving.mask], 95))
    flair = np.where(moving.mask, np.clip(moving.image.data / top * 100.0, 0.0, 130.0), 0.0)
    return align(START, _like(fixed.image, ct), _like(moving.image, flair), start)


def _is_astray(fixed: WorkingScan, moving: WorkingScan, matrix: Matrix) -> bool:
    """The scans' axes differ by more than any head turns, or little of the CT's mask is in the FLAIR's."""
    turn_deg = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    there = carry(_like(moving.image, moving.mask), fixed.image, affine_transform(matrix)).data > 0.5
    return bool(turn_deg > LARGEST_TURN_DEG or there[fixed.mask].mean() < LEAST_OVERLAP)


def align(settings: str, fixed: Image, moving: Image, start: Matrix, where: Image | None = None) -> Matrix:
    """Rigid map (4x4, RAS mm) from points of ``fixed`` to points of ``moving``, by greedy's ``settings``.

    ``start`` is put into the moving image's affine, so that greedy begins at identity; ``where`` (0/1)
    limits the comparison.
    """
    started = Image(moving.data, np.linalg.inv(start) @ moving.affine)
    images: dict[str, Any] = {"F": to_sitk(fixed), "M": to_sitk(started), "A": None}
    within = ""
    if where is not None:
        images["N"], within = to_sitk(where), "-gm N"
    result = run_greedy(f"-i F M {within} -a -dof 6 -ia-identity {settings} -o A", images)
    return np.asarray(start @ np.asarray(result["A"], dtype=np.float64))


def _like(grid: Image, values: npt.NDArray[Any]) -> Image:
    return Image(np.ascontiguousarray(values, dtype=np.float32), grid.affine)
