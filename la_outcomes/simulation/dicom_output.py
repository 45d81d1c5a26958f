"""Simulated scans as DICOM series: tilted and uneven slices, vendors' tags and encodings, nobody's name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from la_outcomes.imaging.geometry import Affine, Array, Image
from la_outcomes.shards import atomic_path
from la_outcomes.simulation.patient import CtSettings, FlairSettings
from la_outcomes.simulation.stacks import StackImage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LPS = np.diag([-1.0, -1.0, 1.0])
_EMPTY = (
    "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "StudyID", "PositionReferenceIndicator",
)  # fmt: skip


@dataclass(frozen=True)
class Vendor:
    """A maker as headers name it, and how its CTs store HU: signed or not, and RescaleIntercept."""

    name: str
    model: str
    signed: bool
    intercept: int


VENDORS = {
    "GE": Vendor("GE MEDICAL SYSTEMS", "LightSpeed VCT", True, -1024),
    "Siemens": Vendor("SIEMENS", "SOMATOM Definition AS", False, -1024),
    "Philips": Vendor("Philips", "Brilliance 64", False, -1024),
    "Canon": Vendor("TOSHIBA", "Aquilion ONE", True, 0),
}


def write_ct_series(folder: Path, scan_id: str, stacks: Sequence[StackImage], settings: CtSettings) -> None:
    """One file a slice as it was taken, from the lowest up. ``scan_id`` seeds the UIDs."""
    from pydicom.uid import CTImageStorage

    vendor = VENDORS[settings.manufacturer]

    def fill(one: Dataset) -> None:
        one.SOPClassUID = CTImageStorage
        one.Modality, one.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.Manufacturer, one.ManufacturerModelName = vendor.name, vendor.model
        one.SeriesDescription, one.BodyPartExamined = "HEAD WITHOUT CONTRAST", "HEAD"
        one.ConvolutionKernel, one.KVP = settings.kernel, f"{settings.kvp:g}"
        one.GantryDetectorTilt = f"{settings.gantry_tilt_deg:g}"
        one.RescaleType = "HU"

    _write_series(folder, scan_id, stacks, fill, (vendor.signed, vendor.intercept))


def write_flair_series(
    folder: Path, scan_id: str, image: Image, settings: FlairSettings, manufacturer: str
) -> None:
    """One file a slice of the FLAIR, from the lowest up."""
    from pydicom.uid import MRImageStorage

    def fill(one: Dataset) -> None:
        one.SOPClassUID = MRImageStorage
        one.Modality, one.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "ND"]
        one.Manufacturer = VENDORS[manufacturer].name
        thin = settings.slice_thickness_mm < 2
        one.SeriesDescription = "3D FLAIR" if thin else "AX T2 FLAIR"
        one.BodyPartExamined, one.MRAcquisitionType = "BRAIN", "3D" if thin else "2D"
        one.ScanningSequence, one.SequenceVariant, one.ScanOptions = ["SE", "IR"], "SK", ""
        one.RepetitionTime, one.EchoTime, one.InversionTime, one.EchoTrainLength = "9000", "120", "2500", "16"

    _write_series(folder, scan_id, [StackImage(image, settings.slice_thickness_mm)], fill, (False, 0))


def _write_series(
    folder: Path, scan_id: str, stacks: Sequence[StackImage], fill: Any, encoding: tuple[bool, int]
) -> None:
    for number, (pixels, position, stack) in enumerate(_slices(stacks), start=1):
        one = _dataset(scan_id, number)
        fill(one)
        _place(one, stack.image.affine, position)
        one.SliceThickness = f"{stack.thickness_mm:g}"
        _store(one, pixels, *encoding)
        with atomic_path(folder / f"IM{number:04d}.dcm") as temporary:
            one.save_as(temporary, enforce_file_format=True)


def _slices(stacks: Sequence[StackImage]) -> Iterator[tuple[Array, Affine, StackImage]]:
    """Each slice's pixels (rows from front to back, columns from right to left) and first place."""
    for stack in stacks:
        columns, rows, count = stack.image.shape
        for k in range(count):
            first = stack.image.affine @ np.array([columns - 1, rows - 1, k, 1.0])
            yield stack.image.data[::-1, ::-1, k].T, _LPS @ first[:3], stack


def _dataset(scan_id: str, number: int) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    one = Dataset()
    one.SOPInstanceUID = generate_uid(entropy_srcs=["la_outcomes simulated", scan_id, str(number)])
    one.StudyInstanceUID = generate_uid(entropy_srcs=["la_outcomes simulated study", scan_id])
    one.SeriesInstanceUID = generate_uid(entropy_srcs=["la_outcomes simulated series", scan_id])
    one.FrameOfReferenceUID = generate_uid(entropy_srcs=["la_outcomes simulated frame", scan_id])
    for empty in _EMPTY:
        setattr(one, empty, "")
    one.PatientID = scan_id.rsplit("-", 1)[0]
    one.PatientIdentityRemoved, one.DeidentificationMethod = "YES", "simulated, no person behind it"
    one.SeriesNumber, one.InstanceNumber, one.PatientPosition = 1, number, "HFS"
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return one


def _place(one: Dataset, affine: Affine, position: Affine) -> None:
    """Orientation, position and spacing (PS3.3 C.7.6.2): columns run to the left, rows to the back."""
    spacing = np.linalg.norm(affine[:3, :2], axis=0)
    along_row, along_column = (-(_LPS @ affine[:3, axis]) / spacing[axis] for axis in (0, 1))
    one.ImageOrientationPatient = [f"{value:.10f}"[:16] for value in (*along_row, *along_column)]
    one.ImagePositionPatient = [f"{value:.6f}" for value in position]
    one.PixelSpacing = [f"{spacing[1]:.8f}", f"{spacing[0]:.8f}"]


def _store(one: Dataset, pixels: Array, signed: bool, intercept: int) -> None:
    one.Rows, one.Columns = pixels.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, int(signed)
    one.RescaleSlope, one.RescaleIntercept = "1", str(intercept)
    stored = pixels.astype(np.int32) - intercept
    one.PixelData = np.ascontiguousarray(stored.astype(np.int16 if signed else np.uint16)).tobytes()
