"""What a pair leaves behind: mask, soft maps, transform, picture, its shard, and the tables of all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk

from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import write_image
from la_outcomes.provenance import Run
from la_outcomes.segmentation.cases import PairCase
from la_outcomes.segmentation.labels.pictures import pair_png, write_sheet
from la_outcomes.segmentation.labels.quality_control import Quality
from la_outcomes.segmentation.labels.sources import WmhSource
from la_outcomes.segmentation.labels.transform_files import write_transform
from la_outcomes.segmentation.labels.wmh import Wmh
from la_outcomes.shards import (
    Rows,
    atomic_path,
    case_key,
    read_shard,
    sha256_file,
    shard_path,
    write_shard,
)

SHARD_KIND = "pseudo_label"
Hashes = dict[str, str | None]
_COLUMNS = [
    "ct_scan_id", "patient_id", "cohort", "is_simulated", "site", "anatomy", "ct_path", "label_path",
    "status", "reason",
]  # fmt: skip


@dataclass(frozen=True)
class LabelJob:
    """What all pairs share: output folder, WMH source, how infarcts are known, and the run."""

    out_dir: Path
    source: WmhSource
    infarct: str
    run: Run

    def key(self, case: PairCase) -> str:
        """Identity of the work on one pair, by content; ``OSError`` where a file cannot be read."""
        return case_key(input_hashes(case), None, self.run.parameters_sha256)

    def log_path(self, case: PairCase) -> Path:
        """Where an external tool's words go."""
        return self.out_dir / "tool_logs" / f"{case.case_id}.log"


@dataclass(frozen=True, eq=False)
class PseudoLabel:
    """A pair's label on the CT's grid and what led to it.

    ``carried``: soft map in CT space without the infarct; ``infarct_source``: given, model, found, or None
    where nobody drew one and none was looked for.
    """

    ct: Image
    label: npt.NDArray[np.bool_]
    carried: Image
    wmh: Wmh
    infarct_source: str | None
    infarct_removed_ml: float
    quality: Quality
    warnings: tuple[str, ...]
    flair_on_ct: Image
    transform: sitk.Transform


def input_hashes(case: PairCase) -> Hashes:
    """SHA-256 of each file of a pair, None where the pair has no such file."""
    paths = {
        "ct": case.ct.path,
        "flair": case.flair.path,
        "wmh": case.wmh_mask_path,
        "infarct": case.infarct_mask_path,
        "t1": case.t1_path,
    }
    return {name: None if path is None else sha256_file(path) for name, path in paths.items()}


def save_files(case: PairCase, job: LabelJob, made: PseudoLabel) -> dict[str, Any]:
    """Write mask, soft maps, transform and picture; returns the row of ``pseudo_labels``."""
    name, out = case.case_id, job.out_dir
    label_path = out / "labels" / f"{name}.nii.gz"
    write_image(label_path, Image(made.label.astype(np.uint8), made.carried.affine), dtype=np.uint8)
    write_image(out / "carried" / f"{name}.nii.gz", made.carried, dtype=np.float32)
    write_image(out / "wmh" / f"{name}.nii.gz", made.wmh.soft, dtype=np.float32)
    transform_path = out / "transforms" / f"{name}.h5"
    write_transform(transform_path, made.transform)
    picture = out / "pictures" / f"{name}.png"
    status = made.quality.status
    pair_png(picture, made.ct, made.flair_on_ct, made.label, title=f"{name}: {status}")
    return {
        "wmh_volume_ml": made.wmh.volume_ml,
        "carried_volume_ml": volume_ml(made.carried.data, made.carried.affine),
        "label_volume_ml": volume_ml(made.label, made.carried.affine),
        "infarct_source": made.infarct_source,
        "infarct_removed_ml": made.infarct_removed_ml,
        **made.quality.figures(),
        "status": status,
        "reason": made.quality.reason,
        "input_warning": "; ".join(made.warnings) or None,
        "label_path": label_path.relative_to(out).as_posix(),
        "label_sha256": sha256_file(label_path),
        "transform_path": transform_path.relative_to(out).as_posix(),
        "picture_path": picture.relative_to(out).as_posix(),
    }


def failed_row(reason: str) -> dict[str, Any]:
    """Row of a pair without a label: no volume, and why."""
    return {"status": "failed", "reason": reason}


def wmh_row(case: PairCase, job: LabelJob, wmh: Wmh) -> dict[str, Any]:
    """Row of ``wmh_measurements``: the native volume and what made it."""
    tool = job.source.tool
    return {
        "scan_id": case.flair.scan_id,
        "source": wmh.source,
        "parameters_sha256": job.run.parameters_sha256,
        "wmh_volume_ml": wmh.volume_ml,
        "tool_version": wmh.version,
        "tool_licence": tool.licence if tool is not None and wmh.source in ("mask", "command") else None,
        "run_id": job.run.run_id,
    }


def write_record(
    case: PairCase, job: LabelJob, status: str, row: dict[str, Any], wmh_rows: list[dict[str, Any]]
) -> None:
    """Write the pair's shard."""
    hashes = input_hashes(case)
    keys = {"ct_scan_id": case.ct.scan_id, "flair_scan_id": case.flair.scan_id}
    parameters = {"parameters_sha256": job.run.parameters_sha256, "run_id": job.run.run_id}
    rows: Rows = {
        "patients": [{**case.ct.patient_row(), "cohort": case.cohort}],
        "scans": [case.ct.scan_row(str(hashes["ct"])), case.flair.scan_row(str(hashes["flair"]))],
        "pairs": [case.row()],
        "wmh_measurements": wmh_rows,
        "pseudo_labels": [{**keys, **parameters, **row}],
        "runs": [job.run.row()],
    }
    key = job.key(case)
    write_shard(job.out_dir, kind=SHARD_KIND, case_id=case.case_id, key=key, status=status, rows=rows)


def write_tables(job: LabelJob, cases: Sequence[PairCase]) -> None:
    """``labels.csv`` and the sheet, from the shards of these pairs."""
    found = []
    for case in cases:
        row = _known_row(case, job)
        if row is not None:
            found.append((case, row))
    table = pd.DataFrame([_label_row(case, row) for case, row in found], columns=_COLUMNS)
    with atomic_path(job.out_dir / "labels.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    write_sheet(job.out_dir / "index.html", [row for _, row in found])


def _known_row(case: PairCase, job: LabelJob) -> dict[str, Any] | None:
    try:
        path = shard_path(job.out_dir, SHARD_KIND, job.key(case))
    except OSError:
        return None
    return read_shard(path)["rows"]["pseudo_labels"][0] if path.exists() else None


def _label_row(case: PairCase, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "ct_scan_id": case.ct.scan_id,
        "patient_id": case.patient_id,
        "cohort": case.cohort,
        "is_simulated": case.ct.patient.get("is_simulated"),
        "site": case.site,
        "anatomy": case.anatomy,
        "ct_path": case.ct.path.resolve().as_posix(),
        "label_path": row.get("label_path"),
        "status": row["status"],
        "reason": row.get("reason"),
    }
