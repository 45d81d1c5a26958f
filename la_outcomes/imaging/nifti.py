"""Reading and writing NIfTI files: one orientation in memory, one way on disk, doubts refused."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.openers import ImageOpener
from nibabel.orientations import aff2axcodes, apply_orientation, inv_ornt_aff, io_orientation
from nibabel.spatialimages import HeaderDataError

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.execution.memory import memory_limit_bytes
from la_outcomes.imaging.geometry import (
    Affine,
    Array,
    Image,
    is_sheared,
    lean_deg,
    slice_axis,
    voxel_volume_ml,
)
from la_outcomes.shards import atomic_path

SUFFIXES = (".nii", ".nii.gz")
MAX_VOXELS = 250_000_000
# of a process that segments one CT, measured on 512 x 512 x 37 voxels: 0.22 GB before, 44 bytes a voxel
BYTES_AT_REST, BYTES_A_VOXEL = 250_000_000, 50
GRID_TOLERANCE_MM = 0.01
_VOLUME_TOLERANCE = 0.01
_GZIP_LEVEL = 4
_LEAN_TOLERANCE_DEG = 1.0
_TILT_HINT = (
    "convert the scan again from DICOM with la-outcomes convert: converters that do not correct a tilt leave "
    "it half said; a tilted scan keeps its shear in the sform alone"
)


def read_image(path: str | Path) -> Image:
    """Read a three-dimensional NIfTI file: axes turned towards RAS+, values float32 (scaled).

    Raises ``InputError`` for: no NIfTI file, a damaged one, more or fewer than three axes (trailing
    axes of length 1 are dropped), colours, values that are not finite, spacing of 0, no orientation
    (sform and qform codes both 0), and where sform and qform are both set but give voxel volumes that
    differ by more than 1 % or mirror each other. Raises ``ResourceError`` for an image too large for this
    worker's memory limit (``execution.memory``).
    """
    image = _read(path)
    data = image.data.astype(np.float32, copy=False)
    if not np.isfinite(data).all():
        raise InputError(
            "the image holds values that are not numbers (NaN or infinite)",
            where=path,
            hint="export or convert the scan again",
        )
    return Image(data, image.affine)


def read_mask(path: str | Path, like: Image | None = None) -> Image:
    """Read a mask or label map; values and their type are kept.

    Raises ``InputError`` as ``read_image`` does, and where ``like`` is given and the grids differ
    (shape, or any corner by more than 0.01 mm).
    """
    image = _read(path)
    if image.data.dtype.kind == "f" and not np.isfinite(image.data).all():
        raise InputError("the mask holds values that are not numbers (NaN or infinite)", where=path)
    if like is not None and not same_grid(image, like):
        raise InputError(
            f"the mask does not lie on its image's grid (mask {image.shape}, image {like.shape})",
            where=path,
            hint="give the mask that was drawn on this very image",
        )
    return image


def same_grid(first: Image, second: Image) -> bool:
    """True where both have one shape and no corner differs by more than 0.01 mm."""
    if first.shape != second.shape:
        return False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in first.shape])).reshape(3, 8)
    points = np.vstack([corners, np.ones(8)])
    return bool(np.abs((first.affine - second.affine) @ points).max() <= GRID_TOLERANCE_MM)


def write_image(path: str | Path, image: Image, *, dtype: npt.DTypeLike | None = None) -> Path:
    """Write NIfTI whole or not at all; the same image gives the same bytes.

    ``dtype`` None keeps the type (booleans as uint8, float64 as float32, int64 as int32); floats are
    rounded when written as integers. The affine goes to the sform (code 1), and to the qform where the
    axes are at right angles; a sheared file has qform code 0, and its ``pixdim`` gives the distance
    between slices along their normal, so that tools that multiply ``pixdim`` find the right volume.
    Raises ``InputError`` where values do not fit the type or the name does not end in .nii or .nii.gz.
    """
    path = Path(path)
    _check_suffix(path)
    file = nib.Nifti1Image(_as_stored(image.data, dtype, path), image.affine)
    file.header.set_xyzt_units("mm")
    file.set_sform(image.affine, code=1)
    file.set_qform(
        None if is_sheared(image.affine) else image.affine, code=0 if is_sheared(image.affine) else 1
    )
    file.header.set_zooms(_pixdim(image.affine))
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        _write_bytes(file, handle, compress=path.name.endswith(".gz"))
    return path


def _write_bytes(file: nib.Nifti1Image, handle: IO[bytes], *, compress: bool) -> None:
    if not compress:
        file.to_stream(handle)
        return
    with gzip.GzipFile("", "wb", _GZIP_LEVEL, handle, mtime=0) as packed:
        file.to_stream(packed)


def _as_stored(data: Array, dtype: npt.DTypeLike | None, path: Path) -> Array:
    smaller = {"bool": np.uint8, "float64": np.float32, "int64": np.int32}
    target = np.dtype(smaller.get(data.dtype.name, data.dtype) if dtype is None else dtype)
    if target.kind not in "iu" or data.dtype == bool:
        return data.astype(target)
    limits = np.iinfo(target.name)
    values = np.rint(data) if data.dtype.kind == "f" else data
    if not (values.min() >= limits.min and values.max() <= limits.max):
        raise InputError(f"values do not fit the type {target.name}", where=path, hint="write float32")
    return values.astype(target)


def _pixdim(affine: Affine) -> tuple[float, ...]:
    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    axis = slice_axis(affine)
    zooms[axis] = voxel_volume_ml(affine) * 1000 / np.prod(np.delete(zooms, axis))
    return tuple(float(value) for value in zooms)


def _read(path: str | Path) -> Image:
    path = Path(path)
    file = load_nifti(path)
    _check_forms(file, path)
    shape = file.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    _check_shape(shape, file, path)
    try:
        data = np.asanyarray(file.dataobj).reshape(shape)
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise InputError("the file ends before its data do, or is damaged", where=path) from error
    try:
        return _canonical(Image(data, file.affine))
    except InputError as error:
        raise InputError(error.what, where=path, hint=error.hint) from error


def _canonical(image: Image) -> Image:
    turn = io_orientation(image.affine)
    if np.isnan(turn).any():
        raise InputError("which way the image's axes point cannot be told: its affine is nearly flat")
    data = np.ascontiguousarray(apply_orientation(image.data, turn))
    return Image(data, image.affine @ inv_ornt_aff(turn, image.shape))


def load_nifti(path: Path) -> nib.Nifti1Image:
    """Open a NIfTI file's header; ``InputError`` where there is none or it cannot be understood."""
    _check_suffix(path)
    if not path.is_file():
        raise InputError("no such file", where=path)
    try:
        file = nib.load(path)
        _check_spacing(file, path)
    except (ImageFileError, HeaderDataError) as error:
        raise InputError("not a NIfTI file, or a damaged one", where=path) from error
    except (OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise InputError("the file cannot be read as NIfTI; it may be damaged", where=path) from error
    return file


def _check_spacing(file: nib.Nifti1Image, path: Path) -> None:
    """Looks at the header as stored: nibabel silently turns a spacing of 0 into 1 on loading."""
    with ImageOpener(path) as handle:
        pixdim = type(file.header).from_fileobj(handle, check=False)["pixdim"][1:4]
    if not (np.isfinite(pixdim).all() and (pixdim > 0).all()):
        raise InputError(f"the voxel spacing is not above 0 mm: {pixdim.tolist()}", where=path)


def orientation_of(affine: Affine) -> str:
    """Which way the three axes run, for people: for instance "RAS"."""
    return "".join(aff2axcodes(affine))


def _check_suffix(path: Path) -> None:
    if not path.name.endswith(SUFFIXES):
        raise InputError(
            "not a NIfTI file name (.nii or .nii.gz)",
            where=path,
            hint="for a DICOM folder run: la-outcomes convert FOLDER --out DIR",
        )


def _check_shape(shape: tuple[int, ...], file: nib.Nifti1Image, path: Path) -> None:
    if len(shape) != 3:
        raise InputError(
            f"the image has {len(shape)} axes, {shape}; three are needed",
            where=path,
            hint="give one volume; of a time series, extract one",
        )
    if file.get_data_dtype().kind not in "iuf":
        raise InputError("the image holds colours or complex numbers, not one value a voxel", where=path)
    voxels = int(np.prod([int(n) for n in shape], dtype=object))
    if min(shape) < 1 or voxels > MAX_VOXELS:
        raise InputError(f"the header claims {voxels} voxels, {shape}: it must be wrong", where=path)
    _check_memory(voxels, path)


def _check_memory(voxels: int, path: Path) -> None:
    limit, needed = memory_limit_bytes(), BYTES_AT_REST + BYTES_A_VOXEL * voxels
    if limit is not None and needed > limit:
        raise ResourceError(
            f"{voxels} voxels need about {needed / 1e9:.1f} GB, this worker has {limit / 1e9:.1f} GB",
            where=path,
            hint="workers with more memory; run the same command again",
        )


def _check_forms(file: nib.Nifti1Image, path: Path) -> None:
    header = file.header
    codes = int(header["sform_code"]), int(header["qform_code"])
    if codes == (0, 0):
        raise InputError(
            "the file does not say how it lies in the head (sform and qform codes are both 0)",
            where=path,
            hint="convert it again from DICOM",
        )
    if min(codes) > 0:
        _check_agreement(header.get_sform(), header.get_qform(), path)


def _check_agreement(sform: Affine, qform: Affine, path: Path) -> None:
    first, second = (float(np.linalg.det(form[:3, :3])) for form in (sform, qform))
    if not abs(first - second) <= _VOLUME_TOLERANCE * abs(second):
        raise InputError(
            f"sform and qform contradict each other: a voxel has {first:.4g} or {second:.4g} mm3",
            where=path,
            hint=_TILT_HINT,
        )
    lean = lean_deg(sform)
    if lean > _LEAN_TOLERANCE_DEG:
        raise InputError(
            f"the sform leans by {lean:.1f} degrees (a tilted gantry), which the qform beside it cannot say",
            where=path,
            hint=_TILT_HINT,
        )
