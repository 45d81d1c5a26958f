"""Transforms of points on disk, as SimpleITK reads and writes them (HDF5)."""

from __future__ import annotations

import errno
from pathlib import Path

import SimpleITK as sitk

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.shards import atomic_path

_BYTES_A_NUMBER, _BYTES_BESIDE = 8, 65_536


def read_transform(path: str | Path) -> sitk.Transform:
    """Read a transform of points (LPS mm); ``InputError`` where the file is none."""
    if not Path(path).is_file():
        raise InputError("no such file", where=path)
    try:
        return sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise InputError("not a transform that SimpleITK can read", where=path) from error


def write_transform(path: Path, transform: sitk.Transform) -> None:
    """Write a transform whole or not at all; ``ResourceError`` with the reason where it cannot be written.

    SimpleITK does not say why it cannot write, and may not notice, so that what was written is read again.
    """
    with atomic_path(path) as temporary:
        try:
            sitk.WriteTransform(transform, str(temporary))
            sitk.ReadTransform(str(temporary))
        except RuntimeError as error:
            _try_as_many_bytes(temporary, transform, path)
            raise ResourceError("SimpleITK could not write the transform", where=path) from error


def _try_as_many_bytes(temporary: Path, transform: sitk.Transform, path: Path) -> None:
    """Raise what the system says to a file of the transform's size in the same place."""
    try:
        temporary.write_bytes(bytes(_BYTES_A_NUMBER * len(transform.GetParameters()) + _BYTES_BESIDE))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResourceError(
            f"the transform cannot be written: {error.strerror}", where=path, hint="then run the same command"
        ) from error
