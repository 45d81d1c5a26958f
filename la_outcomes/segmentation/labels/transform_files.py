"""Transforms of points on disk, as SimpleITK reads and writes them (HDF5)."""

from __future__ import annotations

import errno
from pathlib import Path

import SimpleITK as sitk

from la_outcomes.errors import InputError
from la_outcomes.shards import atomic_path


def read_transform(path: str | Path) -> sitk.Transform:
    """Read a transform of points (LPS mm); ``InputError`` where the file is none."""
    if not Path(path).is_file():
        raise InputError("no such file", where=path)
    try:
        return sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise InputError("not a transform that SimpleITK can read", where=path) from error


def write_transform(path: Path, transform: sitk.Transform) -> None:
    """Write a transform whole or not at all; ``ResourceError`` where the disk is full.

    SimpleITK does not say why it cannot write, and may not notice, so that what was written is read again.
    """
    with atomic_path(path) as temporary:
        try:
            sitk.WriteTransform(transform, str(temporary))
            sitk.ReadTransform(str(temporary))
        except RuntimeError as error:
            raise OSError(errno.ENOSPC, "the transform cannot be written") from error
