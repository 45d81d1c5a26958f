"""A small study on disk for the review page: real images of a tilted head, masks, shards, registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pair_phantom import make_pair

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.provenance import Run
from la_outcomes.registry.ingest import ingest
from la_outcomes.registry.study_files import StudyFiles
from la_outcomes.review.case import Study
from la_outcomes.review.catalogue import Catalogue
from la_outcomes.review.desk import Desk
from la_outcomes.review.records import Reader, Recorder
from la_outcomes.shards import Rows, sha256_file, sha256_json, write_shard

MODEL = "a" * 64
RUN = Run("segment", {})
PARAMETERS = RUN.parameters_sha256
COHORTS = ("training", "external_test", "clinical")
VENDORS = ("GE", "Siemens", "Philips", None)


def scan_id(number: int) -> str:
    """Pseudonym of the CT of a patient."""
    return f"p{number:04d}-ct"


def measurement(number: int) -> str:
    """Target of the segmentation of a patient's CT."""
    return f"{scan_id(number)}|{MODEL}|{PARAMETERS}"


def label(number: int) -> str:
    """Target of the pseudo-label of a patient's pair."""
    return f"{scan_id(number)}|p{number:04d}-flair|{PARAMETERS}"


def make_study(folder: Path, n: int = 3) -> Path:
    """A study of ``n`` patients with one head's images each; returns its registry.

    ``scans/`` holds the images, ``labels/`` and ``results/`` what commands would have written; the label is
    the true WMH, the prediction the same a voxel further to the patient's right.
    """
    pair = make_pair(angles_deg=(4, -6, 8), shift_mm=(3, -5, 2), lesion=0.6)
    ct, flair, truth = folder / "scans/ct.nii.gz", folder / "scans/flair.nii.gz", pair.wmh_ct.data > 0.5
    write_image(ct, Image(pair.ct.data.astype(np.int16), pair.ct.affine))
    write_image(flair, pair.flair)
    transform = folder / "labels/transforms/t.h5"
    transform.parent.mkdir(parents=True)
    sitk.WriteTransform(pair.truth, str(transform))
    write_image(folder / "labels/labels/l.nii.gz", Image(truth.astype(np.uint8), pair.ct.affine))
    moved = Image(np.roll(truth, 1, axis=0).astype(np.uint8), pair.ct.affine)
    write_image(folder / "results/masks/m.nii.gz", moved)
    files = {
        "ct": (ct.as_posix(), sha256_file(ct)),
        "flair": (flair.as_posix(), sha256_file(flair)),
        "label": ("labels/l.nii.gz", sha256_file(folder / "labels/labels/l.nii.gz")),
        "mask": ("masks/m.nii.gz", sha256_file(folder / "results/masks/m.nii.gz")),
    }
    return _registry(folder, n, files)


def make_list(folder: Path, n: int) -> Path:
    """A registry of ``n`` patients whose images are nowhere, for the list alone."""
    files = {name: (f"{name}.nii.gz", "0" * 64) for name in ("ct", "flair", "label", "mask")}
    return _registry(folder, n, files)


def _registry(folder: Path, n: int, files: dict[str, tuple[str, str]]) -> Path:
    labels, results = _rows(n, files)
    for name, rows in (("labels", labels), ("results", results)):
        write_shard(folder / name, kind=name, case_id="all", key=sha256_json(name), status="done", rows=rows)
    registry = folder / "study.duckdb"
    assert not ingest([folder / "labels", folder / "results"], registry).faults
    return registry


def _rows(n: int, files: dict[str, tuple[str, str]]) -> tuple[Rows, Rows]:
    rng = np.random.default_rng(7)
    labels: Rows = {
        "runs": [RUN.row()], "patients": [], "scans": [], "pairs": [], "pseudo_labels": [],
    }  # fmt: skip
    model = {"model_sha256": MODEL, "name": "net", "kind": "segmentation", "is_active": True}
    results: Rows = {"runs": [RUN.row()], "models": [model], "la_measurements": []}
    for i in range(n):
        labels["patients"].append({"patient_id": f"p{i:04d}", "cohort": COHORTS[i % 3], "site": f"s{i % 5}"})
        labels["scans"] += [_scan(i, kind, files[kind]) for kind in ("ct", "flair")]
        keys = {"ct_scan_id": scan_id(i), "flair_scan_id": f"p{i:04d}-flair"}
        labels["pairs"].append(keys)
        labels["pseudo_labels"].append({**keys, **_label(rng, files["label"])})
        results["la_measurements"].append(
            {
                "scan_id": scan_id(i),
                "model_sha256": MODEL,
                "parameters_sha256": PARAMETERS,
                "la_volume_ml": round(float(rng.gamma(1.2, 10)), 3),
                "icv_ml": round(float(rng.normal(1400, 220)), 1),
                "mask_path": files["mask"][0],
                "mask_sha256": files["mask"][1],
                "input_warning": "slices 9.0 mm apart" if i % 7 == 3 else None,
            }
        )
    return labels, results


def _scan(i: int, kind: str, file: tuple[str, str]) -> dict[str, Any]:
    return {
        "scan_id": f"p{i:04d}-{kind}",
        "patient_id": f"p{i:04d}",
        "modality": kind.upper(),
        "manufacturer": VENDORS[i % 4] if kind == "ct" else "GE",
        "slice_thickness_mm": 5.0,
        "days_from_onset": float(i % 3),
        "path": file[0],
        "sha256": file[1],
    }


def _label(rng: np.random.Generator, file: tuple[str, str]) -> dict[str, Any]:
    correlation = round(float(rng.uniform(0.05, 0.9)), 3)
    is_low = correlation < 0.2
    return {
        "parameters_sha256": PARAMETERS,
        "label_volume_ml": round(float(rng.gamma(1.2, 10)), 3),
        "csf_correlation": correlation,
        "brain_dice": 0.97,
        "jacobian_p01": 0.8,
        "jacobian_p99": 1.2,
        "label_outside_brain_fraction": 0.01,
        "status": "review" if is_low else "accepted",
        "reason": f"csf_correlation {correlation:.2f} outside 0.2 to 1" if is_low else None,
        "label_path": file[0],
        "label_sha256": file[1],
        "transform_path": "transforms/t.h5",
    }


def desk_of(registry: Path, reader: Reader, resample: float = 0.0, recorder: Recorder | None = None) -> Desk:
    """A desk with a catalogue of its own, as in another process."""
    study = Study(Catalogue(registry), StudyFiles([registry.parent]))
    return Desk(study, recorder or Recorder(registry), reader, resample)
