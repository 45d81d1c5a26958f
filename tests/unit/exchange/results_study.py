"""A small archive, converted, measured by hand and ingested: what SEG, SR and BIDS are written from."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dicom_writer import write_series

from la_outcomes.cli.main import run
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.provenance import Run
from la_outcomes.registry.ingest import ingest
from la_outcomes.shards import sha256_file, write_shard

EVEN = np.arange(36) * 5.0 - 90
MODEL = "b" * 64


@dataclass(frozen=True)
class Study:
    """Folders of the study."""

    archive: Path
    scans: Path
    results: Path
    registry: Path

    @property
    def scan_ids(self) -> list[str]:
        with open(self.scans / "scans.csv", encoding="utf-8") as handle:
            return [row["scan_id"] for row in csv.DictReader(handle)]


def drawn_mask(image: Image) -> np.ndarray:
    """Two blobs, one to the left alone, so that a flipped mask is told from a right one."""
    index = np.indices(image.shape)
    blobs = [((26, 44, 18), 5), ((44, 52, 24), 3)]
    found = np.zeros(image.shape, dtype=np.uint8)
    for centre, radius in blobs:
        away = sum((index[axis] - centre[axis]) ** 2 for axis in range(3))
        found[away <= radius**2] = 1
    return found


def build_study(folder: Path, *, flair: bool = False, **series: Any) -> Study:
    """Archive of one CT (``series`` goes to its writer), converted; a mask and its volume ingested.

    With ``flair`` the study holds a FLAIR too.
    """
    study = Study(folder / "archive", folder / "scans", folder / "results", folder / "r.duckdb")
    given = {"StudyInstanceUID": "1.2.840.1", "FrameOfReferenceUID": "1.2.840.7"} | series.pop("fields", {})
    write_series(study.archive / "a", EVEN, fields=given, **series)
    if flair:
        mr = {"Modality": "MR", "SeriesDescription": "FLAIR", "RescaleIntercept": "0"}
        write_series(study.archive / "b", EVEN, fields={**given, **mr}, values=lambda w: np.hypot(w[0], w[1]))
    assert run(["convert", str(study.archive), "--out", str(study.scans)]) == 0
    measure(study)
    ingest([study.scans, study.results], study.registry)
    return study


def measure(study: Study) -> None:
    """Write masks and shards as ``segment`` does."""
    job = Run("segment", {"by": "hand"})
    with open(study.scans / "scans.csv", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    for row in (row for row in rows if row["modality"] == "CT"):
        image = read_image(study.scans / row["path"])
        mask = drawn_mask(image)
        path = Path("masks") / f"{row['scan_id']}.nii.gz"
        write_image(study.results / path, Image(mask, image.affine))
        keys = {"scan_id": row["scan_id"], "model_sha256": MODEL, "parameters_sha256": job.parameters_sha256}
        measured = {
            "la_volume_ml": volume_ml(mask, image.affine), "la_volume_low_ml": 1.0, "la_volume_high_ml": 90.0,
            "mask_path": path.as_posix(), "mask_sha256": sha256_file(study.results / path),
        }  # fmt: skip
        scan = {"scan_id": row["scan_id"], "patient_id": row["patient_id"], "modality": "CT"}
        shard = {
            "patients": [{"patient_id": row["patient_id"], "cohort": "clinical", "is_simulated": True}],
            "scans": [scan | {"path": row["path"], "sha256": row["sha256"]}],
            "models": [{"model_sha256": MODEL, "name": "drawn", "kind": "segmentation", "is_active": True}],
            "la_measurements": [keys | measured | {"run_id": job.run_id}],
            "runs": [job.row()],
        }
        key = sha256_file(study.results / path)
        case = {"case_id": row["scan_id"], "key": key, "status": "done"}
        write_shard(study.results, kind="la_measurement", rows=shard, **case)
