"""DICOM files to series: which files are images, and which belong together.

Only headers are read. What identifies a person (names, numbers, dates, UIDs) is used to group and order
and stays in memory, out of every ``repr``, message and output.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Affine

_TAGS = (
    "PatientID", "StudyInstanceUID", "StudyDate", "StudyTime", "SeriesInstanceUID", "SeriesDate",
    "SeriesTime", "SOPInstanceUID", "SOPClassUID", "Modality", "ImageType", "SeriesDescription",
    "ProtocolName", "SequenceName", "ScanningSequence", "InversionTime", "EchoTime", "RepetitionTime",
    "Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "KVP", "ContrastBolusAgent",
    "GantryDetectorTilt", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "RescaleSlope",
    "RescaleIntercept",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Slice:
    """One single-frame image: where its pixels lie (LPS mm) and how thick its slab is.

    ``position`` is the centre of the first pixel, ``along_row`` and ``along_column`` the unit directions
    in which the column index and the row index grow (DICOM PS3.3 C.7.6.2.1.1); ``row_step_mm`` is the
    distance between rows, ``column_step_mm`` between columns.
    """

    path: Path = field(repr=False)
    position: Affine
    along_row: Affine
    along_column: Affine
    row_step_mm: float
    column_step_mm: float
    n_rows: int
    n_columns: int
    thickness_mm: float | None
    has_rescale: bool

    @property
    def normal(self) -> Affine:
        """Unit normal of the slice, LPS."""
        return np.cross(self.along_row, self.along_column)


@dataclass(frozen=True)
class Series:
    """A DICOM series: its images and what its first header says. Identifiers never leave memory."""

    uid_hash: str
    patient_key: str = field(repr=False)
    study_key: str = field(repr=False)
    order_key: str = field(repr=False)
    header: Dataset = field(repr=False)
    slices: tuple[Slice, ...] = field(repr=False)
    n_images: int
    n_duplicates: int
    n_without_geometry: int
    n_frames: int

    @property
    def modality(self) -> str:
        """DICOM modality, for instance "CT" or "MR"."""
        return self.text("Modality").upper()

    def text(self, name: str) -> str:
        """A header's text, "" where absent; several values are joined by a backslash as in DICOM."""
        value = self.header.get(name)
        if value is None:
            return ""
        parts = [value] if isinstance(value, str) else value
        return "\\".join(str(part) for part in parts).strip() if isinstance(parts, Iterable) else str(value)

    def number(self, name: str) -> float | None:
        """A header's number; None where absent or no finite number."""
        return _number(self.header, name)


@dataclass(frozen=True)
class Found:
    """What a folder holds: series in a fixed order, and how many files were no DICOM images."""

    series: tuple[Series, ...]
    n_other_files: int


def find_series(folder: str | Path) -> Found:
    """Read the headers of all files below ``folder`` (names and extensions play no part).

    A file met twice (same SOP instance) counts once. Raises ``InputError`` where there is no such folder
    or no DICOM image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such folder", where=folder)
    groups: dict[str, list[tuple[Path, Dataset]]] = defaultdict(list)
    others = 0
    for path in _files(folder):
        header = read_header(path)
        if header is None:
            others += 1
        else:
            groups[str(header.SeriesInstanceUID)].append((path, header))
    if not groups:
        raise InputError(f"no DICOM images among {others} files", where=folder)
    series = [_series(uid, members) for uid, members in groups.items()]
    return Found(tuple(sorted(series, key=lambda s: (s.order_key, s.uid_hash))), others)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def read_header(path: Path) -> Dataset | None:
    """The header of a DICOM image; None where the file is none (another format, a DICOMDIR, cut short)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote header values
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            usable = bool(header.get("SeriesInstanceUID")) and bool(header.get("Rows"))
        except (InvalidDicomError, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError):
            return None
        except NotImplementedError:  # pydicom's word for transfer syntaxes it does not know
            return None
    return header if usable else None


def hash_uid(uid: str) -> str:
    """SHA-256 of a series' identifier, under a fixed prefix; the identifier itself is never stored."""
    return hashlib.sha256(f"la_outcomes series {uid}".encode()).hexdigest()


def _series(uid: str, members: list[tuple[Path, Dataset]]) -> Series:
    unique = list({str(h.get("SOPInstanceUID") or path): (path, h) for path, h in reversed(members)}.values())
    unique.reverse()
    located = [found for path, header in unique if (found := _slice(path, header)) is not None]
    first = unique[0][1]
    study = str(first.get("StudyInstanceUID") or uid)
    return Series(
        uid_hash=hash_uid(uid),
        patient_key=str(first.get("PatientID") or "").strip() or f"no number, study {study}",
        study_key=study,
        order_key=_order_key(first),
        header=first,
        slices=tuple(located),
        n_images=len(unique),
        n_duplicates=len(members) - len(unique),
        n_without_geometry=len(unique) - len(located),
        n_frames=max(int(_number(header, "NumberOfFrames") or 1) for _, header in unique),
    )


def _order_key(header: Dataset) -> str:
    names = ("StudyDate", "StudyTime", "SeriesDate", "SeriesTime")
    return " ".join(str(header.get(name) or "") for name in names)


def _slice(path: Path, header: Dataset) -> Slice | None:
    """The image's place, or None where the header does not give one that can be true."""
    position = _numbers(header, "ImagePositionPatient", 3)
    orientation = _numbers(header, "ImageOrientationPatient", 6)
    spacing = _numbers(header, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or spacing.min() <= 0:
        return None
    along_row, along_column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if abs(lengths[0] - 1) > 0.01 or abs(lengths[1] - 1) > 0.01 or abs(along_row @ along_column) > 0.01:
        return None
    thickness = _number(header, "SliceThickness")
    return Slice(
        path=path,
        position=position,
        along_row=along_row / lengths[0],
        along_column=along_column / lengths[1],
        row_step_mm=float(spacing[0]),
        column_step_mm=float(spacing[1]),
        n_rows=int(header.Rows),
        n_columns=int(header.get("Columns") or 0),
        thickness_mm=thickness if thickness and thickness > 0 else None,
        has_rescale=_number(header, "RescaleSlope") is not None,
    )


def _number(header: Dataset, name: str) -> float | None:
    values = _numbers(header, name, 1)
    return None if values is None else float(values[0])


def _numbers(header: Dataset, name: str, count: int) -> Affine | None:
    """``count`` finite numbers of a header's field, or None."""
    try:
        value = header.get(name)
        values = np.atleast_1d(np.asarray(value, dtype=np.float64)) if value not in (None, "") else None
    except (ValueError, TypeError, KeyError):
        return None
    if values is None or values.shape != (count,) or not np.isfinite(values).all():
        return None
    return values
