"""Values of DICOM slices: decoded within bounds, rescaled by their own header, CT in HU.

Uncompressed and run-length pixels are read by pydicom. Other compressed pixels (JPEG, JPEG lossless,
JPEG-LS, JPEG 2000) are decoded by GDCM, which gets a file with the pixels and their format and nothing else
of the header; so no converter's idea of rescaling, signs or frames comes between.
"""

from __future__ import annotations

import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import RLELossless, SecondaryCaptureImageStorage, generate_uid

from la_outcomes.errors import InputError
from la_outcomes.imaging.dicom_frames import Slice, number_of_frames
from la_outcomes.imaging.dicom_header import DAMAGE, read_dicom, text_of, whole_number
from la_outcomes.imaging.geometry import Array

AIR_HU = -1024.0
LARGEST_SIDE = 4096
MOST_FRAME_BYTES = 2 << 30
_FORMAT = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation",
)  # fmt: skip


def read_pixels(one: Slice, modality: str) -> Array:
    """A slice's values, float32 (columns, rows): RescaleSlope and -Intercept applied, CT in HU.

    CT values below -1024 HU (scanners' mark for what lies outside their field) become -1024. Raises
    ``InputError`` where pixels cannot be decoded, are not what the header says, or where a CT does not say
    how its values become HU.
    """
    if modality == "CT" and one.rescale is None:
        raise InputError("the CT's headers do not say how values become Hounsfield units")
    stored = stored_values(one)
    slope, intercept = one.rescale or (1.0, 0.0)
    pixels = stored.T.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return np.maximum(pixels, np.float32(AIR_HU)) if modality == "CT" else pixels


def stored_values(one: Slice) -> Array:
    """A slice's values as stored, (rows, columns), whole numbers."""
    if max(one.n_rows, one.n_columns) > LARGEST_SIDE or min(one.n_rows, one.n_columns) < 2:
        raise InputError(f"an image of {one.n_rows} x {one.n_columns} pixels is no slice of a head")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = _decode(_opened(one.path, one.path.stat().st_mtime_ns), one)
    except DAMAGE:
        raise InputError("an image's pixels cannot be decoded; the file may be damaged") from None
    except RuntimeError:
        raise InputError("an image's pixels cannot be decoded; the file may be damaged") from None
    if values.shape != (one.n_rows, one.n_columns):
        raise InputError(f"an image holds {values.shape} values where one slice was expected")
    return values


@lru_cache(maxsize=1)
def _opened(path: Path, changed: int) -> Dataset:
    """The whole file; the last one is kept, since a multi-frame file is asked frame by frame."""
    dataset = read_dicom(path)
    if dataset is None or "PixelData" not in dataset:
        raise ValueError("no pixels")
    if number_of_frames(dataset) * whole_number(dataset, "Rows") * whole_number(dataset, "Columns") * 2 > (
        MOST_FRAME_BYTES
    ):
        raise ValueError("too large")
    return dataset


def _decode(dataset: Dataset, one: Slice) -> Array:
    bits = whole_number(dataset, "BitsAllocated")
    shades = text_of(dataset, "PhotometricInterpretation").startswith("MONOCHROME")
    if whole_number(dataset, "SamplesPerPixel") != 1 or bits not in (8, 16, 32) or not shades:
        raise ValueError("not one value a pixel")
    syntax = dataset.file_meta.TransferSyntaxUID
    frame = one.frame if number_of_frames(dataset) > 1 else 0
    if not syntax.is_compressed:
        _check_length(dataset, bits // 8)
    if not syntax.is_compressed or syntax == RLELossless:
        values = pixel_array(dataset, index=frame, raw=True)
        return _without_other_bits(np.asarray(values), dataset)
    return _by_gdcm(get_frame(dataset.PixelData, frame, number_of_frames=number_of_frames(dataset)), dataset)


def _check_length(dataset: Dataset, bytes_a_pixel: int) -> None:
    """Pixels that are not as many as the header says would be laid out wrongly; one byte may fill up."""
    sides = whole_number(dataset, "Rows") * whole_number(dataset, "Columns")
    expected = sides * bytes_a_pixel * number_of_frames(dataset)
    if len(dataset.PixelData) not in (expected, expected + 1):
        raise ValueError("not as many pixels as the header says")


def _without_other_bits(values: Array, dataset: Dataset) -> Array:
    """Old files keep overlays in the bits above those of the pixels; these are taken out, signs kept."""
    stored = whole_number(dataset, "BitsStored")
    spare = values.dtype.itemsize * 8 - stored
    if values.dtype.kind not in "iu" or stored < 1 or spare <= 0:
        return values
    return (values << spare) >> spare


def _by_gdcm(frame: bytes, dataset: Dataset) -> Array:
    import SimpleITK as sitk

    _check_size(frame, dataset)
    bare = Dataset()
    for name in _FORMAT:
        setattr(bare, name, dataset.get(name))
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    bare.SOPClassUID, bare.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    bare.PixelData = encapsulate([frame])
    bare["PixelData"].VR = "OB"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame"
        bare.save_as(path, enforce_file_format=True)
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    values: Array = sitk.GetArrayFromImage(image)
    return values.reshape(values.shape[-2:]) if values.size == np.prod(values.shape[-2:]) else values


def _check_size(frame: bytes, dataset: Dataset) -> None:
    """A codestream that claims another size than the header is not decoded: it could claim any memory."""
    claimed = codestream_size(frame)
    if claimed != (whole_number(dataset, "Rows"), whole_number(dataset, "Columns")):
        raise ValueError("the codestream is not of the header's size")


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) by a JPEG, JPEG-LS (SOF marker) or JPEG 2000 (SIZ marker) codestream's own header."""
    start = frame.find(b"\xff\x4f\xff\x51")
    if 0 <= start < 4096 and len(frame) >= start + 24:
        width, height, left, top = (
            int.from_bytes(frame[start + at : start + at + 4], "big") for at in (8, 12, 16, 20)
        )
        return height - top, width - left
    return _jpeg_size(frame)


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    at = 2 if frame[:2] == b"\xff\xd8" else len(frame)
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1
        elif marker in _START_OF_FRAME:
            rows, columns = frame[at + 5 : at + 7], frame[at + 7 : at + 9]
            return int.from_bytes(rows, "big"), int.from_bytes(columns, "big")
        else:
            at += 2 + max(length, 2)
    return None


_START_OF_FRAME = {0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
