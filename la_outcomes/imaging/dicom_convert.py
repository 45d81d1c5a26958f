"""Studies of an archive to NIfTI scans with proven geometry, a table of scans, and a shard a study.

Headers are read by pydicom, pixels decoded by pydicom and GDCM, volumes laid out by ``dicom_stack``. Written
files, tables and messages hold pseudonyms and keyed hashes only: no names, numbers, dates or UIDs.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.imaging.dicom_choice import (
    ScanKind,
    Verdict,
    is_contrast_enhanced,
    judge,
    kind_of,
    nominal_thickness_mm,
    preference,
)
from la_outcomes.imaging.dicom_pixels import read_pixels
from la_outcomes.imaging.dicom_series import Series
from la_outcomes.imaging.dicom_stack import (
    POSITION_TOLERANCE_MM,
    Stack,
    assemble,
    landmark_error_mm,
    plan_stack,
    value_error,
    without_copies,
)
from la_outcomes.imaging.dicom_studies import Study
from la_outcomes.imaging.geometry import Array, Image, volume_ml
from la_outcomes.imaging.input_checks import check_head_ct
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.provenance import Run
from la_outcomes.shards import (
    case_key,
    is_done,
    read_shard,
    sha256_file,
    shard_path,
    write_shard,
    write_text_atomic,
)

SHARD_KIND = "conversion"
ALGORITHM_VERSION = "2"
HEAD_HU = -500.0
BURNT_IN = "the header tells of text in the pixels: look for names before passing it on"
_TILT_AGREEMENT_DEG = 1.0
_HEAD_TOLERANCE = 0.02
SCANS_COLUMNS = (
    "patient_id", "scan_id", "modality", "path", "sha256", "is_contrast_enhanced", "manufacturer",
    "model_name", "kernel", "kvp", "slice_thickness_mm", "pixel_spacing_mm", "slice_spacing_mm",
    "gantry_tilt_deg",
)  # fmt: skip
APPORTIONMENT = (
    "each millimetre along the slice normal belongs to the thinnest slice that covers it, between equals to "
    "the nearer; slices of the even grid are means weighted by millimetres"
)


@dataclass
class StudyResult:
    """What became of a study: scans and series_choices rows, and failures in words."""

    scans: list[dict[str, Any]] = field(default_factory=list)
    choices: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def convert_study(study: Study, out_dir: Path, run: Run) -> StudyResult:
    """Choose and convert a study's CT and FLAIR, write their files and the study's shard.

    A series that the rules chose but that cannot be converted gives way to the next best, is named in
    ``failures`` and keeps its reason in ``series_choices``.
    """
    result = StudyResult()
    verdicts = [judge(series) for series in study.series]
    for verdict in verdicts:
        if verdict.reason is not None:
            result.choices.append(_choice(study, verdict.series, verdict.rule, verdict.reason, run))
    for kind in ("CT", "FLAIR"):
        _convert_best(study, kind, verdicts, out_dir, run, result)
    _write_study_shard(study, out_dir, run, result)
    return result


def _convert_best(
    study: Study, kind: ScanKind, verdicts: list[Verdict], out_dir: Path, run: Run, result: StudyResult
) -> None:
    usable = [v.series for v in verdicts if v.reason is None and kind_of(v.series) == kind]
    done = False
    for series in sorted(usable, key=preference):
        scan_id = str(study.scan_id(series))
        if done:
            why = "another series of the study stands before it"
            result.choices.append(_choice(study, series, "preference", why, run))
            continue
        try:
            row, report = convert_series(series, kind, out_dir / f"{scan_id}.nii.gz")
        except InputError as error:
            result.choices.append(_choice(study, series, "conversion", error.what, run))
            result.failures.append(f"{scan_id}: {error.what}")
            continue
        done = True
        _write_report(out_dir / f"{scan_id}.json", scan_id, report)
        result.scans.append({"scan_id": scan_id, "patient_id": study.patient_id, "modality": kind, **row})
        result.choices.append(_choice(study, series, "preference", None, run))


def _choice(study: Study, series: Series, rule: str | None, reason: str | None, run: Run) -> dict[str, Any]:
    thickness = nominal_thickness_mm(series)
    return {
        "series_uid_hash": study.hash_of(series),
        "scan_id": study.scan_id(series),
        "chosen": reason is None,
        "rule": rule,
        "reason": reason,
        "modality": series.modality,
        "n_slices": series.n_images,
        "kernel": series.text("ConvolutionKernel") or None,
        "slice_thickness_mm": thickness if thickness is not None and thickness < 1e5 else None,
        "is_contrast_enhanced": is_contrast_enhanced(series) if series.modality == "CT" else None,
        "warning": BURNT_IN if series.has_burnt_in_text else None,
        "run_id": run.run_id,
    }


def convert_series(series: Series, kind: ScanKind, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Convert one series to ``path``, read the file back and check it against the headers.

    Returns the columns of ``scans`` and the report. Raises ``InputError``, and leaves no file, where the
    slices make no volume, where a corner of a slice lies more than 0.1 mm from its voxel, where values
    differ, where a CT shows no head, or where the volume of the head (> -500 HU) differs by more than 2 %
    from the sum over slices of area x apportioned thickness.
    """
    stack = plan_stack(without_copies(series.slices))
    pixels = [read_pixels(one, series.modality) for one in stack.slices]
    image = assemble(stack, pixels)
    write_image(path, image, dtype=np.int16 if kind == "CT" else np.float32)
    try:
        written = read_image(path)
        report = {**_layout_report(series, stack), **_checks(written, stack, pixels, kind)}
        reason = check_head_ct(written) if kind == "CT" else None
        if reason is not None:
            raise InputError(reason)
    except BaseException:
        path.unlink()
        raise
    return _scan_columns(series, stack, path), report


