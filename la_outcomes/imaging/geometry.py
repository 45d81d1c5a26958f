"""Where voxels lie in the head, and the one way volumes are measured and images are resampled.

World space is RAS (x to the patient's right, y anterior, z superior), millimetres, as in NIfTI; ITK's
LPS appears only inside ``to_sitk``, ``from_sitk`` and ``resample_to``. An affine maps the index of a
voxel's centre to world mm and may hold the shear of a tilted CT gantry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

Array = npt.NDArray[Any]
Affine = npt.NDArray[np.floating[Any]]
Interpolator = Literal["linear", "bspline", "nearest"]

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SHEAR_TOLERANCE = 1e-4
_SMALLEST_BSPLINE_AXIS = 4


@dataclass(frozen=True, eq=False)
class Image:
    """A volume in memory.

    ``data`` is (i, j, k), each axis as close as the scan allows to right, anterior, superior;
    ``affine`` is 4x4 float64, index of a voxel's centre to RAS mm. Raises ``InputError`` where the data
    are not three-dimensional or the affine gives voxels no volume.
    """

    data: Array
    affine: Affine

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or self.data.size == 0:
            raise InputError(f"an image needs three axes with voxels, not shape {self.data.shape}")
        object.__setattr__(self, "affine", _checked_affine(self.affine))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j, k."""
        i, j, k = self.data.shape
        return i, j, k

    @property
    def spacing_mm(self) -> Affine:
        """Distance between neighbouring voxel centres along each axis, shape (3,).

        Under shear the product of the three is larger than a voxel: for volumes use
        ``voxel_volume_ml``.
        """
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL."""
        return voxel_volume_ml(self.affine)


def _checked_affine(affine: Affine) -> Affine:
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise InputError(
            "the image's affine is not a 4x4 table of finite numbers", hint="convert the scan again"
        )
    if voxel_volume_ml(affine) < 1e-9:
        raise InputError("voxels have no volume: a spacing is zero", hint="convert the scan again")
    return affine


def voxel_volume_ml(affine: Affine) -> float:
    """Volume of one voxel in mL: |det| of the affine's 3x3 part / 1000. Right under shear as well."""
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000.0


def volume_ml(mask_or_soft: Array, affine: Affine) -> float:
    """Volume in mL of a mask (0/1) or of a soft map (share of each voxel, 0..1): sum x voxel volume.

    Raises ``InputError`` where a value is not finite or lies outside 0..1.
    """
    values = np.asarray(mask_or_soft)
    if values.size == 0:
        return 0.0
    low, high = float(values.min()), float(values.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise InputError(
            f"a mask must hold values from 0 to 1, this one holds {low:g} to {high:g}",
            hint="choose one label before measuring its volume",
        )
    return float(values.sum(dtype=np.float64)) * voxel_volume_ml(affine)


def is_sheared(affine: Affine) -> bool:
    """True where the three axes are not at right angles (more than about 0.006 degrees off)."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(columns.T @ columns - np.eye(3)).max() > _SHEAR_TOLERANCE)


def lean_deg(affine: Affine) -> float:
    """Angle between the way from slice to slice and the slices' normal, degrees: 0 without a tilt."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axis = slice_axis(affine)
    first, second = (columns[:, other] for other in range(3) if other != axis)
    normal = np.cross(first, second)
    cosine = abs(columns[:, axis] @ normal) / np.linalg.norm(normal)
    return float(np.degrees(np.arccos(min(float(cosine), 1.0))))


def slice_axis(affine: Affine) -> int:
    """The axis that leans: the one beside the two that are nearest to a right angle.

    For a tilted CT these two span the slices. For an orthogonal grid the third axis is returned; where two
    pairs are at right angles (a tilt about one of the slices' own axes, written exactly) the later axis.
    """
    if not is_sheared(affine):
        return 2
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(columns.T @ columns)
    beside = np.array([cosines[1, 2], cosines[0, 2], cosines[0, 1]])
    return int(np.flatnonzero(beside <= beside.min() + _SHEAR_TOLERANCE)[-1])


def to_sitk(image: Image) -> sitk.Image:
    """The same image for SimpleITK (x, y, z = i, j, k; LPS mm; booleans as uint8).

    Raises ``InputError`` for sheared grids, which ITK cannot hold: use ``index_image`` or
    ``resample_to`` there.
    """
    if is_sheared(image.affine):
        raise InputError(
            "the image's axes are not at right angles (a tilted gantry)",
            hint="bring it to an orthogonal grid first (orthogonal_grid, resample_to)",
        )
    lps = _LPS_FROM_RAS @ image.affine
    spacing = image.spacing_mm
    result = index_image(image.data)
    result.SetSpacing([float(value) for value in spacing])
    result.SetOrigin([float(value) for value in lps[:3, 3]])
    result.SetDirection([float(value) for value in (lps[:3, :3] / spacing).ravel()])
    return result


def from_sitk(image: sitk.Image) -> Image:
    """An ``Image`` from SimpleITK's: axes in their order as they are, LPS turned into RAS."""
    import SimpleITK as sitk

    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return Image(sitk.GetArrayFromImage(image).transpose(2, 1, 0), _LPS_FROM_RAS @ lps)


def index_image(array: Array) -> sitk.Image:
    """An (i, j, k) array for SimpleITK whose physical points are its indices (for index space)."""
    import SimpleITK as sitk

    values = array.astype(np.uint8) if array.dtype == bool else array
    return sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))


