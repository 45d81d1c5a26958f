"""An LA volume as a DICOM Structured Report by template TID 1500 (PS3.16): value, unit, method, model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from la_outcomes.errors import InputError
from la_outcomes.exchange.finding import MANUFACTURER, SCHEME, Finding
from la_outcomes.exchange.segmentation_object import leukoaraiosis
from la_outcomes.imaging.dicom_header import DAMAGE

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from highdicom.sr import Comprehensive3DSR

SERIES_NUMBER = 7002
METHOD = "Voxels of the mask times the voxel's volume"


def report_of(sources: Sequence[Dataset], segmentation: Segmentation, finding: Finding) -> Comprehensive3DSR:
    """The SR: volume of LA in mL (UCUM), the segment it was measured on, and the model that drew it.

    Limits of the model's interval stand beside the volume where it has one. Raises ``InputError`` where the
    CT's headers lack what every SR must repeat.
    """
    from highdicom.sr import Comprehensive3DSR, MeasurementReport
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    series_uid = str(sources[0].SeriesInstanceUID)
    try:
        content = MeasurementReport(
            observation_context=_observer(finding),
            procedure_reported=codes.LN.HeadCT,
            imaging_measurements=[_group(segmentation, finding, series_uid)],
            title=codes.DCM.ImagingMeasurementReport,
            referenced_images=list(sources),
        )
        return Comprehensive3DSR(
            evidence=[*sources, segmentation],
            content=content[0],
            series_instance_uid=generate_uid(entropy_srcs=finding.entropy("SR series", series_uid)),
            series_number=SERIES_NUMBER,
            sop_instance_uid=generate_uid(entropy_srcs=finding.entropy("SR", series_uid)),
            instance_number=1,
            manufacturer=MANUFACTURER,
            is_complete=True,
            series_description=finding.title[:64],
        )
    except DAMAGE as error:
        raise InputError(
            f"the CT's headers lack what a DICOM report needs ({type(error).__name__})"
        ) from None


def _observer(finding: Finding) -> Any:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    device = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=["la_outcomes device", finding.model_sha256]),
        name=finding.software,
        manufacturer_name=MANUFACTURER,
        model_name=finding.model_name[:64],
        serial_number=finding.model_version,
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _referenced(segmentation: Segmentation, series_uid: str) -> Any:
    from highdicom.sr import ReferencedSegment, SourceSeriesForSegmentation

    return ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=1,
        frame_numbers=list(range(1, int(segmentation.NumberOfFrames) + 1)),
        source_series=SourceSeriesForSegmentation(series_uid),
    )


def _group(segmentation: Segmentation, finding: Finding, series_uid: str) -> Any:
    from highdicom.sr import (
        AlgorithmIdentification,
        CodedConcept,
        FindingSite,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )
    from pydicom.sr.codedict import codes

    segment = segmentation.SegmentSequence[0]
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=_referenced(segmentation, series_uid),
        finding_type=leukoaraiosis(),
        finding_category=codes.SCT.MorphologicallyAbnormalStructure,
        finding_sites=[FindingSite(codes.SCT.CerebralWhiteMatter)],
        method=CodedConcept("VOXELS", SCHEME, METHOD),
        algorithm_id=AlgorithmIdentification(
            name=finding.model_name,
            version=finding.model_sha256,
            parameters=[f"parameters sha256 {finding.parameters_sha256}", finding.software],
            family=codes.DCM.ArtificialIntelligence,
            manufacturer=MANUFACTURER,
        ),
        measurements=_measurements(finding),
    )


def _measurements(finding: Finding) -> list[Any]:
    from highdicom.sr import CodedConcept, Measurement
    from pydicom.sr.codedict import codes

    limits = (
        ("VOLUMELOW", "Volume, lower limit of the model's interval", finding.low_ml),
        ("VOLUMEHIGH", "Volume, upper limit of the model's interval", finding.high_ml),
    )
    found = [Measurement(name=codes.SCT.Volume, value=round(finding.la_volume_ml, 4), unit=millilitre())]
    for code, meaning, value in limits:
        if value is not None:
            name = CodedConcept(code, SCHEME, meaning)
            found.append(Measurement(name=name, value=round(value, 4), unit=millilitre()))
    return found


def millilitre() -> Any:
    """The unit mL by its UCUM code."""
    from highdicom.sr import CodedConcept

    return CodedConcept("mL", "UCUM", "milliliter")


def read_report(path: str | Path) -> dict[str, Any]:
    """What a report says: volume, unit ("UCUM:mL"), method, finding, algorithm, UID of the segmentation."""
    from highdicom.sr import srread
    from highdicom.sr.utils import find_content_items
    from pydicom.sr.codedict import codes

    report = srread(path)
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    (volume,) = group.get_measurements(name=codes.SCT.Volume)
    named = find_content_items(report, name=codes.DCM.AlgorithmName, recursive=True)
    return {
        "volume": float(volume.value),
        "unit": f"{volume.unit.scheme_designator}:{volume.unit.value}",
        "method": None if group.method is None else group.method.meaning,
        "finding": group.finding_type.meaning,
        "algorithm": str(named[0].TextValue) if named else None,
        "segmentation": str(group.referenced_segment[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID),
    }