def _checks(image: Image, stack: Stack, pixels: list[Array], kind: ScanKind) -> dict[str, Any]:
    """Measure the written file against headers and slices; refuse it where they disagree."""
    landmark, value = landmark_error_mm(image, stack), value_error(image, stack, pixels)
    if landmark > POSITION_TOLERANCE_MM:
        raise InputError(f"the volume does not lie where the headers say: {landmark:.2g} mm off")
    if value > 0.5:
        raise InputError(f"the volume's values are not the slices': {value:.3g} off")
    report = {"landmark_error_mm": round(landmark, 6), "value_error": round(value, 6)}
    if kind == "CT":
        in_volume, in_slices = head_volumes_ml(image, stack, pixels)
        if abs(in_volume - in_slices) > _HEAD_TOLERANCE * in_slices:
            raise InputError(
                f"the head has {in_volume:.0f} mL in the volume, {in_slices:.0f} mL in the slices"
            )
        report |= {"head_ml": round(in_volume, 2), "head_by_slices_ml": round(in_slices, 2)}
    return report


def head_volumes_ml(image: Image, stack: Stack, pixels: list[Array]) -> tuple[float, float]:
    """mL above -500 HU in the volume, and as the sum over slices of area x apportioned millimetres."""
    first = stack.slices[0]
    pixel_mm2 = first.row_step_mm * first.column_step_mm
    areas = np.array([float((values > HEAD_HU).sum()) * pixel_mm2 for values in pixels])
    return volume_ml(image.data > HEAD_HU, image.affine), float(areas @ stack.owned_mm) / 1000


