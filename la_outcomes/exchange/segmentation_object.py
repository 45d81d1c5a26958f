"""An LA mask as a DICOM Segmentation (PS3.3 A.51) on the slices of the CT it was made from, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset

from la_outcomes.errors import InputError
from la_outcomes.exchange.finding import MANUFACTURER, SCHEME, Finding
from la_outcomes.imaging.dicom_frames import Slice
from la_outcomes.imaging.dicom_header import DAMAGE
from la_outcomes.imaging.geometry import Array, Image

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

SERIES_NUMBER = 7001
_LPS = np.array([[-1.0], [-1.0], [1.0]])
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def mask_on_slices(mask: Image, slices: Sequence[Slice]) -> Array:
    """The mask at each pixel of the slices, uint8 (slices, rows, columns), nearest voxel; 0 outside.

    On the slices of an even stack each pixel is a voxel of the converted image, so nothing is interpolated.
    """
    inverse = np.linalg.inv(mask.affine)
    found = np.zeros((len(slices), slices[0].n_rows, slices[0].n_columns), dtype=np.uint8)
    for number, one in enumerate(slices):
        index = np.rint(inverse[:3, :3] @ _pixels(one) + inverse[:3, 3:]).astype(int)
        inside = ((index >= 0) & (index < np.array(mask.shape)[:, None])).all(axis=0)
        values = np.zeros(index.shape[1], dtype=np.uint8)
        values[inside] = mask.data[tuple(index[:, inside])] > 0
        found[number] = values.reshape(one.n_rows, one.n_columns)
    return found


def mask_from_slices(pixels: Array, slices: Sequence[Slice], like: Image) -> Image:
    """The other way: pixels (slices, rows, columns) set at their voxels of the grid ``like``, uint8."""
    inverse = np.linalg.inv(like.affine)
    data = np.zeros(like.shape, dtype=np.uint8)
    for values, one in zip(pixels, slices, strict=True):
        index = np.rint(inverse[:3, :3] @ _pixels(one) + inverse[:3, 3:]).astype(int)
        inside = ((index >= 0) & (index < np.array(like.shape)[:, None])).all(axis=0)
        data[tuple(index[:, inside])] |= (values.ravel()[inside] > 0).astype(np.uint8)
    return Image(data, like.affine)


def _pixels(one: Slice) -> Array:
    """RAS mm of a slice's pixels, (3, rows x columns), row by row (PS3.3 C.7.6.2.1.1)."""
    rows, columns = np.indices((one.n_rows, one.n_columns)).reshape(2, -1)
    lps = (
        one.position[:, None]
        + np.outer(one.along_row * one.column_step_mm, columns)
        + np.outer(one.along_column * one.row_step_mm, rows)
    )
    return lps * _LPS


def segmentation_of(sources: Sequence[Dataset], slices: Sequence[Slice], finding: Finding) -> Segmentation:
    """The SEG object: binary, one segment "Leukoaraiosis", frames refer to the CT's images.

    ``sources`` are the CT's headers in the order of ``slices``, or the one enhanced object that holds all.
    UIDs follow from series and model, so writing a result again gives the same object. Raises ``InputError``
    where the CT's headers lack what every SEG must repeat.
    """
    from highdicom.seg import Segmentation, SegmentationTypeValues
    from pydicom.uid import generate_uid

    for source in sources:
        for name in _MAY_BE_EMPTY:
            if name not in source:
                setattr(source, name, "")
    series_uid = str(sources[0].SeriesInstanceUID)
    pixels = _in_order_of_frames(mask_on_slices(finding.mask, slices), sources, slices)
    try:
        return Segmentation(
            source_images=list(sources),
            pixel_array=pixels,
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(finding, series_uid)],
            series_instance_uid=generate_uid(entropy_srcs=finding.entropy("SEG series", series_uid)),
            series_number=SERIES_NUMBER,
            sop_instance_uid=generate_uid(entropy_srcs=finding.entropy("SEG", series_uid)),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=finding.model_name[:64],
            software_versions=finding.software,
            device_serial_number=finding.model_version,
            content_label="LEUKOARAIOSIS",
            content_description="Research, not for diagnosis",
            series_description=finding.title[:64],
            omit_empty_frames=bool(pixels.any()),
        )
    except DAMAGE as error:
        raise InputError(
            f"the CT's headers lack what a DICOM segmentation needs ({type(error).__name__})"
        ) from None


def _in_order_of_frames(pixels: Array, sources: Sequence[Dataset], slices: Sequence[Slice]) -> Array:
    """An enhanced object's frames stand in the file's order, not along the head."""
    if len(sources) == len(slices):
        return pixels
    ordered = np.zeros((int(sources[0].NumberOfFrames), *pixels.shape[1:]), dtype=np.uint8)
    ordered[[one.frame for one in slices]] = pixels
    return ordered


def _description(finding: Finding, series_uid: str) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    return SegmentDescription(
        segment_number=1,
        segment_label="Leukoaraiosis",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=leukoaraiosis(),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=finding.model_name[:64],
            family=codes.DCM.ArtificialIntelligence,
            version=finding.model_version,
            source=MANUFACTURER,
        ),
        tracking_uid=str(generate_uid(entropy_srcs=finding.entropy("LA", series_uid))),
        tracking_id="LA",
        anatomic_regions=[codes.SCT.CerebralWhiteMatter],
    )


def leukoaraiosis() -> Any:
    """The code for LA; of a private scheme, since none of DICOM's context groups has one."""
    from highdicom.sr import CodedConcept

    return CodedConcept("LA", SCHEME, "Leukoaraiosis on CT")


def read_segmentation(path: Any) -> tuple[Array, list[str]]:
    """Pixels of the first segment (images, rows, columns) and the CT images' SOP instance UIDs, in order."""
    from highdicom.seg import segread

    segmentation = segread(path)
    uids = [uid for _, _, uid in segmentation.get_source_image_uids()]
    pixels = segmentation.get_pixels_by_source_instance(
        uids, segment_numbers=[1], ignore_spatial_locations=True
    )
    return pixels[..., 0], [str(uid) for uid in uids]
