"""Headers of DICOM files, read with bounds: what is too large, cut short or nonsense never gets further.

Only the attributes in ``TAGS`` are kept. pydicom's warnings and errors quote values, so they are silenced.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from la_outcomes.imaging.geometry import Affine

TAGS = (
    "PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "StudyTime",
    "SeriesInstanceUID", "SeriesDate", "SeriesTime", "SOPInstanceUID", "SOPClassUID", "Modality",
    "ImageType", "SeriesDescription", "StudyDescription", "ProtocolName", "SequenceName",
    "ScanningSequence", "InversionTime", "EffectiveEchoTime", "EchoTime", "RepetitionTime", "Manufacturer",
    "ManufacturerModelName", "ConvolutionKernel", "KVP", "ContrastBolusAgent",
    "ContrastBolusAgentSequence", "GantryDetectorTilt", "SliceThickness", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "RescaleSlope", "RescaleIntercept", "BurnedInAnnotation", "ConversionType",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
LARGEST_INFLATED = 1 << 28
DAMAGE = (
    InvalidDicomError, BytesLengthException, OSError, EOFError, ValueError, TypeError, KeyError,
    AttributeError, IndexError, NotImplementedError, OverflowError, RecursionError, MemoryError,
    AssertionError, ArithmeticError, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom raises over files that are damaged, malicious or of a kind it does not know."""
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)


def read_header(path: Path) -> Dataset | None:
    """The header of a DICOM image; None where the file is none (another format, a DICOMDIR, cut short)."""
    header = read_dicom(path, tags=TAGS)
    if header is None:
        return None
    return header if value_of(header, "SeriesInstanceUID") and whole_number(header, "Rows") else None


def read_dicom(path: Path, *, tags: Iterable[str] | None = None) -> Dataset | None:
    """A DICOM file's attributes (``tags``, or everything with the pixels); None where it cannot be read.

    A deflated file is inflated up to 256 MiB and no further.
    """
    wanted = None if tags is None else list(tags)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if _transfer_syntax(path) == DeflatedExplicitVRLittleEndian:
                return _read_deflated(path, wanted)
            if wanted is None:
                return pydicom.dcmread(path)
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=cast(Any, wanted))
        except DAMAGE:
            return None


def value_of(header: Dataset, name: str) -> Any:
    """An attribute's value; None where it is absent or cannot be understood."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return header.get(name)
        except DAMAGE:
            return None


def text_of(header: Dataset, name: str) -> str:
    """An attribute as text, "" where absent or a sequence; several values are joined by a backslash."""
    value = value_of(header, name)
    if value is None or isinstance(value, Sequence):
        return ""
    if isinstance(value, list | tuple | MultiValue):
        return "\\".join(str(part) for part in value).strip()
    return str(value).strip()


def number(header: Dataset, name: str) -> float | None:
    """An attribute as one finite number, or None."""
    values = numbers(header, name, 1)
    return None if values is None else float(values[0])


def whole_number(header: Dataset, name: str) -> int:
    """An attribute as a whole number; 0 where absent or none."""
    value = number(header, name)
    return int(value) if value is not None and value == int(value) else 0


def numbers(header: Dataset, name: str, count: int) -> Affine | None:
    """``count`` finite numbers of an attribute, or None."""
    value = value_of(header, name)
    try:
        values = np.atleast_1d(np.asarray(value, dtype=np.float64)) if value not in (None, "") else None
    except DAMAGE:
        return None
    if values is None or values.shape != (count,) or not np.isfinite(values).all():
        return None
    return values


def items(header: Dataset, name: str) -> list[Dataset]:
    """The items of a sequence; empty where there is none."""
    value = value_of(header, name)
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        return []
    return [one for one in value if isinstance(one, Dataset)]


def _transfer_syntax(path: Path) -> str | None:
    with open(path, "rb") as handle:
        if handle.read(132)[128:] != b"DICM":
            return None
    return cast("str | None", read_file_meta_info(path).get("TransferSyntaxUID"))


def _read_deflated(path: Path, wanted: list[str] | None) -> Dataset:
    with open(path, "rb") as handle:
        start = _end_of_meta(handle)
        handle.seek(start)
        plain = _inflate(handle)
    inside = read_dataset(
        cast(BinaryIO, BytesIO(plain)),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=None if wanted is None else _at_pixels,
        specific_tags=None if wanted is None else [BaseTag(pydicom.tag.Tag(name)) for name in wanted],
    )
    inside.file_meta = pydicom.dataset.FileMetaDataset()
    inside.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return inside


def _end_of_meta(handle: BinaryIO) -> int:
    """Where the file meta information ends: preamble, magic, and the length its first element gives."""
    handle.seek(132)
    head = handle.read(12)
    if head[:8] != b"\x02\x00\x00\x00UL\x04\x00":
        raise InvalidDicomError
    return 144 + int.from_bytes(head[8:12], "little")


def _inflate(handle: BinaryIO) -> bytes:
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = unpack.decompress(handle.read(), LARGEST_INFLATED)
    if unpack.unconsumed_tail:
        raise ValueError("inflates to more than a scan's slice can hold")
    return plain


def _at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag in _PIXELS
