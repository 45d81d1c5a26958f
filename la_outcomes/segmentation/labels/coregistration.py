"""Coregistration of a FLAIR with a CT: rigid in two steps, then a small smooth deformation.

Both scans are brought to orthogonal grids of 2.5 mm, the CT's cropped to the head's inside. Greedy
(Yushkevich 2016) starts from the centres of mass of the two brain masks, aligns rigidly by normalised
mutual information without the skull, refines by local correlation of the CT's brain with the FLAIR, then
deforms by mutual information of what lies inside the skull, in small steps smoothed by 15 mm. Each step
ends at the grid's full resolution: greedy's coarser levels lie about half a coarse voxel off, which would
stay in the result. The result maps CT points to FLAIR points (LPS mm). One thread and a fixed seed (greedy
jitters its samples and adds noise to flat areas), so that the same inputs give the same bytes.
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
from la_outcomes.imaging.geometry import Image, resample_to, to_sitk
from la_outcomes.segmentation.labels.working import (
    Mask,
    Volume,
    WorkingScan,
    blurred,
    blurred_inside,
    brain_hu,
    centre_mm,
    cropped,
    near_brain,
    working_scan,
)

ALGORITHM = "greedy rigid NMI, rigid NCC, deformable NMI, version 7"
SEED = 1
START = "-m NMI -n 60x20"
REFINEMENT = "-m NCC 1x1x1 -n 20"
DEFORMATION = "-m NMI -n 50 -e 0.5 -s 6vox 2vox"
BRIGHTEST = 1.6
LONGEST_MM = 4.0
SHRINKAGE = 0.5
LEAST_OVERLAP = 0.6
LARGEST_TURN_DEG = 75.0
DEEP_VOXELS = 2
_TISSUE_RANGE_HU = (0.0, 45.0)
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
    fixed = cropped(working_scan(ct, ct_inside, outside=-1000.0))
    return coregister_scans(fixed, working_scan(flair, flair_inside, outside=0.0), started)


def coregister_scans(fixed: WorkingScan, moving: WorkingScan, started: float | None = None) -> Coregistration:
    """The same from scans on working grids, the CT's cropped; ``started``: CPU clock at the beginning."""
    started = time.process_time() if started is None else started
    rigid = rigid_alignment(fixed, moving)
    field = deformation(fixed, moving, rigid)
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


def deformation(fixed: WorkingScan, moving: WorkingScan, rigid: Matrix) -> sitk.Image:
    """Displacements (LPS mm) on the working grid, between the CT and the rigidly carried FLAIR.

    What greedy finds is halved, since it is about as much noise as difference between the scans, and kept
    below 2 mm: long displacements arise where one scan ends or shows nothing to hold on to.
    """
    return limited(whole_deformation(fixed, moving, rigid))


def whole_deformation(fixed: WorkingScan, moving: WorkingScan, rigid: Matrix) -> sitk.Image:
    """The same as greedy gives it.

    Only what lies 5 mm and more inside the skull is compared: bone beside the brain would draw its edge
    along, since thick CT slices blur it into the brain where the FLAIR has none.
    """
    flair = carry(moving.image, fixed.image, affine_transform(rigid)).data
    soft = carry(_like(moving.image, moving.mask), fixed.image, affine_transform(rigid)).data
    both = fixed.mask & (soft > 0.5)
    level = float(np.median(flair[both]))
    ct = blurred_inside(np.clip(fixed.image.data, *_TISSUE_RANGE_HU), fixed.mask, 1.5)
    images = {
        "F": to_sitk(_like(fixed.image, ct)),
        "M": to_sitk(_like(fixed.image, np.clip(blurred(flair, 1.2), 0.0, BRIGHTEST * level))),
        "N": to_sitk(_like(fixed.image, ndimage.binary_erosion(fixed.mask, iterations=DEEP_VOXELS))),
        "W": None,
    }
    return run_greedy(f"-i F M -gm N {DEFORMATION} -o W", images)["W"]


def limited(field: sitk.Image) -> sitk.Image:
    """The field with lengths l (mm) turned into 2 tanh(l / 4): short ones halved, none longer than 2."""
    vectors = sitk.GetArrayFromImage(field).astype(np.float64)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    factor = SHRINKAGE * np.tanh(length / LONGEST_MM) * LONGEST_MM / np.maximum(length, 1e-9)
    result = sitk.GetImageFromArray(vectors * factor, isVector=True)
    result.CopyInformation(field)
    return result


def _like(grid: Image, values: npt.NDArray[Any]) -> Image:
    return Image(np.ascontiguousarray(values, dtype=np.float32), grid.affine)


def run_greedy(command: str, images: dict[str, Any]) -> Any:
    """Run greedy on images by name, one thread, fixed seed; its outputs by name.

    Raises ``InputError`` where the scans do not overlap.
    """
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
