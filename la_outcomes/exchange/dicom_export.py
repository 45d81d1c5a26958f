"""Measured volumes of a registry as DICOM SEG and SR, beside the CTs of the archive they were measured on.

The registry knows series by keyed hashes alone. With the key and the archive, the series are found again;
what is written carries the patient's own identifiers, since it goes back to where they are at home.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from la_outcomes.errors import InputError
from la_outcomes.exchange.finding import Finding, require_highdicom
from la_outcomes.exchange.measurement_report import report_of
from la_outcomes.exchange.segmentation_object import segmentation_of
from la_outcomes.execution import Outcome, map_cases, start_work
from la_outcomes.imaging.dicom_files import open_archive
from la_outcomes.imaging.dicom_header import read_dicom
from la_outcomes.imaging.dicom_series import Series, series_of
from la_outcomes.imaging.dicom_stack import plan_stack, without_copies
from la_outcomes.imaging.nifti import read_mask
from la_outcomes.imaging.pseudonyms import Pseudonyms
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.study_files import StudyFiles
from la_outcomes.shards import atomic_path

_MEASURED = """
SELECT c.series_uid_hash, v.scan_id, v.la_volume_ml, v.la_volume_low_ml, v.la_volume_high_ml, v.mask_path,
       v.mask_sha256, v.model_sha256, v.parameters_sha256, m.name AS model_name,
       coalesce(p.is_simulated, FALSE) AS is_simulated
FROM scan_la_volume v
JOIN series_choices c ON c.scan_id = v.scan_id AND c.chosen
JOIN models m ON m.model_sha256 = v.model_sha256
LEFT JOIN scans s ON s.scan_id = v.scan_id
LEFT JOIN patients p ON p.patient_id = s.patient_id
WHERE v.la_volume_ml IS NOT NULL AND v.mask_path IS NOT NULL
ORDER BY v.scan_id
"""


@dataclass(frozen=True)
class Job:
    """One scan to write: its row of the registry, its series in the archive, where masks are and files go."""

    row: dict[str, Any]
    series: Series | None
    files: StudyFiles
    out: Path

    @property
    def case_id(self) -> str:
        """The scan's name."""
        return str(self.row["scan_id"])


def measured_scans(registry: str | Path) -> list[dict[str, Any]]:
    """Scans with a volume and a mask by an active model, not rejected on review, that ``convert`` chose."""
    with open_read_only(registry) as connection:
        found = connection.execute(_MEASURED)
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def export_dicom(
    registry: str | Path, archive: Path, folders: Iterable[Path], out: Path, pseudonyms: Pseudonyms
) -> list[Outcome]:
    """Write ``<scan_id>_seg.dcm`` and ``<scan_id>_sr.dcm`` for each measured scan found in the archive.

    Raises ``UsageError`` where highdicom is not installed and ``InputError`` where the registry has nothing
    to write. A scan whose series is not in the archive, or whose mask changed, is a failed outcome.
    """
    require_highdicom()
    rows = measured_scans(registry)
    if not rows:
        raise InputError(
            "the registry has no measured scan that came from convert",
            where=registry,
            hint="ingest the folders of convert and segment",
        )
    files = StudyFiles(folders)
    with open_archive(archive, out) as opened:
        found = series_of(opened.files, where=archive, notes=opened.notes)
        by_hash = {pseudonyms.hash_of("series", one.uid): one for one in found.series}
        jobs = [Job(row, by_hash.get(row["series_uid_hash"]), files, out) for row in rows]
        return map_cases(_write, jobs, label="DICOM results")


def _write(job: Job) -> tuple[str, str | None]:
    if job.series is None:
        raise InputError("its series is not in the archive", hint="the archive and key of convert are needed")
    start_work()
    mask = read_mask(job.files.written(job.row["mask_path"], job.row["mask_sha256"], "mask"))
    finding = _finding(job.row, mask)
    stack = plan_stack(without_copies(job.series.slices))
    sources = _headers([one.path for one in stack.slices])
    segmentation = segmentation_of(sources, stack.slices, finding)
    report = report_of(sources, segmentation, finding)
    for dataset, kind in ((segmentation, "seg"), (report, "sr")):
        with atomic_path(job.out / f"{finding.scan_id}_{kind}.dcm") as temporary:
            dataset.save_as(temporary)
    return "done", None


def _finding(row: dict[str, Any], mask: Any) -> Finding:
    return Finding(
        scan_id=row["scan_id"],
        mask=mask,
        la_volume_ml=row["la_volume_ml"],
        model_name=row["model_name"],
        model_sha256=row["model_sha256"],
        parameters_sha256=row["parameters_sha256"],
        low_ml=row["la_volume_low_ml"],
        high_ml=row["la_volume_high_ml"],
        is_simulated=bool(row["is_simulated"]),
    )


def _headers(paths: list[Path]) -> list[Dataset]:
    """The files' whole headers without their pixels, each file once."""
    found = []
    for path in dict.fromkeys(paths):
        header = read_dicom(path)
        if header is None:
            raise InputError("an image of the series can no longer be read")
        if "PixelData" in header:
            del header.PixelData
        found.append(header)
    return found
