"""Writes small DICOM series of a phantom head, with any spacing, thickness, tilt and header fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from imaging_phantoms import head_values
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SECRETS = {
    "PatientName": "Mustermann^Erika",
    "PatientID": "HOSP-4711-9923",
    "PatientBirthDate": "19370412",
    "StudyDate": "20240131",
    "SeriesDate": "20240131",
    "StudyTime": "111213",
    "AccessionNumber": "ACC0077123",
    "ReferringPhysicianName": "Whitcombe^Aurelia",
    "InstitutionName": "St Elsewhere Infirmary",
}
N_ROWS, N_COLUMNS, PIXEL_MM = 92, 80, (2.4, 2.2)
Values = Callable[[np.ndarray], np.ndarray]


def write_series(
    folder: Path,
    along_mm: Sequence[float],
    *,
    thickness: Sequence[float] | float = 5.0,
    tilt_deg: float = 0.0,
    values: Values = head_values,
    unsigned: bool = True,
    fields: dict[str, Any] | None = None,
) -> list[Path]:
    """One file a slice whose centre lies ``along_mm`` along the normal; the table moves along z.

    ``values`` gives HU for world points in RAS mm (3, ...). Slices of a tilted gantry turn about x.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series, study = generate_uid(), generate_uid()
    paths = []
    for number, along in enumerate(along_mm, start=1):
        one = _dataset(number, study, series)
        _place(one, along, tilt_deg)
        one.SliceThickness = thickness if isinstance(thickness, int | float) else thickness[number - 1]
        if tilt_deg:
            one.GantryDetectorTilt = tilt_deg
        _fill(one, values(world_points(one)), unsigned)
        for name, value in (fields or {}).items():
            setattr(one, name, value) if value is not None else delattr(one, name)
        path = folder / f"IM{number:04d}"
        one.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def world_points(one: Dataset) -> np.ndarray:
    """RAS mm of each pixel, (3, rows, columns, 1), by DICOM PS3.3 C.7.6.2.1.1."""
    rows, columns = np.meshgrid(np.arange(one.Rows), np.arange(one.Columns), indexing="ij")
    orientation = np.array(one.ImageOrientationPatient, float)
    lps = (
        np.array(one.ImagePositionPatient, float)[:, None, None]
        + orientation[:3, None, None] * one.PixelSpacing[1] * columns
        + orientation[3:, None, None] * one.PixelSpacing[0] * rows
    )
    return (lps * np.reshape([-1, -1, 1], (3, 1, 1)))[..., None]


def _dataset(number: int, study: str, series: str) -> Dataset:
    one = Dataset()
    for name, value in SECRETS.items():
        setattr(one, name, value)
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
    one.StudyInstanceUID, one.SeriesInstanceUID = study, series
    one.Modality, one.ImageType, one.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], number
    one.Manufacturer, one.ManufacturerModelName = "SIEMENS", "Phantom 1"
    one.ConvolutionKernel, one.KVP = "H30s", "120"
    one.Rows, one.Columns = N_ROWS, N_COLUMNS
    one.PixelSpacing = list(PIXEL_MM)
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return one


def _place(one: Dataset, along: float, tilt_deg: float) -> None:
    tilt = np.radians(tilt_deg)
    column = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    first = -(N_ROWS - 1) / 2 * PIXEL_MM[0] * column
    first[0] = -(N_COLUMNS - 1) / 2 * PIXEL_MM[1]
    first[2] += along / np.cos(tilt)
    one.ImageOrientationPatient = [1, 0, 0, *np.round(column, 8).tolist()]
    one.ImagePositionPatient = np.round(first, 4).tolist()


def _fill(one: Dataset, hu: np.ndarray, unsigned: bool) -> None:
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    one.PixelRepresentation = 0 if unsigned else 1
    one.RescaleSlope, one.RescaleIntercept = "1", "-1024" if unsigned else "0"
    stored = np.rint(hu[..., 0]) + (1024 if unsigned else 0)
    one.PixelData = stored.astype(np.uint16 if unsigned else np.int16).tobytes()


def stored_hu(path: Path) -> np.ndarray:
    """HU of a file (rows, columns), read by pydicom."""
    one = pydicom.dcmread(path)
    return one.pixel_array.astype(float) * float(one.RescaleSlope) + float(one.RescaleIntercept)
