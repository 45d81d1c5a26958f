"""Writes one planted series: slices cut from a source, encoded and named as some hospital would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from la_outcomes.imaging.geometry import Array
from la_outcomes.simulation.dicom_variants import Compression, compressed, enhanced
from planted_archive.heads import Source

N_ROWS, N_COLUMNS = 92, 80
PIXEL_MM = (2.4, 2.4)
FULL = tuple(np.arange(36) * 5.0 - 95.0)
_LPS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Look:
    """Where the slices of a series lie (mm along their normal) and how they are stored.

    ``tilt_deg`` leans slices about the left-right axis; ``coronal`` stands them up. ``intercept`` is the
    RescaleIntercept. ``packing`` is a compression, "enhanced" or None.
    """

    along_mm: Sequence[float] = FULL
    thickness_mm: float | Sequence[float] = 5.0
    tilt_deg: float = 0.0
    coronal: bool = False
    signed: bool = False
    intercept: int = -1024
    packing: Compression | str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    noise: float = 3.0


def slices_of(source: Source, look: Look, uids: dict[str, str], seed: int) -> list[Dataset]:
    """The slices of a series as classic DICOM images."""
    rng = np.random.default_rng(seed)
    found = []
    for number, along in enumerate(look.along_mm, start=1):
        affine, orientation = _plane(look, along)
        values = source.seen((N_COLUMNS, N_ROWS, 1), affine)[:, :, 0].T
        values = values + rng.normal(0, look.noise, values.shape)
        thickness = look.thickness_mm
        one = _image(look, uids, number, seed)
        one.SliceThickness = thickness if isinstance(thickness, int | float) else thickness[number - 1]
        one.ImageOrientationPatient = [round(float(value), 8) for value in orientation]
        one.ImagePositionPatient = [round(float(value), 4) for value in affine[:3, 3] * _LPS]
        _store(one, values, look)
        for name, value in look.fields.items():
            setattr(one, name, value) if value is not None else delattr(one, name)
        found.append(one)
    return found


def packed(slices: list[Dataset], look: Look) -> list[Dataset]:
    """The slices as they are stored: plain, each compressed, or all in one enhanced object."""
    if look.packing is None:
        return slices
    if look.packing == "enhanced":
        return [enhanced(slices)]
    return [compressed(one, look.packing) for one in slices]  # type: ignore[arg-type]


def save(one: Dataset, path: Path) -> Path:
    """Write a DICOM file; one in three as implicit VR, as old archives have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    one.save_as(path, enforce_file_format=True)
    return path


def without(look: Look, *positions: int) -> Look:
    """The same series with slices missing."""
    return replace(look, along_mm=[a for index, a in enumerate(look.along_mm) if index not in positions])


def _plane(look: Look, along: float) -> tuple[Array, Array]:
    """Affine (column, row, slice) to RAS mm of one slice, and its direction cosines (LPS)."""
    row, column = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    tilt = np.radians(look.tilt_deg)
    if look.coronal:
        column = np.array([0, 0, -1.0])
        first = np.array([0.0, along, 0.0])
    else:
        column = np.array([0, np.cos(tilt), -np.sin(tilt)])
        first = np.array([0.0, 0.0, along / np.cos(tilt)])
    first = first - row * (N_COLUMNS - 1) / 2 * PIXEL_MM[1] - column * (N_ROWS - 1) / 2 * PIXEL_MM[0]
    affine = np.eye(4)
    normal = np.cross(row, column)
    affine[:3, :3] = np.column_stack([row * PIXEL_MM[1], column * PIXEL_MM[0], normal]) * _LPS[:, None]
    affine[:3, 3] = first * _LPS
    return affine, np.concatenate([row, column])


def _image(look: Look, uids: dict[str, str], number: int, seed: int) -> Dataset:
    one = Dataset()
    for name, value in uids.items():
        setattr(one, name, value)
    is_mr = look.fields.get("Modality") == "MR"
    one.SOPClassUID, one.SOPInstanceUID = (MRImageStorage if is_mr else CTImageStorage), generate_uid()
    one.Modality, one.ImageType, one.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], number
    one.Manufacturer, one.ManufacturerModelName = "SIEMENS", "Simulated"
    one.ConvolutionKernel, one.KVP, one.PatientIdentityRemoved = "H30s", "120", "YES"
    one.Rows, one.Columns, one.PixelSpacing = N_ROWS, N_COLUMNS, list(PIXEL_MM)
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    if look.tilt_deg:
        one.GantryDetectorTilt = look.tilt_deg
    one.file_meta = FileMetaDataset()
    implicit = look.packing is None and seed % 3 == 0
    one.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return one


def _store(one: Dataset, values: Array, look: Look) -> None:
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    one.PixelRepresentation = int(look.signed)
    one.RescaleSlope, one.RescaleIntercept = "1", str(look.intercept)
    stored = np.rint(values) - look.intercept
    limits = np.iinfo(np.int16 if look.signed else np.uint16)
    one.PixelData = np.clip(stored, limits.min, limits.max).astype(limits.dtype).tobytes()