def _layout_report(series: Series, stack: Stack) -> dict[str, Any]:
    """How the volume was laid out, for ``convert_report.json``."""
    report: dict[str, Any] = {
        "layout": stack.description,
        "slices_in": len(stack.slices),
        "duplicates_left_out": series.n_duplicates + len(series.slices) - len(stack.slices),
        "localisers_left_out": series.n_localisers,
        "tilt_from_positions_deg": round(stack.tilt_deg, 2),
        "notes": [BURNT_IN] if series.has_burnt_in_text else [],
    }
    if stack.grid is not None:
        kept = len(stack.grid.weights) * stack.grid.step_mm
        report |= {
            "apportionment": APPORTIONMENT,
            "owned_mm": [round(float(mm), 3) for mm in stack.owned_mm],
            "scanned_mm": round(stack.grid.scanned_mm, 3),
            "in_volume_mm": round(kept, 3),
        }
    stated = series.number("GantryDetectorTilt")
    if stated is not None and abs(abs(stated) - stack.tilt_deg) > _TILT_AGREEMENT_DEG:
        report["notes"].append(
            f"the header states a tilt of {stated:g} degrees, positions give {stack.tilt_deg:.1f}: "
            "positions were followed"
        )
    gap = stack.slice_spacing_mm - (nominal_thickness_mm(series) or stack.slice_spacing_mm)
    if stack.grid is None and gap > 0.1:
        report["notes"].append(f"{gap:.1f} mm between neighbouring slices were not imaged")
    return report


def _scan_columns(series: Series, stack: Stack, path: Path) -> dict[str, Any]:
    stated = series.number("GantryDetectorTilt")
    first = stack.slices[0]
    return {
        "path": path.name,
        "sha256": sha256_file(path),
        "is_contrast_enhanced": is_contrast_enhanced(series),
        "manufacturer": series.text("Manufacturer") or None,
        "model_name": series.text("ManufacturerModelName") or None,
        "kernel": series.text("ConvolutionKernel") or None,
        "kvp": series.number("KVP"),
        "slice_thickness_mm": nominal_thickness_mm(series),
        "pixel_spacing_mm": round(first.row_step_mm, 5),
        "slice_spacing_mm": round(stack.slice_spacing_mm, 4),
        "gantry_tilt_deg": round(stack.tilt_deg, 2) if stated is None else stated,
    }


def _write_report(path: Path, scan_id: str, report: dict[str, Any]) -> None:
    write_text_atomic(path, json.dumps({"scan_id": scan_id, **report}, indent=1) + "\n")


def _study_key(study: Study, run: Run) -> str:
    inputs = {study.hash_of(one): f"{one.n_images} images, {one.n_bytes} bytes" for one in study.series}
    return case_key({**inputs, "patient": study.patient_id}, None, run.parameters_sha256)


def _write_study_shard(study: Study, out_dir: Path, run: Run, result: StudyResult) -> None:
    write_shard(
        out_dir,
        kind=SHARD_KIND,
        case_id=study.case_id,
        key=_study_key(study, run),
        status="done" if result.scans else "failed_input",
        rows={"scans": result.scans, "series_choices": result.choices, "runs": [run.row()]},
    )


def is_converted(study: Study, out_dir: Path, run: Run) -> bool:
    """True where the study's shard and its scans' files are there from a run with the same parameters.

    A study counts as the same where its series have as many images and bytes as then.
    """
    key = _study_key(study, run)
    if not is_done(out_dir, SHARD_KIND, key):
        return False
    scans = read_shard(shard_path(out_dir, SHARD_KIND, key))["rows"]["scans"]
    return all((out_dir / scan["path"]).is_file() for scan in scans)


def study_rows(study: Study, out_dir: Path, run: Run) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of ``scans`` and of ``series_choices`` that ``convert_study`` left in the study's shard."""
    rows = read_shard(shard_path(out_dir, SHARD_KIND, _study_key(study, run)))["rows"]
    return rows["scans"], rows["series_choices"]


def write_scans_table(out_dir: Path, scans: Iterable[dict[str, Any]]) -> Path:
    """Write ``scans.csv`` for ``segment``: one line a scan, paths relative to the table."""
    text = io.StringIO()
    table = csv.DictWriter(text, SCANS_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(scans)
    return write_text_atomic(out_dir / "scans.csv", text.getvalue())
