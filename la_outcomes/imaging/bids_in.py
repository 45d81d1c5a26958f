"""A BIDS data set to checked scans: the same table, choices and shards that DICOM gives.

Files are read with all checks of ``nifti`` and written anew with one orientation and nothing in their
headers' text fields. Sidecars tell kernel, thickness and contrast; the subject's label is the pseudonym.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.imaging.bids_names import BidsScan, bids_scans
from la_outcomes.imaging.dicom_choice import is_sharp_kernel
from la_outcomes.imaging.geometry import Image, is_sheared, lean_deg
from la_outcomes.imaging.input_checks import check_head_ct, mri_reason
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.imaging.pseudonyms import Pseudonyms
from la_outcomes.provenance import Run
from la_outcomes.shards import Rows, case_key, is_done, read_shard, sha256_file, shard_path, write_shard

SHARD_KIND = "conversion"
_LARGEST_SIDECAR = 10_000_000
_SIDECAR = {
    "manufacturer": ("Manufacturer",),
    "model_name": ("ManufacturersModelName", "ManufacturerModelName"),
    "kernel": ("ConvolutionKernel",),
    "kvp": ("KVP", "XRayTubeVoltage"),
    "slice_thickness_mm": ("SliceThickness",),
}


@dataclass(frozen=True)
class BidsCase:
    """One scan of the data set, and the keyed hash of its place in it."""

    scan: BidsScan
    series_hash: str

    @property
    def case_id(self) -> str:
        """The scan's name."""
        return self.scan.scan_id


def bids_cases(folder: Path, pseudonyms: Pseudonyms) -> list[BidsCase]:
    """CTs and FLAIRs of a data set. Raises ``InputError`` where there are none or names are doubled."""
    scans = bids_scans(folder)
    if not scans:
        raise InputError("the BIDS data set holds no CT (sub-X/ct/*_ct.nii.gz) and no FLAIR", where=folder)
    names = [scan.scan_id for scan in scans]
    if len(set(names)) < len(names):
        raise InputError("two files of the BIDS data set have one name", where=folder)
    return [
        BidsCase(scan, pseudonyms.hash_of("series", scan.path.relative_to(folder).as_posix()))
        for scan in scans
    ]


def convert_bids(case: BidsCase, out_dir: Path, run: Run) -> tuple[str, str | None]:
    """Check one scan, write it and its shard; status and reason as for every case."""
    key = _key(case, run)
    if is_done(out_dir, SHARD_KIND, key):
        return "already_done", None
    facts = _facts(case.scan)
    rule, reason, image = _judge(case.scan, facts)
    scans: list[dict[str, Any]] = []
    if image is not None:
        scans.append(_written(case.scan, image, facts, out_dir))
    choice = {
        "series_uid_hash": case.series_hash, "scan_id": case.scan.scan_id, "chosen": reason is None,
        "rule": rule, "reason": reason, "modality": "CT" if case.scan.modality == "CT" else "MR",
        "kernel": facts.get("kernel"), "slice_thickness_mm": facts.get("slice_thickness_mm"),
        "is_contrast_enhanced": facts["is_contrast_enhanced"], "run_id": run.run_id,
    }  # fmt: skip
    rows: Rows = {"scans": scans, "series_choices": [choice], "runs": [run.row()]}
    status = "failed_input" if rule == "conversion" else "done"
    write_shard(out_dir, kind=SHARD_KIND, case_id=case.case_id, key=key, status=status, rows=rows)
    return status, reason if status == "failed_input" else None


def bids_rows(case: BidsCase, out_dir: Path, run: Run) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of ``scans`` and ``series_choices`` that ``convert_bids`` left."""
    rows = read_shard(shard_path(out_dir, SHARD_KIND, _key(case, run)))["rows"]
    return rows["scans"], rows["series_choices"]


def _key(case: BidsCase, run: Run) -> str:
    return case_key(
        {"scan": sha256_file(case.scan.path), "name": case.scan.scan_id}, None, run.parameters_sha256
    )


def _judge(scan: BidsScan, facts: dict[str, Any]) -> tuple[str, str | None, Image | None]:
    """Rule, reason and image: the declared rules first, then what reading and values tell."""
    if scan.modality == "CT" and facts["is_contrast_enhanced"]:
        return "contrast", "contrast agent given", None
    if scan.modality == "CT" and is_sharp_kernel(str(facts.get("kernel") or "")):
        return "kernel", "a bone or lung kernel", None
    try:
        image = read_image(scan.path)
    except InputError as error:
        return "conversion", error.what, None
    reason = check_head_ct(image) if scan.modality == "CT" else mri_reason(image)
    return ("preference", None, image) if reason is None else ("conversion", reason, None)


def _written(scan: BidsScan, image: Image, facts: dict[str, Any], out_dir: Path) -> dict[str, Any]:
    path = out_dir / f"{scan.scan_id}.nii.gz"
    whole = scan.modality == "CT" and bool((image.data == np.rint(image.data)).all())
    write_image(path, image, dtype=np.int16 if whole and np.abs(image.data).max() < 32767 else np.float32)
    spacing = image.voxel_volume_ml * 1000 / float(np.prod(image.spacing_mm[:2]))
    return {
        "scan_id": scan.scan_id, "patient_id": scan.patient_id, "modality": scan.modality, "path": path.name,
        "sha256": sha256_file(path), "pixel_spacing_mm": round(float(image.spacing_mm[0]), 5),
        "slice_spacing_mm": round(spacing, 4),
        "gantry_tilt_deg": round(lean_deg(image.affine), 2) if is_sheared(image.affine) else 0.0,
    } | {name: value for name, value in facts.items() if value is not None}  # fmt: skip


def _facts(scan: BidsScan) -> dict[str, Any]:
    """Columns of ``scans`` from the sidecar; what is missing or of the wrong type is left out."""
    sidecar = _sidecar(scan.path)
    facts: dict[str, Any] = {}
    for column, names in _SIDECAR.items():
        value = next((sidecar[name] for name in names if name in sidecar), None)
        wanted = (int, float) if column in ("kvp", "slice_thickness_mm") else (str,)
        facts[column] = value if isinstance(value, wanted) and not isinstance(value, bool) else None
    agent = str(sidecar.get("ContrastBolusAgent") or sidecar.get("ContrastBolusIngredient") or "")
    facts["is_contrast_enhanced"] = "_ce-" in scan.entities or agent.strip().lower() not in ("", "none", "no")
    return facts


def _sidecar(path: Path) -> dict[str, Any]:
    file = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    try:
        if file.stat().st_size > _LARGEST_SIDECAR:
            return {}
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
