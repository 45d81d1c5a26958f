"""The same simulated slices as other scanners and archives would deliver them: compressed, or as one enhanced
multi-frame object."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from la_outcomes.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Compression = Literal["RLE", "JPEG lossless", "JPEG 2000", "JPEG-LS", "deflated"]
_BY_ITK = {"JPEG lossless": "JPEG", "JPEG 2000": "JPEG2000"}


def compressed(slice_of_series: Dataset, how: Compression) -> Dataset:
    """A copy with losslessly compressed pixels (or all of it deflated).

    "JPEG-LS" needs the package pyjpegls. Raises ``InputError`` where the pixels are compressed already.
    """
    from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless, RLELossless

    one = deepcopy(slice_of_series)
    if one.file_meta.TransferSyntaxUID.is_compressed:
        raise InputError("the slice is compressed already")
    if how == "deflated":
        one.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    elif how in _BY_ITK:
        _compress_by_itk(one, _BY_ITK[how])
    else:
        one.compress(RLELossless if how == "RLE" else JPEGLSLossless, generate_instance_uid=False)
    return one


def _compress_by_itk(one: Dataset, compressor: str) -> None:
    import pydicom
    import SimpleITK as sitk

    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.SetCompressionLevel(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.dcm"
        writer.SetFileName(str(path))
        writer.Execute(sitk.GetImageFromArray(one.pixel_array[None]))
        packed = pydicom.dcmread(path)
    one.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
    one.PixelData = packed.PixelData
    one["PixelData"].VR, one["PixelData"].is_undefined_length = "OB", True
    one.BitsStored, one.HighBit = packed.BitsStored, packed.HighBit


def enhanced(slices: Sequence[Dataset]) -> Dataset:
    """One Enhanced CT or MR object (PS3.3 A.38, A.36) that holds all slices of a series as frames.

    What the slices share stands in the shared functional groups, place and rescaling in each frame's own.
    """
    from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage

    whole = deepcopy(slices[0])
    is_ct = whole.Modality == "CT"
    whole.SOPClassUID = EnhancedCTImageStorage if is_ct else EnhancedMRImageStorage
    whole.NumberOfFrames = len(slices)
    whole.SharedFunctionalGroupsSequence = [_shared(slices[0])]
    whole.PerFrameFunctionalGroupsSequence = [_own(one) for one in slices]
    whole.PixelData = np.stack([one.pixel_array for one in slices]).tobytes()
    for name in (
        *_MEASURES,
        *_PLACE,
        *_TURN,
        *_VALUES,
        "ConvolutionKernel",
        "KVP",
        "EchoTime",
        "InversionTime",
    ):
        if name in whole:
            delattr(whole, name)
    return whole


_MEASURES = ("PixelSpacing", "SliceThickness")
_PLACE, _TURN = ("ImagePositionPatient",), ("ImageOrientationPatient",)
_VALUES = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_SAID_IN_GROUPS = (
    *_MEASURES, *_PLACE, *_TURN, *_VALUES, "ConvolutionKernel", "KVP", "EchoTime", "InversionTime",
)  # fmt: skip


def _shared(first: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    groups = Dataset()
    groups.PixelMeasuresSequence = [_part(first, _MEASURES)]
    groups.PlaneOrientationSequence = [_part(first, _TURN)]
    if first.Modality == "CT":
        groups.CTReconstructionSequence = [_part(first, ("ConvolutionKernel",))]
        groups.CTXRayDetailsSequence = [_part(first, ("KVP",))]
    else:
        echo, inversion = Dataset(), Dataset()
        echo.EffectiveEchoTime, inversion.InversionTimes = float(first.EchoTime), float(first.InversionTime)
        groups.MREchoSequence, groups.MRModifierSequence = [echo], [inversion]
    return groups


def _own(one: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    groups = Dataset()
    groups.PlanePositionSequence = [_part(one, _PLACE)]
    groups.PixelValueTransformationSequence = [_part(one, _VALUES)]
    return groups


def _part(one: Dataset, names: Sequence[str]) -> Dataset:
    from pydicom.dataset import Dataset

    part = Dataset()
    for name in names:
        if name in one:
            setattr(part, name, one[name].value)
    return part