def resample_to(
    image: Image,
    shape: Sequence[int],
    affine: Affine,
    *,
    interpolator: Interpolator,
    outside: float,
    transform: sitk.Transform | None = None,
) -> Image:
    """The image seen on another grid; either grid may be oblique or sheared.

    Parameters
    ----------
    image : source.
    shape, affine : the target grid.
    interpolator : "linear", "bspline" (cubic) or "nearest"; nothing is smoothed before, so large steps
        down alias.
    outside : value where the source's field of view (outer faces of its voxels) ends.
    transform : maps points (LPS mm) of the target space to points of the source; None = same space.

    Returns float32 data, or the source's own type for "nearest" (booleans as uint8). Raises
    ``InputError`` for "bspline" on an axis of fewer than 4 voxels. Uses as many threads as ITK is set to.
    """
    import SimpleITK as sitk

    if interpolator == "bspline" and min(image.shape) < _SMALLEST_BSPLINE_AXIS:
        raise InputError(f"too few voxels for B-splines: shape {image.shape}", hint="use 'linear'")
    kinds = {"linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline, "nearest": sitk.sitkNearestNeighbor}
    source = image.data if interpolator == "nearest" else image.data.astype(np.float32)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize([int(n) for n in shape])
    resampler.SetInterpolator(kinds[interpolator])
    resampler.SetDefaultPixelValue(float(outside))
    resampler.SetTransform(_index_transform(image.affine, _checked_affine(affine), transform))
    result = resampler.Execute(index_image(source))
    return Image(sitk.GetArrayFromImage(result).transpose(2, 1, 0), affine)


def _index_transform(
    source_affine: Affine, target_affine: Affine, transform: sitk.Transform | None
) -> sitk.Transform:
    """Target index to source index, through LPS world space."""
    import SimpleITK as sitk

    to_world = _LPS_FROM_RAS @ target_affine
    from_world = np.linalg.inv(_LPS_FROM_RAS @ source_affine)
    if transform is None:
        return _itk_affine(from_world @ to_world)
    return sitk.CompositeTransform([_itk_affine(from_world), transform, _itk_affine(to_world)])


def _itk_affine(matrix: Affine) -> sitk.AffineTransform:
    import SimpleITK as sitk

    result = sitk.AffineTransform(3)
    result.SetMatrix([float(value) for value in matrix[:3, :3].ravel()])
    result.SetTranslation([float(value) for value in matrix[:3, 3]])
    return result


def orthogonal_grid(image: Image, spacing_mm: float | Sequence[float]) -> tuple[tuple[int, int, int], Affine]:
    """The smallest orthogonal grid of this spacing that covers the image's field of view.

    The grid keeps the directions of the image's slices (for a tilted CT the gantry's plane) and takes
    their normal as the third direction; it is centred on the field of view, which is bounded by the
    outer faces of the voxels. Returns (shape, affine).
    """
    spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (3,))
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise InputError(f"a grid's spacing must be above 0 mm, not {spacing_mm}")
    rotation = _orthogonal_directions(image.affine)
    ends = np.array([(-0.5, n - 0.5) for n in image.shape])
    corners = np.array(np.meshgrid(*ends)).reshape(3, 8)
    along = rotation.T @ (image.affine[:3, :3] @ corners + image.affine[:3, 3:])
    low, high = along.min(axis=1), along.max(axis=1)
    counts = np.maximum(np.ceil((high - low) / spacing - 1e-6), 1).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = rotation * spacing
    affine[:3, 3] = rotation @ ((low + high) / 2 - (counts - 1) / 2 * spacing)
    return (int(counts[0]), int(counts[1]), int(counts[2])), affine


def _orthogonal_directions(affine: Affine) -> Affine:
    """Unit directions at right angles: the slices' two, and their normal in place of the leaning axis."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    lean = slice_axis(affine)
    first, second = (axis for axis in range(3) if axis != lean)
    normal = np.cross(columns[:, first], columns[:, second])
    columns[:, lean] = normal * np.sign(normal @ columns[:, lean])
    left, _, right = np.linalg.svd(columns)
    return np.asarray(left @ right)
